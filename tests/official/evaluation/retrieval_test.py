import numpy as np
import pytest

from official.evaluation import retrieval


def plainly(scores, k):
    """The k best of [q, g], of equal ones the first, by sorting."""
    order = np.array([sorted(range(len(row)), key=lambda g: (-row[g], g))[:k] for row in scores])
    return order, np.take_along_axis(scores, order, 1)


@pytest.mark.parametrize('block', [1, 7, 1000])
def test_dot_products(block):
    rng = np.random.default_rng(0)
    queries, gallery = (rng.normal(size=(n, 5)).astype(np.float32) for n in (20, 300))
    scores = queries.astype(np.float64) @ gallery.astype(np.float64).T
    indices, values = retrieval.top_k(queries, gallery, 9, block)
    expected = plainly(scores, 9)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(values, expected[1], rtol=1e-12)


def test_weighted_distances():
    """With weights of both signs, and vectors far from the origin, where float32 rounds much."""
    rng = np.random.default_rng(1)
    queries, gallery = (1000 + rng.normal(size=(n, 6)).astype(np.float32) for n in (300, 200))
    weight = rng.normal(size=6).astype(np.float32)
    assert (weight > 0).any() and (weight < 0).any()
    differences = queries.astype(np.float64)[:, np.newaxis] - gallery
    scores = (weight.astype(np.float64) * differences**2).sum(-1)
    indices, values = retrieval.weighted_distance_top_k(queries, gallery, weight, 20, block=37)
    expected = plainly(scores, 20)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(values, expected[1], rtol=1e-11)


def test_by_hand():
    gallery = [[0, 0], [3, 4], [1, 0], [0, 2]]
    indices, values = retrieval.weighted_distance_top_k([[0, 0]], gallery, [-1, -1], 3)
    assert indices.tolist() == [[0, 2, 3]] and values.tolist() == [[0, -1, -4]]
    # A difference in the first number now speaks for a match.
    indices, values = retrieval.weighted_distance_top_k([[0, 0]], gallery, [1, -1], 4)
    assert indices.tolist() == [[2, 0, 3, 1]] and values.tolist() == [[1, 0, -4, -7]]
    indices, values = retrieval.top_k([[1, 1], [0, -1]], gallery, 2)
    assert indices.tolist() == [[1, 3], [0, 2]] and values.tolist() == [[7, 2], [0, 0]]


def test_equal_vectors_come_in_order():
    # Small whole numbers, whose products are exact.
    few = np.array([[0, 0, 0], [1, 2, 1], [3, 1, 0], [2, 2, 2]])
    gallery = np.tile(few, (50, 1))
    for search, scores in (
        (lambda: retrieval.top_k(few, gallery, 120), few @ gallery.T),
        (
            lambda: retrieval.weighted_distance_top_k(few, gallery, [-1, -2, -1], 120),
            (np.square(few[:, np.newaxis] - gallery) * [-1, -2, -1]).sum(-1),
        ),
    ):
        indices, values = search()
        expected = plainly(scores, 120)
        np.testing.assert_array_equal(indices, expected[0])
        np.testing.assert_array_equal(values, expected[1])


def test_small_galleries_and_no_queries():
    indices, values = retrieval.top_k(np.ones((2, 3)), np.ones((4, 3)), 20)
    assert indices.tolist() == [[0, 1, 2, 3]] * 2 and values.tolist() == [[3.0] * 4] * 2
    assert retrieval.top_k(np.ones((0, 3)), np.ones((4, 3)), 20)[0].shape == (0, 4)
    assert retrieval.weighted_distance_top_k(np.ones((2, 3)), np.ones((0, 3)), np.ones(3), 20)[
        0
    ].shape == (2, 0)


def test_hit_rates():
    hits = [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert retrieval.hit_rates(hits, (1, 2, 3, 4, 20)) == {
        1: 0.25,
        2: 0.25,
        3: 0.5,
        4: 0.75,
        20: 0.75,
    }
    assert retrieval.hit_rates(np.zeros((0, 5)), (1, 5)) == {1: None, 5: None}
    assert retrieval.hit_rates(np.zeros((3, 0)), (1,)) == {1: 0}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'of shape \[2, 3\] and a gallery of shape \[2, 4\]'):
        retrieval.top_k(np.ones((2, 3)), np.ones((2, 4)), 1)
    with pytest.raises(ValueError, match='gallery row 1 has a number that is not finite'):
        retrieval.top_k(np.ones((2, 3)), [[0, 0, 0], [0, np.nan, 0]], 1)
    with pytest.raises(ValueError, match='k = 0 is below 1'):
        retrieval.top_k(np.ones((2, 3)), np.ones((2, 3)), 0)
    with pytest.raises(ValueError, match=r'weight has shape \[4\]; vectors are of 3 numbers'):
        retrieval.weighted_distance_top_k(np.ones((2, 3)), np.ones((2, 3)), np.ones(4), 1)
