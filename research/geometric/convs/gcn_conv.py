"""Graph convolution (Kipf & Welling 2017, "Semi-Supervised Classification with GCNs")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric import smoothing, sparse
from research.geometric.convs import inputs


class GCNConv(smoothing.NormalizedPropagation):
    """X' = D~^(-1/2) A~ D~^(-1/2) X Theta + b, with A~ = A + I  (Kipf & Welling 2017, Eq. (2)).

    - A self loop that the graph already has keeps its weight; only nodes without one get one of
      weight 1. The authors' code adds 1 to every diagonal entry.

    Args:
      channels: F', features of a node after the layer.
      normalize: False where the edges already carry the coefficients of D~^(-1/2) A~ D~^(-1/2)
        (`normalization.gcn_normalized`), which saves work on a graph that does not change.
      use_bias: whether there is a b.
      kernel_initializer: of Theta, [F, F'].
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or a `tf.SparseTensor`.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, N].
      edge_attr: edge weights [E], or None for 1.

    Returns:
      [N, F'].
    """

    def __init__(
        self,
        channels: int,
        *,
        normalize: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(normalize, name=name)
        checks.positive(type(self).__name__, channels=channels)
        self.channels = channels
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            'kernel',
            [inputs.width(type(self).__name__, input_shape), self.channels],
            initializer=self.kernel_initializer,
        )
        self.bias = (
            self.add_weight('bias', [self.channels], initializer='zeros') if self.use_bias else None
        )
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = sparse.matmul(x, self.kernel)
        x = self.smooth(x, edge_index, edge_attr)
        return x if self.bias is None else x + self.bias

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'normalize': self.normalize,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
