"""Edges of undirected graphs, as `Graph` holds them."""

from __future__ import annotations

import numpy as np


def undirected(source: np.ndarray, target: np.ndarray, num_nodes: int) -> np.ndarray:
    """Every edge between two different nodes once in each direction.

    Self loops go, an edge that is there several times or both ways already comes out like one.

    Args:
      source: integers [n], nodes 0 to num_nodes - 1.
      target: integers [n].
      num_nodes: N.

    Returns:
      int32 [2, E], sources and targets, in the order of targets, then sources.
    """
    source, target = np.asarray(source, np.int64), np.asarray(target, np.int64)
    source, target = np.concatenate([source, target]), np.concatenate([target, source])
    different = source != target
    keys = np.unique(target[different] * num_nodes + source[different])
    return np.stack([keys % num_nodes, keys // num_nodes]).astype(np.int32)
