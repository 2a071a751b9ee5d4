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
MAX_EDGE = 65535  # Pixels of an image: JPEG's limit, and the areas fit 32 bits as run lengths need.


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
            boxes[..., axis],
            boxes[..., axis + 2],
            cells,
        )
        for axis in (1, 0)
    )
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
    place = (points - start) * cells / tf.where(end > start, end - start, 1.0) - 0.5
    place = tf.clip_by_value(place, 0, cells - 1)[..., tf.newaxis]
    weights = tf.nn.relu(1 - tf.abs(place - tf.range(cells, dtype=tf.float32)))
    inside = (points >= start) & (points < end)
    return tf.where(inside[..., tf.newaxis], weights, 0.0)


def paste(
    masks: np.ndarray, boxes: np.ndarray, height: int, width: int, threshold: float = 0.5
) -> np.ndarray:
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

    Raises:
      ValueError: a coordinate is not finite; there are not as many masks as boxes.
    """
    boxes = np.asarray(boxes, np.float64)
    odd = np.flatnonzero(~np.isfinite(boxes).all(-1))
    if len(odd):
        raise ValueError(
            f'paste: box {odd[0]}, {boxes[odd[0]].tolist()} (x1, y1, x2, y2), has a '
            'coordinate that is not finite.'
        )
    pasted = np.zeros([len(masks), height, width], bool)
    for mask, box, image in zip(np.asarray(masks, np.float32), boxes, pasted, strict=True):
        # Pixel i belongs to the box where start <= i + 0.5 < end.
        (left, right), (top, bottom) = (
            np.clip(np.ceil([box[axis] - 0.5, box[axis + 2] - 0.5]), 0, limit).astype(int)
            for axis, limit in ((0, width), (1, height))
        )
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
      ValueError: the box has no area; see `run_lengths`.
    """
    from pycocotools import mask as coco  # Takes its time to load, and models do without.

    x1, y1, x2, y2 = np.asarray(box, np.float64).tolist()
    if not (x2 > x1 and y2 > y1):
        raise ValueError(f'rasterize: box {[x1, y1, x2, y2]} (x1, y1, x2, y2) has no area.')
    if isinstance(segmentation, dict):
        pixels = coco.decode(run_lengths(segmentation, segmentation['size']))
        places = (np.arange(size) + 0.5) / size
        down = _sampling(y1 + (y2 - y1) * places, 0, pixels.shape[0], pixels.shape[0])
        across = _sampling(x1 + (x2 - x1) * places, 0, pixels.shape[1], pixels.shape[1])
        return (down @ pixels.astype(np.float32) @ across.T > _HALF).astype(np.uint8)
    scale = size / np.array([x2 - x1, y2 - y1])
    polygons = [
        (_points(polygon, number) - (x1, y1)) * scale
        for number, polygon in enumerate(segmentation, 1)
    ]
    return coco.decode(run_lengths(polygons, (size, size)))


def run_lengths(segmentation: list | dict, size: tuple[int, int]) -> dict:
    """Compressed run lengths of polygons or of run lengths of either kind, checked.

    pycocotools' C code trusts its input: with a far polygon it asks for the memory of all pixels on
    the way, and run lengths that are too short leave its memory as it was. So polygons are clipped
    around the image, and run lengths have to fill it.

    Args:
      segmentation: polygons, flat or [n, 2], in pixels, whose union it is; none: no pixel. Or a
        dict of `size` and `counts`, a list of numbers or compressed text.
      size: (height, width) of the image.

    Returns:
      {'size': [height, width], 'counts': bytes}.

    Raises:
      ValueError: a polygon has fewer than 3 points, or a number that is not finite; run lengths are
        of another size, negative, or do not fill the image.
    """
    from pycocotools import mask as coco

    height, width = int(size[0]), int(size[1])
    edges = [height, width]
    if not 1 <= min(edges) <= max(edges) <= MAX_EDGE:
        raise ValueError(
            f'an image of size {edges} (height, width); an edge has 1 to {MAX_EDGE} pixels.'
        )
    if isinstance(segmentation, dict):
        counts = segmentation.get('counts')
        if not isinstance(segmentation.get('size'), (list, tuple)) or (
            list(segmentation['size']) != edges
        ):
            raise ValueError(
                f'an RLE of size {segmentation.get("size")!r} does not fit the image '
                f'of {edges} (height, width).'
            )
        runs = _runs(counts)
        if runs is None:
            raise ValueError(
                'an RLE whose counts are neither whole numbers from 0 nor their '
                f'compressed text: {str(counts)[:40]}.'
            )
        if runs.sum() != height * width:
            raise ValueError(
                f'an RLE whose counts sum to {runs.sum()}, not {height * width}, '
                f'the pixels of {height} x {width}.'
            )
        if isinstance(counts, (list, tuple)):
            return coco.frPyObjects({'size': edges, 'counts': runs.tolist()}, *edges)
        return {
            'size': edges,
            'counts': counts if isinstance(counts, bytes) else str(counts).encode(),
        }
    polygons = [
        clip_polygon(_points(polygon, number), (width, height))
        for number, polygon in enumerate(segmentation, 1)
    ]
    flat = [polygon.ravel() for polygon in polygons if len(polygon) >= 3]
    if not flat:
        return coco.encode(np.zeros(edges, np.uint8, order='F'))
    return coco.merge(coco.frPyObjects(flat, *edges))


def _points(polygon, number) -> np.ndarray:
    """float64 [n, 2] of a polygon."""
    points = np.asarray(polygon, np.float64)
    if points.size % 2 or not np.isfinite(points).all():
        raise ValueError(f'polygon {number} is not made of finite x and y.')
    points = points.reshape(-1, 2)
    if len(points) < 3:
        raise ValueError(
            f'polygon {number} has {len(points)} points, which enclose nothing; there '
            'must be at least 3.'
        )
    return points


def clip_polygon(points: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Cuts off what is further from an image than the image is large (Sutherland and Hodgman 1974).

    What is inside the image stays as it is, and a polygon near it stays bit for bit.

    Args:
      points: float [n, 2], (x, y), of a closed polygon.
      size: (width, height) of the image.

    Returns:
      float [m, 2]; of a polygon far from the image none.
    """
    if not len(points):
        return points
    least, most = points.min(0).tolist(), points.max(0).tolist()
    if all(
        -length <= low and high <= 2 * length
        for low, high, length in zip(least, most, size, strict=True)
    ):
        return points  # As nearly all are.
    for axis, length in enumerate(size):
        for sign, limit in (1, 2 * length), (-1, length):
            inside = sign * points[:, axis] <= limit
            if inside.all():
                continue
            cut, before = [], len(points) - 1
            for now in range(len(points)):
                if inside[now] != inside[before]:
                    a, b = points[before], points[now]
                    share = (sign * limit - a[axis]) / (b[axis] - a[axis])
                    crossing = a + share * (b - a)
                    crossing[axis] = sign * limit
                    cut.append(crossing)
                if inside[now]:
                    cut.append(points[now])
                before = now
            points = np.array(cut, points.dtype).reshape(-1, 2)
    return points


def _runs(counts) -> np.ndarray | None:
    """int64 [n], of the counts of run lengths; None where they are none.

    Compressed, a number is written in characters of 5 bits from the lowest on, 32 added to all but
    its last, and from the fourth number on it is the difference to the number two before.
    """
    if isinstance(counts, (list, tuple)):
        if not all(type(run) is int and 0 <= run < 2**32 for run in counts):
            return None
        return np.array(counts, np.int64)
    try:
        text = (
            np.frombuffer(
                counts.encode('ascii') if isinstance(counts, str) else counts, np.uint8
            ).astype(np.int64)
            - 48
        )
    except (TypeError, ValueError):
        return None
    if not len(text):
        return np.zeros(0, np.int64)
    last = (text & 32) == 0
    if text.min() < 0 or text.max() > 63 or not last[-1]:
        return None
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # More than 32 bits.
        return None
    places = np.arange(len(text)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((text & 31) << 5 * places, starts)
    runs -= np.where(text[ends] & 16, np.int64(1) << 5 * lengths, 0)
    # The differences are of every second number, from the second and the third on.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs if runs.min() >= 0 else None


def pack(mini_masks: np.ndarray) -> np.ndarray:
    """Mini masks as bits, the first cell in the highest: [..., S, S] to uint8 [..., S S / 8].

    Args:
      mini_masks: of 0 and 1.

    Raises:
      ValueError: if S S is not a multiple of 8.
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
        tf.bitwise.right_shift(packed[..., tf.newaxis], tf.cast(places, tf.uint8)), 1
    )
    return tf.reshape(bits, tf.concat([tf.shape(packed)[:-1], [size, size]], 0))
