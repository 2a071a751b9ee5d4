"""Classification errors."""

from __future__ import annotations

import tensorflow as tf


class ConfusionMatrix(tf.keras.metrics.Metric):
    """Counts of (label, prediction), float32 [classes, classes], rows the labels.

    Args:
      num_classes: number of classes.
      name: name of the metric.
    """

    def __init__(self, num_classes: int, name: str = 'confusion_matrix'):
        super().__init__(name=name, dtype=tf.float32)
        self.num_classes = num_classes
        self.counts = self.add_weight('counts', (num_classes, num_classes), initializer='zeros')

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Adds examples.

        Args:
          y_true: labels, int [batch].
          y_pred: predicted classes, int [batch].
          sample_weight: weights [batch]; 0 leaves an example out.
        """
        self.counts.assign_add(
            tf.math.confusion_matrix(
                y_true, y_pred, self.num_classes, weights=sample_weight, dtype=self.dtype
            )
        )

    def reset_state(self) -> None:
        self.counts.assign(tf.zeros_like(self.counts))

    def result(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.counts)


def error_percent(confusion_matrix: tf.Tensor) -> tf.Tensor:
    """Share of the examples off the diagonal of a confusion matrix, in percent."""
    counts = tf.cast(confusion_matrix, tf.float64)
    total = tf.reduce_sum(counts)
    return tf.math.divide_no_nan(100 * (total - tf.linalg.trace(counts)), total)
