"""Stateless random numbers, drawn per shard of the global batch.

All randomness of a training step comes from one key made of (seed, global step), so a step that is
computed again after a restart draws the same numbers. A *key* here is an int32 tensor of shape
[local shards, 2], one row for each shard of the global batch that this replica computes: the
numbers that belong to a shard are the same whichever device draws them, so one device that is told
to draw two shards sees exactly what two devices see.

Every op names the Philox generator: with the default algorithm XLA draws other bits. From the same
bits TensorFlow's own uniform and normal ops make other floats under XLA than without, so here
floats are made of bits by hand; it takes no longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_ALGORITHM = 'philox'


def make_key(seed: int | tf.Tensor) -> tf.Tensor:
    """The key of `seed` for things drawn once, such as initial weights: int32 [1, 2].

    An integer tensor or variable as the seed gives the key of its value, so that one traced
    function serves many seeds.
    """
    if tf.is_tensor(seed):
        parts = tf.stack([seed & 0x7FFFFFFF, tf.bitwise.right_shift(seed, 31) & 0x7FFFFFFF])
        return tf.cast(parts, tf.int32)[tf.newaxis]
    return tf.constant([[seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF]], tf.int32)


def key_config(key: tf.Tensor) -> list[list[int]]:
    """A key as plain numbers, for a layer's `get_config`; `fold_in` takes them as well."""
    return np.asarray(tf.get_static_value(tf.convert_to_tensor(key))).tolist()


def step_key(seed: int | tf.Tensor, step: tf.Tensor, shards: int | None = None) -> tf.Tensor:
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
    return tf.stack(
        [
            tf.random.fold_in(step_seed, tf.cast(replica, tf.int32) * local + shard, alg=_ALGORITHM)
            for shard in range(local)
        ]
    )


def key_in_training(key: tf.Tensor | None, training: bool | None) -> tf.Tensor | None:
    """`key`; where there is none, one from TensorFlow's own generator when Keras is training.

    So a layer that takes a key also works under Keras' `training=True`, as Keras' Dropout does.
    """
    if key is None and training:
        return tf.random.uniform([1, 2], maxval=2**31 - 1, dtype=tf.int32)
    return key


def fold_in(key: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    """A new key from `key` and an integer, such as the index of a layer."""
    return tf.stack([tf.random.fold_in(k, data, alg=_ALGORITHM) for k in tf.unstack(key)])


def _per_shard(draw, key: tf.Tensor, shape) -> tf.Tensor:
    keys = tf.unstack(key)
    if len(keys) == 1:
        return draw(keys[0], shape)
    if tf.is_tensor(shape):
        tf.debugging.assert_equal(
            shape[0] % len(keys), 0, f'The examples cannot be divided into {len(keys)} shards.'
        )
        shard_shape = tf.concat([shape[:1] // len(keys), shape[1:]], 0)
    else:
        shape = [int(size) for size in shape]
        if shape[0] % len(keys):
            raise ValueError(f'{shape[0]} examples cannot be divided into {len(keys)} shards.')
        shard_shape = [shape[0] // len(keys), *shape[1:]]
    return tf.concat([draw(k, shard_shape) for k in keys], axis=0)


def _bits(key: tf.Tensor, shape) -> tf.Tensor:
    bits = tf.random.stateless_uniform(
        shape, key, minval=None, maxval=None, dtype=tf.int32, alg=_ALGORITHM
    )
    return tf.bitcast(bits, tf.uint32)


def _unit(key: tf.Tensor, shape) -> tf.Tensor:
    """Uniform on [0, 1), multiples of 2^-23: random mantissas of floats in [1, 2), less 1."""
    mantissa = tf.bitwise.right_shift(_bits(key, shape), 9)
    return tf.bitcast(tf.bitwise.bitwise_or(mantissa, 0x3F800000), tf.float32) - 1.0


def _box_muller(key: tf.Tensor, shape) -> tf.Tensor:
    """N(0, 1) from pairs of uniforms (Box & Muller 1958)."""
    size = tf.reduce_prod(shape) if tf.is_tensor(shape) else math.prod(shape)
    u = _unit(key, [2, -(-size // 2)])
    radius, angle = tf.sqrt(-2.0 * tf.math.log(1.0 - u[0])), 2 * math.pi * u[1]
    pairs = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=0)
    return tf.reshape(pairs[:size], shape)


def normal(key: tf.Tensor, shape: Sequence[int] | tf.Tensor, stddev: float = 1.0) -> tf.Tensor:
    """N(0, stddev^2), float32 of `shape`, whose first axis is this replica's part of the batch.

    A shape that is not known when the graph is made is given as a tensor, `tf.shape(x)`.
    """
    return stddev * _per_shard(_box_muller, key, shape)


def uniform(
    key: tf.Tensor, shape: Sequence[int] | tf.Tensor, minval: float = 0.0, maxval: float = 1.0
) -> tf.Tensor:
    """Uniform on [minval, maxval), float32 of `shape`, its first axis this replica's part."""
    unit = _per_shard(_unit, key, shape)
    return minval + (maxval - minval) * unit


def dropout(key: tf.Tensor, x: tf.Tensor, rate: float) -> tf.Tensor:
    """Sets a fraction `rate` of `x` to zero and scales the rest by 1 / (1 - rate).

    One byte is drawn an element where `rate` is a multiple of 1/256, else two, and the rate of what
    is dropped is the nearest multiple of 2^-16. What is not finite is NaN where it is dropped.

    Raises:
      ValueError: if `rate` is outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f'rate = {rate} is outside [0, 1).')
    if rate == 0:
        return x
    shape = x.shape if x.shape.is_fully_defined() else tf.shape(x)
    # On a small graph drawing takes as long as all the products, so no bit too many is drawn.
    dtype = tf.uint8 if (rate * 256).is_integer() else tf.uint16
    threshold = round(rate * 2 ** (8 * dtype.size))
    if threshold > dtype.max:  # Of 65536 nothing would be left.
        threshold = dtype.max
    draws = _per_shard(lambda k, part: _small_integers(k, part, dtype), key, shape)
    keep = draws >= tf.constant(threshold, dtype)
    # Not tf.where, which takes several times as long and its gradient, too.
    return x / tf.cast(1 - rate, x.dtype) * tf.cast(keep, x.dtype)


def _small_integers(key: tf.Tensor, shape, dtype: tf.DType) -> tf.Tensor:
    """Uniform uint8 or uint16: the bytes of fewer, larger integers."""
    size = tf.reduce_prod(shape) if tf.is_tensor(shape) else math.prod(shape)
    bits = tf.bitcast(_bits(key, [-(-size * dtype.size // 4)]), dtype)
    return tf.reshape(tf.reshape(bits, [-1])[:size], shape)


def orthogonal(key: tf.Tensor, shape: Sequence[int] | tf.Tensor) -> np.ndarray:
    """Initial weights with orthonormal columns, or rows where there are fewer (Saxe et al. 2014).

    All axes but the last are taken together as the rows, as in Keras' `Orthogonal`; uniform over
    such matrices: Q of the decomposition Q R of a normal matrix, with a positive diagonal of R.
    Drawn eagerly.

    Args:
      key: int32 [1, 2].
      shape: shape of the kernel, the outputs last.

    Returns:
      float32 of `shape`.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    size = (max(rows, columns), min(rows, columns))
    matrix = normal(key, size).numpy()
    if size[0] > 4 * size[1]:
        # Well conditioned, so R may come from R^T R = A^T A: matrix products, many times faster.
        factor = np.linalg.cholesky(matrix.T @ matrix)
        q = np.linalg.solve(factor, matrix.T).T
    else:
        q, r = np.linalg.qr(matrix)
        q *= np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape)


def glorot_normal(key: tf.Tensor, shape: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Initial weights N(0, 2 / (inputs + outputs)) of a matrix (Glorot & Bengio 2010).

    As Keras' `GlorotNormal` but for its truncation.
    """
    return normal(key, shape, (2 / sum(shape)) ** 0.5)


def he_normal(key: tf.Tensor, shape: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Initial weights N(0, 2 / inputs) of a kernel before a ReLU (He et al. 2015, Eq. 10).

    Not truncated. All axes but the last are the inputs.
    """
    return normal(key, shape, (2 / math.prod(shape[:-1])) ** 0.5)


def lecun_normal(key: tf.Tensor, shape: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Initial weights N(0, 1 / inputs) of a kernel without a ReLU (LeCun et al. 1998, Sec. 4.6).

    Not truncated. All axes but the last are the inputs. Caffe's "Xavier" has this variance, too.
    """
    return normal(key, shape, math.prod(shape[:-1]) ** -0.5)
