"""Propagation by attention (Thekumparampil et al. 2018, "Attention-based Graph Neural Network")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import message_passing, normalization, segments
from research.geometric.convs import inputs


class AGNNConv(message_passing.MessagePassing):
    """X' = P X, P_ij = softmax over j in N(i) and i itself of beta cos(x_i, x_j).

    The propagation layer of AGNN (Thekumparampil et al. 2018, Sec. 4), whose one weight is beta.

    - The cosine with a node whose features are all 0 is 0.
    - Several edges from j to i have one term of the softmax each; a self loop that the graph
      already has is counted once.

    Args:
      beta: of the formula; its initial value where it is learnt.
      train_beta: whether beta is a weight, a scalar.
      name: name of the layer.

    Call arguments:
      x: [N, F], dense.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, N], of which the places count
        and not the values.
      edge_attr: not used; must be None.

    Returns:
      [N, F].

    Raises:
      ValueError: if edge_attr is given.
    """

    def __init__(self, beta: float = 1.0, train_beta: bool = True, name: str | None = None):
        super().__init__('sum', name=name)
        self.initial_beta = beta
        self.train_beta = train_beta

    def build(self, input_shape: Any) -> None:
        self.beta = self.initial_beta
        if self.train_beta:
            self.beta = self.add_weight(
                'beta', [], initializer=tf.keras.initializers.Constant(self.initial_beta)
            )
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        if edge_attr is not None:
            raise ValueError('AGNNConv has no use for edge_attr; got one.')
        num_nodes = message_passing.num_rows(x)
        source, target = inputs.with_self_loops(edge_index, num_nodes)
        unit = normalization.unit_rows(x)
        cosine = tf.reduce_sum(tf.gather(unit, source) * tf.gather(unit, target), axis=-1)
        logits = inputs.without_repeated(self.beta * cosine, source, target, num_nodes)
        attention = segments.segment_softmax(logits, target, num_nodes)
        return self.propagate(x, tf.stack([source, target]), attention)

    def get_config(self) -> dict[str, Any]:
        return {'beta': self.initial_beta, 'train_beta': self.train_beta, 'name': self.name}
