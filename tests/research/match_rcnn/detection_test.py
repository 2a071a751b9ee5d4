"""The selection of detections against a plain loop."""

import numpy as np
import tensorflow as tf

from research.match_rcnn import detection
from tests.research.match_rcnn import numpy_reference


def test_detections():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 60, (2, 30, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(10, 40, (2, 30, 2))], -1)
    valid = generator.uniform(size=(2, 30)) < 0.8
    logits = generator.normal(size=(60, 4), scale=2)
    deltas = generator.normal(size=(60, 3, 4))
    sizes = np.array([[90.0, 80], [50, 70]])
    found = detection.Selection(max_detections=9, score_threshold=0.2, nms_threshold=0.3)(
        *(
            tf.constant(x, tf.float32) if x.dtype != bool else tf.constant(x)
            for x in (boxes, valid, logits, deltas, sizes)
        )
    )
    for image in range(2):
        rows = slice(30 * image, 30 * image + 30)
        expected = numpy_reference.selection(
            boxes[image], valid[image], logits[rows], deltas[rows], sizes[image], 9, 0.2, 0.3
        )
        count = len(expected)
        assert count > 4
        np.testing.assert_allclose(
            found['scores'][image][:count], [one[0] for one in expected], rtol=1e-4
        )
        np.testing.assert_array_equal(found['classes'][image][:count], [one[1] for one in expected])
        np.testing.assert_allclose(
            found['boxes'][image][:count], [one[2] for one in expected], atol=1e-3
        )
        for name in ('scores', 'classes', 'boxes'):
            assert not np.any(found[name][image][count:])


def test_nothing_certain_is_nothing():
    found = detection.Selection(max_detections=3)(
        tf.constant([[[0.0, 0, 9, 9]]]),
        tf.constant([[True]]),
        tf.constant([[9.0, 0, 0]]),
        tf.zeros([1, 2, 4]),
        tf.constant([[20.0, 20]]),
    )
    assert not any(np.any(value) for value in found.values())
