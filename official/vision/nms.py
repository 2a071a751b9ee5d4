"""Non-maximum suppression: of boxes that overlap, only the one of highest score is kept.

A kept box suppresses every box of lower score with which its IoU is larger than a threshold; a
suppressed box suppresses none. That is the greedy rule, here exactly, but not one box after
another: which boxes overlap with which of higher score is found first, one bit a pair, and then

    kept = valid and not any(overlaps with a kept box of higher score)

is computed for all boxes at once until nothing changes. What does not depend on others is right
after one round, what depends on it after two, and so on: chains of boxes that each decide on the
next are short (about 8 rounds for 2000 proposals), and each round reads n^2 bits. A whole batch
goes through together. All ops have static shapes and compile with XLA.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official.vision import boxes as box_ops

# Rows of the matrix of pairs at a time: few enough for the caches, and above the diagonal nothing
# needs to be computed.
_BLOCK = 512
_BITS = 32


def nms(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Suppression among boxes of one image; see `batched_nms`.

    Args:
      boxes: [n, 4] (x1, y1, x2, y2).
      scores: [n].
      iou_threshold: a box is suppressed where its IoU with a kept one is larger.
      max_outputs: how many boxes are returned, at most.

    Returns:
      indices int32 [max_outputs], valid bool [max_outputs].
    """
    indices, valid = batched_nms(
        tf.expand_dims(boxes, 0), tf.expand_dims(scores, 0), iou_threshold, max_outputs
    )
    return indices[0], valid[0]


def batched_nms(
    boxes: tf.Tensor, scores: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Suppression in every image of a batch.

    Time and memory grow with n^2: n^2 / 8 bytes an image are held, and 10 KiB n while they are
    computed.

    Args:
      boxes: [b, n, 4] (x1, y1, x2, y2); n must be known when the graph is made. A box of no area
        neither suppresses nor is suppressed.
      scores: [b, n]; -inf, and NaN, stand for padding.
      iou_threshold: a box is suppressed where its IoU with a kept one is larger.
      max_outputs: how many boxes of an image are returned, at most.

    Returns:
      indices: int32 [b, max_outputs], of the kept boxes, falling in score; of equal scores the
        lower index is first, and suppresses the other. 0 where there are no more.
      valid: bool [b, max_outputs], where there is a box.

    Raises:
      ValueError: if shapes are others, the number of boxes is not known, `max_outputs` is not
        positive or `iou_threshold` is outside [0, 1].
    """
    return _suppress(boxes, scores, None, iou_threshold, max_outputs)


def class_nms(
    boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Suppression in every image of a batch, among boxes of the same class; see `batched_nms`.

    The classes themselves are compared; boxes are not moved apart, which would cost precision.

    Args:
      boxes: [b, n, 4] (x1, y1, x2, y2).
      scores: [b, n].
      classes: integer [b, n], or anything else that divides the boxes, such as pyramid levels.
      iou_threshold: a box is suppressed where its IoU with a kept one is larger.
      max_outputs: how many boxes of an image are returned, at most, of all classes together.

    Returns:
      indices int32 [b, max_outputs], valid bool [b, max_outputs].
    """
    return _suppress(boxes, scores, classes, iou_threshold, max_outputs)


def _suppress(boxes, scores, classes, iou_threshold, max_outputs):
    boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
    scores = tf.stop_gradient(tf.cast(scores, tf.float32))
    if boxes.shape.rank != 3 or scores.shape.rank != 2:
        raise ValueError(
            f'Non-maximum suppression takes boxes [b, n, 4] and scores [b, n], not '
            f'{boxes.shape} and {scores.shape}.'
        )
    n = boxes.shape[1]
    if n is None:
        raise ValueError('Non-maximum suppression needs a number of boxes known beforehand.')
    if max_outputs < 1:
        raise ValueError(f'max_outputs = {max_outputs} is not positive.')
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f'iou_threshold = {iou_threshold} is outside [0, 1].')

    padding = [[0, 0], [0, max(-n % _BITS, _BITS - n)]]
    boxes = tf.pad(boxes, [*padding, [0, 0]])
    # Where not larger than -inf: NaN. XLA sorts -0 below 0, so there must be none.
    scores = tf.where(scores > -np.inf, scores, -np.inf)
    scores = tf.pad(tf.where(scores == 0, 0.0, scores), padding, constant_values=-np.inf)
    scores, order = tf.math.top_k(scores, scores.shape[1])
    boxes = tf.gather(boxes, order, batch_dims=1)
    if classes is not None:
        classes = tf.gather(tf.pad(classes, padding), order, batch_dims=1)

    kept = _keep(scores > -np.inf, _overlaps(boxes, classes, iou_threshold))
    return _first(kept, order, max_outputs)


def _overlaps(boxes, classes, threshold):
    """Bit j of row i: box i overlaps box j, which has a higher score; int32 [b, n, n / 32]."""
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    # IoU > t is intersection (1 + t) > t (sum of areas), without a division.
    scaled_area = threshold * box_ops.area(boxes)
    n = boxes.shape[1]
    blocks = []
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)

        lower = np.index_exp[:, start:end, tf.newaxis]
        higher = np.index_exp[:, tf.newaxis, :end]
        width = tf.minimum(x2[lower], x2[higher]) - tf.maximum(x1[lower], x1[higher])
        height = tf.minimum(y2[lower], y2[higher]) - tf.maximum(y1[lower], y1[higher])
        common = tf.nn.relu(width) * tf.nn.relu(height)
        overlap = common * (1 + threshold) > scaled_area[lower] + scaled_area[higher]
        if classes is not None:
            overlap &= classes[lower] == classes[higher]
        before = np.tril(np.ones((end - start, end), bool), start - 1)
        bits = tf.bitwise.bitwise_and(_pack(overlap), _pack(tf.constant(before)))
        blocks.append(tf.pad(bits, [[0, 0], [0, 0], [0, (n - end) // _BITS]]))
    return tf.concat(blocks, axis=1)


def _keep(valid, overlaps):
    """The greedy choice, bool [b, n]; `valid` is bool [b, n]."""

    def update(kept, _):
        others = _pack(kept)[:, tf.newaxis]
        free = tf.reduce_all(tf.bitwise.bitwise_and(overlaps, others) == 0, axis=-1)
        new = valid & free
        return new, tf.reduce_any(new != kept)

    # Each round settles at least one more box in the order of scores.
    kept, _ = tf.while_loop(
        lambda _, changed: changed,
        update,
        (valid, tf.constant(True)),
        parallel_iterations=1,
        maximum_iterations=valid.shape[1],
    )
    return kept


def _pack(flags):
    """32 flags an integer, in one order or another: bool [..., n] to int32 [..., n / 32]."""
    shape = tf.concat([tf.shape(flags)[:-1], [flags.shape[-1] // _BITS, 8]], 0)
    # Four at once: bytes of 0 or 1 are seen as an integer, of which a bit in eight is used.
    bytes_ = tf.reshape(tf.cast(flags, tf.uint8), tf.concat([shape, [4]], 0))
    return tf.reduce_sum(
        tf.bitcast(bytes_, tf.int32) * tf.constant([1 << i for i in range(8)]), axis=-1
    )


def _first(kept, order, number):
    """The first `number` that are kept: where they came from, and whether there are so many."""
    n = kept.shape[1]
    # The places as floats, exact and for which XLA's top_k does not sort everything.
    places = tf.where(kept, -tf.range(n, dtype=tf.float32), -float(n))
    places, positions = tf.math.top_k(places, min(number, n))
    valid = places > -n
    indices = tf.where(valid, tf.gather(order, positions, batch_dims=1), 0)
    padding = [[0, 0], [0, max(number - n, 0)]]
    return tf.pad(indices, padding), tf.pad(valid, padding)
