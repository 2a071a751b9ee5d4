"""Point clouds moved to the origin and brought to one size."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def center(graph: Graph) -> Graph:
    """`pos` with mean 0.

    Raises:
      ValueError: the graph has no positions.
    """
    pos = positions(graph)
    return graph.replace(pos=pos - pos.mean(axis=0))


def unit_sphere(graph: Graph) -> Graph:
    """`pos` with mean 0 and the farthest point at distance 1; a single place becomes the origin.

    Raises:
      ValueError: the graph has no positions.
    """
    return _divided(graph, lambda pos: np.linalg.norm(pos, axis=1).max())


def unit_cube(graph: Graph) -> Graph:
    """`pos` with mean 0 and the highest coordinate of magnitude 1.

    Raises:
      ValueError: the graph has no positions.
    """
    return _divided(graph, lambda pos: np.abs(pos).max())


def _divided(graph: Graph, size) -> Graph:
    pos = positions(graph)
    pos = pos - pos.mean(axis=0)
    extent = size(pos)
    return graph.replace(pos=pos / extent if extent > 0 else pos)
