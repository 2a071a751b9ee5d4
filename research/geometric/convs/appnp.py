"""Personalized PageRank of predictions (Klicpera et al. 2019, "Predict then Propagate")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.modeling import random
from research.geometric import message_passing, smoothing


class APPNP(smoothing.NormalizedPropagation):
    """Z^(k+1) = (1 - alpha) A^ Z^(k) + alpha X, from Z^(0) = X to Z^(K).

    Klicpera et al. 2019, Eq. (4). A^ = D~^(-1/2) A~ D~^(-1/2) with A~ = A + I. X are what a network
    predicts of each node by itself; the layer has no weights. The softmax of Eq. (4) is left to the
    loss.

    - A self loop that the graph already has keeps its weight, as in `GCNConv`.

    Args:
      K: number of power iterations, at least 0.
      alpha: teleport probability, 0 to 1.
      dropout: share of the entries of A^, the diagonal's too, that are dropped in training, drawn
        anew in each iteration. The same key drops other edges on the sparse
        route, where they are in another order.
      normalize: False where the edges already carry the coefficients of A^
        (`normalization.gcn_normalized`), which saves work on a graph that does not change.
      name: name of the layer.

    Call arguments:
      x: [N, F], dense.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, N].
      edge_attr: edge weights [E], or None for 1.
      key: int32 [1, 2], the randomness of the dropout. Without it, dropout is
        drawn as Keras' is, in training alone.

    Returns:
      [N, F].

    Raises:
      ValueError: if K is negative, alpha is outside [0, 1], or `dropout` outside [0, 1).
    """

    def __init__(
        self,
        K: int = 10,
        alpha: float = 0.1,
        dropout: float = 0.0,
        normalize: bool = True,
        name: str | None = None,
    ):
        super().__init__(normalize, name=name)
        if K < 0:
            raise ValueError(f'K = {K} must not be negative.')
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha = {alpha} is outside [0, 1].')
        if not 0 <= dropout < 1:
            raise ValueError(f'dropout = {dropout} is outside [0, 1).')
        self.K = K
        self.alpha = alpha
        self.dropout = dropout

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        key = random.key_in_training(key, training)
        coefficients = self.coefficients(edge_index, edge_attr, message_passing.num_rows(x))
        teleport = self.alpha * x
        for k in range(self.K):
            kept = self._dropped(coefficients, None if key is None else random.fold_in(key, k))
            x = (1 - self.alpha) * self.step(x, edge_index, *kept) + teleport
        return x

    def _dropped(self, coefficients, key):
        if key is None or not self.dropout:
            return coefficients
        return [
            None
            if entries is None
            else random.dropout(random.fold_in(key, index), entries, self.dropout)
            for index, entries in enumerate(coefficients)
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            'K': self.K,
            'alpha': self.alpha,
            'dropout': self.dropout,
            'normalize': self.normalize,
            'name': self.name,
        }
