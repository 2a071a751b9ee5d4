"""The mappings between layers against SciPy and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from tests.research.ladder import numpy_maps as maps
from tests.research.ladder.numpy_maps import Layer


@pytest.mark.parametrize('padding', ['valid', 'full', 'same'])
def test_convolution_against_scipy(padding):
    rng = np.random.default_rng(4)
    x, kernel = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(3, 3, 3, 4))
    got = maps.conv2d(x, kernel, padding)
    for n in range(2):
        for d in range(4):
            expected = sum(
                signal.correlate2d(x[n, :, :, c], kernel[:, :, c, d], padding) for c in range(3)
            )
            np.testing.assert_allclose(got[n, :, :, d], expected, atol=1e-12)


def test_convolution_is_a_cross_correlation():
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1] = 1
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None, None]
    # The output at (i, j) is kernel[1 - i, 1 - j]: an impulse shows the kernel turned round.
    np.testing.assert_array_equal(maps.conv2d(x, kernel, 'valid')[0, :, :, 0], [[4, 3], [2, 1]])
    with pytest.raises(ValueError, match='odd kernels, not 2x2'):
        maps.conv2d(x, kernel, 'same')


@pytest.mark.parametrize('padding', ['valid', 'full', 'same'])
def test_mirrored_convolution_is_the_transpose(padding):
    rng = np.random.default_rng(5)
    x, kernel = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 3, 3, 4))
    forward = maps.conv2d(x, kernel, padding)
    y = rng.normal(size=forward.shape)
    layer = Layer('conv', padding=padding)
    back = maps.decode_map(layer, maps.transposed_kernel(kernel), y, x.shape)
    assert back.shape == x.shape
    assert np.sum(forward * y) == pytest.approx(np.sum(x * back), rel=1e-12)


def test_pooling_keeps_the_odd_border():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    pooled = maps.max_pool(x)
    np.testing.assert_array_equal(pooled[0, :, :, 0], [[4, 5], [7, 8]])
    up = maps.upsample(pooled, 3, 3)
    np.testing.assert_array_equal(up[0, :, :, 0], [[4, 4, 5], [4, 4, 5], [7, 7, 8]])
    assert maps.max_pool(np.zeros((1, 15, 15, 2))).shape == (1, 8, 8, 2)
    # A border of negative values is not pooled with zeros.
    assert maps.max_pool(-1 - x).max() == -1 and maps.max_pool(-1 - x)[0, 1, 1, 0] == -9


def test_global_mean_and_its_reverse():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    layer = Layer('globalmean', 'linear')
    # The means, 3 and 4, by width x sqrt(3).
    pooled = maps.encode_map(layer, None, x)
    np.testing.assert_allclose(pooled, [[6 * 3**0.5, 8 * 3**0.5]], rtol=1e-14)
    back = maps.decode_map(layer, None, np.array([[3.0, 4.0]]), x.shape)
    np.testing.assert_array_equal(back, np.full((1, 2, 2, 2), [3.0, 4.0]))


def test_one_by_one_convolution_is_a_dense_layer_at_each_place():
    rng = np.random.default_rng(7)
    x, weight = rng.normal(size=(2, 3, 3, 4)), rng.normal(size=(4, 5))
    got = maps.encode_map(Layer('conv'), weight[None, None], x)
    np.testing.assert_allclose(got, np.tensordot(x, weight, 1), atol=1e-13)
