"""Top-k pooling (Gao & Ji 2018, "Graph U-Net"; Cangea et al. 2018)."""

from __future__ import annotations

import fractions
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from research.geometric import message_passing, segments
from research.geometric.pooling import ordering, pooled


class TopKPooling(tf.keras.layers.Layer):
    """Keeps the nodes of each graph with the highest scores (Gao & Ji 2018; Cangea et al. 2018).

        y = X p / |p|,  i = the ceil(ratio * n) nodes of a graph with the highest y,
        X' = (X * tanh(y))_i,  A' = A_ii.

    - This is Cangea et al.; Gao & Ji keep the same number of every graph, and their gate is
      `activation='sigmoid'`.
    - Of equal scores the lower index is kept.

    Args:
      ratio: part of the nodes that is kept, 0.001 to 1; taken as the nearest fraction of integers
        whose denominator is at most 1000, so that ratio * n is exact: 0.8 of 5 nodes are 4.
      activation: of the scores, for the gate.
      kernel_initializer: of p, [F, 1].
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      edge_index: integers [2, E].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: G, a Python integer.
      edge_attr: [E] or [E, D], or None.
      pos: positions [N, D], or None.

    Returns:
      `pooled.Pooled` with S < ratio * N + G slots; nodes and edges keep their order.

    Raises:
      ValueError: if `ratio` is outside [0.001, 1].
    """

    def __init__(
        self,
        ratio: float = 0.8,
        activation: str | Callable = 'tanh',
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not 0.001 <= ratio <= 1:
            raise ValueError(f'ratio = {ratio} is outside [0.001, 1].')
        self.ratio = ratio
        self.activation = tf.keras.activations.get(activation)
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            'kernel', [input_shape[-1], 1], initializer=self.kernel_initializer
        )
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor,
        batch: tf.Tensor,
        num_graphs: int,
        edge_attr: tf.Tensor | None = None,
        pos: tf.Tensor | None = None,
    ) -> pooled.Pooled:
        batch = tf.cast(batch, tf.int32)
        score = tf.matmul(x, self.kernel) / tf.norm(self.kernel)
        keep, slots = self._kept(tf.stop_gradient(score)[:, 0], batch, num_graphs)
        assignment = tf.where(keep, ordering.cumsum(tf.cast(keep, tf.int32)) - 1, -1)
        edge_index, edge_attr = pooled.pool_edges(edge_index, assignment, slots, edge_attr)
        return pooled.Pooled(
            segments.segment_sum(x * self.activation(score), assignment, slots + 1),
            edge_index,
            edge_attr,
            pooled.pool_batch(batch, assignment, slots),
            assignment,
            None if pos is None else segments.segment_sum(pos, assignment, slots + 1),
        )

    def _kept(self, score, batch, num_graphs):
        """Which nodes are kept, bool [N], and a bound of their number."""
        ratio = fractions.Fraction(self.ratio).limit_denominator(1000)
        above, below = ratio.numerator, ratio.denominator
        sizes = tf.cast(segments.count(batch, num_graphs), tf.int32)
        wanted = (above * sizes + below - 1) // below
        rank = ordering.rank_in_graph(batch, num_graphs, [-score])
        keep = (batch >= 0) & (rank < tf.gather(wanted, tf.maximum(batch, 0)))
        nodes = message_passing.num_rows(score)
        # Each graph rounds up by less than 1.
        bound = (above * nodes + num_graphs * (below - 1)) // below
        return keep, min(nodes, bound) if isinstance(nodes, int) else tf.minimum(nodes, bound)

    def get_config(self) -> dict[str, Any]:
        return {
            'ratio': self.ratio,
            'activation': tf.keras.activations.serialize(self.activation),
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
