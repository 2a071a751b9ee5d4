"""Cartesian pseudo-coordinates of edges."""

from __future__ import annotations

from research.geometric.graph import Graph
from research.geometric.transforms import pseudo_coordinates


def cartesian(graph: Graph, maximum: float | None = None, normalized: bool = True) -> Graph:
    """`edge_attr` becomes u = 1/2 + (pos_j - pos_i) / (2 m) in [0, 1], [E, D].

    The relative Cartesian coordinates of Fey et al. 2018, "SplineCNN"; an edge without length is
    1/2.

    Args:
      graph: with `pos` and edges; edge features that it has are left.
      maximum: m; by default the highest |pos_j - pos_i| of any edge in any dimension. Give one
        where several graphs shall share the scale.
      normalized: False: `edge_attr` is pos_j - pos_i.

    Raises:
      ValueError: the graph has no positions, or an edge exceeds `maximum`.
    """
    offsets = pseudo_coordinates.offsets(graph)
    if normalized:
        offsets = 0.5 + pseudo_coordinates.scaled(graph, offsets, maximum) / 2
    return graph.replace(edge_attr=offsets)
