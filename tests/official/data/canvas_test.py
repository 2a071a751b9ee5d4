"""Tests of official.data.canvas: sizes and resizing against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import canvas


def pixels(height=7, width=11, channels=3, seed=0):
    shape = [height, width, channels] if channels else [height, width]
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def grey(values):
    return np.repeat(values[..., np.newaxis], 3, -1)


def test_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def whole(image):
        return canvas.place(image, (32, 48), 24, 40)

    image, size = whole(pixels())
    assert image.shape == (32, 48, 3) and size.numpy().tolist() == [24, 38]
    np.testing.assert_array_equal(image, canvas.place(tf.constant(pixels()), (32, 48), 24, 40)[0])


def fitted(height, width, min_size, max_size):
    """The rule in float64, written for one image."""
    scale = min_size / min(height, width)
    if max(height, width) * scale > max_size:
        scale = max_size / max(height, width)
    return [max(1, int(np.floor(edge * scale + 0.5))) for edge in (height, width)]


@pytest.mark.parametrize('min_size, max_size', [(800, 1333), (128, 128), (7, 1000)])
def test_fitted_sizes(min_size, max_size):
    sizes = np.random.default_rng(0).integers(1, 3000, [500, 2])
    expected = [fitted(*size, min_size, max_size) for size in sizes.tolist()]
    np.testing.assert_array_equal(canvas.fitted_size(sizes, min_size, max_size), expected)
    assert np.max(expected) <= max(max_size, min_size)


def test_known_sizes():
    for size, expected in (
        ((624, 468), (1067, 800)),
        ((468, 624), (800, 1067)),
        ((480, 640), (800, 1067)),
        ((300, 1000), (400, 1333)),
        ((1, 4000), (1, 1333)),
        ((800, 800), (800, 800)),
        ((427, 640), (800, 1199)),
    ):
        assert tuple(canvas.fitted_size(size, 800, 1333).numpy()) == expected
    # Several shorter edges at once.
    np.testing.assert_array_equal(
        canvas.fitted_size([[10, 20], [10, 20]], [5, 15], 100), [[5, 10], [15, 30]]
    )
    # 5 / 2 is rounded up.
    assert tuple(canvas.fitted_size([2, 5], 1, 10).numpy()) == (1, 3)


def bilinear(image, height, width):
    """float64: the centre of a pixel of the result between the centres of its four neighbours."""
    image = image.astype(np.float64)

    def neighbours(length, result):
        place = (np.arange(result) + 0.5) * length / result - 0.5
        low = np.floor(place).astype(int)
        return np.clip(low, 0, length - 1), np.clip(low + 1, 0, length - 1), place - low

    top, bottom, down = neighbours(image.shape[0], height)
    left, right, across = neighbours(image.shape[1], width)
    down, across = down[:, None, None], across[None, :, None]
    upper = image[top][:, left] * (1 - across) + image[top][:, right] * across
    lower = image[bottom][:, left] * (1 - across) + image[bottom][:, right] * across
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(
    'shape, min_size, max_size',
    [((20, 33), 50, 200), ((33, 20), 50, 60), ((40, 30), 11, 200), ((10, 10), 10, 10)],
)
@pytest.mark.parametrize('mirrored', [None, False, True])
def test_pixels_on_the_canvas(shape, min_size, max_size, mirrored):
    image = pixels(*shape)
    result, size = canvas.place(
        tf.constant(image),
        (90, 96),
        min_size,
        max_size,
        None if mirrored is None else tf.constant(mirrored),
    )
    height, width = fitted(*shape, min_size, max_size)
    assert size.numpy().tolist() == [height, width] and result.dtype == tf.uint8
    expected = bilinear(image, height, width)
    if mirrored:
        expected = expected[:, ::-1]
    result = result.numpy()
    assert np.abs(result[:height, :width] - expected).max() < 0.5 + 1e-3  # By rounding.
    assert result.shape == (90, 96, 3)
    assert not result[height:].any() and not result[:, width:].any()


def test_antialiasing_averages():
    image = np.indices([64, 64]).sum(0) % 2 * 255  # A fine chess board.
    image = tf.constant(grey(image.astype(np.uint8)))
    smooth, _ = canvas.place(image, (8, 8), 8, 8, antialias=True)
    assert np.abs(smooth.numpy()[1:-1, 1:-1] - 127.5).max() <= 1
    few, _ = canvas.place(pixels(64, 64), (9, 9), 9, 9)
    many, _ = canvas.place(pixels(64, 64), (9, 9), 9, 9, antialias=True)
    assert np.std(many) < np.std(few) / 2


def test_a_larger_image_is_made_to_fit():
    result, size = canvas.place(tf.constant(pixels(10, 20)), (8, 16), 10, 20)
    assert size.numpy().tolist() == [8, 16] and result.shape == (8, 16, 3)


def test_it_is_made_smaller_evenly():
    """A square in a landscape image stays a square on a canvas that is portrait."""
    image = np.zeros([300, 400, 3], np.uint8)
    image[100:200, 150:250] = 255
    placed, size = canvas.place(tf.constant(image), (192, 144), 144, 192)
    assert size.numpy().tolist() == [108, 144]
    rows, columns = np.where(placed[..., 0] > 127)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1 and np.ptp(rows) + 1 == 36


def test_a_canvas_must_hold_all_images():
    sizes = np.array([[100, 100], [100, 300], [400, 100]])
    canvas.check_fits(sizes, ['a', 'b', 'c'], (200, 150), 50, 200)
    canvas.check_fits(sizes[:0], [], (1, 1), 50, 200)
    with pytest.raises(
        ValueError,
        match=r'^b: an image of 100 x 300 pixels \(height x width\) '
        'resized by min_size = 60, max_size = 200 has 60 x 180 and does not fit the '
        'canvas of 200 x 150, as 1 of 3 images do not.',
    ):
        canvas.check_fits(sizes, ['a', 'b', 'c'], (200, 150), 60, 200)
    with pytest.raises(ValueError, match='^c: '):
        canvas.check_fits(sizes, ['a', 'b', 'c'], (199, 400), 50, 400)
