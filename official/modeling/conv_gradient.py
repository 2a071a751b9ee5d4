"""Convolutions whose gradients with respect to their kernels are fast on a CPU.

TensorFlow's own take twice as long as the convolutions where maps are large (float32, two cores;
benchmarks/match_rcnn.py has networks of such convolutions). The same sums are faster over bands of
a few rows, which stay in the cache, and as products of matrices for kernels of 1 x 1 and transposed
convolutions.
"""

from __future__ import annotations

import math

import tensorflow as tf

from official.modeling import xla

_ROWS = 8  # Of a band, at most.
_PIXELS, _CHANNELS = 16000, 128  # Of a map from which on bands are faster.


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`tf.nn.conv2d` with stride 1 and 'SAME' padding, and its gradients.

    Args:
      x: [b, h, w, in_channels].
      kernel: [size, size, in_channels, filters] of the type of `x`, size odd.

    Returns:
      [b, h, w, filters].
    """
    size = kernel.shape[0]
    rows = 0 if size == 1 else _rows(x.shape, size)
    if rows is None or not _on_cpu():
        return tf.nn.conv2d(x, kernel, 1, 'SAME')

    @tf.custom_gradient
    def product(x, kernel):
        def gradient(dy):
            dx = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=dy, strides=[1] * 4,
                padding='SAME')
            return dx, _by_bands(x, dy, size, rows) if rows else _by_pixels(x, dy)

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
    batch, *sizes = (tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
                     for axis in (0, 1, 2))
    shape = [batch, *(strides * length for length in sizes), kernel.shape[2]]
    if kernel.shape[0] % strides or None in x.shape[1:] or not _on_cpu():
        return tf.nn.conv2d_transpose(x, kernel, shape, strides, 'SAME')

    @tf.custom_gradient
    def product(x, kernel):
        def gradient(dy):
            return tf.nn.conv2d(dy, kernel, strides, 'SAME'), _by_taps(
                x, dy, kernel.shape[0], strides)

        return tf.nn.conv2d_transpose(x, kernel, shape, strides, 'SAME'), gradient

    return product(x, kernel)


def _on_cpu() -> bool:
    return not (xla.is_compiled() or tf.config.list_logical_devices('GPU'))


def _rows(shape: tf.TensorShape, size: int) -> int | None:
    """The rows of a band, of which there is a whole number; None if there are no bands."""
    height, width, channels = shape[1:]
    if None in (height, width) or height * width < _PIXELS or channels < _CHANNELS:
        return None
    rows = math.gcd(height, _ROWS)
    # A band takes the rows below it from the next one alone.
    return rows if rows >= size - 1 and rows >= _ROWS // 2 else None


def _by_pixels(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """The gradient of a 1 x 1 kernel."""
    inputs, outputs = x.shape[-1], dy.shape[-1]
    return tf.reshape(
        tf.matmul(tf.reshape(x, [-1, inputs]), tf.reshape(dy, [-1, outputs]), transpose_a=True),
        [1, 1, inputs, outputs])


def _by_bands(x: tf.Tensor, dy: tf.Tensor, size: int, rows: int) -> tf.Tensor:
    """The gradient of a kernel, each band of `rows` rows as an image of its own."""
    height, width, inputs = x.shape[1:]
    outputs = dy.shape[-1]
    border = size // 2
    x = tf.pad(x, [[0, 0], [border, rows - border], [border, border], [0, 0]])
    x = tf.reshape(x, [-1, height // rows + 1, rows, width + 2 * border, inputs])
    x = tf.concat([x[:, :-1], x[:, 1:, :2 * border]], 2)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=tf.reshape(x, [-1, rows + 2 * border, width + 2 * border, inputs]),
        filter_sizes=[size, size, inputs, outputs],
        out_backprop=tf.reshape(dy, [-1, rows, width, outputs]), strides=[1] * 4,
        padding='VALID')


def _by_taps(x: tf.Tensor, dy: tf.Tensor, size: int, strides: int) -> tf.Tensor:
    """The gradient of a transposed kernel: a product for every `strides` x `strides` of its taps."""
    height, width, inputs = x.shape[1:]
    outputs = dy.shape[-1]
    taps = size // strides
    border = [(size - strides) // 2, (size - strides + 1) // 2]
    # Pixel i of x meets pixels i to i + taps - 1 of these, whose channels are strides^2 pixels.
    dy = tf.nn.space_to_depth(tf.pad(dy, [[0, 0], border, border, [0, 0]]), strides)
    x = tf.reshape(x, [-1, inputs])
    kernel = tf.stack([
        tf.matmul(tf.reshape(dy[:, i:i + height, j:j + width], [-1, dy.shape[-1]]), x,
                  transpose_a=True)
        for i in range(taps) for j in range(taps)])
    kernel = tf.reshape(kernel, [taps, taps, strides, strides, outputs, inputs])
    return tf.reshape(tf.transpose(kernel, [0, 2, 1, 3, 4, 5]), [size, size, outputs, inputs])
