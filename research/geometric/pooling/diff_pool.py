"""Differentiable pooling (Ying et al. 2018, "Hierarchical Graph Representation Learning [...]")."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from research.geometric import segments
from research.geometric.pooling import ordering


class DensePooled(NamedTuple):
    """A batch of graphs that `diff_pool` has pooled.

    Attributes:
      x: [B, K, F].
      adjacency: [B, K, K].
      link_loss: |A - S S^T|_F of each graph, [B].
      entropy_loss: mean entropy of the rows of S of each graph, [B].
    """

    x: tf.Tensor
    adjacency: tf.Tensor
    link_loss: tf.Tensor
    entropy_loss: tf.Tensor


def diff_pool(
    x: tf.Tensor, adjacency: tf.Tensor, logits: tf.Tensor, mask: tf.Tensor | None = None
) -> DensePooled:
    """X' = S^T Z, A' = S^T A S, with S = softmax(logits)  (Ying et al. 2018, Eqs. (3) and (4)).

    The losses of Sec. 3.3 are returned for each graph: add their mean over the graphs to the loss.

    Args:
      x: Z, [B, N, F], what the embedding network gives.
      adjacency: A, [B, N, N]; entry (i, j) is the edge from j to i.
      logits: [B, N, K], what the assignment network gives.
      mask: which nodes there are, bool [B, N], or None for all. What is elsewhere in `x` and
        `logits` does not count.

    Returns:
      `DensePooled`. A graph has K nodes then; one without nodes is zeros everywhere.
    """
    if mask is None:
        mask = tf.ones_like(logits[:, :, 0], tf.bool)
    rows = mask[:, :, tf.newaxis]
    # A row that is masked may hold anything, and 0 times infinity is no number.
    x, logits = (tf.where(rows, values, tf.zeros_like(values)) for values in (x, logits))
    there = tf.cast(rows, x.dtype)
    logs = tf.nn.log_softmax(logits)
    assignment = there * tf.exp(logs)
    pooled_x = tf.matmul(assignment, x, transpose_a=True)
    pooled_adjacency = tf.matmul(assignment, tf.matmul(adjacency, assignment), transpose_a=True)
    difference = adjacency - tf.matmul(assignment, assignment, transpose_b=True)
    squares = tf.reduce_sum(tf.square(difference), axis=[1, 2])
    # The root has no gradient at 0, where a graph without nodes is.
    link_loss = tf.where(squares > 0, tf.sqrt(tf.where(squares > 0, squares, 1.0)), 0.0)
    entropy = -tf.reduce_sum(assignment * logs, axis=[1, 2])
    sizes = tf.reduce_sum(there, axis=[1, 2])
    return DensePooled(pooled_x, pooled_adjacency, link_loss, entropy / tf.maximum(sizes, 1))


def to_dense(
    x: tf.Tensor,
    edge_index: tf.Tensor,
    batch: tf.Tensor,
    num_graphs: int,
    max_nodes: int,
    edge_weight: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A batch of graphs as equally large dense matrices.

    Args:
      x: node features [N, F].
      edge_index: integers [2, E].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: B.
      max_nodes: M. Of a larger graph the nodes from number M on are dropped, with their edges.
      edge_weight: [E], or None for 1; those of duplicate edges add up.

    Returns:
      x, [B, M, F], zeros where there is no node.
      adjacency, [B, M, M]; entry (i, j) is the weight of the edge from j to i, as in
        `sparse.adjacency`.
      mask, which nodes there are, bool [B, M].
    """
    x, batch = tf.convert_to_tensor(x), tf.cast(batch, tf.int32)
    rank = ordering.rank_in_graph(batch, num_graphs)
    row = tf.where((batch >= 0) & (rank < max_nodes), batch * max_nodes + rank, -1)
    rows = num_graphs * max_nodes
    source, target = tf.gather(row, edge_index[0]), tf.gather(row, edge_index[1])
    if edge_weight is None:
        edge_weight = tf.ones_like(source, x.dtype)
    # Row and column of one block, so the number of the entry is that of the row and the column's
    # place in its graph.
    entry = tf.where((source >= 0) & (target >= 0), target * max_nodes + source % max_nodes, -1)
    adjacency = segments.segment_sum(edge_weight, entry, rows * max_nodes)
    mask = segments.count(row, rows) > 0
    return (
        tf.reshape(segments.segment_sum(x, row, rows), [num_graphs, max_nodes, x.shape[-1]]),
        tf.reshape(adjacency, [num_graphs, max_nodes, max_nodes]),
        tf.reshape(mask, [num_graphs, max_nodes]),
    )
