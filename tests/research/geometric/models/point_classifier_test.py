import numpy as np
import pytest
import tensorflow as tf

from research.geometric.models import point_classifier
from research.geometric.transforms import augment_tf


class First(tf.keras.layers.Layer):
    """Logits are a linear function of the first point; with a key, twice that."""

    points_needed = 1

    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(3)

    def embed(self, points):
        return points[:, 0]

    def call(self, points, key=None):
        logits = self.dense(self.embed(points))
        return logits if key is None else 2 * logits


def made(**settings):
    model = point_classifier.PointClassifier(First(), **settings)
    model.network.dense.set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    return model


def test_an_update_is_a_step_down_the_mean_cross_entropy():
    random = np.random.default_rng(0)
    points = random.normal(size=(5, 2, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 1, 1], np.int32)
    model = made()
    model.compile(tf.keras.optimizers.SGD(0.5))
    logs = model.train_on_batch(points, labels, return_dict=True)
    x = points[:, 0].astype(float)
    exponentials = np.exp(2 * x)
    chances = exponentials / exponentials.sum(1, keepdims=True)
    answer = np.eye(3)[labels]
    assert logs['loss'] == pytest.approx(-np.log((chances * answer).sum(1)).mean(), rel=1e-5)
    assert logs['accuracy_percent'] == pytest.approx(100 * np.mean(x.argmax(1) == labels))
    expected = np.eye(3) - 0.5 * 2 * x.T @ (chances - answer) / 5
    np.testing.assert_allclose(model.network.dense.kernel, expected, rtol=1e-4, atol=1e-5)
    assert int(model.global_step) == 1


def test_augmentations_follow_one_another_in_training_alone():
    keys = []

    def double(points, key):
        keys.append(key)
        return 2 * points

    points = np.array([[[1, 0, 0]], [[0, 2, 0]]], np.float32)
    labels = np.array([0, 1], np.int32)
    model = made(augment=(lambda points, key: points + 1, double))
    model.compile(tf.keras.optimizers.SGD(0.0), run_eagerly=True)
    logs = model.train_on_batch(points, labels, return_dict=True)
    plain = made()
    plain.compile(tf.keras.optimizers.SGD(0.0))
    expected = plain.train_on_batch(2 * (points + 1), labels, return_dict=True)
    assert logs['loss'] == pytest.approx(expected['loss'])
    np.testing.assert_array_equal(model(points), plain(points))
    model.train_on_batch(points, labels)
    assert len(keys) == 2 and np.any(keys[0] != keys[1])


def test_rotated_clouds_are_drawn_anew_in_each_step():
    points = np.full([2, 1, 3], [1, 0, 0], np.float32)
    model = made(augment=(augment_tf.rotate,))
    model.compile(tf.keras.optimizers.SGD(0.0))
    losses = [model.train_on_batch(points, np.array([0, 0], np.int32))[0] for _ in range(3)]
    assert len(set(losses)) == 3


def test_what_is_measured():
    """Six clouds by hand, one of them padding, two not distinct."""
    answers = np.array([0, 1, 2, 2, 0, 1])
    labels = np.array([0, 1, 1, 2, 2, 1], np.int32)
    points = 5 * np.eye(3, dtype=np.float32)[answers][:, np.newaxis]
    weights = np.array([1, 1, 1, 1, 1, 0], np.float32)
    distinct = np.array([0, 1, 1, 0, 1, 0], np.float32)
    model = made()
    model.compile(tf.keras.optimizers.SGD(0.0))
    batches = tf.data.Dataset.from_tensor_slices((points, labels, weights, distinct)).batch(3)
    logs = model.evaluate(batches, verbose=0, return_dict=True)
    assert logs['accuracy_percent'] == pytest.approx(100 * 3 / 5)
    assert logs['error_percent'] == pytest.approx(100 * 2 / 5)
    assert logs['distinct_accuracy_percent'] == pytest.approx(100 * 1 / 3)
    np.testing.assert_array_equal(logs['confusion_matrix'], [[1, 0, 0], [0, 1, 1], [1, 0, 1]])
    right, wrong = -np.log(np.exp(5) / (np.exp(5) + 2)), -np.log(1 / (np.exp(5) + 2))
    assert logs['loss'] == pytest.approx((3 * right + 2 * wrong) / 5, rel=1e-5)
    plain = model.evaluate(batches.map(lambda *parts: parts[:3]), verbose=0, return_dict=True)
    assert 'distinct_accuracy_percent' not in plain
    assert plain['accuracy_percent'] == pytest.approx(60)


def test_embed():
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(made().embed(points), points[:, 0])
