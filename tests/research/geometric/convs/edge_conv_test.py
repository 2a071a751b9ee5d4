import numpy as np
import pytest
import tensorflow as tf

from research.geometric import sparse
from research.geometric.convs import edge_conv
from tests.research.geometric import checks

Dense = tf.keras.layers.Dense


def network(use_bias=True):
    return tf.keras.Sequential(
        [Dense(5, 'tanh', use_bias=use_bias, name='net/first'), Dense(4, name='net/second')]
    )


class Unknown(tf.keras.layers.Layer):
    """A layer around a network, which nobody can take apart."""

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        self.network = network

    def call(self, x):
        return self.network(x)


def reference(aggregation='max'):
    """Wang et al. 2018, Sec. 3: h(x_i, x_j - x_i), one edge after the other."""

    def formula(weights, x, edge_index, edge_attr=None):
        x_sources, x_targets = x if isinstance(x, tuple) else (x, x)
        out = np.zeros((len(x_targets), weights['second/kernel'].shape[1]))
        for node, own in enumerate(x_targets):
            answers = []
            for source in edge_index[0][edge_index[1] == node]:
                edge = np.concatenate([own, x_sources[source] - own])
                hidden = np.tanh(edge @ weights['first/kernel'] + weights.get('first/bias', 0))
                answers.append(hidden @ weights['second/kernel'] + weights['second/bias'])
            if answers:
                out[node] = getattr(np, aggregation)(answers, axis=0)
        return out

    return formula


@pytest.mark.parametrize('aggregation,use_bias', [('max', True), ('mean', False), ('sum', True)])
def test_formula(aggregation, use_bias):
    make = lambda: edge_conv.EdgeConv(network(use_bias), aggregation)
    checks.check_operator(make, reference(aggregation))


def test_both_routes_agree():
    x = checks.features()
    fast = edge_conv.EdgeConv(network())
    slow = edge_conv.EdgeConv(Unknown(fast.network))
    fast(x, checks.EDGES)
    checks.randomize(fast)
    expected = reference()(checks.values(fast), x, checks.EDGES)
    np.testing.assert_allclose(slow(x, checks.EDGES), expected, rtol=1e-4, atol=1e-5)
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES)
    for layer in (fast, slow):
        np.testing.assert_allclose(layer(x, adjacency), expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(
        checks.tape_gradients(fast, x, checks.EDGES, None),
        checks.tape_gradients(slow, x, checks.EDGES, None),
        strict=True,
    ):
        np.testing.assert_allclose(
            tf.convert_to_tensor(one), tf.convert_to_tensor(other), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize('wrap', [Unknown, lambda layer: layer])
def test_by_hand(wrap):
    # h(a, d) = relu(a - 2 d): to 3 from 1 it is 3 + 4, from 5, 3 - 4, so 0; to 5 from 1, 5 + 8.
    dense = Dense(1, 'relu', kernel_initializer=tf.constant_initializer([1.0, -2.0]))
    x = np.array([[1.0], [3.0], [5.0]], np.float32)
    edges = np.array([[0, 2, 0], [1, 1, 2]], np.int32)
    np.testing.assert_allclose(edge_conv.EdgeConv(wrap(dense))(x, edges), [[0], [7], [13]])
    np.testing.assert_allclose(
        edge_conv.EdgeConv(wrap(dense), 'mean')(x, edges), [[0], [3.5], [13]]
    )


@pytest.mark.parametrize('wrap', [Unknown, lambda layer: layer])
def test_bipartite(wrap):
    x = checks.features(5, 3), checks.features(2, 3, seed=1)
    edges = np.array([[0, 4, 3, 1], [0, 0, 1, 0]], np.int32)
    net = network()
    out = edge_conv.EdgeConv(wrap(net))(x, edges)
    weights = {'/'.join(v.name.split(':')[0].split('/')[-2:]): v.numpy() for v in net.weights}
    np.testing.assert_allclose(out, reference()(weights, x, edges), rtol=1e-4, atol=1e-5)


def test_any_size_and_config():
    x = checks.features()
    layer = edge_conv.EdgeConv(network(), 'mean')
    expected = layer(x, checks.EDGES)
    again = edge_conv.EdgeConv.from_config(layer.get_config())
    again(x, checks.EDGES)
    again.set_weights(layer.get_weights())
    function = tf.function(
        again, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([2, None], tf.int32)]
    )
    np.testing.assert_allclose(function(x, checks.EDGES), expected, rtol=1e-5, atol=1e-6)


def test_errors():
    layer = edge_conv.EdgeConv(network())
    with pytest.raises(ValueError, match='edge_attr is given'):
        layer(checks.features(), checks.EDGES, checks.normal_attr()(10))
    with pytest.raises(ValueError, match='sources have 2 features and targets 3'):
        edge_conv.EdgeConv(network())((checks.features(6, 2), checks.features()), checks.EDGES)
    with pytest.raises(ValueError, match='must be a Keras layer'):
        edge_conv.EdgeConv(None)
