"""Reductions over the edges of a target node, or the nodes of a graph.

All take values [E, ...] and `segment_ids`, integers [E] in any order, and give [num_segments, ...].
They have static shapes and compile with XLA. Sums of 16-bit values are taken in float32 and rounded
once: bfloat16 would stop at 256 ones, float16 at 2048.
"""

from __future__ import annotations

import tensorflow as tf


def count(segment_ids: tf.Tensor, num_segments: int | tf.Tensor) -> tf.Tensor:
    """How many rows each segment has: float32 [num_segments]."""
    return tf.math.unsorted_segment_sum(
        tf.ones_like(segment_ids, tf.float32), segment_ids, num_segments
    )


def wide(dtype: tf.DType) -> tf.DType:
    """The type in which values of a type are added up."""
    return tf.float32 if dtype in (tf.bfloat16, tf.float16) else dtype


def segment_sum(
    values: tf.Tensor, segment_ids: tf.Tensor, num_segments: int | tf.Tensor
) -> tf.Tensor:
    """Sums; 0 of an empty segment."""
    values = tf.convert_to_tensor(values)
    return tf.cast(_total(values, segment_ids, num_segments), values.dtype)


def segment_mean(
    values: tf.Tensor, segment_ids: tf.Tensor, num_segments: int | tf.Tensor
) -> tf.Tensor:
    """Means; 0 of an empty segment."""
    values = tf.convert_to_tensor(values)
    sizes = tf.maximum(count(segment_ids, num_segments), 1)
    total = _total(values, segment_ids, num_segments)
    return tf.cast(total / tf.cast(expand_like(sizes, total), total.dtype), values.dtype)


def segment_max(
    values: tf.Tensor, segment_ids: tf.Tensor, num_segments: int | tf.Tensor
) -> tf.Tensor:
    """Maxima; 0 of an empty segment. Equal maxima share the gradient equally."""
    highest = tf.math.unsorted_segment_max(values, segment_ids, num_segments)
    empty = count(segment_ids, num_segments) == 0
    return tf.where(expand_like(empty, highest), tf.zeros_like(highest), highest)


def segment_softmax(
    logits: tf.Tensor, segment_ids: tf.Tensor, num_segments: int | tf.Tensor
) -> tf.Tensor:
    """Softmax over the rows of each segment: exp(a_e) / sum over e' of its segment exp(a_e').

    A row whose logit is -inf gets 0, also where all of a segment are so.

    Returns:
      Of the shape of `logits`.
    """

    # The gradient by hand, as is that of `weighted_sum`: TensorFlow's own goes through every step,
    # gathers and sums once more for each, and takes two to three times as long.
    @tf.custom_gradient
    def softmax(logits):
        highest = tf.math.unsorted_segment_max(logits, segment_ids, num_segments)
        # An empty segment has the lowest float there is, or -inf: neither may be subtracted.
        highest = tf.where(highest <= logits.dtype.min, tf.zeros_like(highest), highest)
        exponentials = tf.exp(logits - tf.gather(highest, segment_ids))
        total = segment_sum(exponentials, segment_ids, num_segments)
        total = tf.where(total > 0, total, tf.ones_like(total))
        share = exponentials / tf.gather(total, segment_ids)

        def gradient(upstream):
            part = share * upstream
            whole = segment_sum(part, segment_ids, num_segments)
            return part - share * tf.gather(whole, segment_ids)

        return share, gradient

    return softmax(logits)


def weighted_sum(
    values: tf.Tensor,
    weights: tf.Tensor,
    source: tf.Tensor,
    target: tf.Tensor,
    num_targets: int | tf.Tensor,
) -> tf.Tensor:
    """Sums of the sources' values times the edges' weights: sum over j of w_ij x_j.

    Args:
      values: [M, heads, F], of the sources.
      weights: [E, heads].
      source: integers [E], rows of `values`.
      target: integers [E], 0 to num_targets - 1.
      num_targets: N.

    Returns:
      [N, heads, F].
    """

    @tf.custom_gradient
    def weighted(values, weights):
        gathered = tf.gather(values, source)
        total = segment_sum(gathered * weights[..., tf.newaxis], target, num_targets)

        def gradient(upstream):
            upstream = tf.gather(upstream, target)
            num_sources = tf.shape(values)[0] if values.shape[0] is None else values.shape[0]
            of_values = segment_sum(upstream * weights[..., tf.newaxis], source, num_sources)
            return of_values, tf.reduce_sum(upstream * gathered, axis=-1)

        return total, gradient

    return weighted(values, weights)


def expand_like(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`values` [n] as [n, 1, ...] of the rank of `like`."""
    return tf.reshape(values, [-1] + [1] * (len(like.shape) - 1))


def _total(values, segment_ids, num_segments):
    """Sums in the type `wide` of that of the values."""
    return tf.math.unsorted_segment_sum(
        tf.cast(values, wide(values.dtype)), segment_ids, num_segments
    )
