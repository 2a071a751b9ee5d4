"""The loss terms against float64 loops written from the formulas."""

import math

import numpy as np
import tensorflow as tf

from research.match_rcnn import losses

GENERATOR = np.random.default_rng(0)


def _normal(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


def _log_softmax(row):
    row = np.asarray(row, np.float64)
    return row - math.log(sum(math.exp(value) for value in row))


def test_classification():
    logits, classes, weights = _normal(4, 3), [0, 2, 1, 1], [1, 1, 0, 1]
    expected = -sum(_log_softmax(logits[row])[classes[row]] for row in (0, 1, 3)) / 3
    value = losses.classification(
        tf.constant(logits), tf.constant(classes), tf.constant(weights, tf.float32)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_boxes_are_of_the_positive_rois_class_and_divided_by_all():
    deltas, targets = 2 * _normal(4, 3, 4), _normal(4, 4)
    classes, weights = [3, 0, 1, 0], [1, 1, 1, 0]
    total = 0.0
    for row in (0, 2):
        for own, target in zip(deltas[row, classes[row] - 1], targets[row], strict=True):
            x = abs(float(own) - float(target))
            total += x * x / 2 if x < 1 else x - 0.5
    value = losses.boxes(
        tf.constant(deltas),
        tf.constant(targets),
        tf.constant(classes),
        tf.constant(weights, tf.float32),
    )
    np.testing.assert_allclose(value, total / 3, rtol=1e-5)


def test_landmarks():
    logits = _normal(2, 3, 3, 2)
    cells, weights = [[4, 8], [0, 5]], [[1, 0], [1, 1]]
    total = 0.0
    for n, k in ((0, 0), (1, 0), (1, 1)):
        total -= _log_softmax(logits[n, :, :, k].reshape(9))[cells[n][k]]
    value = losses.landmarks(
        tf.constant(logits), tf.constant(cells), tf.constant(weights, tf.float32)
    )
    np.testing.assert_allclose(value, total / 3, rtol=1e-5)


def test_masks():
    logits = _normal(3, 2, 2)
    targets = GENERATOR.integers(0, 2, (3, 2, 2)).astype(np.float32)
    total = 0.0
    for n in (0, 2):
        for logit, target in zip(logits[n].ravel().astype(float), targets[n].ravel(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            total -= math.log(p if target else 1 - p) / 4
    value = losses.masks(tf.constant(logits), tf.constant(targets), tf.constant([1.0, 0, 1]))
    np.testing.assert_allclose(value, total / 2, rtol=1e-5)


def test_pairs():
    logits = _normal(2, 3, 2)
    matched = np.array([[True, False, False], [False, True, True]])
    weights = np.array([[1, 1, 0], [1, 1, 0]], np.float32)
    total, n = 0.0, 0
    for i, j in np.argwhere(weights):
        y_hat = math.exp(_log_softmax(logits[i, j])[1])
        y = float(matched[i, j])
        total += y * math.log(y_hat) + (1 - y) * math.log(1 - y_hat)
        n += 1
    value = losses.pairs(tf.constant(logits), tf.constant(matched), tf.constant(weights))
    np.testing.assert_allclose(value, -total / n, rtol=1e-5)


def test_nothing_to_learn_from_is_zero_with_a_finite_gradient():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.mean_over(x, tf.zeros(2))
    assert value == 0 and not np.any(tape.gradient(value, x))
