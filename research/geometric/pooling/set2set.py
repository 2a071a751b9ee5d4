"""Set2Set (Vinyals, Bengio & Kudlur 2016, "Order Matters: Sequence to Sequence for Sets")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import segments
from research.geometric.pooling import readout


class Set2Set(tf.keras.layers.Layer):
    """Reads a graph's nodes by attention, several times (Vinyals et al. 2016, Eqs. (3) to (7)).

        q_t = LSTM(q*_{t-1}),  e_{i,t} = x_i . q_t,  a_{i,t} = softmax of e_{i,t} over the graph,
        r_t = sum over i of a_{i,t} x_i,  q*_t = [q_t, r_t],  q*_0 = 0.

    - The LSTM takes q*_{t-1} as its input and q_{t-1} as its hidden state, so two matrices act on
      q_{t-1}, whose sum is the paper's one.

    Args:
      steps: T, how often the nodes are read.
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      batch: graph of each node, integers [N] in any order, -1 for none.
      num_graphs: G, a Python integer.

    Returns:
      q*_T, [G, 2F]; 0 of a graph without nodes.

    Raises:
      ValueError: if `steps` is not positive.
    """

    def __init__(self, steps: int, name: str | None = None):
        super().__init__(name=name)
        if steps < 1:
            raise ValueError(f'steps = {steps} must be positive.')
        self.steps = steps

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        self.lstm = tf.keras.layers.LSTMCell(channels, name='lstm')
        with tf.name_scope('lstm'):
            self.lstm.build([None, 2 * channels])
        super().build(input_shape)

    def call(self, x: tf.Tensor, batch: tf.Tensor, num_graphs: int) -> tf.Tensor:
        batch = tf.cast(batch, tf.int32)
        state = [tf.zeros([num_graphs, x.shape[-1]], x.dtype)] * 2
        read = tf.zeros([num_graphs, 2 * x.shape[-1]], x.dtype)
        for _ in range(self.steps):
            query, state = self.lstm(read, state)
            logits = tf.reduce_sum(x * tf.gather(query, tf.maximum(batch, 0)), axis=-1)
            attention = readout.softmax(logits, batch, num_graphs)
            values = segments.segment_sum(attention[:, tf.newaxis] * x, batch, num_graphs)
            read = tf.concat([query, values], axis=-1)
        empty = segments.count(batch, num_graphs) == 0
        return tf.where(empty[:, tf.newaxis], tf.zeros_like(read), read)

    def get_config(self) -> dict[str, Any]:
        return {'steps': self.steps, 'name': self.name}
