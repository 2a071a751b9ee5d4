"""The five terms of the loss (Ge et al. 2019, Sec. 3, "Loss Functions").

L = lambda_1 L_cls + lambda_2 L_box + lambda_3 L_pose + lambda_4 L_mask + lambda_5 L_pair; the first
four are "identical as defined in" He et al. 2017. Every mean is over the global batch: sums of a
replica are divided by the mean count of the replicas, so that one device and two agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics
from official.vision import boxes as box_ops


class LossWeights(NamedTuple):
    """lambda_1 to lambda_5 (Sec. 3), which were never published, and the weight of the RPN's loss,
    which the formula leaves out."""

    cls: float = 1.0
    box: float = 1.0
    pose: float = 1.0
    mask: float = 1.0
    pair: float = 1.0
    rpn: float = 1.0

    @classmethod
    def of(cls, weights: Sequence[float]) -> LossWeights:
        """The weights in this order; raises ValueError if they are too few, too many, negative."""
        if len(weights) != len(cls._fields):
            raise ValueError(
                f'MatchRCNN.loss_weights = {tuple(weights)}: there are '
                f'{len(cls._fields)}, {", ".join(cls._fields)}.'
            )
        named = cls(*weights)
        checks.within('MatchRCNN.loss_weights', 0, float('inf'), **named._asdict())
        return named


def mean_over(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """sum(values weights) / sum(weights) over the global batch, 0 where all weights are 0.

    Args:
      values: float32, any shape.
      weights: float32 of a shape that broadcasts with that of `values`.

    Returns:
      This replica's part: the mean over the replicas of it is the mean over the batch.
    """
    weights = weights * tf.ones_like(values)
    count = batch_statistics.global_mean(tf.reduce_sum(weights))
    return tf.reduce_sum(values * weights) / tf.maximum(count, 1e-6)


def classification(logits: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """L_cls: cross entropy, the mean over the sampled RoIs.

    Args:
      logits: float32 [n, 1 + num_classes].
      classes: int32 [n], 0 is the background.
      weights: float32 [n], 0 for padding.
    """
    return mean_over(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits), weights)


def boxes(
    deltas: tf.Tensor, targets: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor, beta: float = 1.0
) -> tf.Tensor:
    """L_box: smooth L1 of the positive RoIs' own class, summed over the four numbers, divided by
    the number of all sampled RoIs (Girshick 2015, Sec. 2.3).

    Args:
      deltas: float32 [n, num_classes, 4].
      targets: float32 [n, 4].
      classes: int32 [n], 0 is the background.
      weights: float32 [n], 0 for padding.
      beta: see `official.vision.boxes.smooth_l1`.
    """
    of_class = tf.gather(deltas, tf.maximum(classes - 1, 0), batch_dims=1)
    positive = tf.cast(classes > 0, tf.float32)
    errors = tf.reduce_sum(box_ops.smooth_l1(of_class - targets, beta), -1)
    return mean_over(positive * errors, weights)


def landmarks(logits: tf.Tensor, cells: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """L_pose: softmax cross entropy over the cells of a heat map (He et al. 2017, Sec. 5), the mean
    over the visible landmarks.

    Args:
      logits: float32 [n, size, size, K].
      cells: int32 [n, K], row * size + column of the landmark.
      weights: float32 [n, K], 0 for landmarks that do not count.
    """
    size, most = logits.shape[1], logits.shape[3]
    chosen = tf.gather(
        tf.reshape(logits, [-1, size * size * most]), cells * most + tf.range(most), batch_dims=1
    )
    return mean_over(tf.reduce_logsumexp(logits, [1, 2]) - chosen, weights)


def masks(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """L_mask: binary cross entropy of the mask of a RoI's own class, the mean over its pixels.

    Args:
      logits: float32 [n, size, size].
      targets: float32 [n, size, size], 0 or 1.
      weights: float32 [n], 0 for RoIs that do not count.
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return mean_over(tf.reduce_mean(entropy, [1, 2]), weights)


def pairs(logits: tf.Tensor, matched: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """L_pair = -1/n sum_i [y_i log(y^_i) + (1 - y_i) log(1 - y^_i)] (Sec. 3).

    Args:
      logits: float32 [..., 2]; y^ is the second output of their softmax.
      matched: bool [...], y.
      weights: float32 [...], 0 for what is no pair.
    """
    return mean_over(
        tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(matched, tf.int32), logits), weights
    )
