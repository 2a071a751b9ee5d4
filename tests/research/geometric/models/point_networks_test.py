import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import neighbors
from research.geometric.convs import edge_conv, nn_conv, point_net_conv, spline_conv, x_conv
from research.geometric.models import point_networks
from tests.research.geometric import checks
from tests.research.geometric.models import point_weights

CLOUDS, POINTS = 2, 30
COUNTS, RADII = (16, 8), (0.8, 1.4)
BALLS = dict(counts=COUNTS, radii=RADII, max_neighbors=6, head=(12,))
# Small networks, whose layers keep what tells the methods apart.
SMALL = {
    'MPNN': lambda **more: point_networks.MPNN(
        4, **{'channels': (6, 8), 'hidden': 5, **BALLS, **more}
    ),
    'PointNetPlusPlus': lambda **more: point_networks.PointNetPlusPlus(
        4, **{'channels': ((6, 6), (8, 8)), **BALLS, **more}
    ),
    'EdgeCNN': lambda: point_networks.EdgeCNN(
        4, channels=((6, 6), (8, 8)), k=5, counts=COUNTS, head=(12,)
    ),
    'SplineCNN': lambda **more: point_networks.SplineCNN(
        4, **{'channels': (6, 8), 'kernel_size': 3, **BALLS, **more}
    ),
    'PointCNN': lambda: point_networks.PointCNN(
        4, channels=(6, 8), kernel_sizes=(4, 3), dilations=(1, 2), counts=COUNTS, head=(12,)
    ),
}
METHODS = sorted(SMALL)


def clouds(seed=0):
    points = np.random.default_rng(seed).normal(size=(CLOUDS, POINTS, 3)).astype(np.float32)
    return points / np.abs(points).max(axis=(1, 2), keepdims=True)


def made(name, **more):
    """A small network with random weights."""
    network = SMALL[name](**more)
    network(clouds())
    checks.randomize(network, scale=0.3)
    return network


def test_weights_are_about_equally_many():
    """As the docstrings say; tests/gin_configs/geometric_table3_test.py counts them."""
    for name, count in point_weights.WEIGHTS.items():
        said = f'{count:,} weights for ten classes'.replace(',', ' ')
        assert said in getattr(point_networks, name).__doc__
    counts = list(point_weights.WEIGHTS.values())
    assert (min(counts), max(counts)) == (427_530, 452_182)  # As documented.
    mean = np.mean(counts)
    assert all(abs(count / mean - 1) < 0.035 for count in counts)


def plain_level(network, level, name, x, points):
    """A level at all points of one cloud, by operators for graphs of any kind."""
    conv = network.convs[level]
    size = len(points)
    features = (
        (
            np.ones((size, 1), np.float32)
            if name in ('MPNN', 'SplineCNN')
            else points
            if name == 'EdgeCNN'
            else None
        )
        if x is None
        else x
    )
    if name in ('EdgeCNN', 'PointCNN'):
        space = features if name == 'EdgeCNN' else points
        k = network.k if name == 'EdgeCNN' else conv.kernel_size * conv.dilation
        edges = neighbors.edge_index(neighbors.knn(space[None], None, k), size)
        if name == 'EdgeCNN':
            return edge_conv.EdgeConv(conv.network)(features, edges)
        assert isinstance(conv, x_conv.XConv)
        return conv(features, edges, pos=points)
    # The lowest indices in a ball, by brute force.
    radius = network.radii[level]
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    edges = np.array(
        [
            (j, i)
            for i in range(size)
            for j in np.flatnonzero(distances[i] <= radius)[: network.max_neighbors]
        ]
    ).T
    offsets = (points[edges[0]] - points[edges[1]]) / radius
    if name == 'PointNetPlusPlus':
        return point_net_conv.PointNetConv(conv.local_network)(features, edges, pos=points)
    if name == 'MPNN':
        plain = nn_conv.NNConv(conv.channels, conv.edge_network, 'mean')
    else:
        plain = spline_conv.SplineConv(conv.channels, 3, conv.kernel_size)
        offsets = (1 + offsets) / 2
    plain(features, edges, offsets)
    plain.set_weights(conv.get_weights())
    return plain(features, edges, offsets)


@pytest.mark.parametrize('name', METHODS)
def test_as_if_convolved_at_all_points_and_sampled_then(name):
    network = made(name)
    expected = []
    for points in clouds():
        x = None
        for level, count in enumerate(COUNTS):
            x = network.activation(plain_level(network, level, name, x, points)).numpy()
            kept = neighbors.farthest_points(points[None], count)[0].numpy()
            x, points = x[kept], points[kept]
        expected.append(x.max(0) if name in ('PointNetPlusPlus', 'EdgeCNN') else x.mean(0))
    actual = network.embed(clouds()).numpy()
    assert np.abs(actual).max() > 0.01
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', METHODS)
def test_order_of_the_points_does_not_matter(name):
    """But for the first point, where sampling begins, and which points of a full ball count."""
    network = made(name, **({} if name in ('EdgeCNN', 'PointCNN') else {'max_neighbors': POINTS}))
    order = np.concatenate([[0], 1 + np.random.default_rng(3).permutation(POINTS - 1)])
    np.testing.assert_allclose(network(clouds()[:, order]), network(clouds()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', METHODS)
def test_xla_gives_the_same_gradients(name):
    network = made(name)

    def gradients(points, key):
        with tf.GradientTape() as tape:
            logits = network(points, key=key)
            loss = tf.reduce_sum(logits * checks.weighted(logits).astype(np.float32))
        return tape.gradient(loss, network.trainable_weights)

    arguments = tf.constant(clouds()), random.make_key(1)
    compiled = tf.function(gradients, jit_compile=True, autograph=False)(*arguments)
    for one, other in zip(compiled, gradients(*arguments), strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize('name', METHODS)
def test_any_number_of_clouds_and_points(name):
    network = made(name)
    anyhow = tf.function(
        network, autograph=False, input_signature=[tf.TensorSpec([None, None, 3], tf.float32)]
    )
    for points in (clouds(), clouds()[:1, :20]):
        np.testing.assert_allclose(anyhow(points), network(points), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', METHODS)
def test_settings_that_are_not_one_a_level(name):
    with pytest.raises(ValueError, match='channels = .* has 2 entries, not one for each of the 4'):
        getattr(point_networks, name)(
            4,
            channels=((8, 8), (8, 8)) if name in ('EdgeCNN', 'PointNetPlusPlus') else (8, 8),
            counts=(4, 4, 4, 4),
            **({} if name in ('EdgeCNN', 'PointCNN') else {'radii': (1.0, 1.0, 1.0, 1.0)}),
        )
    if name not in ('EdgeCNN', 'PointCNN'):
        with pytest.raises(ValueError, match=r'radii = \(0.8,\) has 1 entries'):
            SMALL[name](radii=(0.8,))


def test_points_needed_for_the_neighbours():
    assert point_networks.EdgeCNN(4, k=9, counts=(4, 2, 2)).points_needed == 9
    assert (
        point_networks.PointCNN(
            4, counts=(4, 4, 4, 4), kernel_sizes=(3, 1, 1, 1), dilations=(4, 1, 1, 1)
        ).points_needed
        == 12
    )
    assert SMALL['MPNN']().points_needed == 16
