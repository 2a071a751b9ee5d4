"""Graph isomorphism network (Xu et al. 2019, "How Powerful Are Graph Neural Networks?")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import message_passing, networks, sparse


class GINConv(message_passing.MessagePassing):
    """x_i' = mlp((1 + eps) x_i + sum over j in N(i) of x_j)  (Xu et al. 2019, Eq. (4.1)).

    GIN-0 is eps = 0; GIN-eps learns it, from 0.

    Args:
      mlp: a Keras layer or model, [N, F] -> [N, F'].
      eps: of the formula; its initial value where it is learnt.
      train_eps: whether eps is a weight, a scalar.
      name: name of the layer.

    Call arguments:
      x: [N, F], dense; or a pair (sources, targets) of the same F.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, M].
      edge_attr: edge weights [E], or None for 1.

    Returns:
      What `mlp` gives, [N, F'].

    Raises:
      ValueError: if `mlp` is no Keras layer.
    """

    def __init__(
        self,
        mlp: tf.keras.layers.Layer,
        eps: float = 0.0,
        train_eps: bool = False,
        name: str | None = None,
    ):
        super().__init__('sum', name=name)
        self.mlp = networks.get(mlp)
        self.initial_eps = eps
        self.train_eps = train_eps

    def build(self, input_shape: Any) -> None:
        self.eps = self.initial_eps
        if self.train_eps:
            self.eps = self.add_weight(
                'eps', [], initializer=tf.keras.initializers.Constant(self.initial_eps)
            )
        super().build(input_shape)

    def multiply(self, x: tf.Tensor, adjacency: tf.SparseTensor) -> tf.Tensor:
        return sparse.matmul(adjacency, x)

    def update(self, x: tf.Tensor, aggregated: tf.Tensor) -> tf.Tensor:
        return self.mlp((1 + self.eps) * x + aggregated)

    def get_config(self) -> dict[str, Any]:
        return {
            'mlp': networks.serialize(self.mlp),
            'eps': self.initial_eps,
            'train_eps': self.train_eps,
            'name': self.name,
        }
