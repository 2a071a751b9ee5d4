"""Images resized to squares: averaged where they become smaller, or as TensorFlow 1 did."""

from __future__ import annotations

import tensorflow as tf


def antialiased(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes bilinearly, averaging over what a pixel of the result covers.

    Args:
      image: uint8 [height, width, channels].
      size: height and width of the result.

    Returns:
      uint8 [size, size, channels].
    """
    return _pixels(tf.image.resize(image, [size, size], antialias=True), size)


def tf1_bilinear(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes bilinearly as TensorFlow 1's `tf.image.resize_images` does by default.

    Row i of the result lies at row i * height / size of the image, between two of its rows, and is
    made of these two. A photograph made much smaller is grainy and shifted by up to half a pixel of
    the result. So the code of Lucic et al. 2019 reads ImageNet (google/compare_gan, datasets.py).

    Args:
      image: uint8 [height, width, channels].
      size: height and width of the result.

    Returns:
      uint8 [size, size, channels]. compare_gan keeps the fractions, which are rounded here.
    """
    resized = tf.compat.v1.image.resize_bilinear(
        image[tf.newaxis], [size, size], align_corners=False, half_pixel_centers=False
    )
    return _pixels(resized[0], size)


def _pixels(resized: tf.Tensor, size: int) -> tf.Tensor:
    rounded = tf.saturate_cast(tf.round(resized), tf.uint8)
    return tf.ensure_shape(rounded, [size, size, None])
