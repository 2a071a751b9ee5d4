"""Max pooling that XLA can differentiate where operations must be deterministic."""

from __future__ import annotations

import functools

import tensorflow as tf

from official.compat import tensorflow_private


def max_pool(x: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """Maxima of windows, without padding.

    TensorFlow's own operation has no deterministic gradient under XLA, on no device; there this is
    the maximum of shifted images, made of operations that have. Among equal values the gradient
    goes to the first, as in TensorFlow's own, which is many times faster elsewhere.

    Args:
      x: [batch, height, width, channels].
      size: height and width of a window.
      stride: from one window to the next.

    Returns:
      [batch, (height - size) // stride + 1, (width - size) // stride + 1, channels].
    """
    if not tensorflow_private.is_compiled():
        return tf.nn.max_pool2d(x, size, stride, 'VALID')
    rows, columns = ((length - size) // stride + 1 for length in x.shape[1:3])
    down, right = stride * (rows - 1) + 1, stride * (columns - 1) + 1
    return functools.reduce(
        tf.maximum,
        [
            x[:, top : top + down : stride, left : left + right : stride]
            for top in range(size)
            for left in range(size)
        ],
    )
