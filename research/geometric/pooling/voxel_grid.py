"""Voxel grid clusters (Simonovsky & Komodakis 2017, "Dynamic Edge-Conditioned Filters [...]")."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from research.geometric import message_passing
from research.geometric.pooling import ordering


def voxel_grid(pos: Any, batch: Any, size: Any, start: Any = None) -> tf.Tensor:
    """Nodes of one graph in the same voxel are a cluster (Simonovsky & Komodakis 2017).

    The voxel of node i is floor((pos_i - start) / size), in each coordinate.

    - `pooled.pool_clusters` then takes the maximum or mean of the features, the centroid of the
      positions, and keeps an edge where one crosses from voxel to voxel; the authors connect
      centroids anew, by their distance.

    Args:
      pos: positions [N, D].
      batch: graph of each node, integers [N], -1 for none.
      size: edge length of a voxel, a number or [D], in the positions' unit.
      start: corner of a voxel, a number or [D]; None begins each graph's grid at its lowest
        coordinates, so that moving a graph changes nothing.

    Returns:
      Cluster of each node, int32 [N], numbered by graph, then by the first coordinate, and so on;
      -1 of nodes of no graph.

    Raises:
      ValueError: if `size` is not positive.
    """
    if np.any(np.asarray(size) <= 0):
        raise ValueError(f'size = {size} must be positive.')
    pos, batch = tf.stop_gradient(tf.convert_to_tensor(pos)), tf.cast(batch, tf.int32)
    nodes = message_passing.num_rows(pos)
    if start is None:
        start = _lowest(pos, batch, nodes)
    voxel = tf.cast(tf.floor((pos - start) / size), tf.int32)
    graph = tf.where(batch < 0, batch.dtype.max, batch)
    keys = tf.concat([graph[:, tf.newaxis], voxel], axis=1)
    order = ordering.lexsort(tf.unstack(keys, axis=1)[::-1])
    return tf.where(batch < 0, -1, _number(keys, order))


def _lowest(pos, batch, nodes):
    """The lowest coordinates of each node's graph, [N, D]."""
    # Numbered anew: there are at most as many graphs as nodes, but some may be empty.
    order = tf.argsort(batch, stable=True)
    graph = _number(batch[:, tf.newaxis], order)
    return tf.gather(tf.math.unsorted_segment_min(pos, graph, nodes), graph)


def _number(keys, order):
    """The number of each row among the different ones, int32 [N]; `order` sorts the rows."""
    number = ordering.number(tf.gather(keys, order))
    return tf.math.unsorted_segment_sum(number, order, message_passing.num_rows(order))
