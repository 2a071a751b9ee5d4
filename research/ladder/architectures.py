"""The paper's convolutional encoders, for the argument `encoder` of a network.

Rasmus et al. 2015, Secs. 4.1.2, 4.2 and Table 4. Each function makes the layers anew: 'full' and
'valid' convolutions, pooling layers as layers of their own (Sec. 3.4).

- Table 4 does not print where convolutions are full and where valid; that is as in the authors'
  published runs. Conv-Small's first layer is printed without batch normalization, but "we utilized
  batch normalization in all layers".
- The global mean has the authors' factor width x sqrt(3): see `layers.MeanPoolRung`.
- The layer before the global mean has the activation of the hidden layers, as Table 4 prints it,
  in Conv-FC too.
"""

from __future__ import annotations

import tensorflow as tf

from research.ladder import layers


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, 0.1 x), the activation of Conv-Large."""
    return tf.nn.leaky_relu(x, 0.1)


def conv_fc() -> tuple[layers.Rung, ...]:
    """Conv-FC: the fully connected network at each of 9 places of an image [28, 28, channels].

    7 layers: 3x3x1000 (kernel 26x26), 500, 250, 250, 250, 10 by 1x1 convolutions, the mean.
    """
    return (
        layers.ConvRung(1000, 26),
        *(layers.ConvRung(filters, 1) for filters in (500, 250, 250, 250, 10)),
        layers.MeanPoolRung(),
    )


def conv_small() -> tuple[layers.Rung, ...]:
    """Conv-Small, for MNIST, Table 4's right column, on images [28, 28, channels].

    9 layers with the sides 32, 16, 14, 16, 8, 6, 6; the mean over space; 10 fully connected.
    """
    return (
        _full(32, 5),
        layers.MaxPoolRung(),
        layers.ConvRung(64, 3),
        _full(64, 3),
        layers.MaxPoolRung(),
        layers.ConvRung(128, 3),
        layers.ConvRung(10, 1),
        layers.MeanPoolRung(),
        layers.DenseRung(10),
    )


def conv_large() -> tuple[layers.Rung, ...]:
    """Conv-Large, for CIFAR-10, Table 4's middle column, on images [32, 32, channels].

    12 layers with the sides 30, 32, 34, 17, 15, 17, 15, 8, 6, 6, 6; the mean over space.
    """
    return (
        layers.ConvRung(96, 3, activation=leaky_relu),
        _full(96, 3, leaky_relu),
        _full(96, 3, leaky_relu),
        layers.MaxPoolRung(),
        layers.ConvRung(192, 3, activation=leaky_relu),
        _full(192, 3, leaky_relu),
        layers.ConvRung(192, 3, activation=leaky_relu),
        layers.MaxPoolRung(),
        layers.ConvRung(192, 3, activation=leaky_relu),
        layers.ConvRung(192, 1, activation=leaky_relu),
        layers.ConvRung(10, 1, activation=leaky_relu),
        layers.MeanPoolRung(),
    )


def _full(filters: int, kernel_size: int, activation=tf.nn.relu) -> layers.ConvRung:
    """A full convolution: the output is kernel_size - 1 wider than the input."""
    return layers.ConvRung(filters, kernel_size, padding=kernel_size - 1, activation=activation)
