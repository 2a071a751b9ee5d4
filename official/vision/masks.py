"""Masks of items: inside their own boxes, inside regions, and on the image.

A mini mask is the mask of an item sampled S x S over its own box: cell (i, j) covers the same part
of the box in each mask. He et al. 2017, "Mask R-CNN", Sec. 3, for targets in regions and for
pasting predicted masks.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# What is half a cell must not depend on how a sum is rounded.
_HALF = 0.5 - 1e-4


def mask_targets(mini_masks: tf.Tensor, boxes: tf.Tensor, rois: tf.Tensor, size: int) -> tf.Tensor:
    """The masks of items as seen in regions.

    A cell is 1 where the mini mask, interpolated bilinearly at the cell's centre, is at least 0.5;
    0 outside the box. (He et al. 2017, Sec. 3.1: "the intersection between an RoI and its
    associated ground-truth mask".)

    Args:
      mini_masks: uint8 [..., S, S] of 0 and 1.
      boxes: float32 [..., 4], (x1, y1, x2, y2) in pixels, of the items.
      rois: float32 [..., 4], in the same pixels.
      size: cells of a target along each axis.

    Returns:
      float32 [..., size, size] of 0 and 1.
    """
    cells = mini_masks.shape[-1]
    places = tf.constant((np.arange(size) + 0.5) / size, tf.float32)
    down, right = (
        _interpolation(
            rois[..., axis, tf.newaxis]
            + (rois[..., axis + 2] - rois[..., axis])[..., tf.newaxis] * places,
            boxes[..., axis], boxes[..., axis + 2], cells)
        for axis in (1, 0))
    values = tf.matmul(tf.matmul(down, tf.cast(mini_masks, tf.float32)), right, transpose_b=True)
    return tf.cast(values > _HALF, tf.float32)


def _interpolation(points, start, end, cells):
    """Weights of a mask's cells at points along one axis.

    Args:
      points: float32 [..., p], in pixels.
      start: float32 [...], where the box begins.
      end: float32 [...], where it ends.
      cells: of the mask.

    Returns:
      float32 [..., p, cells]: linear between the centres of two cells; the outermost cell's value
      from its centre to the edge; nothing outside [start, end).
    """
    start, end = start[..., tf.newaxis], end[..., tf.newaxis]
    place = (points - start) * cells / tf.where(end > start, end - start, 1.) - 0.5
    place = tf.clip_by_value(place, 0, cells - 1)[..., tf.newaxis]
    weights = tf.nn.relu(1 - tf.abs(place - tf.range(cells, dtype=tf.float32)))
    inside = (points >= start) & (points < end)
    return tf.where(inside[..., tf.newaxis], weights, 0.)


def paste(masks: np.ndarray, boxes: np.ndarray, height: int, width: int,
          threshold: float = 0.5) -> np.ndarray:
    """Masks inside boxes, as masks of the image.

    A pixel whose centre lies in the box has the mask's value there, bilinear between the centres
    of the mask's cells; from the outermost centres to the box's edges it is theirs.

    Args:
      masks: float [n, m, m], probabilities inside the boxes.
      boxes: float [n, 4], (x1, y1, x2, y2) in pixels.
      height: of the image.
      width: of the image.
      threshold: what a probability must reach.

    Returns:
      bool [n, height, width].
    """
    pasted = np.zeros([len(masks), height, width], bool)
    for mask, box, image in zip(np.asarray(masks, np.float32), np.asarray(boxes, np.float64),
                                pasted, strict=True):
        # Pixel i belongs to the box where start <= i + 0.5 < end.
        (left, right), (top, bottom) = (
            np.clip(np.ceil([box[axis] - 0.5, box[axis + 2] - 0.5]), 0, limit).astype(int)
            for axis, limit in ((0, width), (1, height)))
        if left < right and top < bottom:
            down = _sampling(np.arange(top, bottom) + 0.5, box[1], box[3], len(mask))
            across = _sampling(np.arange(left, right) + 0.5, box[0], box[2], len(mask))
            image[top:bottom, left:right] = down @ mask @ across.T >= threshold
    return pasted


def _sampling(points, start, end, cells):
    """`_interpolation` of points inside: float32 [p, cells]."""
    place = np.clip((points - start) * cells / (end - start) - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(place[:, np.newaxis] - np.arange(cells)), 0).astype(np.float32)


def rasterize(segmentation: list[np.ndarray] | dict, box: np.ndarray, size: int) -> np.ndarray:
    """A mini mask from polygons or from COCO's run lengths.

    Polygons are drawn as pycocotools does, on the grid of the mini mask; run lengths are
    interpolated at the centres of its cells.

    Args:
      segmentation: polygons, each [n, 2] of (x, y) in pixels, whose union is the item; or a dict
        of `size` (height, width) and `counts`, compressed or not.
      box: [4], (x1, y1, x2, y2) in pixels.
      size: S, cells along each axis.

    Returns:
      uint8 [S, S] of 0 and 1.

    Raises:
      ValueError: if a polygon has fewer than three points.
    """
    from pycocotools import mask as coco  # Takes its time to load, and models do without.

    x1, y1, x2, y2 = np.asarray(box, np.float64)
    if isinstance(segmentation, dict):
        runs = segmentation
        if isinstance(runs['counts'], list):
            runs = coco.frPyObjects(runs, *runs['size'])
        pixels = coco.decode(runs)
        places = (np.arange(size) + 0.5) / size
        down = _sampling(y1 + (y2 - y1) * places, 0, pixels.shape[0], pixels.shape[0])
        across = _sampling(x1 + (x2 - x1) * places, 0, pixels.shape[1], pixels.shape[1])
        return (down @ pixels.astype(np.float32) @ across.T > _HALF).astype(np.uint8)
    for number, polygon in enumerate(segmentation):
        if len(polygon) < 3:
            raise ValueError(f'rasterize: polygon {number} has {len(polygon)} points, which enclose'
                             ' nothing; there must be at least 3.')
    scale = size / np.array([x2 - x1, y2 - y1])
    polygons = [((np.asarray(polygon, np.float64) - (x1, y1)) * scale).ravel()
                for polygon in segmentation]
    return coco.decode(coco.merge(coco.frPyObjects(polygons, size, size)))


def pack(mini_masks: np.ndarray) -> np.ndarray:
    """Mini masks as bits, the first cell in the highest: [..., S, S] to uint8 [..., S S / 8].

    Args:
      mini_masks: of 0 and 1.

    Raises:
      ValueError: if S S is no multiple of 8.
    """
    cells = mini_masks.shape[-2] * mini_masks.shape[-1]
    if cells % 8:
        raise ValueError(f'pack: mini masks of shape {mini_masks.shape[-2:]} fill no whole bytes.')
    return np.packbits(mini_masks.reshape(*mini_masks.shape[:-2], cells).astype(bool), axis=-1)


def unpack(packed: tf.Tensor, size: int) -> tf.Tensor:
    """What `pack` packed, in TensorFlow.

    Args:
      packed: uint8 [..., size size / 8].
      size: S, cells along each axis.

    Returns:
      uint8 [..., size, size] of 0 and 1.
    """
    places = tf.range(7, -1, -1, tf.int32)
    bits = tf.bitwise.bitwise_and(
        tf.bitwise.right_shift(packed[..., tf.newaxis], tf.cast(places, tf.uint8)), 1)
    return tf.reshape(bits, tf.concat([tf.shape(packed)[:-1], [size, size]], 0))
