import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import neighbors


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def grid(clouds=2):
    """Points with many equal distances, which are exact: a 4 x 4 grid in two orders."""
    points = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), -1).reshape(16, 2)
    rng = np.random.default_rng(1)
    return np.stack([points[rng.permutation(16)] for _ in range(clouds)]).astype(np.float32)


def brute_distances(points, queries):
    points, queries = points.astype(np.float64), queries.astype(np.float64)
    return np.square(queries[:, :, None] - points[:, None]).sum(-1)


def brute_knn(points, queries, k, loops=True):
    distances = brute_distances(points, queries)
    if not loops:
        for place in range(points.shape[1]):
            distances[:, place, place] = np.inf
    return np.argsort(distances, axis=-1, kind='stable')[:, :, :k]


def brute_ball(points, queries, radius, k):
    distances = brute_distances(points, queries)
    indices = np.zeros([*distances.shape[:2], k], int)
    mask = np.zeros(indices.shape, bool)
    for place in np.ndindex(*distances.shape[:2]):
        inside = np.flatnonzero(distances[place] <= radius**2)[:k]
        mask[place][: len(inside)] = True
        if len(inside):
            indices[place] = inside[0]
            indices[place][: len(inside)] = inside
    return indices, mask


def brute_farthest(points, count, start):
    taken = []
    for cloud, first in zip(points.astype(np.float64), start, strict=True):
        chosen = [first]
        while len(chosen) < count:
            nearest = np.min([np.square(cloud - cloud[c]).sum(-1) for c in chosen], axis=0)
            chosen.append(int(np.argmax(nearest)))
        taken.append(chosen)
    return np.array(taken)


def both(function, *arguments):
    """The results without and with XLA, which must be equal."""
    plain = tf.function(function)(*arguments)
    compiled = tf.function(function, jit_compile=True)(*arguments)
    tf.nest.map_structure(np.testing.assert_array_equal, plain, compiled)
    return plain


@pytest.mark.parametrize('channels', [2, 3, 64])
@pytest.mark.parametrize('loops', [True, False])
def test_knn(channels, loops):
    points = normal(3, 50, channels)
    found = both(lambda p: neighbors.knn(p, p, 7, loops), points)
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, brute_knn(points, points, 7, loops))
    np.testing.assert_array_equal(found, neighbors.knn(points, None, 7, loops))
    if loops:
        queries = normal(3, 9, channels, seed=1)
        np.testing.assert_array_equal(
            neighbors.knn(points, queries, 50), brute_knn(points, queries, 50)
        )


def test_knn_takes_the_lower_index_of_equally_near_points():
    points = grid()
    for loops in (True, False):
        np.testing.assert_array_equal(
            both(lambda p: neighbors.knn(p, p, 6, loops), points),
            brute_knn(points, points, 6, loops),
        )


def test_points_at_one_place_are_neighbours_of_each_other():
    points = np.zeros((1, 3, 2), np.float32)
    np.testing.assert_array_equal(
        neighbors.knn(points, points, 2, loops=False)[0], [[1, 2], [0, 2], [0, 1]]
    )


def test_knn_of_features_far_from_the_origin():
    points = normal(1, 40, 16) + 1000
    np.testing.assert_array_equal(neighbors.knn(points, points, 5), brute_knn(points, points, 5))


@pytest.mark.parametrize('channels', [5, 16])
def test_knn_of_features_in_two_clusters_far_apart(channels):
    """About their common mean both clusters are as far as from the origin."""
    points = 0.1 * normal(1, 160, channels)
    points += np.where(np.arange(160) % 2, 1000, -1000).astype(np.float32)[:, np.newaxis]
    itself = both(lambda p: neighbors.knn(p, p, 1), points)
    np.testing.assert_array_equal(itself[0, :, 0], np.arange(160))
    for loops in (True, False):
        np.testing.assert_array_equal(
            neighbors.knn(points, None, 9, loops), brute_knn(points, points, 9, loops)
        )
    np.testing.assert_allclose(
        neighbors.squared_distances(points, points),
        brute_distances(points, points),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize('k', [4, 8, 40])
def test_ball_query(k):
    points, queries = normal(3, 30, 3), normal(3, 20, 3, seed=1)
    indices, mask = both(lambda p, q: neighbors.ball_query(p, q, 1.0, k), points, queries)
    expected, expected_mask = brute_ball(points, queries, 1.0, k)
    sizes = expected_mask.sum(-1)
    # Some balls are empty, some neither empty nor full, and with the lower k some are full.
    assert sizes.min() == 0 and (k == 40 or sizes.max() == k) and ((sizes > 0) & (sizes < k)).any()
    np.testing.assert_array_equal(mask, expected_mask)
    np.testing.assert_array_equal(indices, expected)


def test_the_surface_is_in_the_ball():
    points = grid(1)
    indices, mask = both(lambda p: neighbors.ball_query(p, p, 1.0, 6), points)
    expected, expected_mask = brute_ball(points, points, 1.0, 6)
    assert expected_mask.sum() == 16 + 2 * 24
    np.testing.assert_array_equal(mask, expected_mask)
    np.testing.assert_array_equal(indices, expected)


def test_edges_of_two_clouds_by_hand():
    found = np.array([[[0, 2]], [[1, 0]]], np.int32)
    np.testing.assert_array_equal(neighbors.edge_index(found, 3), [[0, 2, 4, 3], [0, 0, 1, 1]])
    mask = np.array([[[True, False]], [[True, True]]])
    np.testing.assert_array_equal(
        neighbors.edge_index(found, 3, mask), [[0, 2, 4, 3], [0, 2, 1, 1]]
    )


def test_edges_join_points_of_one_cloud():
    points = normal(3, 20, 3)
    source, target = both(lambda p: neighbors.edge_index(neighbors.knn(p, p[:, :5], 4), 20), points)
    assert source.dtype == tf.int32 and source.shape == [60]
    expected = [
        (cloud * 20 + point, cloud * 5 + query)
        for cloud, queries in enumerate(brute_knn(points, points[:, :5], 4))
        for query, found in enumerate(queries)
        for point in found
    ]
    np.testing.assert_array_equal(np.stack([source, target], 1), expected)


@pytest.mark.parametrize('points', [normal(3, 40, 3), normal(2, 20, 8), grid(3)])
def test_farthest_points(points):
    count = points.shape[1]
    for start in (0, 5):
        taken = both(lambda p: neighbors.farthest_points(p, count, start), points)
        assert taken.dtype == tf.int32 and taken.shape == points.shape[:2]
        np.testing.assert_array_equal(taken, brute_farthest(points, count, [start] * len(points)))


def test_the_first_point_is_drawn_from_a_key():
    points = normal(16, 10, 3)
    draw = lambda seed: both(
        lambda p: neighbors.farthest_points(p, 4, key=random.make_key(seed)), points
    )
    taken = draw(1).numpy()
    assert len(set(taken[:, 0])) > 3
    np.testing.assert_array_equal(taken, brute_farthest(points, 4, taken[:, 0]))
    np.testing.assert_array_equal(taken, draw(1))
    assert np.any(taken != draw(2).numpy())


def test_sizes_that_are_not_known():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])])
    def sample(points):
        neighbors.farthest_points(points, 5, key=random.make_key(1))
        taken = neighbors.farthest_points(points, 5)
        queries = tf.gather(points, taken, batch_dims=1)
        near = neighbors.knn(points, queries, 3)
        ball, _ = neighbors.ball_query(points, queries, 1.0, 30)
        others = neighbors.knn(points, None, 3, loops=False)
        return taken, near, ball[:, :, :2], neighbors.edge_index(near, tf.shape(points)[1]), others

    points = normal(2, 40, 3)
    taken = brute_farthest(points, 5, [0, 0])
    queries = np.take_along_axis(points, taken[:, :, None], axis=1)
    near = brute_knn(points, queries, 3)
    expected = (
        taken,
        near,
        brute_ball(points, queries, 1.0, 2)[0],
        neighbors.edge_index(near.astype(np.int32), 40),
        brute_knn(points, points, 3, False),
    )
    for one, other in zip(sample(points), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_points_of_double_precision():
    points = normal(2, 30, 3).astype(np.float64)
    near = neighbors.knn(points, None, 3)
    taken = neighbors.farthest_points(points, 5)
    ball, _ = neighbors.ball_query(points, points, 1.0, 2)
    np.testing.assert_array_equal(near, brute_knn(points, points, 3))
    np.testing.assert_array_equal(taken, brute_farthest(points, 5, [0, 0]))
    np.testing.assert_array_equal(ball, brute_ball(points, points, 1.0, 2)[0])


def test_no_gradient_passes():
    points = tf.constant(normal(2, 10, 3))
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(neighbors.squared_distances(points, points))
    assert tape.gradient(total, points) is None


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda p: neighbors.knn(p, p, 11), 'k = 11 neighbours are wanted of 10 points'),
        (lambda p: neighbors.knn(p, p, 10, loops=False), 'k = 10 .* of 9 points'),
        (lambda p: neighbors.knn(p, p[:, :5], 2, loops=False), '5 queries of 10 points'),
        (lambda p: neighbors.ball_query(p, p, 0.0, 4), 'radius = 0.0'),
        (lambda p: neighbors.ball_query(p, p, 1.0, 0), 'max_neighbors = 0'),
        (lambda p: neighbors.farthest_points(p, 11), 'count = 11 points'),
        (lambda p: neighbors.farthest_points(p, 2, start=10), 'from point 10 are wanted of 10'),
    ],
)
def test_too_few_points(call, words):
    with pytest.raises(ValueError, match=words):
        call(normal(2, 10, 3))
