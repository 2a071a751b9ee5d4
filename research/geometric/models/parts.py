"""What some rows of Table 2 of Fey & Lenssen 2019 are made of, as `ConvNetwork` wants it."""

from __future__ import annotations

import tensorflow as tf

from research.geometric.convs import gin_conv
from research.geometric.pooling import global_attention


def isomorphism_layer(channels: int, train_eps: bool = False) -> gin_conv.GINConv:
    """GIN with a perceptron of one hidden layer; to be followed by batch normalization.

    Args:
      channels: F', of the hidden layer too.
      train_eps: GIN-eps if True, else GIN-0.
    """
    perceptron = tf.keras.Sequential(
        [tf.keras.layers.Dense(channels, activation='relu'), tf.keras.layers.Dense(channels)]
    )
    return gin_conv.GINConv(perceptron, train_eps=train_eps)


def soft_attention() -> global_attention.GlobalAttention:
    """Global soft attention whose gate is a linear function of the node."""
    return global_attention.GlobalAttention(tf.keras.layers.Dense(1))
