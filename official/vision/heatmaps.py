"""Landmarks as cells of heat maps over regions.

He et al. 2017, "Mask R-CNN", Sec. 5: a landmark is one of size x size positions of its region, and
its heat map a softmax over them.
"""

from __future__ import annotations

import tensorflow as tf


def heatmap_targets(
    landmarks: tf.Tensor, rois: tf.Tensor, size: int, occluded: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """The cells that landmarks lie in, and which of them count.

    The cell is (floor((x - x1) / w size), floor((y - y1) / h size)); a landmark right on the right
    or bottom edge belongs to the last one, as in the paper's released code.

    Args:
      landmarks: float32 [..., K, 3], (x, y, v) in pixels; v is 2 where visible, 1 where occluded,
        0 where not labelled.
      rois: float32 [..., 4], (x1, y1, x2, y2) in the same pixels.
      size: cells along each axis.
      occluded: whether occluded landmarks count too.

    Returns:
      The cell's number row size + column, int32 [..., K]; the weight, float32 [..., K]: 1 for a
      landmark that counts and lies in its region, else 0 (the cell then is some cell near it).
    """
    corner = rois[..., tf.newaxis, :2]
    extent = rois[..., tf.newaxis, 2:] - corner
    # The product first: whole pixels stay whole, and are in the cell that begins there.
    place = (landmarks[..., :2] - corner) * size / tf.where(extent > 0, extent, 1.0)
    inside = tf.reduce_all((place >= 0) & (place <= size) & (extent > 0), -1)
    counts = inside & (landmarks[..., 2] >= (1 if occluded else 2))
    column, row = tf.unstack(
        tf.cast(tf.clip_by_value(tf.floor(place), 0, size - 1), tf.int32), axis=-1
    )
    return row * size + column, tf.cast(counts, tf.float32)


def decode(logits: tf.Tensor, rois: tf.Tensor) -> tf.Tensor:
    """The landmarks that heat maps say.

    A landmark is in the cell of the largest logit (the first of equal ones), at the vertex of the
    parabola along each axis through this logit and its two neighbours', so at most half a cell
    from the centre; at the centre where a neighbour lies outside. A posterior that is normal has
    parabolas for logits; this replaces upsampling the heat map to the region's size first.

    Args:
      logits: float [..., size, size, K].
      rois: float32 [..., 4], (x1, y1, x2, y2) in pixels.

    Returns:
      float32 [..., K, 3]: x and y in pixels, and the score, the softmax probability of the cell.
    """
    size, count = logits.shape[-2:]
    shape = tf.concat([tf.shape(rois)[:-1], [count]], 0)
    cells = tf.reshape(tf.cast(logits, tf.float32), [-1, size * size, count])
    best = tf.argmax(cells, 1, tf.int32)
    maps = tf.range(tf.shape(cells)[0])[:, tf.newaxis] * size * size
    flat = tf.reshape(cells, [-1])

    def logit(cell):
        return tf.gather(
            flat, (maps + tf.clip_by_value(cell, 0, size * size - 1)) * count + tf.range(count)
        )

    top = logit(best)
    score = 1 / tf.reduce_sum(tf.exp(cells - top[:, tf.newaxis]), 1)
    values = []
    for axis, (index, step) in enumerate(((best % size, 1), (best // size, size))):
        before, after = logit(best - step), logit(best + step)
        vertex = tf.math.divide_no_nan((after - before) / 2, 2 * top - before - after)
        vertex = tf.where((index > 0) & (index < size - 1), vertex, 0.0)
        place = tf.reshape((tf.cast(index, tf.float32) + 0.5 + vertex) / size, shape)
        start, end = rois[..., axis, tf.newaxis], rois[..., axis + 2, tf.newaxis]
        values.append(start + (end - start) * place)
    return tf.stack([*values, tf.reshape(score, shape)], -1)
