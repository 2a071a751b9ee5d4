"""Tests of official.data.resizing against NumPy and known values."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import resizing, tfds_stream


def test_antialiased_averages_and_is_rounded():
    # Stripes of one pixel, to a quarter: with antialiasing nearly their mean, else one of them.
    stripes = np.zeros([16, 16, 3], np.uint8)
    stripes[:, ::2] = 200
    result = resizing.antialiased(tf.constant(stripes), 4).numpy()
    assert result.shape == (4, 4, 3) and np.abs(result[:, 1:3].astype(int) - 100).max() <= 1
    assert (resizing.tf1_bilinear(tf.constant(stripes), 4).numpy() == 200).all()
    image = np.array([[0, 101]], np.uint8).repeat(2, 0)[..., np.newaxis].repeat(3, -1)
    # In thirds of the way from one to the next: 0, 50.5 and 101, and half goes to the even one.
    assert resizing.antialiased(tf.constant(image), 3).numpy()[0, :, 0].tolist() == [0, 50, 101]
    # At 0, 2/3 and 4/3, beyond the last of which there is no other.
    assert resizing.tf1_bilinear(tf.constant(image), 3).numpy()[0, :, 0].tolist() == [0, 67, 101]


def of_two_rows(image, size):
    """Row i at i * height / size, float64, and columns alike."""
    for axis in (0, 1):
        length = image.shape[axis]
        place = np.arange(size) * length / size
        low = np.floor(place).astype(int)
        part = (place - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        image = (
            np.take(image, low, axis) * (1 - part)
            + np.take(image, np.minimum(low + 1, length - 1), axis) * part
        )
    return image


@pytest.mark.parametrize('height, width, size', [(37, 37, 8), (50, 41, 16), (8, 8, 8), (5, 7, 12)])
def test_as_tensorflow_1(height, width, size):
    image = np.random.default_rng(0).integers(0, 256, [height, width, 3]).astype(np.uint8)
    result = resizing.tf1_bilinear(tf.constant(image), size).numpy()
    assert result.dtype == np.uint8 and result.shape == (size, size, 3)
    assert np.abs(result - of_two_rows(image.astype(np.float64), size)).max() < 0.5 + 1e-3
    # A kernel that covers more than two rows gives another image.
    smooth = resizing.antialiased(tf.constant(image), size).numpy()
    assert (np.std(smooth) < 0.7 * np.std(result)) == (height > 2 * size)


def test_the_square_is_cut_first():
    image = np.random.default_rng(1).integers(0, 256, [20, 31, 3]).astype(np.uint8)
    np.testing.assert_array_equal(
        tfds_stream.square(tf.constant(image), 6, resizing.tf1_bilinear),
        resizing.tf1_bilinear(tf.constant(image[:, 5:25]), 6),
    )
