"""Sorting by several keys, cumulative sums, and the place of each node in its graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from research.geometric import message_passing, segments

# Longest row that is summed at once.
_BLOCK = 32


def lexsort(keys: Sequence[tf.Tensor]) -> tf.Tensor:
    """What sorts by the last key, equal ones by the key before, and so on; else by index.

    Args:
      keys: tensors [N], one at least.

    Returns:
      int32 [N], as of `numpy.lexsort`.
    """
    order = None
    for key in keys:
        if key.dtype.is_floating:
            # 0 and -0 are equal, but for XLA's sorts -0 is the lower.
            key = tf.where(key == 0, tf.zeros_like(key), key)
        if order is None:
            order = tf.argsort(key, stable=True)
        else:
            order = tf.gather(order, tf.argsort(tf.gather(key, order), stable=True))
    return order


def cumsum(values: tf.Tensor) -> tf.Tensor:
    """Cumulative sums of [N], in blocks: on a CPU XLA takes N^2 steps for `tf.cumsum`."""
    size = values.shape[0]
    if size is None or size <= _BLOCK:
        return tf.cumsum(values)
    blocks = tf.reshape(tf.pad(values, [[0, -size % _BLOCK]]), [-1, _BLOCK])
    sums = tf.cumsum(blocks, axis=1)
    before = cumsum(sums[:, -1]) - sums[:, -1]
    return tf.reshape(sums + before[:, tf.newaxis], [-1])[:size]


def number(rows: tf.Tensor) -> tf.Tensor:
    """Numbers sorted rows [N, D] from 0, equal ones alike: int32 [N]."""
    differs = tf.reduce_any(rows[1:] != rows[:-1], axis=1)
    first = tf.zeros_like(rows[:1, 0], tf.int32)
    return cumsum(tf.concat([first, tf.cast(differs, tf.int32)], axis=0))


def rank_in_graph(batch: tf.Tensor, num_graphs: int, keys: Sequence[tf.Tensor] = ()) -> tf.Tensor:
    """The place of each node among those of its graph, when these are sorted by `lexsort(keys)`.

    Args:
      batch: graph of each node, int32 [N], -1 for none, in any order.
      num_graphs: G.
      keys: tensors [N]; with none of them nodes keep their order.

    Returns:
      int32 [N], from 0 in each graph; of nodes of no graph too.
    """
    graph = tf.where(batch < 0, num_graphs, batch)
    order = lexsort([*keys, graph])
    nodes = message_passing.num_rows(batch)
    place = segments.segment_sum(tf.range(nodes), order, nodes)
    sizes = tf.cast(segments.count(graph, num_graphs + 1), tf.int32)
    return place - tf.gather(cumsum(sizes) - sizes, graph)
