"""Rotation by a random angle."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def random_rotate(graph: Graph, seed: int, degrees: float = 180, axis: int = 2) -> Graph:
    """`pos` turned about the origin by an angle uniform on [-degrees, degrees].

    Only `pos` turns: make normals, or attributes of edges that are made of positions, afterwards.

    Args:
      graph: with `pos`.
      seed: an integer, or the `np.random.Generator` to draw with.
      degrees: the largest angle.
      axis: in space the axis to turn about, 2 being that which points up in ModelNet; in the plane
        it is not used.

    Raises:
      ValueError: the graph has no positions, or `axis` is not 0, 1 or 2.
    """
    pos = positions(graph)
    if axis not in (0, 1, 2):
        raise ValueError(f'axis = {axis} is not 0, 1 or 2.')
    angle = np.deg2rad(np.random.default_rng(seed).uniform(-degrees, degrees))
    first, second = (0, 1) if pos.shape[1] == 2 else ((axis + 1) % 3, (axis + 2) % 3)
    turned = pos.copy()
    turned[:, first] = np.cos(angle) * pos[:, first] - np.sin(angle) * pos[:, second]
    turned[:, second] = np.sin(angle) * pos[:, first] + np.cos(angle) * pos[:, second]
    return graph.replace(pos=turned)
