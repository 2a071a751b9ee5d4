"""Gaussian mixture convolution (Monti et al. 2017, "MoNet")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric import segments
from research.geometric.convs import inputs, kernel_conv

# Keeps a kernel whose deviation reaches 0 finite.
EPSILON = 1e-12


class GMMConv(kernel_conv.KernelConv):
    """x_i' = aggregation over j in N(i) of sum_k w_k(u_ij) x_j Theta_k, + x_i Theta_root + b.

    w_k(u) = exp(-1/2 (u - mu_k)^T Sigma_k^-1 (u - mu_k))  (Monti et al. 2017, Eqs. (9) to (11))
    with a diagonal Sigma_k, whose roots are learnt: Sigma_k = diag(sigma_k)^2.

    - The paper adds up a node's neighbours; that is aggregation='sum'. The default is the mean,
      which does not grow with the degree.
    - Theta_root is not the paper's; `root_weight=False` leaves it out.

    Args:
      channels: F', features of a node after the layer.
      kernel_size: K, number of Gaussians.
      dim: D, number of pseudo-coordinates u of an edge.
      aggregation: 'mean', 'sum', 'max', or a function.
      root_weight: whether there is a Theta_root, [F, F'].
      use_bias: whether there is a b.
      kernel_initializer: of Theta, [K, F, F'].
      mean_initializer: of mu, [K, D]; by default uniform on [0, 1), where the transforms that
        make pseudo-coordinates put them.
      deviation_initializer: of sigma, [K, D]; by default 0.5.
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or a `tf.SparseTensor`; or a pair ([M, F], [N, F'']) of a bipartite graph.
      edge_index: integers [2, E].
      edge_attr: pseudo-coordinates u, [E, D].

    Returns:
      [N, F'].

    Raises:
      ValueError: if there are no pseudo-coordinates or their number is not `dim`.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dim: int,
        aggregation: str | Callable = 'mean',
        root_weight: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        mean_initializer: str | dict | Callable | None = None,
        deviation_initializer: str | dict | Callable | None = None,
        name: str | None = None,
    ):
        super().__init__(channels, aggregation, root_weight, use_bias, name)
        initializers = tf.keras.initializers
        checks.positive('GMMConv', kernel_size=kernel_size, dim=dim)
        self.kernel_size = kernel_size
        self.dim = dim
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.mean_initializer = initializers.get(
            initializers.RandomUniform(0, 1) if mean_initializer is None else mean_initializer
        )
        self.deviation_initializer = initializers.get(
            initializers.Constant(0.5) if deviation_initializer is None else deviation_initializer
        )

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            'kernel',
            [self.kernel_size, inputs.widths(input_shape)[0], self.channels],
            initializer=self.kernel_initializer,
        )
        self.mean = self.add_weight(
            'mean', [self.kernel_size, self.dim], initializer=self.mean_initializer
        )
        self.deviation = self.add_weight(
            'deviation', [self.kernel_size, self.dim], initializer=self.deviation_initializer
        )
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        edge_index, pseudo = self.edges_of(edge_index, edge_attr, self.dim)
        return self.convolve(x, edge_index, self.gaussians(pseudo), self.kernel)

    def gaussians(self, pseudo: tf.Tensor) -> tf.Tensor:
        """w, [E, K], of pseudo-coordinates [E, D]."""
        dtype = segments.wide(pseudo.dtype)  # EPSILON is 0 in float16.
        squares = tf.square(tf.cast(pseudo, dtype)[:, tf.newaxis] - tf.cast(self.mean, dtype))
        weights = tf.exp(
            -0.5
            * tf.reduce_sum(
                squares / (tf.square(tf.cast(self.deviation, dtype)) + EPSILON), axis=-1
            )
        )
        return tf.cast(weights, pseudo.dtype)

    def get_config(self) -> dict[str, Any]:
        serialize = tf.keras.initializers.serialize
        return {
            **super().get_config(),
            'kernel_size': self.kernel_size,
            'dim': self.dim,
            'kernel_initializer': serialize(self.kernel_initializer),
            'mean_initializer': serialize(self.mean_initializer),
            'deviation_initializer': serialize(self.deviation_initializer),
        }
