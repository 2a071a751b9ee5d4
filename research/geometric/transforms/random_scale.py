"""Scaling by a random factor."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def random_scale(graph: Graph, seed: int, low: float = 0.8, high: float = 1.25) -> Graph:
    """`pos` times one factor, uniform on [low, high], the same in all dimensions.

    Args:
      graph: with `pos`.
      seed: an integer, or the `np.random.Generator` to draw with.
      low: the smallest factor.
      high: the largest.

    Raises:
      ValueError: the graph has no positions, or not 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f'low = {low} and high = {high} are not 0 < low <= high.')
    pos = positions(graph)
    return graph.replace(pos=pos * np.random.default_rng(seed).uniform(low, high))
