"""What operators are called with: pairs, widths, positions, and edges with self loops."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from research.geometric import segments, sparse


def pair(x: Any) -> tuple:
    """Sources and targets: `x` itself where it is a pair, else twice `x`."""
    return tuple(x) if isinstance(x, (tuple, list)) else (x, x)


def widths(input_shape: Any) -> tuple[int, int]:
    """Widths of sources and targets, of what Keras hands `build` for x: a shape, or a pair."""
    first = input_shape[0]
    if isinstance(first, (tuple, list, tf.TensorShape)):
        return first[-1], input_shape[1][-1]
    return input_shape[-1], input_shape[-1]


def width(name: str, input_shape: Any) -> int:
    """F of an operator that takes one x, of what Keras hands `build`.

    Raises:
      ValueError: if it is a pair.
    """
    if isinstance(input_shape[0], (tuple, list, tf.TensorShape)):
        raise ValueError(f'{name} takes one x, and not a pair (sources, targets).')
    return input_shape[-1]


def positions(name: str, pos: Any, edge_attr: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Positions of sources and targets, of the call arguments of an operator on points.

    Args:
      name: of the operator.
      pos: [N, D], or a pair ([M, D], [N, D]).
      edge_attr: the edge features given, which such an operator has none of.

    Returns:
      Both in float64 where they are given so, else in float32: their differences are small.

    Raises:
      ValueError: if there are no positions, those of sources and targets have not the same
        number of coordinates, or there are edge features.
    """
    if edge_attr is not None:
        raise ValueError(f'{name}: edge_attr is given, but the operator uses positions alone.')
    if pos is None:
        raise ValueError(f'{name}: pos is None, but the operator works on positions.')
    sources, targets = (_at_least_float32(p) for p in pair(pos))
    if sources.shape[-1] != targets.shape[-1]:
        raise ValueError(
            f'{name}: positions of sources have {sources.shape[-1]} coordinates, '
            f'those of targets {targets.shape[-1]}.'
        )
    return sources, targets


def _at_least_float32(values) -> tf.Tensor:
    values = tf.convert_to_tensor(values)
    return values if values.dtype == tf.float64 else tf.cast(values, tf.float32)


def with_self_loops(
    edge_index: tf.Tensor, num_nodes: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sources and targets, [E + N] each: of the edges, then of a self loop at each node."""
    ends = sparse.ends(edge_index)
    loops = tf.range(num_nodes, dtype=ends[0].dtype)
    return tuple(tf.concat([nodes, loops], axis=0) for nodes in ends)


def without_repeated(
    logits: tf.Tensor, source: tf.Tensor, target: tf.Tensor, num_nodes: int | tf.Tensor
) -> tf.Tensor:
    """Logits that count each self loop once in a softmax, on the edges of `with_self_loops`.

    Args:
      logits: [E + N, ...].
      source: [E + N].
      target: [E + N].
      num_nodes: N.

    Returns:
      `logits`, -inf where the graph itself already had a self loop.
    """
    repeated = segments.expand_like(tf.equal(source, target), logits)[:-num_nodes]
    edges = tf.where(repeated, tf.constant(float('-inf'), logits.dtype), logits[:-num_nodes])
    return tf.concat([edges, logits[-num_nodes:]], axis=0)
