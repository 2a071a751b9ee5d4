"""Which proposals the streams learn from (Ge et al. 2019, Sec. 3, "Implementations")."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from official.core import checks
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
      iou: float32 [b, n], that IoU, of positive RoIs.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    weights: tf.Tensor
    deltas: tf.Tensor
    truth: tf.Tensor
    iou: tf.Tensor

    def first(self, number: int) -> Rois:
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

    def __init__(self, number: int = 512, positive_fraction: float = 0.25, threshold: float = 0.5):
        checks.positive('RoiSampler', number=number)
        checks.within('RoiSampler', 0, 1, positive_fraction=positive_fraction, threshold=threshold)
        if int(number * positive_fraction) < 1:
            raise ValueError(
                f'RoiSampler.positive_fraction = {positive_fraction} of number = '
                f'{number} leaves no positive RoI.'
            )
        self.number = number
        self.positive_fraction = positive_fraction
        self.threshold = threshold

    def get_config(self) -> dict:
        """The arguments."""
        return {
            'number': self.number,
            'positive_fraction': self.positive_fraction,
            'threshold': self.threshold,
        }

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
        matched = assignment.match(
            boxes,
            truth_boxes,
            real,
            self.threshold,
            self.threshold,
            strict=True,
            crowd=crowd,
            usable=valid,
        )
        indices, kinds = assignment.sample(matched.labels, key, self.number, self.positive_fraction)
        chosen = tf.gather(boxes, indices, batch_dims=1)
        truth = tf.gather(matched.indices, indices, batch_dims=1)
        of_truth = tf.gather(truth_boxes, truth, batch_dims=1)
        positive = kinds == assignment.POSITIVE
        deltas = box_ops.encode(of_truth, chosen)
        return Rois(
            boxes=chosen,
            classes=tf.where(positive, tf.gather(batch['classes'], truth, batch_dims=1), 0),
            weights=tf.cast(kinds != assignment.IGNORED, tf.float32),
            deltas=tf.where(positive[..., tf.newaxis], deltas, 0.0),
            truth=truth,
            iou=box_ops.iou(chosen[:, :, tf.newaxis], of_truth[:, :, tf.newaxis])[..., 0, 0],
        )
