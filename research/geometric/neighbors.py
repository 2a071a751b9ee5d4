"""Neighbours in batches of point clouds: k-NN, ball query, farthest point sampling, their edges.

Clouds of a batch have equally many points, so everything has static shapes and compiles with XLA.
No gradient passes: what they return are indices.
"""

from __future__ import annotations

import tensorflow as tf

from official.modeling import random

# Positions have 2 or 3 coordinates, features many more.
_MAX_POSITION_SIZE = 4


def squared_distances(points: tf.Tensor, queries: tf.Tensor) -> tf.Tensor:
    """|q - p|^2 of each query and each point of the same cloud.

    Of positions the differences are squared, so equal points are exactly 0 apart. Of features with
    more than 4 channels it is |q|^2 - 2 q.p + |p|^2, one matrix product, about the points' mean and
    in float64: far from the mean the terms are large and the distance their small difference.

    Args:
      points: [B, P, D].
      queries: [B, Q, D].

    Returns:
      float32 [B, Q, P], not negative.
    """
    points, queries = _coordinates(points), _coordinates(queries)
    if points.shape[-1] <= _MAX_POSITION_SIZE:
        return _sum_of_squares(
            [p[:, tf.newaxis, :] for p in tf.unstack(points, axis=-1)],
            [q[:, :, tf.newaxis] for q in tf.unstack(queries, axis=-1)],
        )
    points, queries = tf.cast(points, tf.float64), tf.cast(queries, tf.float64)
    center = tf.reduce_mean(points, axis=1, keepdims=True)
    points, queries = points - center, queries - center
    products = tf.matmul(queries, points, transpose_b=True)
    squares = tf.reduce_sum(tf.square(points), -1)[:, tf.newaxis, :]
    squares += tf.reduce_sum(tf.square(queries), -1)[:, :, tf.newaxis]
    return tf.cast(tf.maximum(squares - 2 * products, 0), tf.float32)


def knn(points: tf.Tensor, queries: tf.Tensor | None, k: int, loops: bool = True) -> tf.Tensor:
    """The k nearest points of each query, nearest first; of equally near ones the lower index.

    Args:
      points: [B, P, D].
      queries: [B, Q, D]; or None for the points themselves.
      k: neighbours of a query.
      loops: False leaves out the query itself, which is the point of the same index, so
        `queries` are then the points (other points at the same place stay).

    Returns:
      Indices of points, int32 [B, Q, k].

    Raises:
      ValueError: if the cloud has fewer than k other points, or `loops` is False and there are not
        as many queries as points.
    """
    points = _coordinates(points)
    queries = points if queries is None else _coordinates(queries)
    distances = squared_distances(points, queries)
    size = points.shape[1]
    if not loops:
        if size != queries.shape[1]:
            raise ValueError(
                f'loops=False needs the points as queries; got {queries.shape[1]} '
                f'queries of {size} points.'
            )
        distances = tf.linalg.set_diag(distances, tf.fill(tf.shape(distances)[:2], float('inf')))
    others = size if loops or size is None else size - 1
    if others is not None and not 1 <= k <= others:
        raise ValueError(f'k = {k} neighbours are wanted of {others} points.')
    return tf.math.top_k(-distances, k).indices


def ball_query(
    points: tf.Tensor, queries: tf.Tensor, radius: float, max_neighbors: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Up to `max_neighbors` points within `radius` of each query (Qi et al. 2017b, Sec. 3.2).

    Of more points those with the lowest indices are taken, as the authors' code does: of points in
    random order they are a fair sample of the ball, which the nearest would not be. Slots left over
    repeat the first neighbour, which changes no maximum; for other aggregations there is the mask.

    Args:
      points: [B, P, D].
      queries: [B, Q, D].
      radius: of the ball, whose surface belongs to it, in the positions' unit.
      max_neighbors: K.

    Returns:
      Indices of points, int32 [B, Q, K], ascending, then the first again. A query with no point
      within the radius has index 0 and no slot that is real; a query that is one of the points has
      at least itself.
      Which slots are real, bool [B, Q, K].

    Raises:
      ValueError: if `radius` or `max_neighbors` is not positive.
    """
    if radius <= 0 or max_neighbors < 1:
        raise ValueError(f'radius = {radius} and max_neighbors = {max_neighbors} must be positive.')
    points, queries = _coordinates(points), _coordinates(queries)
    within = squared_distances(points, queries) <= radius**2
    size = tf.shape(points)[1] if points.shape[1] is None else points.shape[1]
    # The lower the index of a point within, the higher its rank; floats are exact to 2^24.
    rank = tf.cast(size - tf.range(size), tf.float32) * tf.cast(within, tf.float32)
    slots = max_neighbors if points.shape[1] is None else min(max_neighbors, size)
    ranks, indices = tf.math.top_k(rank, slots)
    more = [[0, 0], [0, 0], [0, max_neighbors - slots]]
    mask = tf.pad(ranks > 0, more)
    # Not indices[:, :, :1]: XLA sees a top k in a sort that is sliced once, 15 times faster.
    first = tf.argmax(rank, axis=-1, output_type=tf.int32)[:, :, tf.newaxis]
    return tf.where(mask, tf.pad(indices, more), first), mask


def edge_index(
    neighbors: tf.Tensor, num_points: int | tf.Tensor, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Edges from the neighbours to their queries, for operators on a pair (points, queries).

    Clouds are laid out one after the other, as `tf.reshape(x, [B * P, F])` does; where the queries
    are the points, a pair is not needed.

    Args:
      neighbors: int32 [B, Q, k], from `knn` or `ball_query`.
      num_points: P.
      mask: which of them are real, [B, Q, k], or None for all. Others then lead to one more
        target, number B * Q, which the operator is given as a last row and whose result is
        dropped: so they count in no sum, mean or maximum.

    Returns:
      int32 [2, B * Q * k]: sources among the B * P points, targets among the B * Q queries; grouped
      by query, neighbours in their order.
    """
    neighbors = tf.convert_to_tensor(neighbors)
    clouds, queries, k = (
        static if static is not None else tf.shape(neighbors)[axis]
        for axis, static in enumerate(neighbors.shape)
    )
    sources = neighbors + num_points * tf.range(clouds)[:, tf.newaxis, tf.newaxis]
    targets = tf.repeat(tf.range(clouds * queries), k)
    if mask is not None:
        targets = tf.where(tf.reshape(mask, [-1]), targets, clouds * queries)
    return tf.stack([tf.reshape(sources, [-1]), targets])


def farthest_points(
    points: tf.Tensor, count: int, start: int = 0, key: tf.Tensor | None = None
) -> tf.Tensor:
    """Iterative farthest point sampling (Qi et al. 2017b, Sec. 3.2).

    After the first each point taken is the one farthest from all that are taken before; of equally
    far ones the lowest index.

    Args:
      points: [B, P, D].
      count: points to take of each cloud.
      start: index of the first.
      key: int32 [shards, 2]; draws the first of each cloud at random instead of `start`.

    Returns:
      Indices in the order they are taken, int32 [B, count], distinct where the points are.

    Raises:
      ValueError: if `count` or `start` is more than the cloud has.
    """
    points = _coordinates(points)
    size = points.shape[1]
    if size is not None and not (1 <= count <= size and 0 <= start < size):
        raise ValueError(f'count = {count} points from point {start} are wanted of {size} points.')
    if key is None:
        first = tf.fill([tf.shape(points)[0]], start)
    else:
        clouds = points.shape[:1] if points.shape[0] is not None else tf.shape(points)[:1]
        drawn = random.uniform(key, clouds) * tf.cast(tf.shape(points)[1], tf.float32)
        first = tf.minimum(tf.cast(drawn, tf.int32), tf.shape(points)[1] - 1)

    if points.shape[-1] <= _MAX_POSITION_SIZE:
        # Taken apart once, not in every step.
        coordinates = tf.unstack(points, axis=-1)

        def from_last(last):
            return _sum_of_squares(
                coordinates, [tf.gather(p, last, batch_dims=1)[:, tf.newaxis] for p in coordinates]
            )
    else:

        def from_last(last):
            place = tf.gather(points, last, batch_dims=1)[:, tf.newaxis, :]
            return squared_distances(points, place)[:, 0]

    def body(step, last, distances, taken):
        taken = taken.write(step, last)
        distances = tf.minimum(distances, from_last(last))
        return step + 1, tf.argmax(distances, axis=1, output_type=tf.int32), distances, taken

    first = tf.ensure_shape(first, points.shape[:1])
    distances = tf.fill(tf.shape(points)[:2], float('inf'))
    distances = tf.ensure_shape(distances, points.shape[:2])
    taken = tf.TensorArray(tf.int32, count, element_shape=points.shape[:1])
    *_, taken = tf.while_loop(
        lambda step, *_: step < count, body, (0, first, distances, taken), maximum_iterations=count
    )
    return tf.transpose(taken.stack())


def _coordinates(points) -> tf.Tensor:
    return tf.stop_gradient(tf.cast(points, tf.float32))


def _sum_of_squares(points, queries) -> tf.Tensor:
    """Sum over the coordinates of (p - q)^2, of what broadcasts."""
    return tf.add_n(
        [tf.math.squared_difference(p, q) for p, q in zip(points, queries, strict=True)]
    )
