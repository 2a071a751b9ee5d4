"""Mirroring at random."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def random_flip(graph: Graph, seed: int, axis: int = 0, probability: float = 0.5) -> Graph:
    """`pos` with the sign of one coordinate changed, with a probability.

    Args:
      graph: with `pos`.
      seed: an integer, or the `np.random.Generator` to draw with.
      axis: the coordinate.
      probability: of the flip.

    Raises:
      ValueError: the graph has no positions, there is no such axis, or no probability.
    """
    pos = positions(graph)
    if not 0 <= axis < pos.shape[1]:
        raise ValueError(f'{graph.name}: axis = {axis}, but pos has {pos.shape[1]} dimensions.')
    if not 0 <= probability <= 1:
        raise ValueError(f'probability = {probability} is outside [0, 1].')
    if np.random.default_rng(seed).uniform() < probability:
        pos[:, axis] *= -1
    return graph.replace(pos=pos)
