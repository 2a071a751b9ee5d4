"""The region proposal network (Ren et al. 2015, Faster R-CNN, Sec. 3) on a feature pyramid (Lin et
al. 2017, FPN, Sec. 4.1): scores of anchors, its two losses, and proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics, random
from official.vision import anchors, assignment, nms, rpn_head
from official.vision import boxes as box_ops


class Outputs(NamedTuple):
    """What the RPN says of the anchors of each level.

    Attributes:
      logits: of being an object, float32 [b, n_l] of each level.
      deltas: of the boxes, float32 [b, n_l, 4] of each level.
    """

    logits: list[tf.Tensor]
    deltas: list[tf.Tensor]


class RPN(tf.keras.layers.Layer):
    """A head that all levels share, with its losses and its proposals.

    Call: levels of a pyramid, [b, h_l, w_l, channels] each, to `Outputs`, for `propose`.

    - Anchors whose centre lies outside the image, in what a canvas has beside it, are not used.
    - The loss of the boxes is the sum over the positive anchors, divided by the number of all drawn
      ones, with a smooth L1 that turns linear at 1/9 (Ren et al. 2015: lambda = 10 and other
      divisors, "not required" there).
    - Proposals are suppressed level by level and the best of all levels taken together.

    Args:
      channels: of the levels.
      key: int32 [1, 2], of initial weights.
      strides: of the levels.
      anchor_sizes: the root of the area of the anchors of each level, in pixels.
      aspect_ratios: height over width of the anchors of a place.
      positive_iou: anchors of that IoU with a ground truth are positive, and the best of each.
      negative_iou: anchors of a smaller IoU with all are negative.
      number: anchors drawn of an image for the losses.
      positive_fraction: of which so many at most are positive.
      nms_threshold: of the proposals of a level.
      train_candidates: proposals of a level before suppression, in training.
      train_proposals: proposals of an image after it, in training.
      candidates: the same outside training.
      proposals: the same outside training.
      name: name of the layer.

    Raises:
      ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        channels: int,
        key: tf.Tensor,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        positive_iou: float = 0.7,
        negative_iou: float = 0.3,
        number: int = 256,
        positive_fraction: float = 0.5,
        nms_threshold: float = 0.7,
        train_candidates: int = 2000,
        train_proposals: int = 2000,
        candidates: int = 1000,
        proposals: int = 1000,
        name: str = 'rpn',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive(
            'RPN',
            number=number,
            train_candidates=train_candidates,
            train_proposals=train_proposals,
            candidates=candidates,
            proposals=proposals,
        )
        checks.within(
            'RPN',
            0,
            1,
            positive_iou=positive_iou,
            negative_iou=negative_iou,
            positive_fraction=positive_fraction,
            nms_threshold=nms_threshold,
        )
        if negative_iou > positive_iou:
            raise ValueError(
                f'RPN.negative_iou = {negative_iou} is above positive_iou = {positive_iou}.'
            )
        if len(strides) != len(anchor_sizes):
            raise ValueError(
                f'RPN.anchor_sizes = {tuple(anchor_sizes)}: there are {len(strides)} levels.'
            )
        self._config = {
            'channels': channels,
            'strides': tuple(strides),
            'anchor_sizes': tuple(anchor_sizes),
            'aspect_ratios': tuple(aspect_ratios),
            'positive_iou': positive_iou,
            'negative_iou': negative_iou,
            'number': number,
            'positive_fraction': positive_fraction,
            'nms_threshold': nms_threshold,
            'train_candidates': train_candidates,
            'train_proposals': train_proposals,
            'candidates': candidates,
            'proposals': proposals,
            'name': name,
        }
        self._key = key
        self.strides = tuple(strides)
        self.anchor_sizes = tuple(anchor_sizes)
        self.aspect_ratios = tuple(aspect_ratios)
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.number, self.positive_fraction = number, positive_fraction
        self.nms_threshold = nms_threshold
        self._limits = {True: (train_candidates, train_proposals), False: (candidates, proposals)}
        with tf.name_scope(name):
            self.head = rpn_head.RPNHead(channels, len(self.aspect_ratios), key)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    def call(self, levels: Sequence[tf.Tensor]) -> Outputs:
        return Outputs(*self.head(levels[: len(self.strides)]))

    def anchors(self, canvas: Sequence[int]) -> list[tf.Tensor]:
        """float32 [n_l, 4] of each level, for images of height and width `canvas`."""
        return [
            tf.constant(level)
            for level in anchors.pyramid_anchors(
                (canvas[0], canvas[1]), self.strides, self.anchor_sizes, self.aspect_ratios
            )
        ]

    def loss_terms(
        self, levels: Sequence[tf.Tensor], canvas: Sequence[int], batch: dict, key: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The two terms of Ren et al. 2015, Eq. 1, without lambda.

        Scores and boxes of the drawn anchors are computed once more, so that their gradient, which
        is zero at all others, costs next to nothing.

        Args:
          levels: as of `call`.
          canvas: height and width of the images.
          batch: with boxes, classes, crowd and sizes.
          key: int32 [local shards, 2], of the drawing.

        Returns:
          'rpn_cls_loss' and 'rpn_box_loss', scalars: means over the anchors drawn in the batch.
        """
        all_anchors = tf.concat(self.anchors(canvas), 0)
        real = (batch['classes'] > 0) & ~batch['crowd']
        matched = assignment.match_anchors(
            all_anchors,
            batch['boxes'],
            real,
            batch['crowd'],
            self.positive_iou,
            self.negative_iou,
            _inside(all_anchors, batch['sizes']),
        )
        drawn, kinds = assignment.sample(matched.labels, key, self.number, self.positive_fraction)
        logits, deltas = self.head.at(levels[: len(self.strides)], drawn)
        truth = tf.gather(
            batch['boxes'], tf.gather(matched.indices, drawn, batch_dims=1), batch_dims=1
        )
        targets = box_ops.encode(truth, tf.gather(all_anchors, drawn), weights=(1, 1, 1, 1))
        positive = tf.cast(kinds == assignment.POSITIVE, tf.float32)
        counted = tf.cast(kinds != assignment.IGNORED, tf.float32)
        count = tf.maximum(batch_statistics.global_mean(tf.reduce_sum(counted)), 1.0)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=positive, logits=logits)
        smooth = box_ops.smooth_l1(
            deltas - tf.where(positive[..., tf.newaxis] > 0, targets, 0.0), beta=1 / 9
        )
        return {
            'rpn_cls_loss': tf.reduce_sum(entropy * counted) / count,
            'rpn_box_loss': tf.reduce_sum(smooth * positive[..., tf.newaxis]) / count,
        }

    def propose(
        self, outputs: Outputs, canvas: Sequence[int], sizes: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best boxes of all levels, the most certain first. No gradient passes.

        Args:
          outputs: of `call`.
          canvas: height and width of the images.
          sizes: float32 [b, 2], to which boxes are clipped.
          training: take the numbers of training.

        Returns:
          boxes float32 [b, n, 4] and which of them are no padding, bool [b, n].
        """
        candidates, number = self._limits[bool(training)]
        boxes, scores = [], []
        for logits, deltas, level in zip(
            outputs.logits, outputs.deltas, self.anchors(canvas), strict=True
        ):
            count = min(candidates, level.shape[0])
            usable = tf.where(_inside(level, sizes), tf.stop_gradient(logits), -float('inf'))
            best, where = tf.math.top_k(usable, count)
            decoded = box_ops.decode(
                tf.gather(tf.stop_gradient(deltas), where, batch_dims=1),
                tf.gather(level, where),
                weights=(1, 1, 1, 1),
            )
            decoded = box_ops.clip(decoded, sizes)
            best = tf.where(box_ops.area(decoded) > 0, best, -float('inf'))
            kept, real = nms.batched_nms(decoded, best, self.nms_threshold, min(number, count))
            boxes.append(tf.gather(decoded, kept, batch_dims=1))
            scores.append(tf.where(real, tf.gather(best, kept, batch_dims=1), -float('inf')))
        boxes, scores = tf.concat(boxes, 1), tf.concat(scores, 1)
        best, where = tf.math.top_k(scores, min(number, scores.shape[1]))
        valid = best > -float('inf')
        boxes = tf.gather(boxes, where, batch_dims=1)
        return tf.where(valid[..., tf.newaxis], boxes, 0.0), valid


def _inside(anchors, sizes):
    """Whether the centre of each anchor lies in each image: bool [b, n] of [n, 4] and [b, 2]."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    return tf.reduce_all(centres < tf.reverse(sizes, [1])[:, tf.newaxis], -1)
