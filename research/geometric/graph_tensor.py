"""`tfgnn.GraphTensor` and what operators take: plain arrays with an assignment vector.

A graph is one node set, 'nodes', and one edge set, 'edges'; types of edges are a feature of the
edges, as R-GCN takes them. The node features x are `tfgnn.HIDDEN_STATE`, so that the layers of
`tfgnn.keras.layers` find them. A batch is a scalar GraphTensor of several components: one
block-diagonal graph (Fey & Lenssen 2019, Sec. 2, "Mini-batch Handling").
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric.graph import Graph

NODES, EDGES = 'nodes', 'edges'
X, POS, EDGE_ATTR, Y = tfgnn.HIDDEN_STATE, 'pos', 'edge_attr', 'y'
_SPLIT = 'split_'


class Arrays(NamedTuple):
    """A batch of graphs as operators and readouts take it.

    Attributes:
      x: node features [N, F], or None.
      edge_index: int32 [2, E], sources and targets.
      edge_attr: [E] or [E, D], or None.
      batch: the assignment vector: graph of each node, int32 [N], ascending.
      num_graphs: number of graphs, a Python integer where it is known.
    """

    x: tf.Tensor | None
    edge_index: tf.Tensor
    edge_attr: tf.Tensor | None
    batch: tf.Tensor
    num_graphs: int | tf.Tensor


def from_pieces(
    node_sizes: Any,
    edge_sizes: Any,
    edge_index: Any,
    node_features: Any = None,
    edge_features: Any = None,
    context_features: Any = None,
) -> tfgnn.GraphTensor:
    """A scalar GraphTensor of several graphs, one after the other.

    Args:
      node_sizes: nodes of each graph, int32 [graphs].
      edge_sizes: edges of each graph, int32 [graphs].
      edge_index: sources and targets, a pair of int32 [E] or int32 [2, E]; nodes count through.
      node_features: name to [N, ...].
      edge_features: name to [E, ...].
      context_features: name to [graphs, ...].
    """
    return tfgnn.GraphTensor.from_pieces(
        context=tfgnn.Context.from_fields(
            sizes=tf.ones_like(node_sizes), features=context_features or {}
        ),
        node_sets={
            NODES: tfgnn.NodeSet.from_fields(sizes=node_sizes, features=node_features or {})
        },
        edge_sets={
            EDGES: tfgnn.EdgeSet.from_fields(
                sizes=edge_sizes,
                features=edge_features or {},
                adjacency=tfgnn.Adjacency.from_indices(
                    (NODES, edge_index[0]), (NODES, edge_index[1])
                ),
            )
        },
    )


def to_graph_tensor(graph: Graph) -> tfgnn.GraphTensor:
    """A graph as a scalar GraphTensor of one component.

    - Sparse x become dense.
    - Labels of nodes are a feature of the nodes, those of the graph one of the context; a split is
      a mask of the nodes, 'split_<name>'. The names of graph and classes are left behind.
    """
    nodes = {}
    if graph.x is not None:
        nodes[X] = tf.constant(graph.x.toarray() if scipy.sparse.issparse(graph.x) else graph.x)
    if graph.pos is not None:
        nodes[POS] = tf.constant(graph.pos)
    for name, members in graph.splits.items():
        nodes[_SPLIT + name] = tf.constant(np.isin(np.arange(graph.num_nodes), members))
    context = {}
    if graph.y is not None and of_nodes(graph):
        nodes[Y] = tf.constant(graph.y)
    elif graph.y is not None:
        context[Y] = tf.constant(graph.y[np.newaxis])
    edges = {} if graph.edge_attr is None else {EDGE_ATTR: tf.constant(graph.edge_attr)}
    return from_pieces(
        tf.constant([graph.num_nodes]),
        tf.constant([graph.num_edges]),
        tf.constant(graph.edge_index),
        nodes,
        edges,
        context,
    )


def from_graph_tensor(
    graph_tensor: tfgnn.GraphTensor, class_names: tuple[str, ...] = (), name: str = 'graph'
) -> list[Graph]:
    """The graphs of a scalar GraphTensor, one a component; the reverse of `to_graph_tensor`.

    Args:
      graph_tensor: eager, of the node set and edge set that this module makes.
      class_names: names of the classes.
      name: what error messages call the graphs; of several, their number follows.

    Raises:
      ValueError: if it is a batch that is not merged, or has other node or edge sets.
    """
    _check(graph_tensor)
    nodes, edges = graph_tensor.node_sets[NODES], graph_tensor.edge_sets[EDGES]
    adjacency = edges.adjacency
    edge_index = np.stack([adjacency[tfgnn.SOURCE], adjacency[tfgnn.TARGET]])
    node_ends, edge_ends = (np.append(0, np.cumsum(part.sizes)) for part in (nodes, edges))
    features = {field: np.asarray(nodes[field]) for field in nodes.features}
    attr = np.asarray(edges[EDGE_ATTR]) if EDGE_ATTR in edges.features else None
    labels = graph_tensor.context.features.get(Y)
    graphs = []
    for number, (first, end) in enumerate(itertools.pairwise(node_ends)):
        some = slice(edge_ends[number], edge_ends[number + 1])
        own = {field: values[first:end] for field, values in features.items()}
        graphs.append(
            Graph(
                edge_index[:, some] - first,
                own.get(X),
                None if attr is None else attr[some],
                own.get(Y) if labels is None else np.asarray(labels[number]),
                own.get(POS),
                num_nodes=int(end - first),
                class_names=class_names,
                splits={
                    field.removeprefix(_SPLIT): np.flatnonzero(mask)
                    for field, mask in own.items()
                    if field.startswith(_SPLIT)
                },
                name=name if len(node_ends) == 2 else f'{name} {number}',
            )
        )
    return graphs


def arrays(graph_tensor: tfgnn.GraphTensor) -> Arrays:
    """What operators and readouts take, of a scalar GraphTensor.

    Raises:
      ValueError: if it is a batch that is not merged, or has other node or edge sets.
    """
    _check(graph_tensor)
    nodes, edges = graph_tensor.node_sets[NODES], graph_tensor.edge_sets[EDGES]
    edge_index = tf.ensure_shape(
        tf.stack([edges.adjacency[tfgnn.SOURCE], edges.adjacency[tfgnn.TARGET]]),
        [2, edges.spec.total_size],
    )
    known = nodes.spec.total_size
    graphs = nodes.sizes.shape[0]
    return Arrays(
        nodes.features.get(X),
        edge_index,
        edges.features.get(EDGE_ATTR),
        assignment(nodes.sizes, nodes.total_size if known is None else known),
        tf.shape(nodes.sizes)[0] if graphs is None else graphs,
    )


def assignment(sizes: tf.Tensor, total: int | tf.Tensor) -> tf.Tensor:
    """The assignment vector of graphs that come one after the other: int32 [N].

    Args:
      sizes: nodes of each graph, integers [graphs].
      total: N, a Python integer where it is known: then the shape is static.
    """
    # No `tf.repeat`, whose shape XLA could not know.
    ends = tf.cumsum(tf.cast(sizes, tf.int32))
    return tf.searchsorted(ends, tf.range(tf.cast(total, tf.int32)), side='right')


def of_nodes(graph: Graph) -> bool:
    """Whether a graph's y are the labels of its nodes."""
    return graph.y.ndim == 1 and np.issubdtype(graph.y.dtype, np.integer)


def _check(graph_tensor: tfgnn.GraphTensor) -> None:
    if graph_tensor.rank:
        raise ValueError(
            f'the GraphTensor has shape {graph_tensor.shape}; merge its batch first '
            '(merge_batch_to_components).'
        )
    for kind, found, wanted in (
        ('node', graph_tensor.node_sets, NODES),
        ('edge', graph_tensor.edge_sets, EDGES),
    ):
        if wanted not in found:
            raise ValueError(
                f'the GraphTensor has no {kind} set {wanted!r}, but '
                f'{", ".join(map(repr, found)) or "none"}.'
            )
