"""Convolution on X-transformed points (Li et al. 2018, "PointCNN")."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks
from research.geometric import message_passing
from research.geometric.convs import inputs


class XConv(tf.keras.layers.Layer):
    """x_p' = Conv(K, X [F_delta, F]) of the k neighbours of each p (Li et al. 2018, Algorithm 1).

    With P' [k, D] the neighbours' positions relative to p and F [k, F] their features:
      F_delta = MLP_delta(P')    each point alone to C_delta channels, two layers with ELU
      X = MLP(P')                all coordinates to a k x k matrix: k D numbers to k^2, then twice
                                 a convolution of each column with kernels of its own, ELU between
      F_X = X [F_delta, F]
      x_p' = Conv(K, F_X)        separable: `depth_multiplier` kernels of length k for each
                                 channel, then a matrix to F' channels
    as in the authors' code, which is where the layers of the MLPs and the convolution are from.

    Aggregation is not a sum or a maximum but a convolution over the neighbours in their order, so
    each target must have exactly k * dilation edges, grouped by target, targets in order, nearest
    source first, as `neighbors.edge_index(neighbors.knn(...), ...)` gives them.

    - No batch normalization: an operator sees no batch. In its place X begins as the identity plus
      a small matrix, by the last bias.
    - The output has no activation; the authors have ELU there.
    - Dilation takes every `dilation`-th neighbour, as the authors' code; the paper draws them.

    Args:
      channels: F', features of a point after the layer.
      kernel_size: k, neighbours that are convolved.
      hidden_channels: C_delta; by default F // 4, or F' // 2 without features.
      dilation: of how many neighbours one is taken.
      depth_multiplier: kernels for each channel of [F_delta, F]; by default F' / F rounded up,
        or 4 without features.
      use_bias: whether something is added to the output.
      name: name of the layer.

    Call arguments:
      x: [N, F], or a pair ([M, F], anything) of a bipartite graph, or None for no features.
      edge_index: integers [2, N * k * dilation], see above.
      edge_attr: must be None.
      pos: positions [N, D], or a pair ([M, D], [N, D]) of a bipartite graph.

    Returns:
      [N, F'].

    Raises:
      ValueError: if there is no `pos`, there are edge features, an argument is not positive, or
        the edges are not k * dilation a target or, where their values are known when it is called,
        not grouped by target.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        hidden_channels: int | None = None,
        dilation: int = 1,
        depth_multiplier: int | None = None,
        use_bias: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name)
        checks.positive('XConv', channels=channels)
        for field, value in (('kernel_size', kernel_size), ('dilation', dilation)):
            if value < 1:
                raise ValueError(f'{field} = {value} is not positive.')
        self.channels = channels
        self.kernel_size = kernel_size
        self.hidden_channels = hidden_channels
        self.dilation = dilation
        self.depth_multiplier = depth_multiplier
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:
        width = inputs.widths(input_shape)[0] or 0  # None where x is None.
        k = self.kernel_size
        hidden = self.hidden_channels or (max(1, width // 4) if width else self.channels // 2)
        multiplier = self.depth_multiplier or (math.ceil(self.channels / width) if width else 4)
        dense = tf.keras.layers.Dense
        self.lift = [dense(hidden, 'elu', name=f'lift_{layer}') for layer in (1, 2)]
        self.transform = dense(k * k, 'elu', name='transform')
        self.transform_kernels = [
            self._depthwise(f'transform_kernel_{layer}', k, k) for layer in (1, 2)
        ]
        self.transform_biases = [
            self.add_weight('transform_bias_1', [k, k], initializer='zeros'),
            self.add_weight('transform_bias_2', [k, k], initializer='identity'),
        ]
        self.kernel = self._depthwise('depthwise_kernel', hidden + width, multiplier)
        self.pointwise = dense(self.channels, use_bias=self.use_bias, name='pointwise')
        super().build(input_shape)

    def _depthwise(self, name, channels, multiplier):
        """Kernels [k, channels, multiplier], the multiplier of each channel over k points."""
        # Keras counts all channels among the inputs, of which a kernel here has one: so the scale
        # makes the variance 1 / k.
        return self.add_weight(
            name,
            [self.kernel_size, channels, multiplier],
            initializer=tf.keras.initializers.VarianceScaling(channels, 'fan_in'),
        )

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        pos: tf.Tensor | None = None,
    ) -> tf.Tensor:
        pos_sources, pos_targets = inputs.positions(self.name, pos, edge_attr)
        targets = message_passing.num_rows(pos_targets)
        source = self._neighbors(edge_index, targets)
        relative = tf.cast(
            tf.gather(pos_sources, source) - pos_targets[:, tf.newaxis], self.compute_dtype
        )
        features = self.lift[1](self.lift[0](relative))
        if x is not None:
            features = tf.concat([features, tf.gather(inputs.pair(x)[0], source)], axis=-1)
        transformed = tf.matmul(self.transformation(relative), features)
        collected = tf.einsum('nkc,kcm->ncm', transformed, self.kernel)
        return self.pointwise(tf.reshape(collected, [-1, math.prod(self.kernel.shape[1:])]))

    def transformation(self, relative: tf.Tensor) -> tf.Tensor:
        """X, [N, k, k], of relative positions P' [N, k, D]."""
        k = self.kernel_size
        x = self.transform(tf.reshape(relative, [-1, k * relative.shape[-1]]))
        x = tf.reshape(x, [-1, k, k])
        for layer, activation in enumerate((tf.nn.elu, tf.identity)):
            x = tf.einsum('nkc,kcm->ncm', x, self.transform_kernels[layer])
            x = activation(x + self.transform_biases[layer])
        return x

    def _neighbors(self, edge_index, targets):
        """Sources [N, k] of the edges, which must be as many for every target and in order."""
        if isinstance(edge_index, tf.SparseTensor):
            raise ValueError(f'{self.name}: a sparse adjacency matrix has no order of neighbours.')
        each = self.kernel_size * self.dilation
        edges = edge_index.shape[1]
        if isinstance(targets, int) and edges is not None and edges != targets * each:
            raise ValueError(
                f'{self.name}: {edges} edges are not kernel_size * dilation = {each} '
                f'for each of {targets} points.'
            )
        target = tf.get_static_value(edge_index[1])
        if target is not None:
            wrong = (target != np.arange(len(target)) // each).nonzero()[0]
            if len(wrong):
                raise ValueError(
                    f'{self.name}: edge {wrong[0]} leads to point {target[wrong[0]]}, not '
                    f'{wrong[0] // each}; edges must be grouped by target, {each} a point.'
                )
        return tf.reshape(edge_index[0], [-1, each])[:, :: self.dilation]

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'kernel_size': self.kernel_size,
            'hidden_channels': self.hidden_channels,
            'dilation': self.dilation,
            'depth_multiplier': self.depth_multiplier,
            'use_bias': self.use_bias,
            'name': self.name,
        }
