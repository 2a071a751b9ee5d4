"""Makes any operator of this package a graph update of tensorflow_gnn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric import graph_tensor


@tf.keras.utils.register_keras_serializable(package='research.geometric')
class OperatorUpdate(tf.keras.layers.Layer):
    """Calls conv(x, edge_index, edge_attr) on one edge set of a GraphTensor.

    It is three things, by how it is called:

    - `update(graph)`, on a scalar GraphTensor, gives the graph with new features of the edge set's
      targets. Several make a model: `tf.keras.Sequential([OperatorUpdate(...), ...])`.
    - `tfgnn.keras.layers.GraphUpdate(node_sets={'nodes': update})`: the update of a node set.
    - `tfgnn.keras.layers.NodeSetUpdate({'edges': update}, next_state)`: a convolution over an edge
      set, whose results a next-state layer combines with those of others.

    Where the edge set joins two node sets, x is the pair (sources, targets), which the operator
    must take.

    Args:
      conv: the operator.
      edge_set_name: the edge set, unless the call names it.
      x: name of the node features that are x, and of those that a call with a graph alone writes.
      edge_attr: name of the edge features that are `edge_attr`, or None for none.
      node_inputs: call argument of the operator to the node features it is to get, such as
        {'pos': 'pos'} for PointNetConv.
      name: name of the layer.

    Raises:
      ValueError: if the graph has no such edge set, or the edge set not these node sets.
    """

    def __init__(
        self,
        conv: tf.keras.layers.Layer,
        edge_set_name: str = graph_tensor.EDGES,
        x: str = graph_tensor.X,
        edge_attr: str | None = None,
        node_inputs: Mapping[str, str] | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.conv = conv
        self.edge_set_name = edge_set_name
        self.x = x
        self.edge_attr = edge_attr
        self.node_inputs = dict(node_inputs or {})

    def call(
        self,
        graph: tfgnn.GraphTensor,
        *,
        node_set_name: str | None = None,
        edge_set_name: str | None = None,
    ) -> Any:
        if graph.rank:
            raise ValueError(
                f'the GraphTensor is a batch of shape {tuple(graph.shape)}; merge its '
                'graphs first: graph.merge_batch_to_components().'
            )
        called = edge_set_name or self.edge_set_name
        if called not in graph.edge_sets:
            raise ValueError(
                f'the GraphTensor has no edge set {called!r}, but '
                f'{", ".join(map(repr, graph.edge_sets)) or "none"}.'
            )
        edges = graph.edge_sets[called]
        target = edges.adjacency.node_set_name(tfgnn.TARGET)
        if node_set_name not in (None, target):
            raise ValueError(
                f'edge set {called!r} ends in node set {target!r}, so it gives no '
                f'update of {node_set_name!r}.'
            )
        out = self._convolved(graph, edges)
        if node_set_name or edge_set_name:
            return out
        features = graph.node_sets[target].get_features_dict()
        return graph.replace_features(node_sets={target: {**features, self.x: out}})

    def _convolved(self, graph, edges):
        adjacency = edges.adjacency
        names = [adjacency.node_set_name(tag) for tag in (tfgnn.SOURCE, tfgnn.TARGET)]

        def features(name):
            for node_set in names:
                if name not in graph.node_sets[node_set].features:
                    raise ValueError(
                        f'node set {node_set!r} has no feature {name!r}, but '
                        f'{", ".join(map(repr, graph.node_sets[node_set].features)) or "none"}.'
                    )
            source, target = (graph.node_sets[node_set][name] for node_set in names)
            return source if names[0] == names[1] else (source, target)

        return self.conv(
            features(self.x),
            tf.stack([adjacency[tfgnn.SOURCE], adjacency[tfgnn.TARGET]]),
            None if self.edge_attr is None else edges[self.edge_attr],
            **{argument: features(name) for argument, name in self.node_inputs.items()},
        )

    def get_config(self) -> dict[str, Any]:
        return {
            'conv': tf.keras.saving.serialize_keras_object(self.conv),
            'edge_set_name': self.edge_set_name,
            'x': self.x,
            'edge_attr': self.edge_attr,
            'node_inputs': self.node_inputs,
            'name': self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OperatorUpdate:
        # Of what Keras does not know `layers.deserialize` would give the name alone.
        conv = tf.keras.saving.deserialize_keras_object(config['conv'])
        return cls(**{**config, 'conv': conv})
