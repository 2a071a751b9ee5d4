"""Statistics over the global batch: what looks across examples also looks across replicas.

Everything here is plain on one device. Under a `tf.distribute` strategy, inside `train_step`, the
reductions span all replicas, and gradients pass through them.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Normalized(NamedTuple):
    """A normalized tensor and what it was normalized with."""

    z: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor


def global_mean(x: tf.Tensor) -> tf.Tensor:
    """Mean of `x` over the replicas, which all have the same share of the batch."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, x)


def global_batch_size(x: tf.Tensor) -> int:
    """Number of examples in the global batch of which `x` is this replica's part."""
    context = tf.distribute.get_replica_context()
    return x.shape[0] * (context.num_replicas_in_sync if context else 1)


def gather(x: tf.Tensor) -> tf.Tensor:
    """The global batch of which `x` is this replica's part, along axis 0."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(x, axis=0)


def normalize(x: tf.Tensor, epsilon: float) -> Normalized:
    """Batch normalization without parameters over all axes but the last (Ioffe & Szegedy 2015).

    z = (x - mean) / sqrt(var + epsilon), with the biased variance of the global batch. The
    statistics are computed in float32 whatever the type of `x`.

    Args:
      x: [batch, ..., channels].
      epsilon: added to the variance.

    Returns:
      z of the shape of `x`; mean and variance (without epsilon) of shape [channels]. All float32,
      and gradients pass through all three.
    """
    x = tf.cast(x, tf.float32)
    axes = list(range(len(x.shape) - 1))
    mean = global_mean(tf.reduce_mean(x, axes))
    centred = x - mean
    variance = global_mean(tf.reduce_mean(tf.square(centred), axes))
    return Normalized(centred * tf.math.rsqrt(variance + epsilon), mean, variance)
