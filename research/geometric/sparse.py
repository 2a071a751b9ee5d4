"""Sparse matrices: bag-of-words features, and adjacency matrices as the fast route on a CPU.

A sparse matrix is a `tf.SparseTensor` whose indices ascend by rows. TensorFlow's product of a
sparse and a dense matrix touches each entry once and stores nothing in between; XLA has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official.modeling import random
from research.geometric import segments


def matmul(a: tf.Tensor | tf.SparseTensor, b: tf.Tensor) -> tf.Tensor:
    """a @ b for a dense or sparse `a` [n, m] and a dense `b` [m, k].

    Through a sparse `a` gradients reach `b`, and the values of `a` where they were computed. A
    sparse `a` takes the type of `b`; sums of 16 bits are taken in float32 and rounded once.
    """
    if not isinstance(a, tf.SparseTensor):
        return tf.matmul(a, b)
    b = tf.convert_to_tensor(b)
    dtype = segments.wide(b.dtype)
    product = tf.sparse.sparse_dense_matmul(tf.cast(a, dtype), tf.cast(b, dtype))
    return tf.cast(product, b.dtype)


def dropout(
    key: tf.Tensor | None, x: tf.Tensor | tf.SparseTensor, rate: float
) -> tf.Tensor | tf.SparseTensor:
    """`random.dropout` of a dense or sparse `x`; without a key, `x` itself.

    Zeros of a sparse `x` stay zeros, so it is drawn for the others only.
    """
    if key is None or not rate:
        return x
    if isinstance(x, tf.SparseTensor):
        return x.with_values(random.dropout(key, x.values, rate))
    return random.dropout(key, x, rate)


def adjacency(
    edge_index: Any, num_targets: int, edge_weight: Any = None, num_sources: int | None = None
) -> tf.SparseTensor:
    """The matrix whose entry (i, j) is the weight of the edge from j to i.

    Duplicate edges stay apart and add up in products. Make it once for a graph, not every step.

    Args:
      edge_index: integers [2, E], sources and targets.
      num_targets: rows.
      edge_weight: [E]; 1 by default.
      num_sources: columns; as many as rows by default.

    Returns:
      float32 [num_targets, num_sources], entries sorted by row, then column.
    """
    source, target = (np.asarray(row, np.int64) for row in edge_index)
    weight = np.ones(len(source)) if edge_weight is None else np.asarray(edge_weight)
    order = np.lexsort((source, target))
    return tf.SparseTensor(
        np.stack([target[order], source[order]], axis=1),
        weight[order].astype(np.float32),
        [num_targets, num_targets if num_sources is None else num_sources],
    )


def edges(matrix: tf.SparseTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`edge_index` [2, E] and weights [E] of an adjacency matrix, sorted by target."""
    return tf.stack([matrix.indices[:, 1], matrix.indices[:, 0]]), matrix.values


def from_scipy(matrix: Any) -> tf.SparseTensor:
    """A `scipy.sparse` matrix as float32, entries sorted by row, then column."""
    matrix = matrix.tocsr().sorted_indices().tocoo()
    indices = np.stack([matrix.row, matrix.col], axis=1).astype(np.int64)
    return tf.SparseTensor(indices, matrix.data.astype(np.float32), matrix.shape)


def is_sparse(x: Any) -> bool:
    """Whether `x` is a `tf.SparseTensor`."""
    return isinstance(x, tf.SparseTensor)


def ends(edge_index: tf.Tensor | tf.SparseTensor | Sequence) -> tuple[tf.Tensor, tf.Tensor]:
    """Sources and targets of edges, [E] each.

    Args:
      edge_index: integers [2, E], or a pair of [E], or a sparse adjacency matrix.

    Raises:
      ValueError: if it has not two rows, as when it is [E, 2].
    """
    if isinstance(edge_index, tf.SparseTensor):
        return edge_index.indices[:, 1], edge_index.indices[:, 0]
    if isinstance(edge_index, (tuple, list)):
        if len(edge_index) != 2:
            raise ValueError(f'edge_index has {len(edge_index)} rows, not 2: sources and targets.')
    else:
        edge_index = tf.convert_to_tensor(edge_index)
        if edge_index.shape.rank != 2 or edge_index.shape[0] not in (2, None):
            raise ValueError(
                f'edge_index has shape {tuple(edge_index.shape)}, not [2, edges]: '
                'sources are row 0, targets row 1.'
            )
    return tf.convert_to_tensor(edge_index[0]), tf.convert_to_tensor(edge_index[1])


def weights(edge_attr: tf.Tensor, num_edges: int | None, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Edge weights [E], of numbers of any type, [E] or [E, 1].

    Raises:
      ValueError: if an edge has several features, or the edges are of another number.
    """
    values = tf.cast(edge_attr, dtype)
    if values.shape.rank == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape.rank != 1 or (
        None not in (num_edges, values.shape[0]) and num_edges != values.shape[0]
    ):
        raise ValueError(
            f'edge_attr has shape {tuple(values.shape)}; this operator takes one '
            f'weight for each of the {num_edges or ""} edges.'.replace('  ', ' ')
        )
    return values
