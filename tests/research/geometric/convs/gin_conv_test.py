import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import gin_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


@tf.keras.utils.register_keras_serializable()
class Mlp(tf.keras.layers.Layer):
    """Two layers, 3 to 5 to 4; its weights have names that tell them apart."""

    def build(self, input_shape):
        self.first = self.add_weight('first', [3, 5])
        self.first_bias = self.add_weight('first_bias', [5])
        self.second = self.add_weight('second', [5, 4])
        super().build(input_shape)

    def call(self, x):
        return tf.tanh(x @ self.first + self.first_bias) @ self.second


def reference(fixed_eps=None):
    """Xu et al. 2019, Eq. (4.1), node by node."""

    def formula(weights, x, edge_index, edge_attr):
        named = {name.split('/')[-1]: value for name, value in weights.items()}
        eps = named['eps'] if fixed_eps is None else fixed_eps
        total = (1 + eps) * x
        for e, (source, target) in enumerate(edge_index.T):
            total[target] += x[source] * (1 if edge_attr is None else edge_attr[e])
        return np.tanh(total @ named['first'] + named['first_bias']) @ named['second']

    return formula


@pytest.mark.parametrize('attr', [None, checks.normal_attr()])
def test_formula(attr):
    checks.check_operator(lambda: gin_conv.GINConv(Mlp()), reference(0.0), attr)


def test_learnt_eps_and_its_gradient():
    layer = checks.check_operator(
        lambda: gin_conv.GINConv(Mlp(), train_eps=True), reference(), gradients=False
    )
    routes.check_gradients(layer, reference())
    assert [checks.name_of(v) for v in layer.trainable_weights].count('eps') == 1


def test_two_nodes_by_hand():
    # One edge from 0 to 1, the mlp doubles.
    double = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer=lambda *_, **__: [[2.0]])
    x, edges = np.array([[1.0], [10.0]], np.float32), np.array([[0], [1]], np.int32)
    layer = gin_conv.GINConv(double, eps=0.5)
    np.testing.assert_allclose(layer(x, edges)[:, 0], [3, 32], rtol=1e-6)
    assert layer.count_params() == 1
    learnt = gin_conv.GINConv(double, eps=0.5, train_eps=True)
    np.testing.assert_allclose(learnt(x, edges)[:, 0], [3, 32], rtol=1e-6)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(learnt(x, edges))
    # d/d eps of 2 (1 + eps) (1 + 10).
    np.testing.assert_allclose(tape.gradient(total, learnt.eps), 22, rtol=1e-6)


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_routes_agree(weights):
    layer = routes.built(gin_conv.GINConv(Mlp(), train_eps=True), weights)
    routes.check_adjacency(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)


def test_sum_tells_apart_what_mean_and_max_do_not():
    """Fig. 3 of the paper: a node with two neighbours and one with three, all alike."""
    x = np.ones([7, 1], np.float32)
    edges = np.array([[2, 3, 4, 5, 6], [0, 0, 1, 1, 1]], np.int32)
    identity = tf.keras.layers.Activation('linear')
    out = gin_conv.GINConv(identity)(x, edges).numpy()[:2, 0]
    np.testing.assert_allclose(out, [3, 4])


def test_pair_of_a_bipartite_graph():
    sources, targets = checks.features(4), checks.features(2, seed=1)
    edges = np.array([[0, 3, 2], [1, 1, 0]], np.int32)
    layer = routes.built(gin_conv.GINConv(Mlp(), eps=0.5))
    joined = layer(np.concatenate([targets, sources]), edges + [[2], [0]])
    routes.alike(layer((sources, targets), edges), joined[:2])


def test_bad_argument():
    with pytest.raises(ValueError, match='must be a Keras layer'):
        gin_conv.GINConv(tf.nn.relu)
