import numpy as np
import pytest
import tensorflow as tf

from research.geometric import networks

Dense = tf.keras.layers.Dense


class Doubled(Dense):
    """A `Dense` that is more than its weights say."""

    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize(
    'network',
    [
        Dense(4, 'relu'),
        tf.keras.Sequential([Dense(5, use_bias=False), Dense(4, 'tanh')]),
        tf.keras.Sequential([Dense(5), tf.keras.layers.LayerNormalization(), Dense(4)]),
    ],
)
def test_split_first(network):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    networks.build(network, 3)
    first, rest = networks.split_first(network)
    affine = x @ first.kernel.numpy() + (0 if first.bias is None else first.bias.numpy())
    np.testing.assert_allclose(rest(affine), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    'network', [Dense(4), tf.keras.Sequential([Dense(5, 'tanh'), Dense(4, use_bias=False)])]
)
def test_split_last(network):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    networks.build(network, 3)
    before, last = networks.split_last(network)
    affine = before(x) @ last.kernel + (0 if last.bias is None else last.bias)
    np.testing.assert_allclose(affine, network(x), rtol=1e-5, atol=1e-6)


def test_networks_that_are_not_known_by_their_layers():
    class Own(tf.keras.Sequential):
        pass

    for network in (
        Doubled(4),
        Own([Dense(4)]),
        tf.keras.Sequential([Doubled(4)]),
        tf.keras.Sequential(),
    ):
        assert networks.split_first(network) is None
        assert networks.split_last(network) is None
    assert networks.split_last(Dense(4, 'relu')) is None
    assert networks.split_first(tf.keras.Sequential([tf.keras.layers.ReLU(), Dense(4)])) is None


def test_build_leaves_weights_that_are_there():
    network = tf.keras.Sequential([Dense(4)])
    networks.build(network, 3)
    kernel = network.layers[0].kernel
    networks.build(network, 3)
    assert network.layers[0].kernel is kernel and kernel.shape == (3, 4)


def test_get():
    network = tf.keras.Sequential([Dense(4, 'relu')])
    assert networks.get(network) is network
    again = networks.get(networks.serialize(network))
    assert again is not network and again.layers[0].get_config() == network.layers[0].get_config()
    with pytest.raises(ValueError, match="must be a Keras layer, got 'relu'"):
        networks.get('relu')
