"""The reference's schedule and Adam against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.research.ladder import numpy_maps
from tests.research.ladder import numpy_reference as reference
from tests.research.ladder import numpy_training as training


def test_rate_is_constant_and_then_falls_to_zero():
    rates = [training.learning_rate(n) for n in (0, 59_999, 60_000, 75_000, 89_999, 90_000)]
    assert rates == pytest.approx([0.002, 0.002, 0.002, 0.001, 0.002 / 30_000, 0.0], rel=1e-12)
    # Ten updates an epoch, decay of the last half of two epochs: 20 updates, from the tenth.
    rates = [training.learning_rate(n, 10, 1.0, 2, 1) for n in range(21)]
    expected = [1.0] * 11 + [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert rates == pytest.approx(expected, abs=1e-12)


def test_adam_first_steps():
    # t = 1: m^ = g and v^ = g^2, a step of the rate against the gradient's sign. With g = 2 again,
    # m^ and v^ stay. Then g = 0: m = .9 (.19 x 2), v = .999 (.001999 x 4) before the corrections.
    steps = training.adam(np.array([1.0]), [2.0, 2.0, 0.0], [0.1, 0.1, 0.1])
    m_hat = 0.9 * 0.19 * 2 / (1 - 0.9**3)
    v_hat = 0.999 * 0.001999 * 4 / (1 - 0.999**3)
    expected = [0.9, 0.8, 0.8 - 0.1 * m_hat / np.sqrt(v_hat)]
    np.testing.assert_allclose(np.concatenate(steps), expected, atol=1e-8)


def test_adam_epsilon_forms():
    # t = 1, g = eps: Algorithm 1 halves the step; with epsilon hat sqrt(v) = sqrt(.001) eps.
    plain = training.adam(np.array([0.0]), [1e-8], [1.0])[0]
    hat = training.adam(np.array([0.0]), [1e-8], [1.0], epsilon_hat=True)[0]
    np.testing.assert_allclose(plain, -0.5, rtol=1e-12)
    np.testing.assert_allclose(hat, -np.sqrt(0.001) / (np.sqrt(0.001) + 1), rtol=1e-9)
    # With each step's epsilon scaled they are one.
    scaled = training.adam(np.array([0.0]), [1e-8], [1.0], eps=1e-8 / np.sqrt(0.001))[0]
    np.testing.assert_allclose(scaled, hat, rtol=1e-9)


def test_training_steps_by_hand():
    """One layer of two classes without noise or denoising: what is left is logistic regression."""
    x = np.array([[1.0, 0.0], [0.0, 2.0]])
    params = {
        'W': [None, np.eye(2)],
        'V': [None, None],
        'beta': [None, np.zeros(2)],
        'gamma': np.ones(2),
        'g': [None, None],
    }
    batch, zero = (x, np.array([0, 1]), x), [0.0, 0.0]
    first, second = training.training_steps(
        params,
        [batch] * 2,
        [(zero, zero)] * 2,
        (0, 0),
        (0.1, 0.05),
        reference.g,
        numpy_maps.fully_connected(1),
    )
    # z = +-1, so P = 1 / (1 + e^-2) for either; the gradient of gamma is (P - 1)(1 - 0) each.
    assert first.result.total == pytest.approx(np.log(1 + np.exp(-2)), rel=1e-9)
    np.testing.assert_allclose(first.params['gamma'], 1.1, atol=1e-6)
    assert np.all(second.params['gamma'] > 1.1 + 0.049)
    # Column means .5 and 1, variances .25 and 1.
    np.testing.assert_allclose(first.means[1], [0.005, 0.01], rtol=1e-9)
    np.testing.assert_allclose(first.variances[1], [0.99 + 0.0025, 1.0], rtol=1e-9)
    # The columns are scaled by normalization again, so W has no gradient and stays.
    np.testing.assert_allclose(second.params['W'][1], np.eye(2), atol=1e-3)
