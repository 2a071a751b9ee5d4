"""Stateless random numbers, drawn per shard of the global batch.

All randomness of a training step comes from one key made of (seed, global step), so a step that is
computed again after a restart draws the same numbers. A *key* here is an int32 tensor of shape
[local shards, 2], one row for each shard of the global batch that this replica computes: the
numbers that belong to a shard are the same whichever device draws them, so one device that is told
to draw two shards sees exactly what two devices see.

Every op names the Philox generator: with the default algorithm XLA draws other numbers.
"""

from __future__ import annotations

import tensorflow as tf

_ALGORITHM = 'philox'


def make_key(seed: int) -> tf.Tensor:
    """The key of `seed` for things drawn once, such as initial weights: int32 [1, 2]."""
    return tf.constant([[seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF]], tf.int32)


def step_key(seed: int, step: tf.Tensor, shards: int | None = None) -> tf.Tensor:
    """The key of one training step on this replica: int32 [local shards, 2].

    Args:
      seed: the run's seed.
      step: the global step, an integer scalar.
      shards: into how many shards the global batch is divided; by default one a replica.

    Raises:
      ValueError: if `shards` is no multiple of the number of replicas.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync if context else 1
    shards = shards or replicas
    if shards % replicas:
        raise ValueError(f'shards = {shards} is not a multiple of the {replicas} replicas.')
    local = shards // replicas
    replica = context.replica_id_in_sync_group if context else 0
    step_seed = tf.random.fold_in(make_key(seed)[0], tf.cast(step, tf.int32), alg=_ALGORITHM)
    return tf.stack([
        tf.random.fold_in(step_seed, tf.cast(replica, tf.int32) * local + shard, alg=_ALGORITHM)
        for shard in range(local)
    ])


def fold_in(key: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    """A new key from `key` and an integer, such as the index of a layer."""
    return tf.stack([tf.random.fold_in(k, data, alg=_ALGORITHM) for k in tf.unstack(key)])


def _draw(op, key: tf.Tensor, shape, **kwargs) -> tf.Tensor:
    keys = tf.unstack(key)
    if len(keys) == 1:
        return op(shape, keys[0], alg=_ALGORITHM, **kwargs)
    if shape[0] % len(keys):
        raise ValueError(f'{shape[0]} examples cannot be divided into {len(keys)} shards.')
    shard_shape = [shape[0] // len(keys), *shape[1:]]
    return tf.concat([op(shard_shape, k, alg=_ALGORITHM, **kwargs) for k in keys], axis=0)


def normal(key: tf.Tensor, shape, stddev: float = 1.0, dtype=tf.float32) -> tf.Tensor:
    """N(0, stddev^2) of `shape`, whose first axis is this replica's part of the batch."""
    return _draw(tf.random.stateless_normal, key, shape, stddev=stddev, dtype=dtype)


def uniform(key: tf.Tensor, shape, minval=0.0, maxval=1.0, dtype=tf.float32) -> tf.Tensor:
    """Uniform on [minval, maxval) of `shape`, whose first axis is this replica's part."""
    return _draw(
        tf.random.stateless_uniform, key, shape, minval=minval, maxval=maxval, dtype=dtype)


def dropout(key: tf.Tensor, x: tf.Tensor, rate: float) -> tf.Tensor:
    """Sets a fraction `rate` of `x` to zero and scales the rest by 1 / (1 - rate).

    Raises:
      ValueError: if `rate` is outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f'rate = {rate} is outside [0, 1).')
    if rate == 0:
        return x
    keep = uniform(key, x.shape) >= rate
    return tf.where(keep, x / tf.cast(1 - rate, x.dtype), tf.zeros_like(x))
