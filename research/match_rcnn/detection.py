"""From scored proposals to detections (Ge et al. 2019, Sec. 3, "Inference")."""

from __future__ import annotations

import tensorflow as tf

from official.core import checks
from official.vision import boxes as box_ops
from official.vision import nms


class Selection:
    """Classifies and refines proposals, and suppresses what another detection of its class covers.

    - The paper does not give the thresholds: 0.05 of the score and 0.5 of the IoU are those of He
      et al. 2017; at most 20 detections are evaluated.
    - Only the best `candidates` of an image, over proposals and classes, are compared.

    Args:
      max_detections: of an image.
      score_threshold: detections are more certain than that.
      nms_threshold: of two detections of a class whose IoU is larger the less certain is dropped.
      candidates: see above.

    Raises:
      ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        max_detections: int = 20,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        candidates: int = 1000,
    ):
        checks.positive('Selection', max_detections=max_detections, candidates=candidates)
        checks.within(
            'Selection', 0, 1, score_threshold=score_threshold, nms_threshold=nms_threshold
        )
        self.max_detections = max_detections
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.candidates = candidates

    def get_config(self) -> dict:
        """The arguments."""
        return {
            'max_detections': self.max_detections,
            'score_threshold': self.score_threshold,
            'nms_threshold': self.nms_threshold,
            'candidates': self.candidates,
        }

    def __call__(
        self,
        boxes: tf.Tensor,
        valid: tf.Tensor,
        logits: tf.Tensor,
        deltas: tf.Tensor,
        sizes: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Selects detections.

        Args:
          boxes: float32 [b, n, 4], proposals.
          valid: bool [b, n].
          logits: float32 [b n, 1 + num_classes], 0 is the background.
          deltas: float32 [b n, num_classes, 4].
          sizes: float32 [b, 2], to which boxes are clipped.

        Returns:
          boxes float32 [b, D, 4], classes int32 [b, D], scores float32 [b, D], the most certain
          first; padding is zeros.
        """
        number, num_classes = boxes.shape[1], deltas.shape[1]
        scores = tf.reshape(tf.nn.softmax(logits)[:, 1:], [-1, number, num_classes])
        scores = tf.where(valid[..., tf.newaxis] & (scores > self.score_threshold), scores, 0.0)
        scores = tf.reshape(scores, [-1, number * num_classes])
        scores, best = tf.math.top_k(scores, min(self.candidates, number * num_classes))
        # Only those are decoded.
        rows, classes = best // num_classes, best % num_classes
        deltas = tf.reshape(deltas, [-1, number * num_classes, 4])
        decoded = box_ops.decode(
            tf.gather(deltas, best, batch_dims=1), tf.gather(boxes, rows, batch_dims=1)
        )
        decoded = box_ops.clip(decoded, sizes)
        scores = tf.where(box_ops.area(decoded) > 0, scores, 0.0)
        kept, real = nms.class_nms(
            decoded, scores, classes, self.nms_threshold, self.max_detections
        )
        scores = tf.gather(scores, kept, batch_dims=1)
        real &= scores > 0
        return {
            'boxes': tf.where(real[..., tf.newaxis], tf.gather(decoded, kept, batch_dims=1), 0.0),
            'classes': tf.where(real, tf.gather(classes, kept, batch_dims=1) + 1, 0),
            'scores': tf.where(real, scores, 0.0),
        }
