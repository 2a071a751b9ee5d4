"""Chebyshev filters (Defferrard et al. 2016, "CNNs on Graphs with Fast Localized Filtering")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric import kernels, message_passing, smoothing, sparse
from research.geometric.convs import inputs


class ChebConv(smoothing.NormalizedPropagation):
    """X' = sum over k < K of T_k(L^) X Theta_k + b  (Defferrard et al. 2016, Eqs. (4) and (5)).

    L^ = 2 L / lambda_max - I is the scaled Laplacian, L = I - D^(-1/2) A D^(-1/2), and T_k the
    Chebyshev polynomials: T_0 = 1, T_1(l) = l, T_k(l) = 2 l T_(k-1)(l) - T_(k-2)(l).

    Either way of summing multiplies K - 1 times by L^. The recurrence above does so on X and its F
    columns; Clenshaw's,
      B_k = X Theta_k + 2 L^ B_(k+1) - B_(k+2),  X' = X Theta_0 + L^ B_1 - B_2 + b,
    on F' columns. This layer takes the narrower one, and Clenshaw's for a sparse X, whose K
    products with Theta are then one product.

    - lambda_max is 2 by default, the bound of the eigenvalues of L, so that L^ is
      -D^(-1/2) A D^(-1/2); the paper uses the largest eigenvalue.
    - L of an isolated node is 1 as of any other; a self loop is an entry of A; on directed graphs
      D sums what comes in.

    Args:
      channels: F', features of a node after the layer.
      K: number of terms, at least 1; with 1 no edge is used.
      lambda_max: largest eigenvalue of L, or a bound.
      normalize: False where the edges already carry the coefficients of D^(-1/2) A D^(-1/2)
        (`normalization.gcn_normalized` without self loops), which saves work on a graph that does
        not change.
      use_bias: whether there is a b.
      kernel_initializer: of each Theta_k, [F, F'].
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or a `tf.SparseTensor`.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, N].
      edge_attr: edge weights [E], or None for 1.

    Returns:
      [N, F'].

    Raises:
      ValueError: if K is below 1 or lambda_max is not positive.
    """

    def __init__(
        self,
        channels: int,
        *,
        K: int,
        lambda_max: float = 2.0,
        normalize: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(normalize, self_loops=False, name=name)
        checks.positive('ChebConv', channels=channels)
        if K < 1:
            raise ValueError(f'K = {K} must be at least 1.')
        if lambda_max <= 0:
            raise ValueError(f'lambda_max = {lambda_max} must be positive.')
        self.channels = channels
        self.K = K
        self.lambda_max = lambda_max
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            'kernel',
            [self.K, inputs.width(type(self).__name__, input_shape), self.channels],
            initializer=kernels.each(self.kernel_initializer),
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
        smooth = self.smoother(edge_index, edge_attr, message_passing.num_rows(x))
        share = 2 / self.lambda_max

        def laplacian(x):
            """L^ x = (2 / lambda_max - 1) x - (2 / lambda_max) D^(-1/2) A D^(-1/2) x."""
            return -smooth(x) if share == 1 else (share - 1) * x - share * smooth(x)

        narrower = isinstance(x, tf.SparseTensor) or self.channels < x.shape[-1]
        x = self._clenshaw(x, laplacian) if narrower else self._forward(x, laplacian)
        return x if self.bias is None else x + self.bias

    def _clenshaw(self, x, laplacian):
        products = sparse.matmul(x, kernels.side_by_side(self.kernel))
        products = tf.split(products, self.K, axis=1)
        later, last = tf.zeros_like(products[0]), products[-1]  # B_(k+1) and B_k.
        for k in reversed(range(self.K - 1)):
            factor = 2 if k else 1
            later, last = last, products[k] + factor * laplacian(last) - later
        return last

    def _forward(self, x, laplacian):
        earlier, last = None, x  # T_(k-1) x and T_k x.
        total = tf.matmul(x, self.kernel[0])
        for k in range(1, self.K):
            following = laplacian(x) if k == 1 else 2 * laplacian(last) - earlier
            earlier, last = last, following
            total += tf.matmul(last, self.kernel[k])
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'K': self.K,
            'lambda_max': self.lambda_max,
            'normalize': self.normalize,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
