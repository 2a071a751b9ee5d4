"""Axis-parallel boxes: areas, overlaps, and the coding of one box relative to another.

A box is float32 (x1, y1, x2, y2) in continuous pixel coordinates: pixel i covers [i, i + 1), so the
width is x2 - x1. All functions take any leading axes, tensors or arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

# Of a decoded box no side is more than this many times the anchor's, so that the exponential of an
# untrained network's output does not overflow.
_MAX_LOG_SIZE = math.log(1000 / 16)


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Areas in square pixels, of boxes [..., 4]: float32 [...]; 0 where a side is negative."""
    x1, y1, x2, y2 = _sides(boxes)
    return tf.nn.relu(x2 - x1) * tf.nn.relu(y2 - y1)


def intersection(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Areas that each of `a` [..., n, 4] has in common with each of `b` [..., m, 4].

    Returns:
      float32 [..., n, m], square pixels; the leading axes are broadcast.
    """
    a_x1, a_y1, a_x2, a_y2 = (side[..., tf.newaxis] for side in _sides(a))
    b_x1, b_y1, b_x2, b_y2 = (side[..., tf.newaxis, :] for side in _sides(b))
    width = tf.nn.relu(tf.minimum(a_x2, b_x2) - tf.maximum(a_x1, b_x1))
    height = tf.nn.relu(tf.minimum(a_y2, b_y2) - tf.maximum(a_y1, b_y1))
    return width * height


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Intersection over union of each of `a` [..., n, 4] with each of `b` [..., m, 4].

    Returns:
      float32 [..., n, m] in [0, 1]; 0 where a box has no area. The leading axes are broadcast.
    """
    common = intersection(a, b)
    union = area(a)[..., tf.newaxis] + area(b)[..., tf.newaxis, :] - common
    return tf.math.divide_no_nan(common, union)


def coverage(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Which part of each of `a` [..., n, 4] each of `b` [..., m, 4] covers.

    Takes the place of IoU where `b` is a crowd, in which an `a` may lie anywhere.

    Returns:
      float32 [..., n, m] in [0, 1]; 0 where a box has no area. The leading axes are broadcast.
    """
    return tf.math.divide_no_nan(intersection(a, b), area(a)[..., tf.newaxis])


def clip(boxes: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Boxes cut off at the borders of their images.

    Args:
      boxes: [..., n, 4].
      sizes: [..., 2], (height, width) of the image, pixels.

    Returns:
      float32 [..., n, 4]; a box outside its image is left without area.
    """
    sizes = tf.cast(sizes, tf.float32)
    limits = tf.gather(sizes, [1, 0, 1, 0], axis=-1)[..., tf.newaxis, :]
    return tf.minimum(tf.maximum(tf.cast(boxes, tf.float32), 0.0), limits)


def flip(boxes: tf.Tensor, width: float | tf.Tensor) -> tf.Tensor:
    """Boxes [..., 4] in the mirror image of an image `width` pixels wide.

    `width` is a scalar, or has a shape that can be broadcast to the leading axes of the boxes.
    """
    x1, y1, x2, y2 = _sides(boxes)
    width = tf.cast(width, tf.float32)
    return tf.stack([width - x2, y1, width - x1, y2], axis=-1)


def encode(
    boxes: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0)
) -> tf.Tensor:
    """Boxes relative to anchors, as regression targets (Ren et al. 2015, Eq. 2).

    Args:
      boxes: [..., 4].
      anchors: [..., 4]; the leading axes are broadcast.
      weights: factors of the four numbers, which bring them to about unit variance; RPNs take 1.

    Returns:
      float32 [..., 4]: (x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a) and log(h / h_a), of centres
      x, y and sizes w, h, times the weights. Sizes that are not positive, as of padding, count as
      1 pixel, so that the numbers and their gradients are finite.
    """
    x, y, width, height = _centre_and_size(boxes)
    anchor_x, anchor_y, anchor_width, anchor_height = _centre_and_size(anchors)
    width, height, anchor_width, anchor_height = (
        tf.where(size > 0, size, 1.0) for size in (width, height, anchor_width, anchor_height)
    )
    deltas = (
        (x - anchor_x) / anchor_width,
        (y - anchor_y) / anchor_height,
        tf.math.log(width / anchor_width),
        tf.math.log(height / anchor_height),
    )
    return tf.stack([d * weight for d, weight in zip(deltas, weights, strict=True)], axis=-1)


def decode(
    deltas: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float] = (10.0, 10.0, 5.0, 5.0)
) -> tf.Tensor:
    """Boxes from what a network says of anchors: the inverse of `encode`.

    Args:
      deltas: [..., 4].
      anchors: [..., 4]; the leading axes are broadcast.
      weights: as in `encode`.

    Returns:
      float32 [..., 4]. A side is at most 1000 / 16 times that of the anchor.
    """
    x, y, width, height = _centre_and_size(anchors)
    dx, dy, dw, dh = (d / weight for d, weight in zip(_sides(deltas), weights, strict=True))
    x, y = x + dx * width, y + dy * height
    half_width = 0.5 * width * tf.exp(tf.minimum(dw, _MAX_LOG_SIZE))
    half_height = 0.5 * height * tf.exp(tf.minimum(dh, _MAX_LOG_SIZE))
    return tf.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=-1)


def _sides(boxes):
    return tf.unstack(tf.cast(boxes, tf.float32), num=4, axis=-1)


def _centre_and_size(boxes):
    x1, y1, x2, y2 = _sides(boxes)
    return 0.5 * (x1 + x2), 0.5 * (y1 + y2), x2 - x1, y2 - y1


def smooth_l1(difference: tf.Tensor, beta: float = 1.0) -> tf.Tensor:
    """The smooth L1 loss (Girshick 2015, Fast R-CNN, Eq. 3), a number for each number.

    x^2 / (2 beta) where |x| < beta, |x| - beta / 2 elsewhere; beta = 1 is Eq. 3.
    """
    size = tf.abs(difference)
    return tf.where(size < beta, 0.5 / beta * tf.square(difference), size - 0.5 * beta)
