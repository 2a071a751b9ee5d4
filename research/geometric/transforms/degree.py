"""Degrees of nodes as features, for graphs that have none."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from research.geometric.graph import Graph


def degrees(graph: Graph) -> np.ndarray:
    """Edges that come into each node, int64 [N]; self loops and duplicate edges count."""
    return np.bincount(graph.edge_index[1], minlength=graph.num_nodes)


def one_hot_degree(graph: Graph, max_degree: int, sparse: bool = False) -> Graph:
    """`x` becomes one-hot degrees, [N, max_degree + 1].

    Args:
      graph: the graph; features that it has are left.
      max_degree: the highest degree of any graph of the data set.
      sparse: whether `x` is a CSR matrix, 1 entry a node.

    Raises:
      ValueError: a node with a higher degree.
    """
    found = degrees(graph)
    wrong = np.flatnonzero(found > max_degree)
    if wrong.size:
        raise ValueError(
            f'{graph.name}: node {wrong[0]} has degree {found[wrong[0]]}, more than '
            f'max_degree = {max_degree}.'
        )
    x = scipy.sparse.csr_matrix(
        (np.ones(graph.num_nodes, np.float32), found, np.arange(graph.num_nodes + 1)),
        [graph.num_nodes, max_degree + 1],
    )
    return graph.replace(x=x if sparse else x.toarray())


def normalized_degree(graph: Graph, mean: float, deviation: float) -> Graph:
    """`x` becomes (degree - mean) / deviation, [N, 1].

    Args:
      graph: the graph; features that it has are left.
      mean: of the degrees of all nodes of the data set.
      deviation: their standard deviation.

    Raises:
      ValueError: a deviation that is not positive.
    """
    if not deviation > 0:
        raise ValueError(f'deviation = {deviation} is not positive.')
    return graph.replace(x=(degrees(graph)[:, np.newaxis] - mean) / deviation)
