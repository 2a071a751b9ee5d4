"""Edge convolution whose graph is rebuilt in each layer (Wang et al. 2018, "Dynamic Graph CNN")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric import message_passing, neighbors
from research.geometric.convs import edge_conv

_REDUCTIONS = {'sum': tf.reduce_sum, 'mean': tf.reduce_mean, 'max': tf.reduce_max}


class DynamicEdgeConv(edge_conv.EdgeConv):
    """x_i' = max over the k nearest j of h([x_i, x_j - x_i])  (Wang et al. 2018, Sec. 3).

    Nearest in the space of the features that come in, so that every layer has a graph of its own;
    a point is among its own neighbours. Neighbours are the same k for all, so they are reduced as
    an axis rather than by segments.

    - No gradient passes through the choice of the neighbours.

    Args:
      network: h, any Keras layer from [E, 2 F] to [E, F'], which has its own activation.
      k: neighbours of a point, itself included.
      aggregation: 'max', which is the paper's, 'sum', 'mean', or a function.
      name: name of the layer.

    Call arguments:
      x: features [N, F] of `num_graphs` clouds of equal sizes, one after the other.
      num_graphs: number of clouds, a Python int.

    Returns:
      [N, F'].

    Raises:
      ValueError: if N is no multiple of `num_graphs`, or a cloud has fewer than k points.
    """

    def __init__(
        self,
        network: tf.keras.layers.Layer | dict,
        k: int,
        aggregation: str | Callable = 'max',
        name: str | None = None,
    ):
        super().__init__(network, aggregation, name)
        checks.positive('DynamicEdgeConv', k=k)
        self.k = k

    def call(self, x: tf.Tensor | tuple[tf.Tensor, tf.Tensor], num_graphs: int = 1) -> tf.Tensor:
        nodes = message_passing.num_rows(x)
        if isinstance(nodes, int) and nodes % num_graphs:
            raise ValueError(
                f'{self.name}: {nodes} points are not {num_graphs} clouds of equal sizes.'
            )
        points = nodes // num_graphs
        clouds = tf.reshape(x, [num_graphs, points, x.shape[-1]])
        nearest = neighbors.knn(clouds, None, self.k)
        return super().call(x, neighbors.edge_index(nearest, points))

    def aggregate(
        self, messages: tf.Tensor, target: tf.Tensor, num_targets: int | tf.Tensor
    ) -> tf.Tensor:
        if callable(self.aggregation):
            return super().aggregate(messages, target, num_targets)
        messages = tf.reshape(messages, [num_targets, self.k, messages.shape[-1]])
        return _REDUCTIONS[self.aggregation](messages, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'k': self.k}
