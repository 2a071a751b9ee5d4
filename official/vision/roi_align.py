"""RoIAlign on a feature pyramid.

He et al. 2017, "Mask R-CNN", Sec. 3; Lin et al. 2017, "Feature Pyramid Networks for Object
Detection", Eq. 1 for the level that a region is taken from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checks


def level_of(
    boxes: tf.Tensor,
    min_level: int = 2,
    max_level: int = 5,
    canonical_level: int = 4,
    canonical_size: float = 224,
) -> tf.Tensor:
    """The pyramid level of a region: floor(k0 + log2(sqrt(w h) / canonical_size)), within limits.

    Lin et al. 2017, Eq. 1. Areas are compared, as a logarithm that a compiler rounds in its own
    way would move boxes of just 112 pixels to another level.

    Args:
      boxes: float [..., 4], (x1, y1, x2, y2) in pixels.
      min_level: the finest level there is.
      max_level: the coarsest level there is.
      canonical_level: k0, the level of a region of `canonical_size`.
      canonical_size: square root of an area, in pixels.

    Returns:
      int32 [...]; level k has stride 2^k.
    """
    boxes = tf.stop_gradient(boxes)
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    level = tf.fill(tf.shape(area), min_level)
    for above in range(min_level + 1, max_level + 1):
        level += tf.cast(area >= (canonical_size * 2.0 ** (above - canonical_level)) ** 2, tf.int32)
    return level


def roi_align(
    pyramid: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    strides: Sequence[int],
    size: int | tuple[int, int],
    samples: int = 2,
    levels: tf.Tensor | None = None,
    canonical_size: float = 224,
    images: tf.Tensor | None = None,
) -> tf.Tensor:
    """Features of regions: each bin is the mean of bilinear samples on a regular grid.

    He et al. 2017, Sec. 3. No coordinate is rounded: the centre of feature pixel i is at i + 0.5,
    so that x in the image is x / stride - 0.5 among the pixels' indices (the paper's released code
    did not subtract the half pixel; its successors do). A sample beyond the outermost centres
    takes the value at the border, however far away it is. The gradient to the pyramid is exact;
    none goes to the boxes.

    Along an axis a bin is a weighted sum of at most 2 `samples` pixels, equal ones counted
    together. Outside XLA these weights are the rows of a sparse matrix for each level, which
    multiplies the features where they lie; its transpose is the gradient. Under XLA, which has no
    sparse product, and where there is a GPU, whose sparse product TensorFlow refuses if all has to
    be deterministic, it is a sum of gathers from one table of all levels, and scatters back. Both
    compute in float32.

    Args:
      pyramid: [b, height_l, width_l, c], one of each stride, fine to coarse.
      boxes: float32 [b, n, 4], (x1, y1, x2, y2) in pixels of the image.
      strides: image pixels of a feature pixel for each level: powers of two, each twice the last.
      size: bins of a region, (height, width) or one number for both.
      samples: in a bin along each axis.
      levels: int32 [b, n], the level k (of stride 2^k) of each region; by default `level_of`.
      canonical_size: see `level_of`.
      images: int32 [n]: the boxes are [n, 4], each of the image of this number.

    Returns:
      [b, n, height, width, c] of the type of `pyramid`; with `images` [n, height, width, c].

    Raises:
      ValueError: if `boxes` or `strides` are not as said, or a count is below 1.
    """
    height, width = (size, size) if isinstance(size, int) else size
    checks.positive('roi_align', samples=samples, height=height, width=width)
    finest = _finest_level(strides, len(pyramid))
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    if boxes.shape.rank != (3 if images is None else 2):
        raise ValueError(
            f'roi_align.boxes has the shape {boxes.shape}; it must be [b, n, 4], and '
            '[n, 4] with `images`.'
        )
    if levels is None:
        levels = level_of(boxes, finest, finest + len(pyramid) - 1, canonical_size=canonical_size)
    number = tf.reshape(tf.clip_by_value(levels - finest, 0, len(pyramid) - 1), [-1])
    leading = [size or tf.shape(boxes)[axis] for axis, size in enumerate(boxes.shape[:-1])]
    channels = pyramid[0].shape[-1]
    image = tf.repeat(tf.range(leading[0]), leading[1]) if images is None else images

    heights, widths = (
        tf.gather(tf.stack([tf.shape(features)[axis] for features in pyramid]), number)
        for axis in (1, 2)
    )
    x1, y1, x2, y2 = tf.unstack(
        tf.reshape(boxes, [-1, 4])
        / tf.gather(tf.constant(strides, tf.float32), number)[:, tf.newaxis],
        axis=-1,
    )
    rows, row_weights = _taps(y1, y2, heights, height, samples)
    columns, column_weights = _taps(x1, x2, widths, width, samples)
    # Where a row begins when the images of a level lie one below the other.
    rows = (image * heights)[:, tf.newaxis, tf.newaxis] + rows
    rows *= widths[:, tf.newaxis, tf.newaxis]
    taps = (number, rows, row_weights, columns, column_weights)

    @tf.custom_gradient
    def align(*tables):
        wide = [tf.cast(table, tf.float32) for table in tables]
        if tensorflow_private.is_compiled() or tf.config.list_logical_devices('GPU'):
            bins, gradient = _by_gathers(wide, *taps)
        else:
            bins, gradient = _by_sparse_products(wide, *taps)

        def of_tables(of_bins):
            return [
                tf.cast(of_table, tables[0].dtype)
                for of_table in gradient(tf.cast(of_bins, tf.float32))
            ]

        return tf.cast(bins, tables[0].dtype), of_tables

    bins = align(*(tf.reshape(features, [-1, channels]) for features in pyramid))
    return tf.reshape(bins, [*leading, height, width, channels])


def _finest_level(strides, count) -> int:
    """Log2 of the first stride; raises ValueError if the strides are no pyramid's."""
    finest = round(math.log2(strides[0])) if strides and strides[0] > 0 else 0
    if list(strides) != [2 ** (finest + i) for i in range(count)]:
        raise ValueError(
            f'roi_align.strides = {strides!r} must be {count} powers of two, one for'
            ' each level of the pyramid, each twice the one before.'
        )
    return finest


def _taps(start, end, limit, bins, samples):
    """Pixels, and their weights, that make a bin's mean along one axis.

    Args:
      start: float32 [r], where the region begins, in feature pixels.
      end: float32 [r], where it ends.
      limit: int32 [r], pixels of the level along the axis.
      bins: of a region.
      samples: of a bin.

    Returns:
      int32 and float32 [r, bins, 2 samples]. A pixel that comes up again in a bin has weight 0
      there: its first place has all of it.
    """
    places = tf.constant((np.arange(bins * samples) + 0.5) / (bins * samples), tf.float32)
    # Whole pixels apart from fractions: small numbers keep their digits, and XLA's are the same.
    start, extent = start - 0.5, end - start
    whole = tf.floor(start)
    offset = (start - whole)[:, tf.newaxis] + extent[:, tf.newaxis] * places
    low = tf.floor(offset)
    fraction = offset - low
    low += whole[:, tf.newaxis]
    last = tf.cast(limit - 1, tf.float32)[:, tf.newaxis]
    fraction = tf.where((low >= 0) & (low < last), fraction, 0.0)
    # NaN is not >= 0: it becomes a pixel that there is, and a loss tells of it later.
    low = tf.cast(tf.where(low >= 0, tf.minimum(low, last), 0.0), tf.int32)
    high = tf.minimum(low + 1, limit[:, tf.newaxis] - 1)
    pixels = tf.reshape(tf.stack([low, high], -1), [-1, bins, 2 * samples])
    weights = tf.reshape(tf.stack([1 - fraction, fraction], -1) / samples, [-1, bins, 2 * samples])
    same = pixels[..., tf.newaxis] == pixels[..., tf.newaxis, :]
    earlier = np.tril(np.ones([2 * samples] * 2, bool), -1)
    again = tf.reduce_any(same & earlier, -1)
    together = tf.reduce_sum(tf.where(same, weights[..., tf.newaxis, :], 0.0), -1)
    return pixels, tf.where(again, 0.0, together)


def _by_sparse_products(tables, number, rows, row_weights, columns, column_weights):
    """Bins as sparse matrices times the levels.

    Args:
      tables: float32 [pixels_l, c], a level's images one below the other.
      number: int32 [r], the table of each region.
      rows: int32 [r, height, t], pixels where the rows of the taps begin.
      row_weights: float32 [r, height, t].
      columns: int32 [r, width, t].
      column_weights: float32 [r, width, t].

    Returns:
      float32 [r, height * width * c], and the function from its gradient to those of `tables`.
    """
    size, taps = row_weights.shape[1] * column_weights.shape[1], row_weights.shape[2]
    channels = tables[0].shape[-1]
    members, matrices, parts = [], [], []
    for level, table in enumerate(tables):
        which = tf.cast(tf.where(number == level)[:, 0], tf.int32)
        top, left, of_rows, of_columns = (
            tf.gather(values, which) for values in (rows, columns, row_weights, column_weights)
        )
        # [regions of the level, height, width, taps of the rows, taps of the columns]
        weights = tf.reshape(
            of_rows[:, :, tf.newaxis, :, tf.newaxis] * of_columns[:, tf.newaxis, :, tf.newaxis, :],
            [-1],
        )
        pixels = tf.reshape(
            top[:, :, tf.newaxis, :, tf.newaxis] + left[:, tf.newaxis, :, tf.newaxis, :], [-1]
        )
        used = tf.cast(tf.where(weights != 0)[:, 0], tf.int32)
        matrix = {
            'a_indices': tf.stack([used // taps**2, tf.gather(pixels, used)], 1),
            'a_values': tf.gather(weights, used),
            'a_shape': tf.stack([tf.size(which, tf.int64) * size, tf.shape(table, tf.int64)[0]]),
        }
        product = tf.raw_ops.SparseTensorDenseMatMul(b=table, **matrix)
        members.append(which)
        matrices.append(matrix)
        parts.append(tf.reshape(product, [-1, size * channels]))

    def gradient(of_bins):
        of_bins = tf.reshape(of_bins, [-1, size * channels])
        return [
            tf.raw_ops.SparseTensorDenseMatMul(
                b=tf.reshape(tf.gather(of_bins, which), [-1, channels]), adjoint_a=True, **matrix
            )
            for which, matrix in zip(members, matrices, strict=True)
        ]

    return tf.dynamic_stitch(members, parts), gradient


def _by_gathers(tables, number, rows, row_weights, columns, column_weights):
    """Bins as a sum of gathers; shapes are static. Arguments and results: `_by_sparse_products`."""
    taps = range(row_weights.shape[2])
    counts = [tf.shape(table)[0] for table in tables]
    rows += tf.gather(tf.cumsum(counts, exclusive=True), number)[:, tf.newaxis, tf.newaxis]

    def entries():
        for i in taps:
            for j in taps:
                yield (
                    rows[:, :, tf.newaxis, i] + columns[:, tf.newaxis, :, j],
                    (row_weights[:, :, tf.newaxis, i] * column_weights[:, tf.newaxis, :, j])[
                        ..., tf.newaxis
                    ],
                )

    table = tf.concat(tables, 0)
    # A loop over operations that XLA fuses: the sum is written once.
    bins = sum(weights * tf.gather(table, pixels) for pixels, weights in entries())

    def gradient(of_bins):
        of_bins = tf.reshape(of_bins, tf.shape(bins))
        of_table = tf.zeros_like(table)
        for pixels, weights in entries():
            of_table = tf.tensor_scatter_nd_add(
                of_table, pixels[..., tf.newaxis], weights * of_bins
            )
        return tf.split(of_table, counts)

    return bins, gradient
