"""One graph as tensors, and the nodes of each run's splits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse
import tensorflow as tf

from research.geometric import graph as graph_lib
from research.geometric import normalization, sparse
from research.geometric.datasets import splits
from research.geometric.transforms import normalize_features as normalization_of_features


class NodeData:
    """A graph, and how its nodes are divided in each trial.

    Args:
      seed: trial i divides at random with seed + i.
      data_dir: handed to `source`.
      source: called as source(data_dir), gives a `Graph` with x and labels.
      transforms: functions Graph -> Graph, applied in order.
      normalize_features: divide the features of each node by their sum; the exported model does
        so, too.
      split: called as split(graph, seed=), gives a dict of 'train', 'validation' and 'test' nodes;
        by default the graph's own.
      coefficients: what is computed once for a graph that does not change: None, the edges as
        they are; 'gcn', those of `normalization.gcn_normalized`; 'symmetric', the same without
        self loops; 'self_loops', the edges with every node's self loop. The operators are to be
        told so (`normalize=False`, `self_loops=False`).
      sparse_features: keep sparse features sparse; False where XLA compiles the step.
      sparse_edges: give the edges as a sparse adjacency matrix, the fast route on a CPU; False
        where XLA compiles the step.

    Raises:
      ValueError: if the graph has no features or labels, or not the split.
    """

    def __init__(
        self,
        seed: int = 0,
        data_dir: str | None = None,
        *,
        source: Callable,
        transforms: tuple = (),
        normalize_features: bool = False,
        split: Callable = splits.fixed_split,
        coefficients: str | None = None,
        sparse_features: bool = True,
        sparse_edges: bool = True,
    ):
        graph = source(data_dir)
        for transform in transforms:
            graph = transform(graph)
        if normalize_features:
            graph = normalization_of_features.normalize_features(graph)
        for field, remedy in (
            (
                'x',
                '; NodeData.transforms makes features, as with '
                '@local_degree_profile.local_degree_profile',
            ),
            ('y', ''),
        ):
            if getattr(graph, field) is None:
                raise ValueError(
                    f'{graph.name}: nodes are classified by features and labels, but '
                    f'{field} is None{remedy}.'
                )
        self.graph = graph
        self.seed = seed
        self.split = split
        self.normalize_features = normalize_features
        self.coefficients = coefficients
        self.num_classes = len(graph.class_names) or int(graph.y.max()) + 1
        self.class_names = graph.class_names or tuple(map(str, range(self.num_classes)))
        self.labels = tf.constant(np.asarray(graph.y, np.int32))
        self.inputs = inputs(graph, coefficients, sparse_features, sparse_edges)
        self.nodes(0)  # A split that cannot be is told now.

    def nodes(self, trial: int) -> dict[str, np.ndarray]:
        """The nodes of each split in a trial, int32."""
        parts = self.split(self.graph, seed=self.seed + trial)
        return {name: np.asarray(nodes, np.int32) for name, nodes in parts.items()}

    def batch(self, split: str, trial: int = 0) -> tuple:
        """(inputs, labels, nodes of a split), as `NodeClassifier` takes it."""
        return self.inputs, self.labels, tf.constant(self.nodes(trial)[split])


def inputs(
    graph: graph_lib.Graph,
    coefficients: str | None = None,
    sparse_features: bool = True,
    sparse_edges: bool = True,
) -> dict:
    """A graph's 'x', 'edge_index' and, where there are any, 'edge_attr' as tensors.

    Args:
      graph: the graph.
      coefficients: see `NodeData`.
      sparse_features: see `NodeData`.
      sparse_edges: see `NodeData`.

    Raises:
      ValueError: if `coefficients` is another word, or a sparse matrix is asked of edges with
        features other than one weight.
    """
    edge_index, attr = graph.edge_index, graph.edge_attr
    one_weight = sparse_edges or coefficients in normalization.WEIGHTED
    if one_weight and coefficients != 'self_loops' and attr is not None and attr.ndim > 1:
        raise ValueError(
            f'{graph.name}: edges have {attr.shape[1]} features, and a sparse '
            'adjacency matrix, or coefficients, take one weight an edge.'
        )
    if coefficients in normalization.WEIGHTED:
        edge_index, attr = normalization.gcn_normalized(
            edge_index, graph.num_nodes, attr, self_loops=coefficients == 'gcn'
        )
    elif coefficients == 'self_loops':
        loops = np.arange(graph.num_nodes, dtype=np.int32)
        others = edge_index[:, edge_index[0] != edge_index[1]]
        edge_index, attr = np.concatenate([others, [loops, loops]], axis=1), None
    elif coefficients is not None:
        raise ValueError(
            f'coefficients = {coefficients!r} is none of {", ".join(normalization.COEFFICIENTS)}.'
        )
    x = graph.x
    if scipy.sparse.issparse(x):
        x = sparse.from_scipy(x) if sparse_features else tf.constant(x.toarray())
    tensors = {'x': x if sparse.is_sparse(x) else tf.constant(x)}
    if sparse_edges:
        tensors['edge_index'] = sparse.adjacency(edge_index, graph.num_nodes, attr)
        return tensors
    # By target: the sums over a node's edges go through memory in order.
    order = np.lexsort(edge_index)
    tensors['edge_index'] = tf.constant(edge_index[:, order])
    if attr is not None:
        tensors['edge_attr'] = tf.constant(attr[order])
    return tensors
