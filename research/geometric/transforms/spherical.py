"""Spherical pseudo-coordinates of edges in space."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms import pseudo_coordinates


def spherical(graph: Graph, maximum: float | None = None) -> Graph:
    """`edge_attr` becomes (rho / m, theta / 2 pi, phi / pi) of pos_j - pos_i, in [0, 1], [E, 3].

    rho is the length, theta = atan2(y, x) in [0, 2 pi) the azimuth and phi = arccos(z / rho) the
    angle from the third axis (Fey et al. 2018, "SplineCNN"); an edge without length has zeros.

    - The source seen from the target, as in `cartesian`; PyTorch Geometric's transform of this
      name takes the opposite direction.

    Args:
      graph: with `pos` [N, 3] and edges; edge features that it has are left.
      maximum: m; by default the longest edge.

    Raises:
      ValueError: the graph has no positions in space, or an edge is longer than `maximum`.
    """
    offsets = pseudo_coordinates.offsets(graph, 3)
    x, y, z = offsets.T
    rho = np.linalg.norm(offsets, axis=1)
    # The same angle as arccos(z / rho), and exact near the poles.
    phi = np.arctan2(np.hypot(x, y), z)
    return graph.replace(
        edge_attr=np.stack(
            [
                pseudo_coordinates.scaled(graph, rho, maximum),
                pseudo_coordinates.turns(y, x),
                phi / np.pi,
            ],
            axis=1,
        )
    )
