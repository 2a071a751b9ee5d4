"""Convolutions whose gradients with respect to their kernels are fast on a CPU.

TensorFlow's own take up to twice as long as the convolutions (float32, two cores;
benchmarks/match_rcnn.py has networks of such convolutions). As products of matrices the same sums
take two thirds of the time where maps are large, and four fifths for transposed convolutions.
"""

from __future__ import annotations

import tensorflow as tf

from official.compat import tensorflow_private

# Pixels and channels from which on products are faster; in bfloat16 also from many channels on.
_PIXELS, _CHANNELS, _MANY = 4000, 128, 512


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`tf.nn.conv2d` with stride 1 and 'SAME' padding, and its gradients.

    Args:
      x: [b, h, w, in_channels].
      kernel: [size, size, in_channels, filters] of the type of `x`, size odd.

    Returns:
      [b, h, w, filters].
    """
    if not (_on_cpu() and _by_products(x, kernel)):
        return tf.nn.conv2d(x, kernel, 1, 'SAME')

    @tf.custom_gradient
    def product(x, kernel):
        def gradient(dy):
            dx = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=dy,
                strides=[1] * 4,
                padding='SAME',
            )
            return dx, _by_shifts(x, dy, kernel.shape[0])

        return tf.nn.conv2d(x, kernel, 1, 'SAME'), gradient

    return product(x, kernel)


def conv2d_transpose(x: tf.Tensor, kernel: tf.Tensor, strides: int) -> tf.Tensor:
    """`tf.nn.conv2d_transpose` with 'SAME' padding, to `strides` times the size, and its gradients.

    Args:
      x: [b, h, w, in_channels].
      kernel: [size, size, filters, in_channels] of the type of `x`.
      strides: how many times as high and wide the result is.

    Returns:
      [b, strides h, strides w, filters].
    """
    batch, *sizes = (
        tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis] for axis in (0, 1, 2)
    )
    shape = [batch, *(strides * length for length in sizes), kernel.shape[2]]
    if kernel.shape[0] % strides or None in x.shape[1:] or not _on_cpu():
        return tf.nn.conv2d_transpose(x, kernel, shape, strides, 'SAME')

    @tf.custom_gradient
    def product(x, kernel):
        def gradient(dy):
            return tf.nn.conv2d(dy, kernel, strides, 'SAME'), _by_taps(
                x, dy, kernel.shape[0], strides
            )

        return tf.nn.conv2d_transpose(x, kernel, shape, strides, 'SAME'), gradient

    return product(x, kernel)


def _on_cpu() -> bool:
    return not (tensorflow_private.is_compiled() or tf.config.list_logical_devices('GPU'))


def _by_products(x: tf.Tensor, kernel: tf.Tensor) -> bool:
    """Whether products are faster."""
    size, _, *channels = kernel.shape
    pixels = x.shape[1:3].num_elements()
    if size == 1 or pixels is None or min(channels) < _CHANNELS:
        return size == 1
    return pixels >= _PIXELS or (x.dtype == tf.bfloat16 and min(channels) >= _MANY)


def _by_shifts(x: tf.Tensor, dy: tf.Tensor, size: int) -> tf.Tensor:
    """The gradient of a kernel: for every tap a product of pixels and the pixels that it takes."""
    border = size // 2
    shifts = [0]
    if border:
        # Row after row and image after image: what is beyond an edge are the zeros between.
        zeros = [[0, 0], [border, 0], [0, border], [0, 0]]
        x, dy = tf.pad(x, zeros), tf.pad(dy, zeros)
        taps = range(-border, border + 1)
        shifts = [down * x.shape[2] + across for down in taps for across in taps]
    x, dy = (tf.reshape(value, [-1, value.shape[-1]]) for value in (x, dy))
    products = [tf.matmul(*_shifted(x, dy, shift), transpose_a=True) for shift in shifts]
    return tf.reshape(tf.stack(products), [size, size, x.shape[-1], dy.shape[-1]])


def _shifted(x, dy, shift):
    """Rows i + shift of one and i of the other, all that are in both."""
    if shift < 0:
        return x[:shift], dy[-shift:]
    return (x[shift:], dy[:-shift]) if shift else (x, dy)


def _by_taps(x: tf.Tensor, dy: tf.Tensor, size: int, strides: int) -> tf.Tensor:
    """The gradient of a transposed kernel: a product for every `strides` x `strides` taps."""
    height, width, inputs = x.shape[1:]
    outputs = dy.shape[-1]
    taps = size // strides
    border = [(size - strides) // 2, (size - strides + 1) // 2]
    # Pixel i of x meets pixels i to i + taps - 1 of these, whose channels are strides^2 pixels.
    dy = tf.nn.space_to_depth(tf.pad(dy, [[0, 0], border, border, [0, 0]]), strides)
    x = tf.reshape(x, [-1, inputs])
    kernel = tf.stack(
        [
            tf.matmul(
                tf.reshape(dy[:, i : i + height, j : j + width], [-1, dy.shape[-1]]),
                x,
                transpose_a=True,
            )
            for i in range(taps)
            for j in range(taps)
        ]
    )
    kernel = tf.reshape(kernel, [taps, taps, strides, strides, outputs, inputs])
    return tf.reshape(tf.transpose(kernel, [0, 2, 1, 3, 4, 5]), [size, size, outputs, inputs])
