"""Graclus pooling as a layer (Dhillon, Guan & Kulis 2007), for networks that pool in between."""

from __future__ import annotations

import tensorflow as tf

from official.modeling import random
from research.geometric import message_passing
from research.geometric.pooling import graclus, pooled


class GraclusPooling(tf.keras.layers.Layer):
    """Makes one node, the maximum of both, of each two that a matching pairs.

    - Matched in the graph, anew in each step (`parallel_graclus`).

    Call arguments:
      x: node features [N, F].
      edge_index: integers [2, E].
      batch: graph of each node, integers [N], -1 for none.
      num_graphs: not used.
      edge_attr: edge weights [E], which the matching and the pooled graph have, or None.
      key: int32 [shards, 2]; of several shards the first is used, as nodes cannot be divided.

    Returns:
      `pooled.Pooled`; where N is not known when the graph is made, with no more slots than needed.
    """

    def call(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        batch: tf.Tensor,
        num_graphs: int | tf.Tensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
    ) -> pooled.Pooled:
        del num_graphs
        num_nodes = message_passing.num_rows(x)
        key = random.make_key(0) if key is None else key[:1]
        cluster = graclus.parallel_graclus(edge_index, num_nodes, key, edge_attr)
        slots = num_nodes if isinstance(num_nodes, int) else tf.reduce_max(cluster, axis=0) + 1
        return pooled.pool_clusters(x, edge_index, batch, cluster, edge_attr, num_clusters=slots)
