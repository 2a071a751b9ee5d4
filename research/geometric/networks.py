"""Keras layers that operators take as arguments: checked, built, and taken apart where it saves."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

LINEAR = tf.keras.activations.linear


def get(network: tf.keras.layers.Layer | dict) -> tf.keras.layers.Layer:
    """A network given as a layer, or as the dict that `serialize` makes of one.

    Raises:
      ValueError: if it is neither.
    """
    if isinstance(network, dict):
        return tf.keras.saving.deserialize_keras_object(network)
    if not isinstance(network, tf.keras.layers.Layer):
        raise ValueError(f'a network must be a Keras layer, got {network!r}.')
    return network


def serialize(network: tf.keras.layers.Layer) -> dict:
    """Returns the configuration of a network whose copy has no weights before it is called.

    Keras would make them as it reads the shapes, and not from the seed of the model around them.
    """
    return _without_shapes(tf.keras.saving.serialize_keras_object(network))


def _without_shapes(config):
    if isinstance(config, dict):
        return {
            key: _without_shapes(value) for key, value in config.items() if key != 'build_config'
        }
    return [_without_shapes(value) for value in config] if isinstance(config, list) else config


def build(network: tf.keras.layers.Layer, width: int) -> None:
    """Makes the weights of a network for inputs [..., width], if it has none yet."""
    if not network.built:
        # A call, not `build`: it names the weights by the layer that has them.
        network(tf.zeros([1, width]))


def split_first(network: tf.keras.layers.Layer) -> tuple[tf.keras.layers.Dense, Callable] | None:
    """The `Dense` that a network begins with, and what follows its affine map.

    Returns:
      (dense, rest) with network(x) = rest(x @ dense.kernel + dense.bias), or None where `network`
      is neither a `Dense` nor a `Sequential` that begins with one.
    """
    layers = _layers(network)
    if not layers or type(layers[0]) is not tf.keras.layers.Dense:
        return None
    first, *others = layers

    def rest(x):
        x = first.activation(x)
        for layer in others:
            x = layer(x)
        return x

    return first, rest


def split_last(network: tf.keras.layers.Layer) -> tuple[Callable, tf.keras.layers.Dense] | None:
    """The linear `Dense` that a network ends with, and what comes before it.

    Returns:
      (before, dense) with network(x) = before(x) @ dense.kernel + dense.bias, or None where
      `network` is neither a linear `Dense` nor a `Sequential` that ends with one.
    """
    layers = _layers(network)
    if not layers or type(layers[-1]) is not tf.keras.layers.Dense:
        return None
    *others, last = layers
    if last.activation is not LINEAR:
        return None

    def before(x):
        for layer in others:
            x = layer(x)
        return x

    return before, last


def _layers(network) -> list[tf.keras.layers.Layer]:
    # A subclass may do anything in its call, so only these types are known by their layers.
    return network.layers if type(network) is tf.keras.Sequential else [network]
