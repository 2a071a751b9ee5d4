"""The blocks of residual networks of the first version, with batch norms that may be frozen.

He et al. 2016a, "Deep Residual Learning for Image Recognition".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official.modeling import convolutions, normalization, random


class ConvNorm(tf.keras.layers.Layer):
    """A convolution without bias, a batch norm and perhaps a ReLU.

    A frozen batch norm is the variables `scale` and `shift`, which are not trained. The scale
    multiplies the kernel, which is small, and the shift is a bias, so on a CPU all of it, with the
    ReLU and the sum with a shortcut, is one operation.

    Args:
      in_channels: channels that come in.
      filters: channels that go out.
      size: height and width of the kernel, odd.
      key: of the initial kernel, int32 [1, 2].
      strides: step of the kernel.
      relu: whether a ReLU follows.
      frozen: whether the batch norm is.
      trainable: whether the kernel is trained.
      epsilon: of the batch norm.
      decay: of its moving statistics.
      name: name of the layer, and the scope of its variables.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        size: int,
        key: tf.Tensor,
        *,
        strides: int = 1,
        relu: bool = True,
        frozen: bool = True,
        trainable: bool = True,
        epsilon: float = 1.001e-5,
        decay: float = 0.9,
        name: str = 'conv',
    ):
        # float32: products are cast where they are made.
        super().__init__(name=name, dtype='float32', autocast=False)
        self.strides, self.relu, self.epsilon = strides, relu, epsilon
        with tf.name_scope(name):
            self.kernel = self.add_weight(
                'kernel',
                (size, size, in_channels, filters),
                trainable=trainable,
                initializer=lambda shape, dtype=None, **_: random.he_normal(key, shape),
            )
            self.norm = self.scale = self.shift = None
            if frozen:
                self.scale, self.shift = (
                    self.add_weight(part, (filters,), initializer=initializer, trainable=False)
                    for part, initializer in (('scale', 'ones'), ('shift', 'zeros'))
                )
            else:
                self.norm = normalization.BatchNorm(
                    filters, epsilon=epsilon, decay=decay, name='norm'
                )
        self.built = True

    def call(
        self, x: tf.Tensor, shortcut: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """[b, h, w, in_channels] to [b, ceil(h / strides), ceil(w / strides), filters].

        Args:
          x: what comes in.
          shortcut: added before the ReLU, of the shape of what goes out.
          training: see `official.modeling.normalization.BatchNorm`.
        """
        kernel = tf.convert_to_tensor(self.kernel)
        if self.norm is None:
            y = convolutions.convolve(x, kernel * self.scale, self.strides)
            y = tf.nn.bias_add(y, tf.cast(self.shift, y.dtype))
        else:
            y = self.norm(convolutions.convolve(x, kernel, self.strides), training=training)
        if shortcut is not None:
            y += shortcut
        return tf.nn.relu(y) if self.relu else y

    def keras_tensors(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """What it is in `tf.keras.applications`: end of the layer's name, tensor and shape."""
        channels = self.kernel.shape[-1:]
        return [
            ('_conv', 'kernel', tuple(self.kernel.shape)),
            ('_conv', 'bias', channels),
            *(
                ('_bn', part, channels)
                for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')
            ),
        ]

    def from_keras(self, tensors: Mapping[str, np.ndarray]) -> list[tuple[tf.Variable, np.ndarray]]:
        """Variables and the values they get from those tensors, by name."""
        # norm(conv + bias) of a mean is norm(conv) of the mean less the bias.
        mean = tensors['moving_mean'] - tensors['bias']
        kernel = (self.kernel, tensors['kernel'])
        if self.norm is not None:
            return [
                kernel,
                (self.norm.gamma, tensors['gamma']),
                (self.norm.beta, tensors['beta']),
                (self.norm.moving_mean, mean),
                (self.norm.moving_variance, tensors['moving_variance']),
            ]
        scale = tensors['gamma'] / np.sqrt(tensors['moving_variance'] + self.epsilon)
        return [kernel, (self.scale, scale), (self.shift, tensors['beta'] - scale * mean)]


class Block(tf.keras.layers.Layer):
    """A residual block: convolutions, and what comes in added before the last ReLU.

    Where the shape changes the shortcut is a 1 x 1 convolution with a batch norm (option B of He et
    al. 2016a, Sec. 4.1), else what comes in.

    Args:
      inputs: channels that come in.
      width: channels inside.
      key: of the initial weights, int32 [1, 2].
      strides: of the first convolution and the shortcut.
      frozen: see `ConvNorm`.
      trainable: see `ConvNorm`.
      epsilon: see `ConvNorm`.
      decay: see `ConvNorm`.
      name: name of the block, and the scope of its variables.
    """

    # Channels that leave the block for each one inside; sizes of the kernels.
    EXPANSION: int
    SIZES: tuple[int, ...]

    def __init__(
        self,
        inputs: int,
        width: int,
        key: tf.Tensor,
        *,
        strides: int = 1,
        frozen: bool = True,
        trainable: bool = True,
        epsilon: float = 1.001e-5,
        decay: float = 0.9,
        name: str = 'block',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        norm: dict[str, Any] = {
            'frozen': frozen,
            'trainable': trainable,
            'epsilon': epsilon,
            'decay': decay,
        }
        outputs = self.EXPANSION * width
        widths = [width] * (len(self.SIZES) - 1) + [outputs]
        with tf.name_scope(name):
            self.convs = []
            before = inputs
            for number, (size, filters) in enumerate(zip(self.SIZES, widths, strict=True), 1):
                self.convs.append(
                    ConvNorm(
                        before,
                        filters,
                        size,
                        random.fold_in(key, number),
                        strides=strides if number == 1 else 1,
                        name=f'conv{number}',
                        **norm,
                    )
                )
                before = filters
            self.shortcut = None
            if strides > 1 or inputs != outputs:
                self.shortcut = ConvNorm(
                    inputs,
                    outputs,
                    1,
                    random.fold_in(key, 0),
                    strides=strides,
                    relu=False,
                    name='shortcut',
                    **norm,
                )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[b, h, w, inputs] to [b, ceil(h / strides), ceil(w / strides), EXPANSION width]."""
        shortcut = x if self.shortcut is None else self.shortcut(x, training=training)
        for conv in self.convs[:-1]:
            x = conv(x, training=training)
        return self.convs[-1](x, shortcut, training=training)


class Bottleneck(Block):
    """1 x 1, 3 x 3 and 1 x 1 convolutions (He et al. 2016a, Fig. 5, right)."""

    EXPANSION = 4
    SIZES = (1, 3, 1)


class BasicBlock(Block):
    """Two 3 x 3 convolutions (He et al. 2016a, Fig. 5, left)."""

    EXPANSION = 1
    SIZES = (3, 3)
