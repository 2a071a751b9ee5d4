"""Edges from each point's nearest points."""

from __future__ import annotations

import numpy as np
import scipy.spatial

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def knn_graph(graph: Graph, k: int, self_loops: bool = False) -> Graph:
    """The edges become those from the k nearest points, by Euclidean distance, to each point.

    Edges ascend by target, then by distance; among equally distant points any may be taken. Where
    points coincide, only the point itself counts as itself.

    Args:
      graph: with `pos`; its edges and `edge_attr` are left.
      k: edges that come into each node, that from itself included if `self_loops`.
      self_loops: whether a point is a neighbour of its own, the first.

    Raises:
      ValueError: the graph has no positions, `k` is below 1, or there are not k such points.
    """
    pos = positions(graph)
    others = k if not self_loops else k - 1
    if k < 1 or others > graph.num_nodes - 1:
        raise ValueError(
            f'{graph.name}: k = {k} neighbours are asked for, but there are '
            f'{graph.num_nodes} points, others than itself '
            f'{graph.num_nodes - 1}.'
        )
    nodes = np.arange(graph.num_nodes)[:, np.newaxis]
    _, near = scipy.spatial.cKDTree(pos).query(pos, k=np.arange(1, others + 2))
    itself = near == nodes
    itself[~itself.any(axis=1), -1] = True  # Hidden by points at its place: drop the farthest.
    sources = near[~itself].reshape(graph.num_nodes, others)
    if self_loops:
        sources = np.concatenate([nodes, sources], axis=1)
    targets = np.broadcast_to(nodes, sources.shape)
    return graph.replace(edge_index=np.stack([sources.ravel(), targets.ravel()]), edge_attr=None)
