"""Readouts that look at each node alone: sum, mean and maximum over a graph's nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from research.geometric import message_passing, segments


class Readout(tf.keras.layers.Layer):
    """r_g = sum, mean or maximum of x_i over the nodes i of graph g (Fey & Lenssen 2019, Sec. 2).

    Args:
      aggregation: 'sum', 'mean' or 'max', or a function (values [N, F], segment_ids [N],
        num_segments) -> [num_segments, ...].
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: G, a Python integer.

    Returns:
      [G, F]; 0 of a graph without nodes.

    Raises:
      ValueError: if `aggregation` is another word.
    """

    def __init__(self, aggregation: str | Callable = 'mean', name: str | None = None):
        super().__init__(name=name)
        if not callable(aggregation) and aggregation not in message_passing.AGGREGATIONS:
            raise ValueError(
                f'aggregation = {aggregation!r} is none of '
                f'{", ".join(message_passing.AGGREGATIONS)} and no function.'
            )
        self.aggregation = aggregation

    def call(self, x: tf.Tensor, batch: tf.Tensor, num_graphs: int) -> tf.Tensor:
        function = self.aggregation
        if not callable(function):
            function = message_passing.AGGREGATIONS[function]
        return function(x, batch, num_graphs)

    def get_config(self) -> dict[str, Any]:
        return {'aggregation': self.aggregation, 'name': self.name}


def softmax(logits: tf.Tensor, batch: tf.Tensor, num_graphs: int) -> tf.Tensor:
    """Softmax over the nodes of each graph; 0 of a node of no graph.

    Args:
      logits: [N, ...].
      batch: graph of each node, integers [N], -1 for none.
      num_graphs: G.
    """
    nowhere = segments.expand_like(batch < 0, logits)
    logits = tf.where(nowhere, tf.constant(float('-inf'), logits.dtype), logits)
    return segments.segment_softmax(logits, tf.maximum(batch, 0), num_graphs)
