"""Polar pseudo-coordinates of edges in the plane."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms import pseudo_coordinates


def polar(graph: Graph, maximum: float | None = None) -> Graph:
    """`edge_attr` becomes (rho / m, theta / 2 pi) of pos_j - pos_i, in [0, 1], [E, 2].

    rho is the length and theta the angle against the first axis, in [0, 2 pi), 0 without length:
    what MoNet has on superpixels (Monti et al. 2017).

    - The source seen from the target, as in `cartesian`; PyTorch Geometric's transform of this
      name takes the opposite direction.

    Args:
      graph: with `pos` [N, 2] and edges; edge features that it has are left.
      maximum: m; by default the longest edge.

    Raises:
      ValueError: the graph has no positions in the plane, or an edge is longer than `maximum`.
    """
    offsets = pseudo_coordinates.offsets(graph, 2)
    rho = np.linalg.norm(offsets, axis=1)
    return graph.replace(
        edge_attr=np.stack(
            [
                pseudo_coordinates.scaled(graph, rho, maximum),
                pseudo_coordinates.turns(offsets[:, 1], offsets[:, 0]),
            ],
            axis=1,
        )
    )
