"""The matching network against float64 NumPy."""

import numpy as np
import tensorflow as tf

from official.modeling import random
from research.match_rcnn import matching
from tests.research.match_rcnn import numpy_reference


def _key():
    return random.make_key(5)


def _network():
    network = matching.MatchingNetwork(3, _key(), widths=(4, 5), units=6)
    generator = np.random.default_rng(1)
    for variable in network.weights:
        value = generator.normal(size=variable.shape, scale=0.5)
        variable.assign(np.abs(value) + 0.1 if 'variance' in variable.name else value)
    return network


def _before_norm(network, x):
    """Convolutions, mean over the pixels and the dense layer."""
    for conv in network.convs:
        kernel, bias = (w.numpy().astype(np.float64) for w in conv.weights)
        x = np.maximum(numpy_reference.conv(x, kernel, bias), 0)
    kernel, bias = (w.numpy().astype(np.float64) for w in network.dense.weights)
    return x.mean((1, 2)) @ kernel + bias


def test_vectors_and_probability():
    network = _network()
    x = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype(np.float32)
    norm = network.norm
    expected = _before_norm(network, x)
    expected = (expected - norm.moving_mean.numpy()) / np.sqrt(norm.moving_variance.numpy() + 1e-5)
    expected = expected * norm.gamma.numpy() + norm.beta.numpy()  # No ReLU.
    vectors = network(tf.constant(x))
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4)
    assert np.any(expected < 0)

    kernel, bias = (w.numpy().astype(np.float64) for w in network.similarity.weights)
    squares = (expected[:2, np.newaxis] - expected[np.newaxis, 2:]) ** 2
    logits = network.logits(vectors[:2, tf.newaxis], vectors[tf.newaxis, 2:])
    np.testing.assert_allclose(logits, squares @ kernel + bias, rtol=1e-3, atol=1e-3)
    # The probability is the logistic function of the weighted distance and a constant.
    distance = squares @ network.distance_weights.numpy() + bias[1] - bias[0]
    np.testing.assert_allclose(
        tf.nn.softmax(logits)[..., 1], 1 / (1 + np.exp(-distance)), rtol=1e-3, atol=1e-5
    )


def test_without_padding_only_what_is_whole_counts():
    """Two convolutions of 3 x 3 leave 2 x 2 of 6 x 6 pixels: what lies outside has no part."""
    network = matching.MatchingNetwork(3, _key(), widths=(4, 5), units=6, padding=False)
    generator = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign(generator.normal(size=variable.shape, scale=0.5))
    x = generator.normal(size=(2, 6, 6, 3)).astype(np.float32)
    values = x.astype(np.float64)
    for conv in network.convs:
        kernel, bias = (w.numpy().astype(np.float64) for w in conv.weights)
        values = np.maximum(numpy_reference.conv(values, kernel, bias)[:, 1:-1, 1:-1], 0)
    kernel, bias = (w.numpy().astype(np.float64) for w in network.dense.weights)
    expected = values.mean((1, 2)) @ kernel + bias
    expected = expected / np.sqrt(1 + 1e-5) * network.norm.gamma.numpy() + network.norm.beta.numpy()
    np.testing.assert_allclose(network(tf.constant(x)), expected, rtol=1e-3, atol=1e-4)


def test_padding_does_not_count_in_the_statistics():
    network = _network()
    x = np.random.default_rng(0).normal(size=(6, 4, 4, 3)).astype(np.float32)
    valid = np.array([True, True, False, True, False, True])
    before = network.norm.moving_mean.numpy().astype(np.float64)
    vectors = network(tf.constant(x), tf.constant(valid), training=True)
    plain = _before_norm(network, x)
    mean, variance = plain[valid].mean(0), plain[valid].var(0)
    expected = (plain - mean) / np.sqrt(variance + 1e-5) * network.norm.gamma + network.norm.beta
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(network.norm.moving_mean, 0.9 * before + 0.1 * mean, rtol=1e-4)


def test_a_batch_without_a_valid_row_moves_nothing():
    norm = matching.MaskedBatchNorm(3)
    x = tf.ones([2, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(norm(x, tf.constant([False, False]), training=True) * 0.0)
    assert np.all(np.isfinite(tape.gradient(y, x)))
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(3))
    np.testing.assert_array_equal(norm.moving_variance, np.ones(3))


def test_the_papers_widths():
    network = matching.MatchingNetwork(768, _key())
    expected = 9 * 768 * 256 + 256 + 2 * (9 * 256 * 256 + 256) + 9 * 256 * 1024 + 1024
    expected += 1024 * 256 + 256 + 4 * 256 + 256 * 2 + 2
    assert network.count_params() == expected
