import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import global_attention
from tests.research.geometric import pooling_checks


def dense(channels, name, activation=None):
    return tf.keras.layers.Dense(channels, activation, name=name)


def linear(weights, name, x):
    return x @ weights[f'{name}/kernel'] + weights[f'{name}/bias']


@pytest.mark.parametrize('width', [1, 4])
def test_softmax_gate(width):
    def reference(weights, x):
        gate = np.exp(linear(weights, 'gate', x))
        return np.sum(gate / gate.sum(0) * linear(weights, 'features', x), axis=0)

    pooling_checks.check_readout(
        lambda: global_attention.GlobalAttention(dense(width, 'gate'), dense(4, 'features')),
        reference,
    )


def test_without_a_feature_network():
    def reference(weights, x):
        gate = np.exp(linear(weights, 'gate', x))[:, 0]
        return gate / gate.sum() @ x

    pooling_checks.check_readout(
        lambda: global_attention.GlobalAttention(dense(1, 'gate')), reference
    )


def test_the_gate_of_the_paper():
    """Li et al. 2016, Eq. (7), less the outer tanh."""

    def reference(weights, x):
        gate = 1 / (1 + np.exp(-linear(weights, 'gate', x)))
        return sum(gate * np.tanh(linear(weights, 'features', x)))

    pooling_checks.check_readout(
        lambda: global_attention.GlobalAttention(
            dense(4, 'gate'), dense(4, 'features', 'tanh'), softmax=False
        ),
        reference,
    )


def test_config():
    layer = global_attention.GlobalAttention(dense(1, 'gate'), dense(4, 'features'), softmax=False)
    copy = global_attention.GlobalAttention.from_config(layer.get_config())
    x = pooling_checks.features()
    for one in (layer, copy):
        one(x, pooling_checks.BATCH, pooling_checks.GRAPHS)
    copy.set_weights(layer.get_weights())
    arguments = x, pooling_checks.BATCH, pooling_checks.GRAPHS
    np.testing.assert_array_equal(copy(*arguments), layer(*arguments))


def test_bad_arguments():
    for networks in ((None,), (dense(1, 'gate'), tf.nn.relu)):
        with pytest.raises(ValueError, match='must be a Keras layer'):
            global_attention.GlobalAttention(*networks)
