"""The four rotations of an image (Lucic et al. 2019, Secs. 3.1 and 3.3)."""

from __future__ import annotations

import tensorflow as tf

NUM_ROTATIONS = 4


def rotated(images: tf.Tensor, quarters: int) -> tf.Tensor:
    """Images turned counterclockwise by quarter turns.

    Args:
      images: [n, size, size, channels].
      quarters: 0 to 3.
    """
    if quarters == 2:
        return tf.reverse(images, [1, 2])
    if quarters == 0:
        return images
    return tf.reverse(tf.transpose(images, [0, 2, 1, 3]), [1 if quarters == 1 else 2])


def turned(images: tf.Tensor) -> tf.Tensor:
    """All images by one quarter turn, then all by two, then all by three: [3 n, ...]."""
    return tf.concat([rotated(images, quarter) for quarter in range(1, NUM_ROTATIONS)], 0)


def quarters(number: int) -> tf.Tensor:
    """The labels of `number` upright images and of what `turned` makes of them: int32 [4 n]."""
    return tf.repeat(tf.range(NUM_ROTATIONS), number)
