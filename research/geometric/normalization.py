"""Degrees, self loops, and the normalizations of adjacency matrices and of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from research.geometric import segments, sparse


def symmetric_coefficients(
    edge_index: tf.Tensor,
    edge_weight: tf.Tensor | None,
    num_nodes: int | tf.Tensor,
    self_loops: bool = True,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What makes D~^(-1/2) A~ D~^(-1/2) out of a graph's edges (Kipf & Welling 2017, Eq. (2)).

    A~ is A, where every node without a self loop gets one of weight 1 if `self_loops`, and D~ its
    degrees: the sums of its rows, the weights that come in. A node whose degree is not positive has
    coefficient 0. Nothing is appended, so shapes stay what they are: self loops are a vector of
    their own.

    Args:
      edge_index: integers [2, E], sources and targets; or the sparse adjacency matrix.
      edge_weight: [E], or None for 1; None with a sparse matrix, which has its own.
      num_nodes: N.
      self_loops: whether a node without a self loop gets one.

    Returns:
      scale: d~_i^(-1/2), [N].
      weights: entries of A~ on edges between two nodes, 0 on self loops, [E].
      loops: the diagonal of A~, [N].
      The coefficient of the edge from j to i is scale_i * weight * scale_j, of i itself
      scale_i * loops_i * scale_i.
    """
    source, target = sparse.ends(edge_index)
    if isinstance(edge_index, tf.SparseTensor):
        edge_weight = edge_index.values
    elif edge_weight is None:
        edge_weight = tf.ones_like(target, tf.float32)
    else:
        edge_weight = sparse.weights(edge_weight, target.shape[0])
    is_loop = tf.cast(tf.equal(source, target), edge_weight.dtype)
    loops = segments.segment_sum(edge_weight * is_loop, target, num_nodes)
    if self_loops:
        has_loop = segments.segment_sum(is_loop, target, num_nodes) > 0
        loops = tf.where(has_loop, loops, tf.ones_like(loops))
    weights = edge_weight * (1 - is_loop)
    degree = segments.segment_sum(weights, target, num_nodes) + loops
    scale = tf.where(degree > 0, tf.math.rsqrt(tf.where(degree > 0, degree, 1.0)), 0.0)
    return scale, weights, loops


def gcn_normalized(
    edge_index: Any, num_nodes: int, edge_weight: Any = None, self_loops: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The edges and coefficients of D~^(-1/2) A~ D~^(-1/2), made once, in NumPy and float64.

    For operators that are told `normalize=False`, on a graph that does not change.

    Args:
      edge_index: integers [2, E].
      num_nodes: N.
      edge_weight: [E], or None for 1.
      self_loops: as in `symmetric_coefficients`.

    Returns:
      edge_index, int32 [2, E'], self loops last; edge_weight, float32 [E'].
    """
    edge_index = np.asarray(edge_index)
    weight = (
        np.ones(edge_index.shape[1]) if edge_weight is None else np.asarray(edge_weight, np.float64)
    )
    source, target = edge_index
    is_loop = source == target
    loops = np.bincount(target[is_loop], weight[is_loop], num_nodes)
    if self_loops:
        loops[np.bincount(target[is_loop], minlength=num_nodes) == 0] = 1
    source, target, weight = source[~is_loop], target[~is_loop], weight[~is_loop]
    degree = np.bincount(target, weight, num_nodes) + loops
    scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    nodes = np.flatnonzero(loops)
    edges = np.stack([np.append(source, nodes), np.append(target, nodes)])
    coefficients = np.append(weight, loops[nodes]) * scale[edges[0]] * scale[edges[1]]
    return edges.astype(np.int32), coefficients.astype(np.float32)


# What a graph's edges are turned into before a network sees them, once for a graph that does not
# change: the coefficients of GCN with self loops, those without, or the edges and self loops.
WEIGHTED = ('gcn', 'symmetric')
COEFFICIENTS = (*WEIGHTED, 'self_loops')


def with_coefficients(
    kind: str | None,
    edge_index: tf.Tensor,
    edge_weight: tf.Tensor | None,
    num_nodes: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Edges as the operators want them that are told not to normalize, in the graph.

    Args:
      kind: one of COEFFICIENTS, or None: the edges as they are.
      edge_index: integers [2, E].
      edge_weight: [E] or None.
      num_nodes: N, a tensor or a number.

    Returns:
      edge_index [2, E + N], self loops last, and weights [E + N], 0 where a self loop was before.
      Of 'self_loops', self loops that were there before go, and the weights are None.

    Raises:
      ValueError: if `kind` is another word.
    """
    if kind is None:
        return edge_index, edge_weight
    if kind not in COEFFICIENTS:
        raise ValueError(f'coefficients = {kind!r} is none of {", ".join(COEFFICIENTS)}.')
    source, target = sparse.ends(edge_index)
    nodes = tf.range(num_nodes, dtype=target.dtype)
    if kind == 'self_loops':
        others = tf.not_equal(source, target)
        edge_index = tf.boolean_mask(edge_index, others, axis=1)
        return tf.concat([edge_index, tf.stack([nodes, nodes])], axis=1), None
    scale, weights, loops = symmetric_coefficients(
        edge_index, edge_weight, num_nodes, self_loops=kind == 'gcn'
    )
    weights = weights * tf.gather(scale, source) * tf.gather(scale, target)
    return (
        tf.concat([edge_index, tf.stack([nodes, nodes])], axis=1),
        tf.concat([weights, loops * scale * scale], axis=0),
    )


def rows_to_one(x: tf.Tensor) -> tf.Tensor:
    """Each row divided by its sum; rows that sum to 0 stay as they are."""
    total = tf.reduce_sum(x, axis=-1, keepdims=True)
    return tf.where(total != 0, x / tf.where(total != 0, total, 1.0), x)


def unit_rows(x: tf.Tensor) -> tf.Tensor:
    """Rows of x [N, F] divided by their Euclidean lengths; a row of zeros stays so.

    The gradient of a row of zeros is 0, where that of `tf.math.l2_normalize` is a million.
    """
    square = tf.reduce_sum(x * x, axis=-1, keepdims=True)
    nonzero = square > 0
    return x * tf.where(nonzero, tf.math.rsqrt(tf.where(nonzero, square, 1.0)), 0.0)
