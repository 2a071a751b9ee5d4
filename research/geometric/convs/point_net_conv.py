"""The local PointNet of PointNet++ (Qi et al. 2017, "PointNet++")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from research.geometric import message_passing, networks, sparse
from research.geometric.convs import inputs


class PointNetConv(message_passing.MessagePassing):
    """x_i' = gamma(max over j in N(i) of h([x_j, p_j - p_i]))  (Qi et al. 2017, Sec. 3.2).

    The PointNet layer of a set abstraction: sampling gives the centroids i, grouping the edges.

    - Edges are as given. A ball around a centroid that is one of the points has the centroid too;
      where it does not, `add_self_loops` adds the edge.

    Args:
      local_network: h, any Keras layer from [E, F + D] to [E, F'], or from [E, D] without x.
      global_network: gamma, any Keras layer on [N, F'], or None for none.
      add_self_loops: whether every point is its own neighbour too; a loop that is there already
        then counts twice, which a maximum does not notice.
      aggregation: 'max', which is the paper's, 'sum', 'mean', or a function.
      name: name of the layer.

    Call arguments:
      x: [N, F], or a pair ([M, F], anything) of a bipartite graph, from points to centroids, or
        None for no features.
      edge_index: integers [2, E].
      edge_attr: must be None.
      pos: positions [N, D], or a pair ([M, D], [N, D]) of a bipartite graph.

    Returns:
      [N, channels of the last network]; what aggregates to 0 where a point has no neighbour.

    Raises:
      ValueError: if a network is no Keras layer, there is no `pos`, there are edge features, or
        self loops are asked for in a bipartite graph.
    """

    def __init__(
        self,
        local_network: tf.keras.layers.Layer | dict,
        global_network: tf.keras.layers.Layer | dict | None = None,
        add_self_loops: bool = False,
        aggregation: str | Callable = 'max',
        name: str | None = None,
    ):
        super().__init__(aggregation, name=name)
        self.local_network = networks.get(local_network)
        self.global_network = None if global_network is None else networks.get(global_network)
        self.add_self_loops = add_self_loops

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        pos: tf.Tensor | None = None,
    ) -> tf.Tensor:
        pos_sources, pos_targets = inputs.positions(self.name, pos, edge_attr)
        targets = message_passing.num_rows(pos_targets)
        source, target = sparse.ends(edge_index)
        if self.add_self_loops:
            if isinstance(pos, (tuple, list)):
                raise ValueError(f'{self.name}: a bipartite graph has no self loops to add.')
            source, target = inputs.with_self_loops(edge_index, targets)
        features = tf.cast(
            tf.gather(pos_sources, source) - tf.gather(pos_targets, target), self.compute_dtype
        )
        if x is not None:
            features = tf.concat([tf.gather(inputs.pair(x)[0], source), features], axis=-1)
        out = self.aggregate(self.local_network(features), target, targets)
        return out if self.global_network is None else self.global_network(out)

    def get_config(self) -> dict[str, Any]:
        gamma = self.global_network
        return {
            **super().get_config(),
            'local_network': networks.serialize(self.local_network),
            'global_network': None if gamma is None else networks.serialize(gamma),
            'add_self_loops': self.add_self_loops,
        }
