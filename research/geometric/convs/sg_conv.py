"""Simple graph convolution (Wu et al. 2019, "Simplifying Graph Convolutional Networks")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from research.geometric import message_passing, sparse
from research.geometric.convs import gcn_conv


class SGConv(gcn_conv.GCNConv):
    """X' = S^K X Theta + b, with S = D~^(-1/2) A~ D~^(-1/2), A~ = A + I  (Wu et al. 2019, Eq. (8)).

    The softmax of Eq. (8) is left to the loss. With K = 1 this is `GCNConv`.

    - The product is taken as S^K (X Theta): a sparse X is multiplied first, and S then meets F'
      columns instead of F. The authors compute S^K X once for all steps.
    - Eq. (8) has no b; the authors' code has one.
    - A self loop that the graph already has keeps its weight, as in `GCNConv`.

    Args:
      channels: F', features of a node after the layer.
      K: how often S is applied, at least 0.
      normalize: False where the edges already carry the coefficients of S
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

    Raises:
      ValueError: if K is negative.
    """

    def __init__(
        self,
        channels: int,
        *,
        K: int = 1,
        normalize: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(
            channels,
            normalize=normalize,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            name=name,
        )
        if K < 0:
            raise ValueError(f'K = {K} must not be negative.')
        self.K = K

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        x = sparse.matmul(x, self.kernel)
        smooth = self.smoother(edge_index, edge_attr, message_passing.num_rows(x))
        for _ in range(self.K):
            x = smooth(x)
        return x if self.bias is None else x + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'K': self.K}
