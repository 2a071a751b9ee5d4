"""Tests of research.geometric.transforms.radius_graph."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import radius_graph

NONE = np.zeros((2, 0), int)
POS = np.random.default_rng(0).uniform(size=(40, 3)).astype(np.float32)
SOME = graph.Graph(NONE, pos=POS, name='a')
DISTANCES = np.linalg.norm(POS[:, None].astype(float) - POS[None], axis=-1)


@pytest.mark.parametrize('radius', [0.05, 0.3, 2])
def test_against_brute_force(radius):
    source, target = radius_graph.radius_graph(SOME, radius).edge_index
    near = (radius >= DISTANCES) & ~np.eye(40, dtype=bool)
    assert len(source) == near.sum()
    assert near[target, source].all()
    assert len(set(zip(source.tolist(), target.tolist(), strict=True))) == len(source)


def test_order_and_nearest_only():
    source, target = radius_graph.radius_graph(SOME, 0.5, max_neighbors=3).edge_index
    for node in range(40):
        order = DISTANCES[node].argsort(kind='stable')[1:]
        expected = [other for other in order if DISTANCES[node, other] <= 0.5][:3]
        assert source[target == node].tolist() == expected


def test_self_loops():
    plain = radius_graph.radius_graph(SOME, 0.3, 2).edge_index
    source, target = radius_graph.radius_graph(SOME, 0.3, 2, self_loops=True).edge_index
    assert (np.diff(target) >= 0).all()
    for node in range(40):
        assert source[target == node].tolist() == [node, *plain[0, plain[1] == node].tolist()]


def test_points_on_the_sphere_count_and_none_may_be_near():
    line = graph.Graph(NONE, pos=np.array([[0, 0], [1, 0], [3, 0]]))
    np.testing.assert_array_equal(radius_graph.radius_graph(line, 1).edge_index, [[1, 0], [0, 1]])
    assert radius_graph.radius_graph(line, 0.5).edge_index.shape == (2, 0)
    same = graph.Graph(NONE, pos=np.zeros((3, 2)))
    assert radius_graph.radius_graph(same, 0.1).num_edges == 6


def test_bad_input():
    with pytest.raises(ValueError, match='^radius = 0 is not positive.$'):
        radius_graph.radius_graph(SOME, 0)
    with pytest.raises(ValueError, match='^max_neighbors = 0 is not positive.$'):
        radius_graph.radius_graph(SOME, 1, 0)
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        radius_graph.radius_graph(graph.Graph(NONE, num_nodes=5, name='b'), 1)
