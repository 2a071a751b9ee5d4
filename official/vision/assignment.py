"""Which ground truth a box is to learn from, and which boxes a training step looks at.

Ren et al. 2015, Sec. 3.1.2 and 3.1.3 (region proposal networks); Girshick 2015 (Fast R-CNN),
Sec. 2.3 (regions of interest).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from official.modeling import random
from official.vision import boxes as box_ops

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1

# Relative: two boxes of the same overlap but for rounding are both the best one.
_ROUNDING = 1e-6


class Match(NamedTuple):
    """What boxes are to learn.

    Attributes:
      indices: int32 [..., n], of the ground truth with the highest IoU, of several the first; 0
        where none overlaps.
      labels: int32 [..., n]: POSITIVE, NEGATIVE or IGNORED.
    """

    indices: tf.Tensor
    labels: tf.Tensor


def match(
    boxes: tf.Tensor,
    truths: tf.Tensor,
    valid: tf.Tensor,
    high: float,
    low: float,
    strict: bool = False,
    force_best: bool = False,
    crowd: tf.Tensor | None = None,
    crowd_coverage: float = 0.5,
    usable: tf.Tensor | None = None,
) -> Match:
    """Gives each box the ground truth with which its IoU is highest, and a label.

    A box is positive from an IoU of `high` on, negative below `low` and ignored between. The rule
    of regions of interest that are positive with an IoU "larger than 0.5" and negative otherwise is
    high=low=0.5, strict=True; for anchors see `match_anchors`.

    The ground truths are taken one after another, so that the memory needed is a few numbers a box
    and the time is that of the ground truths there are, without their padding.

    Args:
      boxes: [..., n, 4] (x1, y1, x2, y2), anchors or regions of interest. Leading axes are
        broadcast with those of `truths`, so that the images of a batch may share their anchors.
      truths: [..., m, 4], the boxes of the ground truths; what padding holds does not matter.
      valid: bool [..., m], which ground truths there are; crowds may be among them or not.
      high: IoU of positive boxes.
      low: IoU of negative boxes, at most `high`.
      strict: an IoU of just `high` is not yet positive, and one of just `low` is negative.
      force_best: positive are also the boxes whose IoU with a ground truth is the highest of all
        boxes, if there is one that overlaps with it at all; several where it is the same but for
        rounding. As all others they are matched to the ground truth that is the best for them.
      crowd: bool [..., m], ground truths that are a crowd: no box is matched to one.
      crowd_coverage: a box that is not positive and of which a crowd covers at least this part is
        ignored.
      usable: bool [..., n], boxes that take part; the others, such as padding, are ignored.

    Returns:
      Indices of ground truths, and labels.

    Raises:
      ValueError: if not 0 <= low <= high <= 1.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f'match has high = {high} and low = {low}; it needs 0 <= low <= high <= 1.'
        )
    boxes, truths = (tf.stop_gradient(tf.cast(x, tf.float32)) for x in (boxes, truths))
    if usable is not None:
        boxes = tf.where(usable[..., tf.newaxis], boxes, 0.0)
    visited = valid
    if crowd is not None:
        crowds = tf.where(crowd[..., tf.newaxis], truths, 0.0)
        visited, valid = valid | crowd, valid & ~crowd
    truths = tf.where(valid[..., tf.newaxis], truths, 0.0)
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    # A box without area has no intersection: IoU 0, without a division by 0.
    area = box_ops.area(boxes)
    area = tf.where(area > 0, area, 1.0)

    def intersection(others, j):
        """With the j-th of the other boxes: [..., n]; and its area, [..., 1]."""
        other = tf.gather(others, j, axis=-2)
        other_x1, other_y1, other_x2, other_y2 = tf.split(other, 4, axis=-1)
        width = tf.nn.relu(tf.minimum(x2, other_x2) - tf.maximum(x1, other_x1))
        height = tf.nn.relu(tf.minimum(y2, other_y2) - tf.maximum(y1, other_y1))
        return width * height, box_ops.area(other)[..., tf.newaxis]

    def visit(j, best, matched, forced, ignored):
        common, other_area = intersection(truths, j)
        iou = common / (area + other_area - common)
        matched = tf.where(iou > best, j, matched)
        best = tf.maximum(best, iou)
        if force_best:
            peak = tf.reduce_max(iou, axis=-1, keepdims=True)
            forced |= iou >= tf.where(peak > 0, peak * (1 - _ROUNDING), 2.0)
        if crowd is not None:
            common, other_area = intersection(crowds, j)
            ignored |= (common >= crowd_coverage * area) & (other_area > 0)
        return j + 1, best, matched, forced, ignored

    none = tf.zeros_like(x1 + truths[..., :1, 0])  # Of the shape that both broadcast to.
    places = tf.range(tf.shape(truths)[-2])
    last = tf.reduce_max(tf.where(visited, places + 1, 0))
    no = tf.zeros_like(none, tf.bool)
    _, best, matched, forced, ignored = tf.while_loop(
        lambda j, *_: j < last,
        visit,
        (0, none, tf.zeros_like(none, tf.int32), no, no),
        parallel_iterations=1,
    )

    positive = (best > high if strict else best >= high) | forced
    negative = (best <= low if strict else best < low) & ~ignored
    labels = tf.where(positive, POSITIVE, tf.where(negative, NEGATIVE, IGNORED))
    if usable is not None:
        labels = tf.where(usable, labels, IGNORED)
    return Match(matched, labels)


def match_anchors(
    anchors: tf.Tensor,
    truths: tf.Tensor,
    valid: tf.Tensor,
    crowd: tf.Tensor | None = None,
    high: float = 0.7,
    low: float = 0.3,
    usable: tf.Tensor | None = None,
) -> Match:
    """`match` by the rule of region proposal networks (Ren et al. 2015, Sec. 3.1.2).

    Positive are the anchors with an IoU of at least `high`, and those that are the best of some
    ground truth.
    """
    return match(anchors, truths, valid, high, low, force_best=True, crowd=crowd, usable=usable)


def sample(
    labels: tf.Tensor, key: tf.Tensor, number: int, positive_fraction: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws boxes of each image at random, without replacement.

    Positive ones as far as there are some, up to their fraction; then negative ones. Fast R-CNN
    draws 25 % positive regions, the RPN of Faster R-CNN 50 % of 256 anchors.

    Args:
      labels: int32 [b, n], as of `match`; only POSITIVE and NEGATIVE boxes are drawn.
      key: int32 [local shards, 2], see `official.modeling.random`.
      number: of boxes to draw of an image.
      positive_fraction: at most floor(number * positive_fraction) are positive.

    Returns:
      indices: int32 [b, number]: the positive ones, the negative ones, then padding (0). So
        positive ones are only among the first floor(number * positive_fraction).
      kinds: int32 [b, number]: POSITIVE, NEGATIVE, or IGNORED for padding.

    Raises:
      ValueError: if `number` is not positive or `positive_fraction` is outside [0, 1].
    """
    if number < 1:
        raise ValueError(f'sample has number = {number}, which is not positive.')
    if not 0 <= positive_fraction <= 1:
        raise ValueError(f'sample has positive_fraction = {positive_fraction}, outside [0, 1].')
    labels = tf.convert_to_tensor(labels)
    shape = labels.shape if labels.shape.is_fully_defined() else tf.shape(labels)
    draws = random.uniform(key, shape)
    # The highest draws of the candidates are a uniform choice, and only they need to be sorted.
    # Two draws are equal once in 2^23; then the lower index is taken, which no test could notice.
    most = int(number * positive_fraction)
    positives, positive = _highest(draws, labels == POSITIVE, most)
    negatives, negative = _highest(draws, labels == NEGATIVE, number)

    count = tf.reduce_sum(tf.cast(positive, tf.int32), axis=-1, keepdims=True)
    place = tf.range(number)
    # Place i is the i-th positive, or the (i - count)-th negative.
    from_positive = place < count
    source = tf.where(from_positive, place, most + place - count)
    indices = tf.gather(tf.concat([positives, negatives], -1), source, batch_dims=1)
    there = tf.gather(tf.concat([positive, negative], -1), source, batch_dims=1)
    kinds = tf.where(there, tf.where(from_positive, POSITIVE, NEGATIVE), IGNORED)
    return tf.where(there, indices, 0), kinds


def _highest(draws, candidates, number):
    """Indices of the candidates of highest draws and whether there are so many: [b, number]."""
    n = draws.shape[-1]
    if n is None:
        raise ValueError('sample needs a number of boxes known beforehand.')
    values, indices = tf.math.top_k(tf.where(candidates, draws, -1.0), min(number, n))
    padding = [[0, 0], [0, max(number - n, 0)]]
    return tf.pad(indices, padding), tf.pad(values >= 0, padding)
