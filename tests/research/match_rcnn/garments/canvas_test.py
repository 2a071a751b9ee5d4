"""Painting, layers and the way from the canvas to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from research.match_rcnn.garments import canvas as canvas_lib


def test_paint_keeps_who_is_uppermost():
    canvas = canvas_lib.Canvas(4, 6, 1)
    first, second = canvas.new_layer(), canvas.new_layer()
    window = slice(0, 3), slice(1, 5)
    colour = np.full([3, 4, 3], 200, np.uint8)
    mask = np.zeros([3, 4], np.uint8)
    mask[:2, :2] = 255
    canvas.paint(window, mask, colour, first)
    canvas.paint(
        (slice(1, 2), slice(2, 3)),
        np.ones([1, 1], np.uint8),
        np.full([1, 1, 3], 90, np.uint8),
        second,
    )
    expected = np.zeros([4, 6], int)
    expected[:2, 1:3] = first
    expected[1, 2] = second
    np.testing.assert_array_equal(canvas.top, expected)
    np.testing.assert_array_equal(canvas.image[..., 0], np.choose(expected, [0, 200, 90]))


def test_picture_is_the_mean_of_its_pixels():
    canvas = canvas_lib.Canvas(2, 2, 2)
    canvas.image[:2, :2, 1] = [[0, 100], [50, 250]]
    canvas.image[2:, 2:] = 8
    np.testing.assert_array_equal(canvas.picture()[..., 1], [[100, 0], [0, 8]])


def test_window():
    canvas = canvas_lib.Canvas(10, 20, 1)
    points = np.array([[-3.0, 2.5], [4.2, 30.0]])
    assert canvas.window(points, 0) == (slice(2, 10), slice(0, 5))
    assert canvas.window(np.array([[21.0, 1.0], [30.0, 2.0]]), 0) is None


def test_fill_counts_overlaps_once_and_keeps_its_place():
    mask = np.zeros([20, 20], np.uint8)
    square = np.array([[4.0, 4], [12, 4], [12, 12], [4, 12]])
    canvas_lib.fill(mask, [square, square + 3], 1)
    inside = np.zeros_like(mask)
    inside[4:12, 4:12] = inside[7:15, 7:15] = 1
    # OpenCV also fills what an outline touches.
    assert (mask >= inside).all() and mask.sum() <= 1.4 * inside.sum()
    assert not mask[:4].any() and not mask[:, :4].any() and not mask[16:].any()


def test_layers_are_limited():
    canvas = canvas_lib.Canvas(2, 2, 1)
    canvas.layers = 255
    with pytest.raises(ValueError, match='255 layers'):
        canvas.new_layer()
