import numpy as np
import pytest
import tensorflow as tf

from research.geometric import sparse
from research.geometric.convs import point_net_conv
from tests.research.geometric import checks

Dense = tf.keras.layers.Dense
SIZE = 3  # Coordinates.


def local_network(channels=4):
    return tf.keras.Sequential(
        [Dense(5, 'tanh', name='net/first'), Dense(channels, name='net/second')]
    )


def global_network():
    return tf.keras.Sequential([Dense(2, 'tanh', name='net/last')])


class Points(tf.keras.layers.Layer):
    """The operator as `checks` calls one: `x` is features, [N, channels], beside positions."""

    def __init__(self, conv, channels):
        super().__init__()
        self.conv = conv
        self.channels = channels

    def call(self, x, edge_index, edge_attr=None):
        features = x[:, : self.channels] if self.channels else None
        return self.conv(features, edge_index, edge_attr, pos=x[:, self.channels :])


def formula(weights, x, pos, edge_index, aggregation='max'):
    """Qi et al. 2017, Sec. 3.2: a PointNet in the frame of each centroid."""
    pos_sources, pos_targets = pos if isinstance(pos, tuple) else (pos, pos)
    out = np.zeros((len(pos_targets), weights['second/kernel'].shape[1]))
    for node, centroid in enumerate(pos_targets):
        answers = []
        for source in edge_index[0][edge_index[1] == node]:
            point = np.concatenate([x[source], pos_sources[source] - centroid])
            hidden = np.tanh(point @ weights['first/kernel'] + weights['first/bias'])
            answers.append(hidden @ weights['second/kernel'] + weights['second/bias'])
        if answers:
            out[node] = getattr(np, aggregation)(answers, axis=0)
    if 'last/kernel' in weights:
        out = np.tanh(out @ weights['last/kernel'] + weights['last/bias'])
    return out


def reference(channels, loops=False, aggregation='max'):
    def points(weights, x, edge_index, edge_attr):
        if loops:
            edge_index = np.concatenate([edge_index, [np.arange(len(x))] * 2], axis=1)
        return formula(weights, x[:, :channels], x[:, channels:], edge_index, aggregation)

    return points


@pytest.mark.parametrize('channels', [0, 2])
@pytest.mark.parametrize(
    'with_global,loops,aggregation',
    [(False, False, 'max'), (True, True, 'max'), (False, True, 'mean')],
)
def test_formula(channels, with_global, loops, aggregation):
    gamma = global_network if with_global else lambda: None
    make = lambda: Points(
        point_net_conv.PointNetConv(local_network(), gamma(), loops, aggregation), channels
    )
    checks.check_operator(make, reference(channels, loops, aggregation), channels=channels + SIZE)


def test_by_hand():
    # h adds up: from (1, 1) of feature 10 to (0, 3) it is 10 + 1 - 2, from (4, 0) of 20 it is
    # 20 + 4 - 3.
    conv = point_net_conv.PointNetConv(Dense(1, use_bias=False, kernel_initializer='ones'))
    x = np.array([[10.0], [20.0], [30.0]], np.float32)
    pos = np.array([[1.0, 1.0], [4.0, 0.0], [0.0, 3.0]], np.float32)
    edges = np.array([[0, 1], [2, 2]], np.int32)
    np.testing.assert_allclose(conv(x, edges, pos=pos), [[0], [0], [21]])
    np.testing.assert_allclose(conv(x, sparse.adjacency(edges, 3), pos=pos), [[0], [0], [21]])
    with_loops = point_net_conv.PointNetConv(conv.local_network, add_self_loops=True)
    np.testing.assert_allclose(with_loops(x, edges, pos=pos), [[10], [20], [30]])


def test_translation_changes_nothing():
    x, pos = checks.features(), checks.features(seed=1)
    conv = point_net_conv.PointNetConv(local_network())
    expected = conv(x, checks.EDGES, pos=pos)
    np.testing.assert_allclose(
        conv(x, checks.EDGES, pos=pos + [[5.0, -3.0, 2.0]]), expected, rtol=1e-4, atol=1e-5
    )
    assert np.abs(conv(x, checks.EDGES, pos=2 * pos) - expected).max() > 0.01


@pytest.mark.parametrize('both', [False, True])
def test_bipartite(both):
    x, pos = checks.features(5, 2), (checks.features(5, 3, seed=1), checks.features(2, 3, seed=2))
    edges = np.array([[0, 4, 3, 1, 2], [0, 0, 1, 0, 1]], np.int32)
    conv = point_net_conv.PointNetConv(local_network())
    pair = (x, checks.features(2, 7)) if both else (x, None)
    out = conv(pair, edges, pos=pos)
    np.testing.assert_allclose(
        out, formula(checks.values(conv), x, pos, edges), rtol=1e-4, atol=1e-5
    )


def test_any_size_and_config():
    x, pos = checks.features(), checks.features(seed=1)
    conv = point_net_conv.PointNetConv(local_network(), global_network(), add_self_loops=True)
    expected = conv(x, checks.EDGES, pos=pos)
    again = point_net_conv.PointNetConv.from_config(conv.get_config())
    again(x, checks.EDGES, pos=pos)
    again.set_weights(conv.get_weights())
    function = tf.function(
        lambda x, edges, pos: again(x, edges, pos=pos),
        input_signature=[
            tf.TensorSpec([None, 3]),
            tf.TensorSpec([2, None], tf.int64),
            tf.TensorSpec([None, 3]),
        ],
    )
    np.testing.assert_allclose(function(x, checks.EDGES, pos), expected, rtol=1e-5, atol=1e-6)


def test_errors():
    x, pos = checks.features(), checks.features(seed=1)
    conv = point_net_conv.PointNetConv(local_network(), add_self_loops=True)
    with pytest.raises(ValueError, match='pos is None'):
        conv(x, checks.EDGES)
    with pytest.raises(ValueError, match='edge_attr is given'):
        conv(x, checks.EDGES, checks.normal_attr()(10), pos=pos)
    with pytest.raises(ValueError, match='no self loops'):
        conv(x, checks.EDGES, pos=(pos, pos))
    with pytest.raises(ValueError, match='sources have 3 coordinates, those of targets 2'):
        conv(x, checks.EDGES, pos=(pos, pos[:, :2]))
    with pytest.raises(ValueError, match='must be a Keras layer'):
        point_net_conv.PointNetConv('relu')
