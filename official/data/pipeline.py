"""tf.data pipelines whose step n is a function of (seed, n) alone.

A pipeline starts at any step as cheaply as at the first, so a run that was killed goes on with
exactly the batches it would have seen. Batch sizes are those of the global batch. Each replica gets
a contiguous slice of it; under a `tf.distribute.InputContext` a pipeline serves its own replicas
alone, its elements are the slices of one replica each, and come step by step, in a step replica by
replica, as `distribute_datasets_from_function` hands them out.

An epoch's permutation is drawn whole, when its first batch is due: `argsort` of Philox integers.
`tf.random.experimental.index_shuffle` was measured and not taken: it needs 2 ms for a batch out of
100 examples (it walks cycles in a range of at least 2^16), and with its four rounds the classes
within batches vary visibly less or more than under a uniform permutation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Slices(NamedTuple):
    """Which slices of the global batch a pipeline serves: numbers first to first + served - 1."""

    size: int  # examples in one replica's slice
    first: int
    served: int


def replica_slices(
    batch_size: int, input_context: tf.distribute.InputContext | None = None
) -> Slices:
    """The slices of a global batch of `batch_size` examples for one input pipeline.

    Raises:
      ValueError: the batch cannot be divided evenly among the replicas, or the replicas among the
        pipelines.
    """
    if batch_size < 1:
        raise ValueError(f'batch size {batch_size}: a batch has at least one example.')
    if input_context is None:
        return Slices(batch_size, 0, 1)
    replicas = input_context.num_replicas_in_sync
    pipelines = input_context.num_input_pipelines
    if batch_size % replicas:
        raise ValueError(
            f'batch size {batch_size} cannot be divided evenly among {replicas} replicas.'
        )
    if replicas % pipelines:
        raise ValueError(
            f'{replicas} replicas cannot be divided evenly among {pipelines} input pipelines.'
        )
    count = replicas // pipelines
    return Slices(batch_size // replicas, input_context.input_pipeline_id * count, count)


def batch_positions(
    batch_size: int,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    num_steps: int | None = None,
) -> tf.data.Dataset:
    """Positions in the endless stream of examples: step n has n * batch_size and the following.

    Args:
      batch_size: examples of the global batch.
      start_step: the first step.
      input_context: whom the pipeline serves; None: one replica that takes all.
      num_steps: number of steps; None: without end.

    Returns:
      Dataset of int64 [batch_size / replicas].
    """
    size, first, count = replica_slices(batch_size, input_context)
    if start_step < 0:
        raise ValueError(f'start_step {start_step} is negative.')
    end = tf.int64.max if num_steps is None else (start_step + num_steps) * count
    offsets = tf.range(size, dtype=tf.int64)

    def positions(element):
        step, replica = element // count, first + element % count
        return step * batch_size + replica * size + offsets

    return tf.data.Dataset.range(start_step * count, end).map(positions)


def shuffled_indices(
    positions: tf.data.Dataset, num_examples: int, seed: int, stream: int = 0
) -> tf.data.Dataset:
    """Turns positions into indices of examples: every epoch is a permutation of all examples.

    Args:
      positions: dataset of int64 [n], ascending from one element to the next (`batch_positions`).
        An element may span several epochs.
      num_examples: number of examples.
      seed: the run's seed.
      stream: numbers the streams of one run: with the same seed they are shuffled differently.

    Returns:
      Dataset of int64 [n], values 0 to num_examples - 1.
    """
    if num_examples < 1:
        raise ValueError(f'num_examples {num_examples}: there is nothing to read.')
    size = positions.element_spec.shape[0]
    # An element can begin so far into an epoch that it reaches into the next (or, when the examples
    # are few, into several). Beginnings are multiples of the size.
    last_beginning = num_examples - math.gcd(size, num_examples)
    num_epochs = (last_beginning + size - 1) // num_examples + 1

    def permutation(epoch):
        key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), epoch, alg='philox')
        # 64 random bits to sort by: ties, which the sort breaks by index, practically do not occur.
        order = tf.random.stateless_uniform(
            [num_examples], key, minval=None, maxval=None, dtype=tf.int64, alg='philox'
        )
        return tf.argsort(order)

    def from_epoch(epoch):
        if num_epochs == 1:
            return permutation(epoch)
        epochs = epoch + tf.range(num_epochs, dtype=tf.int64)
        return tf.reshape(tf.map_fn(permutation, epochs, fn_output_signature=tf.int32), [-1])

    def next_element(state, position):
        epoch, permutations = state
        wanted = position[0] // num_examples
        permutations = tf.cond(
            tf.equal(wanted, epoch), lambda: permutations, lambda: from_epoch(wanted)
        )
        indices = tf.gather(permutations, position - wanted * num_examples)
        return (wanted, permutations), tf.cast(indices, tf.int64)

    none_yet = (tf.constant(-1, tf.int64), tf.zeros([num_epochs * num_examples], tf.int32))
    return positions.scan(none_yet, next_element)


def batch_indices(
    num_examples: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    stream: int = 0,
) -> tf.data.Dataset:
    """The examples of training batches, shuffled anew in each epoch, without end.

    Epochs follow each other without a gap: when the batch size does not divide the number of
    examples, a batch holds the end of one epoch and the beginning of the next.

    Args:
      num_examples: number of examples.
      batch_size: examples of the global batch.
      seed: the run's seed.
      start_step: the first step.
      input_context: whom the pipeline serves; None: one replica that takes all.
      stream: see `shuffled_indices`.

    Returns:
      Dataset of int64 [batch_size / replicas], values 0 to num_examples - 1.

    Raises:
      ValueError: the batch cannot be divided evenly among the replicas; a count makes no sense.
    """
    positions = batch_positions(batch_size, start_step, input_context)
    # Said, since several workers keep static shapes only of a dataset they know to be endless.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return shuffled_indices(positions, num_examples, seed, stream).apply(endless)


def eval_batches(
    num_examples: int,
    batch_size: int,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Every example once, in order; the last batch is padded so that shapes are static.

    Args:
      num_examples: number of examples.
      batch_size: examples of the global batch.
      input_context: whom the pipeline serves; None: one replica that takes all.

    Returns:
      Dataset of (indices int64 [b], weights float32 [b]) with b = batch_size / replicas. Padding
      has weight 0 (and repeats the last example), all others weight 1. All pipelines have the same
      number of elements for each replica.
    """
    num_steps = -(-num_examples // batch_size)
    positions = batch_positions(batch_size, 0, input_context, num_steps)

    def padded(position):
        weights = tf.cast(position < num_examples, tf.float32)
        return tf.minimum(position, num_examples - 1), weights

    return positions.map(padded)


def on_host(array: np.ndarray) -> tf.Tensor:
    """One tensor in the host's memory, for pipelines to gather from."""
    with tf.device('CPU:0'):
        return tf.constant(array)


def scaled(pixels: tf.Tensor, max_value: float) -> tf.Tensor:
    """float32 pixels / max_value. To be applied to a batch, after it has been gathered."""
    pixels = tf.cast(pixels, tf.float32)
    return pixels if max_value == 1 else pixels / tf.constant(max_value, tf.float32)


def finish(dataset: tf.data.Dataset, one_thread: bool = True) -> tf.data.Dataset:
    """The last stage of a pipeline: deterministic, not sharded again, two batches ahead.

    Args:
      dataset: batches.
      one_thread: run all stages on one thread. Right where a batch is gathered from memory, which
        takes a fraction of a millisecond, as the model needs the other cores; wrong where images
        are decoded.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    if one_thread:
        options.autotune.enabled = False
        options.threading.private_threadpool_size = 1
        options.threading.max_intra_op_parallelism = 1
    return dataset.prefetch(2).with_options(options)
