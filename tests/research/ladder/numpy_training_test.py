"""The reference's schedule and Adam against numbers worked out by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

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


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
