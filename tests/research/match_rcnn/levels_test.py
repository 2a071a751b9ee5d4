"""Tests of research.match_rcnn.levels: the borders of the paper's definitions, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from research.match_rcnn import annotation_files, levels
from tests.research.match_rcnn import genuine


def test_scale():
    # Of an image of 100 x 30: 299, 300, 1200 and 1201 of 3000 pixels.
    boxes = [[0, 0, 23, 13], [0, 0, 30, 10], [20, 0, 60, 30], [0, 0, 60.05, 20]]
    found = levels.scale(boxes, [30, 100])
    assert found.dtype == np.int32 and found.tolist() == [1, 2, 2, 3]
    # What is outside the image does not count: 2 400 pixels, of which 1 200 are inside.
    assert levels.scale([80, -10, 140, 30], [30, 100]) == 2
    # Each box in its own image.
    assert levels.scale([[0, 0, 10, 10]] * 3, [[10, 20], [20, 20], [100, 100]]).tolist() == [
        3,
        2,
        1,
    ]


def _landmarks(modes, at=(5, 5)):
    return np.array([[*at, mode] if mode else [0, 0, 0] for mode in modes], np.float32)


@pytest.mark.parametrize('occluded, level', [(0, 1), (1, 1), (2, 2), (5, 2), (6, 3), (10, 3)])
def test_occlusion(occluded, level):
    modes = [1] * occluded + [2] * (10 - occluded)
    assert levels.occlusion(_landmarks(modes), 10) == level
    # Rows that are not the category's do not count.
    assert levels.occlusion(_landmarks(modes + [1] * 29), 10) == level


def test_occlusion_is_a_share_of_all_landmarks():
    # One of two that are labelled, and of ten that the category has.
    assert levels.occlusion(_landmarks([1, 2] + [0] * 8), 10) == 1


@pytest.mark.parametrize('outside, level', [(0, 1), (1, 2), (3, 2), (4, 3), (10, 3)])
def test_zoom_in(outside, level):
    modes = [0] * outside + [2] * (10 - outside)
    assert levels.zoom_in(_landmarks(modes), 10, [20, 10]) == level
    assert levels.zoom_in(_landmarks(modes + [0] * 29), 10, [20, 10]) == level


@pytest.mark.parametrize(
    'at, level',
    [((5, 5), 1), ((10, 20), 1), ((10.5, 5), 3), ((5, 20.5), 3), ((-1, 5), 3), ((5, -1), 3)],
)
def test_labelled_landmarks_outside_the_image(at, level):
    assert levels.zoom_in(_landmarks([2] * 8, at), 8, [20, 10]) == level


def test_many_items_at_once():
    landmarks = np.stack([_landmarks([1] * 3 + [2] * 5 + [0] * 2), _landmarks([2] * 10)])
    assert levels.occlusion(landmarks, [8, 10]).tolist() == [2, 1]
    assert levels.zoom_in(landmarks, np.array([8, 10]), [[20, 10], [20, 4]]).tolist() == [1, 3]


def test_codes_of_a_genuine_file():
    """Of all six, on an image of a usual size; the sizes of the images are not in the file."""
    for item in annotation_files.parse(json.dumps(genuine.ANNOTATION), '000001.json').items:
        size, count = (624, 468), len(item.landmarks)
        assert levels.scale(item.box, size) == item.scale
        assert levels.occlusion(item.landmarks, count) == item.occlusion
        assert levels.zoom_in(item.landmarks, count, size) == item.zoom_in


def test_codes_of_two_more_genuine_items():
    """Modes of a shop's top and skirt, whose files say occlusion 1, 2 and zoom-in 3, 1."""
    top = [0] * 9 + [2] + [0] * 4 + [0, 2, 1] + [0] * 8
    skirt = [1, 2, 1, 2, 2, 2, 2, 2]
    assert [levels.occlusion(_landmarks(modes), len(modes)) for modes in (top, skirt)] == [1, 2]
    assert [
        levels.zoom_in(_landmarks(modes), len(modes), (900, 900)) for modes in (top, skirt)
    ] == [3, 1]
