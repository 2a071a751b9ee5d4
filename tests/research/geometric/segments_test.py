import numpy as np
import pytest
import tensorflow as tf

from research.geometric import segments
from tests.research.geometric import checks

IDS = np.array([3, 0, 3, 1, 3, 0])  # Segment 2 is empty.
VALUES = checks.features(6, 2)


def by_hand(function, empty=0.0):
    return np.array(
        [
            function(VALUES[segment == IDS]) if (segment == IDS).any() else np.full(2, empty)
            for segment in range(4)
        ]
    )


@pytest.mark.parametrize(
    'function,reference',
    [
        (segments.segment_sum, lambda rows: rows.sum(0)),
        (segments.segment_mean, lambda rows: rows.mean(0)),
        (segments.segment_max, lambda rows: rows.max(0)),
    ],
)
def test_reductions(function, reference):
    np.testing.assert_allclose(function(VALUES, IDS, 4), by_hand(reference), rtol=1e-6)
    # Nothing at all.
    np.testing.assert_array_equal(function(VALUES[:0], IDS[:0], 2), np.zeros((2, 2)))


def test_count():
    np.testing.assert_array_equal(segments.count(IDS, 4), [2, 1, 0, 3])


def test_equal_maxima_share_the_gradient():
    values = tf.constant([[1.0], [1.0], [0.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        out = segments.segment_max(values, [0, 0, 0], 1)
    np.testing.assert_array_equal(tape.gradient(out, values), [[0.5], [0.5], [0]])


def softmax(logits):
    shares = np.exp(logits)
    return np.stack([shares[row] / shares[IDS[row] == IDS].sum(0) for row in range(len(IDS))])


def test_softmax_and_its_gradient():
    weights = checks.features(6, 2, seed=4)
    logits = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        shares = segments.segment_softmax(logits, IDS, 4)
        loss = tf.reduce_sum(shares * weights)
    np.testing.assert_allclose(shares, softmax(VALUES.astype(np.float64)), rtol=1e-5)
    expected = checks.numerical_gradient(
        lambda x: np.sum(softmax(x) * weights), VALUES.astype(np.float64)
    )
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, rtol=1e-3, atol=1e-5)


def test_softmax_of_minus_infinity():
    infinity = np.float32('-inf')
    shares = segments.segment_softmax(
        tf.constant([0.0, infinity, infinity, infinity]), [0, 0, 1, 1], 3
    )
    np.testing.assert_array_equal(shares, [1, 0, 0, 0])


def test_softmax_of_large_logits():
    shares = segments.segment_softmax(tf.constant([1000.0, 1001.0, -1000.0]), [0, 0, 1], 2)
    np.testing.assert_allclose(shares, [1 / (1 + np.e), np.e / (1 + np.e), 1], rtol=1e-4)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_weighted_sum_and_its_gradients(jit_compile):
    source, target = checks.EDGES
    values = checks.features(6, 6).reshape(6, 2, 3)
    weights = checks.features(source.size, 2, seed=2)
    upstream = checks.features(6, 6, seed=5).reshape(6, 2, 3)

    def dense(values, weights):
        out = np.zeros((6, 2, 3))
        for edge, (j, i) in enumerate(checks.EDGES.T):
            out[i] += weights[edge][:, None] * values[j]
        return out

    @tf.function(jit_compile=jit_compile)
    def run(values, weights):
        with tf.GradientTape() as tape:
            tape.watch([values, weights])
            out = segments.weighted_sum(values, weights, source, target, 6)
            loss = tf.reduce_sum(out * upstream)
        return out, *tape.gradient(loss, [values, weights])

    out, of_values, of_weights = run(tf.constant(values), tf.constant(weights))
    values, weights = values.astype(np.float64), weights.astype(np.float64)
    np.testing.assert_allclose(out, dense(values, weights), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        of_values,
        checks.numerical_gradient(lambda v: np.sum(dense(v, weights) * upstream), values),
        rtol=1e-3,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        of_weights,
        checks.numerical_gradient(lambda w: np.sum(dense(values, w) * upstream), weights),
        rtol=1e-3,
        atol=1e-4,
    )
