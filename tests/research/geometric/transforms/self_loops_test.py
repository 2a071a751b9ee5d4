"""Tests of research.geometric.transforms.self_loops."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import self_loops

EDGES = np.array([[0, 1, 1, 2], [1, 1, 0, 0]])


def test_add():
    some = self_loops.add_self_loops(graph.Graph(EDGES, num_nodes=3))
    np.testing.assert_array_equal(some.edge_index, [[0, 1, 1, 2, 0, 2], [1, 1, 0, 0, 0, 2]])
    assert some.edge_attr is None
    np.testing.assert_array_equal(self_loops.add_self_loops(some).edge_index, some.edge_index)


def test_add_with_edge_attr():
    weights = graph.Graph(EDGES, num_nodes=3, edge_attr=np.array([0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_allclose(
        self_loops.add_self_loops(weights).edge_attr, [0.1, 0.2, 0.3, 0.4, 1, 1]
    )
    features = graph.Graph(EDGES, num_nodes=3, edge_attr=np.ones((4, 2)))
    np.testing.assert_array_equal(
        self_loops.add_self_loops(features, 0.5).edge_attr[4:], [[0.5, 0.5], [0.5, 0.5]]
    )
    types = graph.Graph(EDGES, num_nodes=3, edge_attr=np.array([0, 1, 2, 3]), name='a')
    np.testing.assert_array_equal(self_loops.add_self_loops(types, 4).edge_attr, [0, 1, 2, 3, 4, 4])
    with pytest.raises(ValueError, match='^a: edges have types, and edge_attr = 0.5 is none.$'):
        self_loops.add_self_loops(types, 0.5)


def test_remove():
    some = graph.Graph(EDGES, num_nodes=3, edge_attr=np.array([0, 1, 2, 3]))
    some = self_loops.remove_self_loops(some)
    np.testing.assert_array_equal(some.edge_index, [[0, 1, 2], [1, 0, 0]])
    np.testing.assert_array_equal(some.edge_attr, [0, 2, 3])
    bare = self_loops.remove_self_loops(graph.Graph(EDGES, num_nodes=3))
    assert bare.edge_attr is None and bare.num_edges == 3
