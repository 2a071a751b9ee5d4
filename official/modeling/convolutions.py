"""Convolutions, transposed convolutions and fully connected layers with a bias and a ReLU.

Product, bias and ReLU follow one another without anything between, so that TensorFlow makes one
operation of them on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from official.core import checks
from official.modeling import conv_gradient, random


class _Layer(tf.keras.layers.Layer):
    """A kernel, and a bias that begins at 0.

    Args:
      shape: of the kernel as `initializer` sees it, the outputs last.
      key: of the initial kernel, int32 [1, 2].
      relu: whether a ReLU follows.
      bias: whether there is a bias.
      initializer: initial kernel, called as initializer(key, shape).
      trainable: whether the weights are trained.
      name: name of the layer, and the scope of its variables.
      stored: turns the initial kernel into the variable, of shape stored(kernel).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        key: tf.Tensor,
        relu: bool,
        bias: bool,
        initializer: Callable,
        trainable: bool,
        name: str,
        stored: Callable = tf.convert_to_tensor,
    ):
        # float32: products are cast where they are made.
        super().__init__(name=name, dtype='float32', autocast=False, trainable=trainable)
        self.relu = relu
        initial = stored(initializer(key, shape))
        with tf.name_scope(name):
            self.kernel = self.add_weight(
                'kernel',
                initial.shape,
                trainable=trainable,
                initializer=lambda shape, dtype=None, **_: initial,
            )
            self.bias = (
                self.add_weight('bias', shape[-1:], initializer='zeros', trainable=trainable)
                if bias
                else None
            )
        self.built = True

    def finish(self, x: tf.Tensor) -> tf.Tensor:
        """What follows the product: the bias, if there is one, and the ReLU, if there is one."""
        if self.bias is not None:
            x = tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))
        return tf.nn.relu(x) if self.relu else x


class Conv(_Layer):
    """A convolution, padded by (size - 1) / 2 zeros on every side.

    With stride 1 that is TensorFlow's 'SAME'; with a larger stride it is the padding of Caffe,
    PyTorch and `tf.keras.applications`' residual networks, where 'SAME' would depend on the size
    of the image.

    Args:
      in_channels: channels that come in.
      filters: channels that go out.
      size: height and width of the kernel, odd.
      key: of the initial kernel, int32 [1, 2].
      strides: step of the kernel.
      relu: whether a ReLU follows.
      bias: whether there is a bias, which begins at 0.
      initializer: initial kernel, called as initializer(key, shape).
      trainable: whether the weights are trained.
      name: name of the layer, and the scope of its variables.

    Raises:
      ValueError: if a number is not positive or `size` is even.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        size: int,
        key: tf.Tensor,
        *,
        strides: int = 1,
        relu: bool = False,
        bias: bool = True,
        initializer: Callable = random.he_normal,
        trainable: bool = True,
        name: str = 'conv',
    ):
        checks.positive(
            'Conv', in_channels=in_channels, filters=filters, size=size, strides=strides
        )
        if size % 2 == 0:
            raise ValueError(f'Conv.size = {size} is even: no padding is alike on all sides.')
        super().__init__(
            (size, size, in_channels, filters), key, relu, bias, initializer, trainable, name
        )
        self.strides = strides

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[b, h, w, in_channels] to [b, ceil(h / strides), ceil(w / strides), filters]."""
        return self.finish(convolve(x, tf.convert_to_tensor(self.kernel), self.strides))


def convolve(x: tf.Tensor, kernel: tf.Tensor, strides: int = 1) -> tf.Tensor:
    """The convolution of `Conv`, of the type of `x`.

    Args:
      x: [b, h, w, in_channels].
      kernel: float32 [size, size, in_channels, filters], size odd.
      strides: step of the kernel.

    Returns:
      [b, ceil(h / strides), ceil(w / strides), filters].
    """
    kernel = tf.cast(kernel, x.dtype)
    if strides > 1 and kernel.shape[0] == 1:
        # Picks the pixels that count before the product. With AVX2, oneDNN's gradient of a strided
        # 1 x 1 kernel of fewer than 8 input channels writes outside its memory.
        x, strides = x[:, ::strides, ::strides], 1
    if strides == 1:
        return conv_gradient.conv2d(x, kernel)
    border = [(kernel.shape[0] - 1) // 2] * 2
    if border[0]:
        # Not by the operation itself: on a CPU its gradient takes twice as long.
        x = tf.pad(x, [[0, 0], border, border, [0, 0]])
    return tf.nn.conv2d(x, kernel, strides, 'VALID')


class Deconv(_Layer):
    """A transposed convolution (Zeiler et al. 2010) that multiplies height and width by `strides`.

    Pixel i adds to the pixels strides i + d - (size - strides) / 2 for d from 0 to size - 1
    (TensorFlow's 'SAME'). The variable is [size, size, filters, in_channels], as TensorFlow's
    operation wants it; `initializer` sees [size, size, in_channels, filters].

    Args:
      in_channels: channels that come in.
      filters: channels that go out.
      size: height and width of the kernel, at least `strides`.
      key: of the initial kernel, int32 [1, 2].
      strides: how many times as high and wide the result is.
      relu: whether a ReLU follows.
      initializer: initial kernel, called as initializer(key, shape). `he_normal` counts size^2
        in_channels inputs, as Detectron does, though only (size / strides)^2 in_channels reach a
        pixel.
      name: name of the layer, and the scope of its variables.

    Raises:
      ValueError: if a number is not positive or `size` is smaller than `strides`.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        size: int,
        key: tf.Tensor,
        *,
        strides: int = 2,
        relu: bool = False,
        initializer: Callable = random.he_normal,
        name: str = 'deconv',
    ):
        checks.positive(
            'Deconv', in_channels=in_channels, filters=filters, size=size, strides=strides
        )
        if size < strides:
            raise ValueError(
                f'Deconv.size = {size} is smaller than strides = {strides}: pixels '
                'would be left out.'
            )
        super().__init__(
            (size, size, in_channels, filters),
            key,
            relu,
            True,
            initializer,
            True,
            name,
            stored=lambda kernel: tf.transpose(kernel, [0, 1, 3, 2]),
        )
        self.strides = strides

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[b, h, w, in_channels] to [b, strides h, strides w, filters], of the type of `x`."""
        return self.finish(
            conv_gradient.conv2d_transpose(x, tf.cast(self.kernel, x.dtype), self.strides)
        )


class Dense(_Layer):
    """A fully connected layer.

    Args:
      in_units: size of the last axis of what comes in.
      units: size of the last axis of what goes out.
      key: of the initial kernel, int32 [1, 2].
      relu: whether a ReLU follows.
      initializer: initial kernel, called as initializer(key, shape).
      name: name of the layer, and the scope of its variables.

    Raises:
      ValueError: if a number is not positive.
    """

    def __init__(
        self,
        in_units: int,
        units: int,
        key: tf.Tensor,
        *,
        relu: bool = False,
        initializer: Callable = random.he_normal,
        name: str = 'dense',
    ):
        checks.positive('Dense', in_units=in_units, units=units)
        super().__init__((in_units, units), key, relu, True, initializer, True, name)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[..., in_units] to [..., units], of the type of `x`."""
        y = x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])
        y = self.finish(tf.matmul(y, tf.cast(self.kernel, x.dtype)))
        if x.shape.rank == 2:
            return y
        return tf.reshape(y, tf.concat([tf.shape(x)[:-1], y.shape[1:]], 0))
