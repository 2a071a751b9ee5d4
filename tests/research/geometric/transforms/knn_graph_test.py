"""Tests of research.geometric.transforms.knn_graph."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import knn_graph

NONE = np.zeros((2, 0), int)


def _cloud(count, dimensions=3, seed=0):
    pos = np.random.default_rng(seed).normal(size=(count, dimensions))
    return graph.Graph(NONE, pos=pos, name='a')


@pytest.mark.parametrize('dimensions', [2, 3])
@pytest.mark.parametrize('k', [1, 4, 19])
def test_against_brute_force(k, dimensions):
    some = _cloud(20, dimensions)
    source, target = knn_graph.knn_graph(some, k).edge_index
    distances = np.linalg.norm(some.pos[:, None].astype(float) - some.pos[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(target, np.repeat(np.arange(20), k))
    np.testing.assert_array_equal(source.reshape(20, k), distances.argsort(axis=1)[:, :k])


def test_self_loops_come_first_and_count():
    some = _cloud(10)
    without = knn_graph.knn_graph(some, 2).edge_index[0].reshape(10, 2)
    with_loops = knn_graph.knn_graph(some, 3, self_loops=True).edge_index[0].reshape(10, 3)
    np.testing.assert_array_equal(with_loops, np.column_stack([np.arange(10), without]))
    only = knn_graph.knn_graph(some, 1, self_loops=True).edge_index
    np.testing.assert_array_equal(only, np.tile(np.arange(10), (2, 1)))


def test_points_at_one_place():
    # Ten points at one place hide a point from itself; it is still no neighbour of its own.
    pos = np.concatenate([np.zeros((10, 3)), np.ones((2, 3))])
    source, target = knn_graph.knn_graph(graph.Graph(NONE, pos=pos), 2).edge_index
    assert (source != target).all()
    np.testing.assert_array_equal(np.bincount(target), np.full(12, 2))
    at_zero = target < 10
    assert (source[at_zero] < 10).all()
    assert {10, 11} <= set(source[~at_zero].tolist())


def test_old_edges_go():
    some = graph.Graph(np.array([[0], [1]]), pos=np.zeros((3, 2)), edge_attr=np.ones(1))
    found = knn_graph.knn_graph(some, 1)
    assert found.num_edges == 3 and found.edge_attr is None


def test_bad_input():
    with pytest.raises(ValueError, match='^a: k = 5 neighbours are asked for, but there are 5 poi'):
        knn_graph.knn_graph(_cloud(5), 5)
    assert knn_graph.knn_graph(_cloud(5), 5, self_loops=True).num_edges == 25
    with pytest.raises(ValueError, match='^a: k = 0 '):
        knn_graph.knn_graph(_cloud(5), 0)
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        knn_graph.knn_graph(graph.Graph(NONE, num_nodes=5, name='b'), 1)
