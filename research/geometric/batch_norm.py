"""Batch normalization of nodes (Ioffe & Szegedy 2015), over the real nodes of all replicas."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.modeling import batch_statistics


class NodeBatchNorm(tf.keras.layers.Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with statistics of the global batch.

    Replicas have different numbers of nodes, and padding is no node: sums and counts are reduced,
    not means.

    Args:
      momentum: share of the old value in the statistics that are gathered for use.
      epsilon: added to the variance.
      name: name of the layer.

    Call arguments:
      x: [N, F].
      mask: which nodes count, bool [N], or None for all.
      training: whether to normalize with the statistics of the batch, and gather them.

    Returns:
      [N, F], all rows normalized alike.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, name: str | None = None):
        super().__init__(name=name)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        def weight(name, initializer, **kwargs):
            return self.add_weight(name, [input_shape[-1]], initializer=initializer, **kwargs)

        gathered = dict(trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        self.gamma, self.beta = weight('gamma', 'ones'), weight('beta', 'zeros')
        self.mean = weight('mean', 'zeros', **gathered)
        self.variance = weight('variance', 'ones', **gathered)
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        mean, variance = self._statistics(x, mask) if training else (self.mean, self.variance)
        return (x - mean) * tf.math.rsqrt(variance + self.epsilon) * self.gamma + self.beta

    def _statistics(self, x, mask):
        there = tf.ones_like(x[:, :1])
        if mask is not None:
            there = tf.cast(mask, x.dtype)[:, tf.newaxis]
            x = tf.where(mask[:, tf.newaxis], x, tf.zeros_like(x))
        count = tf.maximum(batch_statistics.global_mean(tf.reduce_sum(there)), 1e-6)

        def mean_of(values):
            total = tf.reduce_sum(there * values, axis=0)
            return batch_statistics.global_mean(total) / count

        mean = mean_of(x)
        variance = mean_of(tf.square(x - mean))
        for average, new in ((self.mean, mean), (self.variance, variance)):
            average.assign_add((1 - self.momentum) * (new - average))
        return mean, variance

    def get_config(self) -> dict[str, Any]:
        return {'momentum': self.momentum, 'epsilon': self.epsilon, 'name': self.name}
