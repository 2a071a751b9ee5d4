"""The selection of detections against a plain loop."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from research.match_rcnn import detection


def _iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return common / (sum(areas) - common) if common else 0.0


def _expected(boxes, valid, logits, deltas, size, most, least, threshold):
    found = []
    for row in np.flatnonzero(valid):
        exps = np.exp(logits[row] - logits[row].max())
        for class_ in range(1, logits.shape[1]):
            score = exps[class_] / exps.sum()
            if score <= least:
                continue
            x1, y1, x2, y2 = boxes[row]
            dx, dy, dw, dh = deltas[row, class_ - 1] / np.array([10, 10, 5, 5])
            x, y = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
            w, h = (x2 - x1) * math.exp(dw), (y2 - y1) * math.exp(dh)
            box = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0,
                          [size[1], size[0], size[1], size[0]])
            if (box[2:] > box[:2]).all():
                found.append((score, class_, box))
    found.sort(key=lambda one: -one[0])
    kept = []
    for one in found:
        if all(one[1] != other[1] or _iou(one[2], other[2]) <= threshold for other in kept):
            kept.append(one)
    return kept[:most]


def test_detections():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 60, (2, 30, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(10, 40, (2, 30, 2))], -1)
    valid = generator.uniform(size=(2, 30)) < 0.8
    logits = generator.normal(size=(60, 4), scale=2)
    deltas = generator.normal(size=(60, 3, 4))
    sizes = np.array([[90.0, 80], [50, 70]])
    found = detection.Selection(max_detections=9, score_threshold=0.2, nms_threshold=0.3)(
        *(tf.constant(x, tf.float32) if x.dtype != bool else tf.constant(x)
          for x in (boxes, valid, logits, deltas, sizes)))
    for image in range(2):
        rows = slice(30 * image, 30 * image + 30)
        expected = _expected(boxes[image], valid[image], logits[rows], deltas[rows], sizes[image],
                             9, 0.2, 0.3)
        count = len(expected)
        assert 4 < count
        np.testing.assert_allclose(
            found['scores'][image][:count], [one[0] for one in expected], rtol=1e-4)
        np.testing.assert_array_equal(found['classes'][image][:count], [one[1] for one in expected])
        np.testing.assert_allclose(
            found['boxes'][image][:count], [one[2] for one in expected], atol=1e-3)
        for name in ('scores', 'classes', 'boxes'):
            assert not np.any(found[name][image][count:])


def test_nothing_certain_is_nothing():
    found = detection.Selection(max_detections=3)(
        tf.constant([[[0., 0, 9, 9]]]), tf.constant([[True]]), tf.constant([[9., 0, 0]]),
        tf.zeros([1, 2, 4]), tf.constant([[20., 20]]))
    assert not any(np.any(value) for value in found.values())


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
