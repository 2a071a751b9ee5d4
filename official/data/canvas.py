"""Images of any size in the corner of a canvas of one size.

TensorFlow operations alone, so that an exported model does with an image what training did.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def fitted_size(size: tf.Tensor, min_size: int | tf.Tensor, max_size: int) -> tf.Tensor:
    """What size an image is resized to: the shorter edge `min_size`, the longer at most `max_size`.

    Lin et al. 2017, Feature Pyramid Networks, section 5.1; the second bound as in Detectron. Edges
    are rounded to the nearest pixel, halves up.

    Args:
      size: integers [..., 2], (height, width).
      min_size: pixels of the shorter edge; a number or integers [...].
      max_size: pixels of the longer edge at most.

    Returns:
      int32 [..., 2].
    """
    size = tf.cast(size, tf.float64)
    scale = tf.minimum(
        tf.cast(min_size, tf.float64) / tf.reduce_min(size, -1),
        tf.cast(max_size, tf.float64) / tf.reduce_max(size, -1),
    )
    fitted = tf.floor(size * scale[..., tf.newaxis] + 0.5)
    return tf.maximum(tf.cast(fitted, tf.int32), 1)


def place(
    image: tf.Tensor,
    canvas: tuple[int, int],
    min_size: int | tf.Tensor,
    max_size: int,
    mirrored: tf.Tensor | None = None,
    antialias: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """An image resized bilinearly, in the upper left corner of a canvas, zeros around it.

    Args:
      image: uint8 [height, width, 3].
      canvas: (height, width). An image that would be larger is made smaller evenly, which
        `check_fits` rules out where all images are known.
      min_size: see `fitted_size`.
      max_size: see `fitted_size`.
      mirrored: bool [], whether left and right change places; None: they do not.
      antialias: average over what a pixel covers where the image becomes smaller. Without it, as in
        Detectron, four pixels are looked at, and an image much reduced is grainy.

    Returns:
      (canvas, size): uint8 [*canvas, 3] and the resized image's (height, width), int32 [2].
    """
    size = fitted_size(tf.shape(image)[:2], min_size, max_size)
    shrunk = tf.cast(size, tf.float64) * tf.reduce_min(
        tf.constant(canvas, tf.float64) / tf.cast(size, tf.float64)
    )
    size = tf.where(
        tf.reduce_any(size > canvas), tf.maximum(tf.cast(tf.floor(shrunk + 0.5), tf.int32), 1), size
    )
    size = tf.minimum(size, canvas)
    pixels = tf.image.resize(image, size, antialias=antialias)
    pixels = tf.cast(pixels + 0.5, tf.uint8)  # Between the image's own values, so in range.
    if mirrored is not None:
        pixels = tf.cond(mirrored, lambda: tf.reverse(pixels, [1]), lambda: pixels)
    rest = tf.constant(canvas) - size
    # Padding takes a tenth of the time where whole rows are copied.
    rows = tf.pad(tf.reshape(pixels, [size[0], 3 * size[1]]), [[0, rest[0]], [0, 3 * rest[1]]])
    return tf.reshape(rows, [*canvas, 3]), size


def check_fits(
    sizes: np.ndarray, names: list[str], canvas: tuple[int, int], min_size: int, max_size: int
) -> None:
    """Raises ValueError if an image, resized, is larger than the canvas.

    Args:
      sizes: [n, 2], (height, width) of all images.
      names: of the images, for the message.
      canvas: (height, width).
      min_size: see `fitted_size`.
      max_size: see `fitted_size`.
    """
    if not len(sizes):
        return
    with tf.device('CPU:0'):
        fitted = fitted_size(sizes, min_size, max_size).numpy()
    beyond = np.flatnonzero((fitted > canvas).any(1))
    if len(beyond):
        first = beyond[0]
        raise ValueError(
            f'{names[first]}: an image of {sizes[first, 0]} x {sizes[first, 1]} pixels (height x '
            f'width) resized by min_size = {min_size}, max_size = {max_size} has '
            f'{fitted[first, 0]} x {fitted[first, 1]} and does not fit the canvas of {canvas[0]} '
            f'x {canvas[1]}, as {len(beyond)} of {len(sizes)} images do not.'
        )
