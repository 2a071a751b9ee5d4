"""Sums over many kernels and edges, one kernel after the other.

TensorFlow's own gradient keeps what every kernel sends along every edge, [E, K, C]: 1 GB for
155 000 edges, 26 kernels and 64 channels. Here it is computed again, in the same time, and memory
is E * (K + C) + K * N * C.
"""

from __future__ import annotations

import tensorflow as tf

from research.geometric import segments


def mix(values: tf.Tensor, coefficients: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """What an edge gets of a node: sum over k of a_ek values_k,ids(e).

    Args:
      values: [K, N, C].
      coefficients: a, [E, K].
      ids: a node of each edge, integers [E].

    Returns:
      [E, C].
    """
    num_nodes = tf.shape(values)[1] if values.shape[1] is None else values.shape[1]

    @tf.custom_gradient
    def mixed(values, coefficients):
        columns = tf.transpose(coefficients)
        nothing = tf.zeros_like(tf.gather(values[0], ids))
        total = tf.foldl(
            lambda total, one: total + one[0][:, tf.newaxis] * tf.gather(one[1], ids),
            (columns, values),
            nothing,
            parallel_iterations=1,
        )

        def gradient(upstream):
            return (
                spread(upstream, coefficients, ids, num_nodes),
                _products(values, upstream, ids),
            )

        return total, gradient

    return mixed(values, coefficients)


def spread(
    values: tf.Tensor, coefficients: tf.Tensor, ids: tf.Tensor, num_nodes: int | tf.Tensor
) -> tf.Tensor:
    """What nodes get of their edges, for each kernel apart: sums over e of a_ek values_e.

    Args:
      values: [E, C].
      coefficients: a, [E, K].
      ids: the node of each edge, integers [E].
      num_nodes: N.

    Returns:
      [K, N, C].
    """

    @tf.custom_gradient
    def sums(values, coefficients):
        total = tf.map_fn(
            lambda column: segments.segment_sum(column[:, tf.newaxis] * values, ids, num_nodes),
            tf.transpose(coefficients),
            parallel_iterations=1,
        )

        def gradient(upstream):
            return mix(upstream, coefficients, ids), _products(upstream, values, ids)

        return total, gradient

    return sums(values, coefficients)


def _products(nodes, edges, ids):
    """Inner products of an edge's values [E, C] and its node's [K, N, C]: [E, K]."""
    return tf.transpose(
        tf.map_fn(
            lambda one: tf.reduce_sum(tf.gather(one, ids) * edges, axis=1),
            nodes,
            parallel_iterations=1,
        )
    )
