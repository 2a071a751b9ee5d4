"""The images of the Match R-CNN benchmark are as many, and their boxes where, they should be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import match_rcnn_data
from research.match_rcnn import categories

CONFIG = match_rcnn_data.Config(64, 128, truths=3, items=5, train_candidates=400)


def test_landmark_counts_are_those_of_the_categories():
    assert tuple(categories.LANDMARK_COUNTS) == match_rcnn_data.LANDMARK_COUNTS


def test_boxes_lie_in_the_canvas_and_the_rest_is_padding():
    found = match_rcnn_data.arrays(CONFIG)
    assert found['images'].shape == (4, 64, 128, 3) and found['images'].std() > 60
    boxes, classes = found['boxes'], found['classes']
    assert not classes[:, 3:].any() and not boxes[:, 3:].any()
    assert classes[:, :3].min() >= 1 and classes.max() <= 13
    sides = (boxes[:, :3, 2:] - boxes[:, :3, :2]) / [128, 64]
    assert sides.min() >= 1 / 6 - 1e-6 and sides.max() <= 2 / 3 + 1e-6
    assert boxes.min() >= 0 and (boxes[..., 2:] <= [128, 64]).all()
    # Consumer and shop show the same garments.
    np.testing.assert_array_equal(classes[0::2], classes[1::2])
    np.testing.assert_array_equal(found['pair_ids'][:, :3], [[1] * 3] * 2 + [[2] * 3] * 2)
    np.testing.assert_array_equal(found['styles'], [[1, 2, 3, 0, 0]] * 4)


def test_masks_are_ellipses():
    masks = match_rcnn_data.arrays(CONFIG)['masks']
    assert masks.shape == (4, 5, 112, 112) and not masks[:, 3:].any()
    assert masks[0, 0].mean() == pytest.approx(np.pi / 4, abs=2e-3)
    assert masks[0, 0, 56, 0] and masks[0, 0, 0, 56] and not masks[0, 0, 10, 10]


def test_landmarks_are_those_of_the_class_and_lie_in_the_box():
    found = match_rcnn_data.arrays(CONFIG)
    landmarks = found['landmarks']
    assert landmarks.shape == (4, 5, 39, 3)
    for image in range(4):
        for item in range(5):
            count = ([0, *match_rcnn_data.LANDMARK_COUNTS])[found['classes'][image, item]]
            own = landmarks[image, item]
            assert not own[count:].any() and set(own[:count, 2]) <= {1, 2}
            x1, y1, x2, y2 = found['boxes'][image, item]
            assert (own[:count, :2] >= [x1, y1]).all() and (own[:count, :2] <= [x2, y2]).all()
    visible = (landmarks[..., 2] == 2).sum() / (landmarks[..., 2] > 0).sum()
    assert visible == pytest.approx(2 / 3, abs=0.1)


def test_candidates_crowd_around_the_truth_and_are_sorted():
    found = match_rcnn_data.arrays(CONFIG)
    boxes, scores = found['candidates'], found['scores']
    assert boxes.shape == (4, 400, 4) and (np.diff(scores) <= 0).all()
    sides = boxes[..., 2:] - boxes[..., :2]
    assert sides.min() >= 0 and boxes.min() >= 0 and (boxes[..., 2:] <= [128, 64]).all()
    common = np.minimum(boxes[:, :, np.newaxis, 2:], found['boxes'][:, np.newaxis, :3, 2:]) - (
        np.maximum(boxes[:, :, np.newaxis, :2], found['boxes'][:, np.newaxis, :3, :2])
    )
    common = common.clip(0).prod(-1)
    areas = (found['boxes'][..., 2:] - found['boxes'][..., :2])[:, np.newaxis, :3].prod(-1)
    iou = common / (sides.prod(-1)[..., np.newaxis] + areas - common)
    assert 0.3 < (iou.max(-1) > 0.5).mean() < 0.6


def test_the_config_is_in_the_file(tmp_path):
    np.savez(tmp_path / 'file.npz', **match_rcnn_data.arrays(CONFIG))
    with np.load(tmp_path / 'file.npz') as file:
        assert match_rcnn_data.config_of(file) == CONFIG
