"""Edges between points that are near each other."""

from __future__ import annotations

import numpy as np
import scipy.spatial

from research.geometric.graph import Graph
from research.geometric.transforms.positions import positions


def radius_graph(
    graph: Graph, radius: float, max_neighbors: int | None = None, self_loops: bool = False
) -> Graph:
    """The edges become those between points at a Euclidean distance of at most `radius`.

    Edges ascend by target, then by distance, then by source.

    Args:
      graph: with `pos`; its edges and `edge_attr` are left.
      radius: in the units of `pos`.
      max_neighbors: of more other points the nearest so many count; then edges may be one-way.
      self_loops: whether each point has an edge from itself, the first.

    Raises:
      ValueError: the graph has no positions, or `radius` or `max_neighbors` is not positive.
    """
    pos = positions(graph)
    if not radius > 0:
        raise ValueError(f'radius = {radius} is not positive.')
    if max_neighbors is not None and max_neighbors < 1:
        raise ValueError(f'max_neighbors = {max_neighbors} is not positive.')
    pairs = scipy.spatial.cKDTree(pos).query_pairs(radius, output_type='ndarray').T
    sources, targets = np.concatenate([pairs, pairs[::-1]], axis=1)
    distances = np.linalg.norm(pos[sources] - pos[targets], axis=1)
    order = np.lexsort((sources, distances, targets))
    sources, targets, distances = sources[order], targets[order], distances[order]
    if max_neighbors is not None:
        counts = np.bincount(targets, minlength=graph.num_nodes)
        rank = np.arange(len(targets)) - np.repeat(np.cumsum(counts) - counts, counts)
        sources, targets = sources[rank < max_neighbors], targets[rank < max_neighbors]
    if self_loops:
        nodes = np.arange(graph.num_nodes)
        sources, targets = np.append(nodes, sources), np.append(nodes, targets)
        order = np.argsort(targets, kind='stable')
        sources, targets = sources[order], targets[order]
    return graph.replace(edge_index=np.stack([sources, targets]), edge_attr=None)
