"""RoIs for the streams: hand-made proposals, each of which can be judged by eye."""

import numpy as np
import tensorflow as tf

from official.modeling import random
from research.match_rcnn import roi_sampling


def _batch():
    return {
        'boxes': tf.constant(
            [[[0, 0, 10, 10], [20, 0, 30, 20], [50, 50, 90, 90], [0, 0, 0, 0]]], tf.float32
        ),
        'classes': tf.constant([[3, 7, 1, 0]]),
        'crowd': tf.constant([[False, False, True, False]]),
    }


def _proposals():
    """IoU .6 with the first item, .5 and .4 with the second, in the crowd, nowhere, padding."""
    boxes = tf.constant(
        [
            [
                [0, 0, 10, 6],
                [20, 0, 30, 10],
                [20, 0, 30, 8],
                [60, 60, 70, 70],
                [40, 0, 45, 5],
                [0, 0, 0, 0],
            ]
        ],
        tf.float32,
    )
    return boxes, tf.constant([[True, True, True, True, True, False]])


def test_who_is_positive():
    sampler = roi_sampling.RoiSampler(number=16, positive_fraction=0.5)
    rois = sampler(*_proposals(), _batch(), random.make_key(0))
    drawn = {
        tuple(box): (int(class_), float(weight))
        for box, class_, weight in zip(
            rois.boxes[0].numpy().tolist(), rois.classes[0], rois.weights[0], strict=True
        )
        if weight
    }
    assert drawn == {
        (0, 0, 10, 6): (3, 1),  # IoU .6 > .5.
        (0, 0, 10, 10): (3, 1),
        (20, 0, 30, 20): (7, 1),  # The ground truth itself.
        (20, 0, 30, 10): (0, 1),  # IoU .5 is not larger than .5.
        (20, 0, 30, 8): (0, 1),
        (40, 0, 45, 5): (0, 1),
    }  # Not the one in the crowd.
    assert rois.weights.numpy().sum() == 6
    assert not np.any(rois.classes[:, sampler.positives :])


def test_targets_and_iou_of_positive_rois():
    rois = roi_sampling.RoiSampler(number=16, positive_fraction=0.5)(
        *_proposals(), _batch(), random.make_key(0)
    )
    for row in range(8):
        box = rois.boxes[0, row].numpy().tolist()
        if box == [0, 0, 10, 6]:
            # The centre lies 2 lower, that is 1/3 of the height; height 10 of 6. Weights 10, 5.
            np.testing.assert_allclose(
                rois.deltas[0, row], [0, 10 * 2 / 6, 0, 5 * np.log(10 / 6)], atol=1e-4
            )
            assert abs(float(rois.iou[0, row]) - 0.6) < 1e-5 and rois.truth[0, row] == 0
            break
    else:
        raise AssertionError('not drawn')
    values = tf.constant([[[1.0], [2.0], [3.0], [4.0]]])
    np.testing.assert_array_equal(rois.of_truth(values)[0, :3, 0], 1.0 + rois.truth[0, :3].numpy())


def test_a_quarter_positive():
    """Of many positive proposals a quarter are drawn, and another quarter with another key."""
    boxes = tf.constant(
        [
            [[0, 0, 10, 6 + row / 25] for row in range(100)]
            + [[40, 0, 45, 5 + row / 100] for row in range(100)]
        ],
        tf.float32,
    )
    sampler = roi_sampling.RoiSampler(number=32)
    sets = []
    for seed in range(2):
        rois = sampler(boxes, tf.ones([1, 200], tf.bool), _batch(), random.make_key(seed))
        assert rois.classes.numpy().astype(bool).sum() == 8 and np.all(rois.classes[:, :8])
        assert rois.weights.numpy().sum() == 32
        sets.append({tuple(box) for box in rois.boxes[0].numpy().tolist()})
    assert sets[0] != sets[1] and len(sets[0]) == 32
