"""Edges from a node to itself."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph


def add_self_loops(graph: Graph, edge_attr: float = 1) -> Graph:
    """Each node that has no self loop gets one, after the other edges.

    Args:
      graph: the graph.
      edge_attr: what the new edges get in each of their features, where the graph's have some; of
        edges with types the type, a whole number.

    Raises:
      ValueError: the edges have types, and `edge_attr` is none.
    """
    loops = np.setdiff1d(np.arange(graph.num_nodes), graph.edge_index[0, _is_loop(graph)])
    edges = np.concatenate([graph.edge_index, np.stack([loops, loops])], axis=1)
    if graph.edge_attr is None:
        return graph.replace(edge_index=edges)
    old = graph.edge_attr
    if np.issubdtype(old.dtype, np.integer) and (edge_attr % 1 or edge_attr < 0):
        raise ValueError(f'{graph.name}: edges have types, and edge_attr = {edge_attr} is none.')
    new = np.full((len(loops), *old.shape[1:]), edge_attr, old.dtype)
    return graph.replace(edge_index=edges, edge_attr=np.concatenate([old, new]))


def remove_self_loops(graph: Graph) -> Graph:
    """The graph without its self loops and what they carried."""
    keep = ~_is_loop(graph)
    return graph.replace(
        edge_index=graph.edge_index[:, keep],
        edge_attr=None if graph.edge_attr is None else graph.edge_attr[keep],
    )


def _is_loop(graph: Graph) -> np.ndarray:
    return graph.edge_index[0] == graph.edge_index[1]
