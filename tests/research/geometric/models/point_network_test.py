import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import graph as graph_lib
from research.geometric import neighbors
from research.geometric.models import point_network
from research.geometric.transforms import cartesian


class Passing(point_network.PointNetwork):
    """Its features are the positions of the centroids, and what it was given is kept."""

    def __init__(self, **settings):
        super().__init__(3, **{'activation': 'linear', 'dropout': 0.0, **settings})
        self.given = []

    def convolve(self, level, x, points, centroids):
        self.given.append((x, points, centroids))
        return point_network.flat(centroids)


def clouds(size=20, grid=False):
    random_numbers = np.random.default_rng(2)
    if grid:  # With many equal distances.
        return random_numbers.permutation(
            np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
        )[None].astype(np.float32)
    return random_numbers.normal(size=(2, size, 3)).astype(np.float32)


@pytest.mark.parametrize('grid', [False, True])
def test_levels_are_farthest_points_of_the_level_before(grid):
    network = Passing(counts=(12, 6, 6, 3), head=(), readout='mean')
    points = clouds(grid=grid)
    network(points)
    x, current = None, tf.constant(points)
    for count, (given, before, centroids) in zip((12, 6, 6, 3), network.given, strict=True):
        np.testing.assert_array_equal(before, current)
        # Sampled anew among what the level before has left.
        current = tf.gather(current, neighbors.farthest_points(current, count), batch_dims=1)
        np.testing.assert_array_equal(centroids, current)
        assert (x is None and given is None) or np.array_equal(given, x)
        x = current.numpy()
    assert len(np.unique(x[0], axis=0)) == 3


@pytest.mark.parametrize('readout, reduce', [('max', np.max), ('mean', np.mean)])
def test_readout_and_head(readout, reduce):
    network = Passing(counts=(4,), head=(5,), readout=readout)
    points = clouds(4)
    logits = network(points)
    features = reduce(points, axis=1)
    np.testing.assert_allclose(network.embed(points), features, rtol=1e-5, atol=1e-6)
    hidden, last = network.head
    middle = features @ hidden.kernel.numpy() + hidden.bias.numpy()
    np.testing.assert_allclose(
        logits, middle @ last.kernel.numpy() + last.bias.numpy(), rtol=1e-4, atol=1e-5
    )


def test_dropout_is_before_the_last_layer_and_in_training_alone():
    network = Passing(counts=(4,), head=(50,), readout='max', dropout=0.5)
    points = clouds(4)
    plain = network(points)
    np.testing.assert_array_equal(network(points), plain)
    key = random.make_key(5)
    hidden, last = network.head
    # Kept or not is seen by giving each hidden unit a logit of its own, of one class.
    middle = hidden(network.embed(points)).numpy()
    expected = random.dropout(key, tf.constant(middle), 0.5).numpy()
    assert 0.2 < np.mean(expected == 0) < 0.8
    np.testing.assert_allclose(network(points, key=key), last(expected), rtol=1e-4, atol=1e-5)


def test_pseudo_coordinates():
    # By hand, radius 2: the point itself, one at the surface along x, one 1 below along y.
    points = tf.constant([[[1.0, 1.0, 1.0], [3.0, 1.0, 1.0], [1.0, 0.0, 1.0]]])
    u = point_network.pseudo_coordinates(points, points[:, :1], tf.constant([[[0, 1, 2]]]), 2.0)
    np.testing.assert_allclose(u, [[0.5, 0.5, 0.5], [1, 0.5, 0.5], [0.5, 0.25, 0.5]])
    # As the transform has them, whose edges go from row 0 to row 1.
    edges = np.array([[0, 1, 2], [0, 0, 0]])
    graph = cartesian.cartesian(graph_lib.Graph(edges, pos=points[0].numpy()), maximum=2.0)
    np.testing.assert_allclose(u, graph.edge_attr)


def test_perceptron():
    network = point_network.perceptron((4, 2))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    first, last = network(x) is not None and network.layers
    hidden = np.maximum(x @ first.kernel.numpy() + first.bias.numpy(), 0)
    np.testing.assert_allclose(
        network(x), hidden @ last.kernel.numpy() + last.bias.numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    'settings, told',
    [
        ({'counts': (4, 5)}, r'counts = \(4, 5\)'),
        ({'counts': ()}, r'counts = \(\)'),
        ({'counts': (4, 0)}, r'counts = \(4, 0\)'),
        ({'readout': 'sum'}, "readout = 'sum'"),
    ],
)
def test_settings_that_cannot_be(settings, told):
    with pytest.raises(ValueError, match=told):
        Passing(**{'counts': (4,), 'head': (), 'readout': 'max', **settings})


def test_too_few_points():
    with pytest.raises(ValueError, match='count = 12 points'):
        Passing(counts=(12,), head=(), readout='max')(clouds(11))
