"""Where an edge's source lies, seen from its target: differences, angles and distances."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def offsets(graph: Graph, dimensions: int | None = None) -> np.ndarray:
    """pos_j - pos_i of each edge from j to i, float64 [E, D].

    Raises:
      ValueError: the graph has no positions, or not of so many `dimensions`.
    """
    pos = positions(graph)
    if dimensions is not None and pos.shape[1] != dimensions:
        raise ValueError(f'{graph.name}: pos has {pos.shape[1]} dimensions, not {dimensions}.')
    source, target = graph.edge_index
    return pos[source] - pos[target]


def scaled(graph: Graph, values: np.ndarray, maximum: float | None) -> np.ndarray:
    """`values` / `maximum`, by default the highest of their magnitudes; 0 where all are 0.

    Raises:
      ValueError: a magnitude above `maximum`, or a `maximum` that is not positive.
    """
    highest = np.abs(values).max(initial=0)
    if maximum is None:
        return values / highest if highest else values
    if not maximum > 0:
        raise ValueError(f'maximum = {maximum} is not positive.')
    if highest > maximum * (1 + 1e-6):  # Positions are float32.
        raise ValueError(
            f'{graph.name}: an edge is {highest:g} long, more than maximum = {maximum:g}.'
        )
    return np.clip(values / maximum, -1, 1)


def turns(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The angle of (x, y) against the first axis, in full turns, [0, 1)."""
    angle = np.arctan2(y, x) / (2 * np.pi)
    angle = np.where(angle < 0, angle + 1, angle).astype(np.float32)
    return np.where(angle < 1, angle, 0)
