"""Global soft attention (Li et al. 2016, "Gated Graph Sequence Neural Networks")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import networks, segments
from research.geometric.pooling import readout


class GlobalAttention(tf.keras.layers.Layer):
    """r_g = sum over the nodes i of graph g of softmax_g(gate(x_i)) * features(x_i).

    After Li et al. 2016, Eq. (7): r = tanh(sum over i of sigmoid(gate(x_i)) * tanh(features(x_i))).

    - The gate is a softmax over the graph's nodes, as in Fey & Lenssen's Table 2, so the sum does
      not grow with the graph; `softmax=False` gives the equation's sigmoid.
    - Neither tanh is applied: the first belongs to `features`, the second to what follows.

    Args:
      gate: layer that gives the logits, [N, F] to [N, 1], or [N, F'], one for each channel.
      features: layer [N, F] to [N, F'], or None for x itself.
      softmax: see above.
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: G, a Python integer.

    Returns:
      [G, F']; 0 of a graph without nodes.

    Raises:
      ValueError: if `gate` or `features` is no Keras layer.
    """

    def __init__(
        self,
        gate: tf.keras.layers.Layer,
        features: tf.keras.layers.Layer | None = None,
        softmax: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.gate = networks.get(gate)
        self.features = None if features is None else networks.get(features)
        self.softmax = softmax

    def call(self, x: tf.Tensor, batch: tf.Tensor, num_graphs: int) -> tf.Tensor:
        batch = tf.cast(batch, tf.int32)
        logits = self.gate(x)
        weights = readout.softmax(logits, batch, num_graphs) if self.softmax else tf.sigmoid(logits)
        values = x if self.features is None else self.features(x)
        return segments.segment_sum(weights * values, batch, num_graphs)

    def get_config(self) -> dict[str, Any]:
        features = None if self.features is None else networks.serialize(self.features)
        return {
            'gate': networks.serialize(self.gate),
            'features': features,
            'softmax': self.softmax,
            'name': self.name,
        }
