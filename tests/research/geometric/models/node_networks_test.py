"""Dropout of node networks and operators: by a key, or as Keras' own layers have it."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric.convs import appnp, arma_conv, gat_conv, gcn_conv
from research.geometric.models import node_networks
from tests.research.geometric import checks

LAYERS = {
    'GAT': lambda: gat_conv.GATConv(4, heads=2, dropout=0.5),
    'ARMA': lambda: arma_conv.ARMAConv(4, dropout=0.5, activation=None),
    'APPNP': lambda: appnp.APPNP(dropout=0.5),
    'network': lambda: node_networks.GraphNetwork(
        [gcn_conv.GCNConv(8), gcn_conv.GCNConv(4)], dropout=0.5
    ),
    'perceptron': lambda: node_networks.PredictThenPropagate(8, 4, appnp.APPNP(), dropout=0.5),
}


class InModel(tf.keras.Model):
    """A plain Keras model around a layer, which hears of training from Keras alone."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(*inputs)


@pytest.mark.parametrize('name', list(LAYERS))
def test_keras_training_drops_and_nothing_else_does(name):
    tf.keras.utils.set_random_seed(1)
    layer = LAYERS[name]()
    graph = checks.features(), checks.EDGES
    plain = layer(*graph).numpy()
    np.testing.assert_array_equal(layer(*graph, training=False), plain)
    model = InModel(layer)
    np.testing.assert_array_equal(model(graph), plain)
    drawn = [model(graph, training=True).numpy() for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 0.01 and np.abs(drawn[0] - plain).max() > 0.01
    key = random.make_key(5)
    np.testing.assert_array_equal(layer(*graph, key=key, training=True), layer(*graph, key=key))


def test_what_is_dropped_keeps_the_expectation():
    tf.keras.utils.set_random_seed(1)
    layer = gat_conv.GATConv(3, dropout=0.5)
    x = checks.features()
    plain = layer(x, checks.EDGES).numpy()
    run = tf.function(lambda: layer(x, checks.EDGES, training=True))
    drawn = np.stack([run() for _ in range(600)])
    error = drawn.std(0) / 600**0.5
    assert (np.abs(drawn.mean(0) - plain) < 5 * error + 1e-6).all()
