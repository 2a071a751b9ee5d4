"""The positions of a graph's nodes, for transforms that need them."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph


def positions(graph: Graph) -> np.ndarray:
    """`pos` as float64, a copy.

    Raises:
      ValueError: the graph has none.
    """
    if graph.pos is None:
        raise ValueError(f'{graph.name}: the graph has no positions (pos).')
    return graph.pos.astype(np.float64)
