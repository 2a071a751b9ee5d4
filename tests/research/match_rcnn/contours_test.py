"""Tests of research.match_rcnn.contours on garments made of right angles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from research.match_rcnn import annotation_files, categories, contours
from tests.research.match_rcnn import genuine

# A vest (category 5), its neck a notch: the numbers are those of its landmarks, from 0.
#
#   6 - 1         5 - 14     y = 2
#   |   |    0    |    |     y = 4 (behind)
#   7   2 -- 3 -- 4   13     y = 6
#   8                 12     y = 12
#   9 ------ 10 ----- 11     y = 16
VEST = np.array(
    [
        [10, 4, 1],
        [6, 2, 2],
        [6, 6, 2],
        [10, 6, 2],
        [14, 6, 2],
        [14, 2, 2],
        [3, 2, 2],
        [3, 6, 2],
        [3, 12, 1],
        [3, 16, 2],
        [10, 16, 2],
        [17, 16, 2],
        [17, 12, 2],
        [17, 6, 2],
        [17, 2, 2],
    ],
    np.float32,
)


def _area(polygon):
    """Of a polygon, by the trapezoids below its edges."""
    total = 0.0
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        total += (x2 - x1) * (y1 + y2) / 2
    return abs(total)


def test_the_mask_of_a_vest_is_its_polygon():
    (polygon,) = contours.contours(VEST, 5)
    assert _area(polygon) == 14 * 14 - 8 * 4
    expected = np.zeros([20, 24], np.uint8)
    expected[2:16, 3:17] = 1
    expected[2:6, 6:14] = 0
    mask = contours.first_stage_mask(VEST, 5, 20, 24)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)
    assert mask.sum() == _area(polygon)


def test_landmarks_that_are_not_labelled_are_left_out():
    # Without the bottom of the notch on the left it becomes a triangle.
    landmarks = VEST.copy()
    landmarks[2] = 0
    (polygon,) = contours.contours(landmarks, 5)
    assert [0, 0] not in polygon.tolist() and len(polygon) == 13
    assert _area(polygon) == 14 * 14 - 4 * 4 - 8
    landmarks[:] = VEST
    landmarks[[9, 10, 11]] = 0  # The hem: what is left ends above it.
    expected = np.zeros([20, 24], np.uint8)
    expected[2:12, 3:17] = 1
    expected[2:6, 6:14] = 0
    np.testing.assert_array_equal(contours.first_stage_mask(landmarks, 5, 20, 24), expected)


def test_too_few_landmarks_for_a_mask():
    landmarks = np.zeros([15, 3])
    landmarks[[6, 11]] = VEST[[6, 11]]
    assert contours.contours(landmarks, 5) == []
    assert not contours.first_stage_mask(landmarks, 5, 20, 24).any()
    lines, visible = contours.skeleton(landmarks, 5)
    assert lines.shape == (0, 2, 2) and visible.shape == (0,)


def test_the_skeleton_of_a_vest():
    lines, visible = contours.skeleton(VEST, 5)
    # Around the neck, its back from 1 over 0 to 5, and around the rest of the outline.
    assert len(lines) == 6 + 10
    found = {
        tuple(map(tuple, line)): seen for line, seen in zip(lines.tolist(), visible, strict=True)
    }
    assert not found[(10, 4), (6, 2)] and not found[(14, 2), (10, 4)]  # behind, so occluded
    assert found[(6, 2), (6, 6)] and found[(3, 16), (10, 16)]
    assert not found[(3, 6), (3, 12)] and not found[(3, 12), (3, 16)]
    assert visible.sum() == 12
    landmarks = VEST.copy()
    landmarks[10] = 0
    lines, visible = contours.skeleton(landmarks, 5)
    assert len(lines) == 14 and visible.sum() == 10


def _place_around(landmarks, contour, x1, x2):
    """Puts landmarks on the edges of the rectangle from (x1, 3) to (x2, 13), four on corners."""
    corners = [(x1, 3), (x1, 13), (x2, 13), (x2, 3), (x1, 3)]
    starts = [len(contour) * side // 4 for side in range(5)]
    for side in range(4):
        for k in range(starts[side], starts[side + 1]):
            share = (k - starts[side]) / (starts[side + 1] - starts[side])
            (from_x, from_y), (to_x, to_y) = corners[side : side + 2]
            landmarks[contour[k]] = (
                from_x + share * (to_x - from_x),
                from_y + share * (to_y - from_y),
                2,
            )


def test_outwear_is_both_of_its_fronts():
    """Two halves with an opening between them, of which the left is 4 and the right 6 wide."""
    landmarks = np.zeros([31, 3], np.float32)
    left, right = categories.CATEGORIES[2].contour[:2]
    _place_around(landmarks, left, 2, 6)
    _place_around(landmarks, right, 8, 14)
    expected = np.zeros([16, 16], np.uint8)
    expected[3:13, 2:6] = expected[3:13, 8:14] = 1
    np.testing.assert_array_equal(contours.first_stage_mask(landmarks, 3, 16, 16), expected)
    halves = contours.contours(landmarks, 3)[:2]
    assert [_area(half) for half in halves] == pytest.approx([40, 60])


@pytest.mark.parametrize('number, least', [(0, 0.85), (1, 0.65)])
def test_the_first_stage_of_a_genuine_item(number, least):
    """Of a top, and of trousers that the edge of the image and the top hide the half of: there
    people drew what no landmark tells."""
    item = annotation_files.parse(json.dumps(genuine.ANNOTATION), '000001.json').items[number]
    mask = contours.first_stage_mask(item.landmarks, item.category, 624, 468)
    refined = coco_mask.decode(
        coco_mask.merge(
            coco_mask.frPyObjects(
                [polygon.reshape(-1).tolist() for polygon in item.segmentation], 624, 468
            )
        )
    )
    assert (mask & refined).sum() / (mask | refined).sum() > least


def test_a_landmark_far_away_does_no_harm():
    far = VEST.copy()
    far[10, 1] = 1e30  # The middle of the hem.
    mask = contours.first_stage_mask(far, 5, 20, 20)
    # Down to the image's edge in the middle, as before at the sides.
    assert (
        mask[16:, 9:11].all()
        and not mask[:, :2].any()
        and mask.sum() > (contours.first_stage_mask(VEST, 5, 20, 20).sum())
    )


@pytest.mark.parametrize(
    'landmarks, category, message',
    [
        (VEST, 14, 'Unknown category 14; there is 1 to 13.'),
        (VEST, 0, 'Unknown category 0;'),
        (VEST[:14], 5, r'shape \[14, 3\]; category 5 has 15 times'),
        (VEST[:, :2], 5, r'shape \[15, 2\]; category 5 has 15 times x, y, v.'),
    ],
)
def test_bad_input(landmarks, category, message):
    for function in contours.contours, contours.skeleton:
        with pytest.raises(ValueError, match=message):
            function(landmarks, category)
