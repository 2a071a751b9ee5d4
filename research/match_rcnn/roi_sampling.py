"""Which proposals the streams learn from (Ge et al. 2019, Sec. 3, "Implementations")."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from official.core import checks
from official.modeling import random
from official.vision import assignment
from official.vision import boxes as box_ops


class Rois(NamedTuple):
    """Sampled RoIs with their targets.

    Attributes:
      boxes: float32 [b, n, 4].
      classes: int32 [b, n]: of the ground truth of a positive RoI, 0 for background and padding.
      weights: float32 [b, n], 0 for padding.
      deltas: float32 [b, n, 4], targets of the positive RoIs.
      truth: int32 [b, n], row of the ground truth with the largest IoU.
      iou: float32 [b, n], that IoU.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    weights: tf.Tensor
    deltas: tf.Tensor
    truth: tf.Tensor
    iou: tf.Tensor

    def first(self, number: int) -> 'Rois':
        """The first RoIs of each image."""
        return Rois(*(value[:, :number] for value in self))

    def of_truth(self, values: tf.Tensor) -> tf.Tensor:
        """Values of the ground truth [b, M, ...] for each RoI, [b, n, ...]."""
        return tf.gather(values, self.truth, batch_dims=1)


class RoiSampler:
    """Draws RoIs: positive "if its IoU with a ground truth box is larger than 0.5 and negative
    otherwise".

    - 512 of an image, at most a quarter positive, are those of Lin et al. 2017 and Girshick 2015;
      negatives take the place of missing positives. The positive ones come first.
    - Ground-truth boxes are among the proposals.
    - Proposals that lie in a crowd are not drawn as negatives.

    Args:
      number: RoIs of an image.
      positive_fraction: of which so many at most are positive.
      threshold: of the IoU.

    Raises:
      ValueError: if an argument is out of its range.
    """

    def __init__(self, number: int = 512, positive_fraction: float = 0.25,
                 threshold: float = 0.5):
        checks.positive('RoiSampler', number=number)
        checks.within('RoiSampler', 0, 1, positive_fraction=positive_fraction, threshold=threshold)
        self.number = number
        self.positive_fraction = positive_fraction
        self.threshold = threshold

    @property
    def positives(self) -> int:
        """The most positive RoIs of an image."""
        return int(self.number * self.positive_fraction)

    def __call__(self, boxes: tf.Tensor, valid: tf.Tensor, batch: dict, key: tf.Tensor) -> Rois:
        """Draws from proposals and ground truth.

        Args:
          boxes: float32 [b, p, 4], proposals.
          valid: bool [b, p].
          batch: with boxes, classes and crowd of the ground truth.
          key: int32 [local shards, 2].

        Returns:
          n = `number` RoIs of each image.
        """
        truth_boxes, crowd = batch['boxes'], batch['crowd']
        real = (batch['classes'] > 0) & ~crowd
        boxes = tf.stop_gradient(tf.concat([boxes, truth_boxes], 1))
        valid = tf.concat([valid, real], 1)
        iou = box_ops.iou(boxes, truth_boxes)
        iou_real = tf.where(real[:, tf.newaxis], iou, -1.0)
        best = tf.reduce_max(iou_real, -1)
        truth = tf.argmax(iou_real, -1, tf.int32)
        in_crowd = tf.reduce_any(
            (box_ops.coverage(boxes, truth_boxes) >= self.threshold) & crowd[:, tf.newaxis], -1)
        positive = best > self.threshold
        labels = tf.where(positive, 1, tf.where(in_crowd, -1, 0))
        labels = tf.where(valid, labels, -1)
        indices, kinds = assignment.sample(labels, key, self.number, self.positive_fraction)
        chosen = tf.gather(boxes, indices, batch_dims=1)
        truth = tf.gather(truth, indices, batch_dims=1)
        classes = tf.gather(batch['classes'], truth, batch_dims=1)
        deltas = box_ops.encode(tf.gather(truth_boxes, truth, batch_dims=1), chosen)
        return Rois(
            boxes=chosen,
            classes=tf.where(kinds == 1, classes, 0),
            weights=tf.cast(kinds >= 0, tf.float32),
            deltas=tf.where(kinds[..., tf.newaxis] == 1, deltas, 0.0),
            truth=truth,
            iou=tf.gather(best, indices, batch_dims=1))
