import numpy as np
import pytest
import tensorflow as tf

from research.geometric import neighbors, segments
from research.geometric.convs import nn_conv, point_net_conv, spline_conv
from research.geometric.models import grouped, point_network
from tests.research.geometric import checks

CLOUDS, POINTS, QUERIES, SLOTS, WIDTH, CHANNELS = 2, 12, 4, 5, 3, 4
RADIUS = 1.0


def balls():
    """Clouds, the balls of their first points, and features of the points."""
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (CLOUDS, POINTS, 3)).astype(np.float32)
    centroids = points[:, :QUERIES]
    indices, mask = neighbors.ball_query(points, centroids, RADIUS, SLOTS)
    kept = mask.numpy().sum(-1)
    assert kept.min() < 3 and kept.max() == SLOTS and len(np.unique(kept)) > 2
    return points, centroids, indices, mask, checks.features(CLOUDS * POINTS, WIDTH)


def test_kernel_mean_against_loops():
    random = np.random.default_rng(1)
    _, _, indices, mask, x = balls()
    mask = mask.numpy().reshape(-1, SLOTS)
    mask[5] = False
    source = neighbors.edge_index(indices, POINTS)[0].numpy()
    coefficients = random.normal(size=(len(source), 6)).astype(np.float32)
    kernel = random.normal(size=(6, WIDTH, CHANNELS)).astype(np.float32)
    expected = np.zeros((len(mask), CHANNELS))
    for target, slots in enumerate(mask):
        for slot in np.flatnonzero(slots):
            edge = target * SLOTS + slot
            matrix = sum(
                a * theta.astype(float) for a, theta in zip(coefficients[edge], kernel, strict=True)
            )
            expected[target] += x[source[edge]] @ matrix / slots.sum()
    assert not expected[5].any()
    actual = grouped.kernel_mean(x, source, coefficients, kernel, tf.constant(mask))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def both_routes(slow, fast, arguments_slow, arguments_fast, sources):
    """Outputs and gradients of two layers with the same weights; features are `sources`."""
    results = []
    for layer, arguments in ((slow, arguments_slow), (fast, arguments_fast)):
        arguments(layer, tf.constant(sources))
        if layer is slow:
            checks.randomize(layer)
        else:
            layer.set_weights(slow.get_weights())
            assert layer.get_weights()
        features = tf.constant(sources)
        with tf.GradientTape() as tape:
            tape.watch(features)
            out = arguments(layer, features)
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        results.append([out, *tape.gradient(loss, [features, *layer.trainable_variables])])
    for one, other in zip(*results, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5)


def kernel_arguments(edge_attr):
    """Calls on the edges of any graph, with a target more for slots left over, and on groups."""
    _, _, indices, mask, _ = balls()
    targets = lambda x: tf.reshape(tf.reshape(x, [CLOUDS, POINTS, WIDTH])[:, :QUERIES], [-1, WIDTH])
    anyhow = neighbors.edge_index(indices, POINTS, mask)
    groups = neighbors.edge_index(indices, POINTS)

    def slow(layer, x):
        padded = tf.concat([targets(x), tf.zeros([1, WIDTH])], axis=0)
        return layer((x, padded), anyhow, edge_attr)[:-1]

    def fast(layer, x):
        return layer((x, targets(x)), groups, edge_attr, mask=tf.reshape(mask, [-1, SLOTS]))

    return slow, fast


def test_nn_conv():
    edges = CLOUDS * QUERIES * SLOTS
    network = lambda: point_network.perceptron((6, WIDTH * CHANNELS))
    slow, fast = kernel_arguments(checks.normal_attr(2)(edges))
    both_routes(
        nn_conv.NNConv(CHANNELS, network(), 'mean'),
        grouped.GroupedNNConv(CHANNELS, network()),
        slow,
        fast,
        balls()[-1],
    )


@pytest.mark.parametrize(
    'size, degree, is_open', [(5, 1, True), ((3, 4, 5), 2, (True, False, True))]
)
def test_spline_conv(size, degree, is_open):
    edges = CLOUDS * QUERIES * SLOTS
    slow, fast = kernel_arguments(checks.uniform_attr(3)(edges))
    both_routes(
        spline_conv.SplineConv(CHANNELS, 3, size, degree, is_open),
        grouped.GroupedSplineConv(CHANNELS, 3, size, degree, is_open),
        slow,
        fast,
        balls()[-1],
    )


def test_dense_basis_by_hand():
    # Degree 1, sizes 3 and 2: u_1 = 0.25 lies half way between its first two control points, and
    # u_2 = 0.25 has 3/4 of the first. The last dimension changes fastest.
    basis = grouped.dense_basis(tf.constant([[0.25, 0.25], [1.0, 0.0]]), (3, 2), 1, (True, True))
    np.testing.assert_allclose(
        basis, [[0.375, 0.125, 0.375, 0.125, 0, 0], [0, 0, 0, 0, 1, 0]], atol=1e-6
    )


@pytest.mark.parametrize('with_features', [True, False])
def test_point_net_conv(with_features):
    points, centroids, indices, mask, x = balls()
    flat = lambda array: array.reshape(-1, 3)
    groups = neighbors.edge_index(indices, POINTS)
    anyhow = neighbors.edge_index(indices, POINTS, mask)
    given = (lambda x: x) if with_features else (lambda x: None)
    padded = np.concatenate([flat(centroids), np.zeros((1, 3), np.float32)])

    def slow(layer, x):
        return layer(given(x), anyhow, pos=(flat(points), padded))[:-1] + 0 * tf.reduce_sum(x)

    def fast(layer, x):
        return layer(given(x), groups, pos=(flat(points), flat(centroids))) + 0 * tf.reduce_sum(x)

    network = lambda: point_network.perceptron((6, CHANNELS))
    slow_layer = point_net_conv.PointNetConv(network())
    fast_layer = grouped.GroupedPointNetConv(network())
    if with_features:
        both_routes(slow_layer, fast_layer, slow, fast, x)
    else:
        slow(slow_layer, tf.constant(x))
        fast(fast_layer, tf.constant(x))
        fast_layer.set_weights(slow_layer.get_weights())
        np.testing.assert_allclose(
            fast(fast_layer, tf.constant(x)), slow(slow_layer, tf.constant(x)), atol=1e-5
        )


def test_grouped_max():
    values = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    ids = np.repeat(np.arange(3), 4)
    np.testing.assert_array_equal(
        grouped.grouped_max(values, ids, 3), segments.segment_max(values, ids, 3)
    )


def test_networks_that_cannot_be_split():
    points, centroids, indices, mask, x = balls()
    edges = neighbors.edge_index(indices, POINTS)
    attr = checks.normal_attr(2)(edges.shape[1])
    conv = grouped.GroupedNNConv(2, tf.keras.layers.Dense(2 * WIDTH, 'relu'))
    with pytest.raises(ValueError, match='does not end with a linear Dense'):
        conv((x, x[: CLOUDS * QUERIES]), edges, attr, mask=tf.reshape(mask, [-1, SLOTS]))
    conv = grouped.GroupedPointNetConv(tf.keras.layers.ReLU())
    with pytest.raises(ValueError, match='does not begin with a Dense'):
        conv(x, edges, pos=(points.reshape(-1, 3), centroids.reshape(-1, 3)))


@pytest.mark.parametrize(
    'layer',
    [
        grouped.GroupedNNConv(4, tf.keras.layers.Dense(12), use_bias=False),
        grouped.GroupedSplineConv(4, 2, (3, 4), open_spline=(True, False)),
        grouped.GroupedPointNetConv(tf.keras.layers.Dense(12)),
    ],
)
def test_configuration(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
