"""Noise on positions."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def random_jitter(graph: Graph, seed: int, deviation: float = 0.01, clip: float = 0.05) -> Graph:
    """`pos` plus normal noise, cut at [-clip, clip], for each coordinate of each point.

    Args:
      graph: with `pos`.
      seed: an integer, or the `np.random.Generator` to draw with.
      deviation: of the noise, in the units of `pos`.
      clip: its largest magnitude.

    Raises:
      ValueError: the graph has no positions, or a negative deviation or clip.
    """
    if deviation < 0 or clip < 0:
        raise ValueError(f'deviation = {deviation} or clip = {clip} is negative.')
    pos = positions(graph)
    noise = np.random.default_rng(seed).normal(0, deviation, pos.shape)
    return graph.replace(pos=pos + np.clip(noise, -clip, clip))
