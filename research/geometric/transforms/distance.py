"""Lengths of edges."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms import pseudo_coordinates


def distance(graph: Graph, maximum: float | None = None, normalized: bool = True) -> Graph:
    """`edge_attr` becomes ||pos_j - pos_i|| / m in [0, 1], [E, 1].

    Args:
      graph: with `pos` and edges; edge features that it has are left.
      maximum: m; by default the longest edge.
      normalized: False: `edge_attr` is the Euclidean length in the units of `pos`.

    Raises:
      ValueError: the graph has no positions, or an edge is longer than `maximum`.
    """
    lengths = np.linalg.norm(pseudo_coordinates.offsets(graph), axis=1, keepdims=True)
    if normalized:
        lengths = pseudo_coordinates.scaled(graph, lengths, maximum)
    return graph.replace(edge_attr=lengths)
