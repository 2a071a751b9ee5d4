"""SortPooling (Zhang et al. 2018, "An End-to-End Deep Learning Architecture for Graph [...]")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import segments
from research.geometric.pooling import ordering


class SortPool(tf.keras.layers.Layer):
    """The k nodes of each graph with the highest last channel, in order (Zhang et al. 2018).

    Nodes are sorted by their last channel, descending; equal ones by the channel before, and so on.
    A graph with fewer than k nodes has rows of zeros at the end.

    Args:
      k: rows of the result.
      tie_channels: how many of the channels before the last decide between equal nodes, all by
        default; each costs a sort. Nodes that are equal in all of them keep their order.
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: G, a Python integer.

    Returns:
      [G, k, F]; 0 of a graph without nodes.

    Raises:
      ValueError: if `k` is not positive or `tie_channels` negative.
    """

    def __init__(self, k: int, tie_channels: int | None = None, name: str | None = None):
        super().__init__(name=name)
        if k < 1:
            raise ValueError(f'k = {k} must be positive.')
        if tie_channels is not None and tie_channels < 0:
            raise ValueError(f'tie_channels = {tie_channels} is negative.')
        self.k = k
        self.tie_channels = tie_channels

    def call(self, x: tf.Tensor, batch: tf.Tensor, num_graphs: int) -> tf.Tensor:
        batch = tf.cast(batch, tf.int32)
        channels = x.shape[-1]
        ties = channels - 1 if self.tie_channels is None else self.tie_channels
        keys = tf.unstack(-tf.stop_gradient(x), axis=-1)[max(channels - 1 - ties, 0) :]
        rank = ordering.rank_in_graph(batch, num_graphs, keys)
        row = tf.where((batch >= 0) & (rank < self.k), batch * self.k + rank, -1)
        rows = segments.segment_sum(x, row, num_graphs * self.k)
        return tf.reshape(rows, [num_graphs, self.k, channels])

    def get_config(self) -> dict[str, Any]:
        return {'k': self.k, 'tie_channels': self.tie_channels, 'name': self.name}
