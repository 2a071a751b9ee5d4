"""The region proposal network against plain loops."""

import math

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from official.vision import rpn

CANVAS = (32, 48)


def _rpn(**arguments):
    return rpn.RPN(4, random.make_key(1), strides=(8, 16), anchor_sizes=(8, 16), **arguments)


def _outputs(network, seed=0):
    generator = np.random.default_rng(seed)
    sizes = [len(level) for level in network.anchors(CANVAS)]
    return rpn.Outputs(
        [tf.constant(generator.normal(size=(2, n)), tf.float32) for n in sizes],
        [tf.constant(generator.normal(size=(2, n, 4), scale=0.3), tf.float32) for n in sizes],
    )


def _iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return common / (sum(areas) - common) if common else 0.0


def _decoded(anchor, delta, size):
    """Girshick et al. 2014 (R-CNN), App. C, clipped to the image."""
    width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x = (anchor[0] + anchor[2]) / 2 + delta[0] * width
    y = (anchor[1] + anchor[3]) / 2 + delta[1] * height
    width, height = width * math.exp(delta[2]), height * math.exp(delta[3])
    limits = (size[1], size[0]) * 2
    return [
        min(max(value, 0), limit)
        for value, limit in zip(
            (x - width / 2, y - height / 2, x + width / 2, y + height / 2), limits, strict=True
        )
    ]


def test_call_gives_a_number_for_each_anchor():
    network = _rpn()
    levels = [
        tf.random.stateless_normal([2, 4, 6, 4], [0, 0]),
        tf.random.stateless_normal([2, 2, 3, 4], [0, 1]),
        tf.zeros([2, 1, 2, 4]),
    ]
    outputs = network(levels)
    assert [x.shape[1] for x in outputs.logits] == [4 * 6 * 3, 2 * 3 * 3]
    assert [len(level) for level in network.anchors(CANVAS)] == [4 * 6 * 3, 2 * 3 * 3]
    assert [tuple(x.shape[1:]) for x in outputs.deltas] == [(72, 4), (18, 4)]


def test_proposals_are_those_of_a_plain_loop():
    network = _rpn(candidates=20, proposals=12, nms_threshold=0.5)
    outputs = _outputs(network)
    sizes = np.array([[32, 48], [20, 30]], np.float32)
    boxes, valid = network.propose(outputs, CANVAS, tf.constant(sizes), training=False)
    assert boxes.shape == (2, 12, 4)
    for image in range(2):
        kept_of_all = []
        for logits, deltas, anchors in zip(
            outputs.logits, outputs.deltas, network.anchors(CANVAS), strict=True
        ):
            logits, deltas = logits[image].numpy(), deltas[image].numpy().astype(np.float64)
            kept = []
            centres = (anchors[:, :2] + anchors[:, 2:]).numpy() / 2
            logits[(centres >= sizes[image][::-1]).any(1)] = -np.inf  # Beside the image.
            for row in np.argsort(-logits)[:20]:
                if logits[row] == -np.inf:
                    break
                box = _decoded(anchors[row].numpy().astype(np.float64), deltas[row], sizes[image])
                if (box[2] - box[0]) * (box[3] - box[1]) > 0 and all(
                    _iou(box, other) <= 0.5 for _, other in kept
                ):
                    kept.append((logits[row], box))
            kept_of_all += kept[:12]
        kept_of_all.sort(key=lambda one: -one[0])
        expected = np.array([box for _, box in kept_of_all[:12]])
        assert valid[image].numpy().sum() == len(expected)
        np.testing.assert_allclose(boxes[image][: len(expected)], expected, rtol=1e-4, atol=1e-3)
        assert not np.any(boxes[image][len(expected) :])


def test_what_is_beside_the_image_takes_no_place():
    """However certain the network is of the canvas around a small image."""
    network = _rpn(candidates=6, proposals=6)
    outputs = _outputs(network)
    sizes = tf.constant([[16.0, 16], [16, 16]])
    expected, _ = network.propose(outputs, CANVAS, sizes, training=False)
    louder = []
    for logits, level in zip(outputs.logits, network.anchors(CANVAS), strict=True):
        outside = np.any((level[:, :2] + level[:, 2:]).numpy() / 2 >= 16, 1)
        louder.append(logits + 100.0 * outside)
    boxes, valid = network.propose(outputs._replace(logits=louder), CANVAS, sizes, training=False)
    np.testing.assert_array_equal(boxes, expected)
    assert valid.numpy().sum() >= 6


def test_losses_of_all_anchors():
    """With more to be drawn than there is the losses are those of all anchors that count."""
    network = _rpn(number=200, positive_fraction=0.5)
    for index, weight in enumerate(network.trainable_variables):
        weight.assign(tf.random.stateless_normal(weight.shape, [0, index], stddev=0.2))
    levels = [
        tf.random.stateless_normal([2, 4, 6, 4], [1, 0]),
        tf.random.stateless_normal([2, 2, 3, 4], [1, 1]),
    ]
    outputs = network(levels)
    boxes = np.array(
        [[[2, 2, 11, 9], [20, 10, 38, 27]], [[5, 4, 20, 18], [0, 0, 0, 0]]], np.float32
    )
    sizes = np.array([[32, 48], [32, 30]], np.float32)
    batch = {
        'boxes': tf.constant(boxes),
        'classes': tf.constant([[1, 3], [2, 0]]),
        'crowd': tf.zeros([2, 2], tf.bool),
        'sizes': tf.constant(sizes),
    }
    terms = network.loss_terms(levels, CANVAS, batch, random.make_key(0))
    anchors = np.concatenate([level.numpy() for level in network.anchors(CANVAS)]).astype(float)
    logits = np.concatenate([x.numpy() for x in outputs.logits], 1)
    deltas = np.concatenate([x.numpy() for x in outputs.deltas], 1)
    entropy = regression = count = positives = 0
    for image in range(2):
        real = [box for box in boxes[image].astype(float) if box[2] > 0]
        overlaps = np.array([[_iou(anchor, box) for box in real] for anchor in anchors])
        inside = ((anchors[:, 0] + anchors[:, 2]) / 2 < sizes[image][1]) & (
            (anchors[:, 1] + anchors[:, 3]) / 2 < sizes[image][0]
        )
        overlaps[~inside] = 0
        best = overlaps.max(0)
        for row, anchor in enumerate(anchors):
            if not inside[row]:
                continue
            top = overlaps[row].max()
            positive = top >= 0.7 or any(
                best[j] > 0 and overlaps[row, j] > best[j] - 1e-6 for j in range(len(real))
            )
            if not positive and top >= 0.3:
                continue
            count += 1
            probability = 1 / (1 + math.exp(-logits[image, row]))
            entropy -= math.log(probability if positive else 1 - probability)
            if positive:
                positives += 1
                box = real[int(overlaps[row].argmax())]
                size = anchor[2:] - anchor[:2]
                target = np.concatenate(
                    [
                        ((box[:2] + box[2:]) - (anchor[:2] + anchor[2:])) / 2 / size,
                        np.log((box[2:] - box[:2]) / size),
                    ]
                )
                x = np.abs(deltas[image, row] - target)
                regression += np.where(x < 1 / 9, 4.5 * x * x, x - 1 / 18).sum()
    assert positives >= 3
    np.testing.assert_allclose(terms['rpn_cls_loss'], entropy / count, rtol=1e-4)
    np.testing.assert_allclose(terms['rpn_box_loss'], regression / count, rtol=1e-4)


def test_an_image_without_objects_has_a_finite_loss():
    network = _rpn()
    batch = {
        'boxes': tf.zeros([2, 2, 4]),
        'classes': tf.zeros([2, 2], tf.int32),
        'crowd': tf.zeros([2, 2], tf.bool),
        'sizes': tf.constant([[32.0, 48], [32, 48]]),
    }
    levels = [tf.random.stateless_normal([2, 4, 6, 4], [1, 0]), tf.zeros([2, 2, 3, 4])]
    terms = network.loss_terms(levels, CANVAS, batch, random.make_key(0))
    assert terms['rpn_box_loss'] == 0 and 0 < terms['rpn_cls_loss'] < 10


def test_a_size_for_each_level():
    with pytest.raises(ValueError, match=r'RPN.anchor_sizes = \(8,\): there are 2 levels'):
        rpn.RPN(4, random.make_key(0), strides=(8, 16), anchor_sizes=(8,))
    with pytest.raises(ValueError, match='RPN.negative_iou = 0.5 is above positive_iou = 0.4'):
        _rpn(negative_iou=0.5, positive_iou=0.4)
