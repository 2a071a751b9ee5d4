"""What a hierarchical pooling returns, and pooling by a given assignment to clusters.

A pooled graph has fewer nodes and edges, how many depends on the data, and yet arrays need static
shapes. So a pooling gives a bound of S slots, and a slot S more, the sink:

- A slot without a node is zeros, and its `batch` is -1: it is of no graph. Segment operations drop
  negative ids, so readouts skip it.
- The sink is such a slot. An edge that is dropped is a loop at it, with zeros as `edge_attr`, so
  that no node receives a message along it, whatever the operator.

Convolutions and readouts of the kept nodes are then exactly those of the smaller graph, and what a
convolution writes into other slots is never read: the next pooling drops it again. Only what looks
across all nodes, such as batch normalization, must mask by `batch >= 0`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from research.geometric import message_passing, segments
from research.geometric.pooling import ordering


class Pooled(NamedTuple):
    """A batch of pooled graphs; see the module's docstring.

    Attributes:
      x: [S + 1, F].
      edge_index: int32 [2, E], as many columns as before.
      edge_attr: [E] or [E, D], or None.
      batch: graph of each slot, int32 [S + 1], -1 of slots without a node.
      assignment: slot of each node before, int32 [N], -1 of those that were dropped.
      pos: mean positions, [S + 1, 2 or 3], or None.
    """

    x: tf.Tensor
    edge_index: tf.Tensor
    edge_attr: tf.Tensor | None
    batch: tf.Tensor
    assignment: tf.Tensor
    pos: tf.Tensor | None = None


def pool_clusters(
    x: tf.Tensor,
    edge_index: tf.Tensor,
    batch: tf.Tensor,
    cluster: tf.Tensor,
    edge_attr: tf.Tensor | None = None,
    pos: tf.Tensor | None = None,
    aggregation: str | Callable = 'max',
    num_clusters: int | tf.Tensor | None = None,
) -> Pooled:
    """Makes one node of each cluster (Fey & Lenssen 2019, Sec. 2, of Graclus and voxel grids).

    Edges of one cluster to itself vanish; those between the same two become one, whose `edge_attr`
    is the sum: of weights, that is S^T A S without its diagonal. Edges are then sorted by target
    and source.

    Args:
      x: node features [N, F].
      edge_index: integers [2, E].
      batch: graph of each node, integers [N], -1 for none.
      cluster: cluster of each node, integers [N], 0 to num_clusters - 1; nodes with another number,
        such as -1, are dropped. All of a cluster are of one graph, which is checked eagerly only.
        A number that no node has is a slot without a node.
      edge_attr: [E] or [E, D], or None.
      pos: positions [N, D], or None; those of a cluster give their mean.
      aggregation: of the features, as in `MessagePassing`.
      num_clusters: S; N by default.

    Raises:
      ValueError: if `edge_attr` is of integers, the types of edges, which have no sum, or a cluster
        has nodes of several graphs.
    """
    if edge_attr is not None:
        edge_attr = tf.convert_to_tensor(edge_attr)
        if edge_attr.dtype.is_integer:
            raise ValueError(
                f'edge_attr is of {edge_attr.dtype.name}: types of edges cannot be '
                'added up where edges between two clusters become one.'
            )
    x, batch = tf.convert_to_tensor(x), tf.cast(batch, tf.int32)
    slots = message_passing.num_rows(x) if num_clusters is None else num_clusters
    cluster = tf.cast(cluster, tf.int32)
    # Number S would be the sink.
    assignment = tf.where((batch < 0) | (cluster < 0) | (cluster >= slots), -1, cluster)
    if tf.executing_eagerly():
        _check_one_graph_each(batch, assignment, slots)
    function = aggregation if callable(aggregation) else message_passing.AGGREGATIONS[aggregation]
    edge_index, edge_attr = pool_edges(edge_index, assignment, slots, edge_attr)
    source, target = edge_index[0], edge_index[1]
    edge_index, edge_attr = _merged(*_sunk(edge_index, source == target, slots, edge_attr), slots)
    return Pooled(
        function(x, assignment, slots + 1),
        edge_index,
        edge_attr,
        pool_batch(batch, assignment, slots),
        assignment,
        None if pos is None else segments.segment_mean(pos, assignment, slots + 1),
    )


def _check_one_graph_each(batch, assignment, slots):
    first = tf.math.unsorted_segment_min(batch, assignment, slots)
    last = tf.math.unsorted_segment_max(batch, assignment, slots)
    wrong = tf.where(first < last).numpy()[:, 0]  # A slot without a node has first > last.
    if wrong.size:
        cluster = int(wrong[0])
        raise ValueError(
            f'cluster {cluster} has nodes of graph {int(first[cluster])} and of graph '
            f'{int(last[cluster])}; all nodes of a cluster must be of one graph.'
        )


def pool_batch(batch: tf.Tensor, assignment: tf.Tensor, slots: int | tf.Tensor) -> tf.Tensor:
    """The graph of each slot, int32 [S + 1], -1 of those without a node."""
    return tf.maximum(tf.math.unsorted_segment_max(batch, assignment, slots + 1), -1)


def pool_edges(
    edge_index: tf.Tensor,
    assignment: tf.Tensor,
    slots: int | tf.Tensor,
    edge_attr: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Edges between slots; one with a dropped end goes to the sink, the others stay as they are.

    Args:
      edge_index: integers [2, E].
      assignment: slot of each node, int32 [N], -1 if dropped.
      slots: S.
      edge_attr: [E] or [E, D], or None.

    Returns:
      int32 [2, E], and `edge_attr`, zeros where the edge is dropped.
    """
    ends = tf.gather(assignment, edge_index)
    return _sunk(ends, tf.reduce_any(ends < 0, axis=0), slots, edge_attr)


def _sunk(edge_index, dropped, slots, edge_attr):
    edge_index = tf.where(dropped, slots, edge_index)
    if edge_attr is not None:
        edge_attr = tf.where(
            segments.expand_like(dropped, edge_attr), tf.zeros_like(edge_attr), edge_attr
        )
    return edge_index, edge_attr


def _merged(edge_index, edge_attr, slots):
    """Equal edges as one, sorted, what is left over at the end as loops at the sink."""
    source, target = edge_index[0], edge_index[1]
    order = ordering.lexsort([source, target])
    source, target = tf.gather(source, order), tf.gather(target, order)
    edges = message_passing.num_rows(source)
    group = ordering.number(tf.stack([source, target], axis=1))
    merged = tf.math.unsorted_segment_max(tf.stack([source, target], axis=1), group, edges)
    merged = tf.transpose(tf.where(merged < 0, slots, merged))
    if edge_attr is not None:
        edge_attr = segments.segment_sum(tf.gather(edge_attr, order), group, edges)
    return merged, edge_attr
