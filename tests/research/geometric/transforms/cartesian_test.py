"""Tests of research.geometric.transforms.cartesian."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import cartesian

POS = np.array([[0, 0], [3, -1], [0, 4]])
# To 0 from 1, to 1 from 0, to 0 from 2, a self loop.
EDGES = np.array([[1, 0, 2, 2], [0, 1, 0, 2]])
SOME = graph.Graph(EDGES, pos=POS, name='a')


def test_by_hand():
    # Differences (3, -1), (-3, 1), (0, 4), (0, 0); the highest magnitude is 4.
    np.testing.assert_allclose(
        cartesian.cartesian(SOME).edge_attr,
        [[0.5 + 3 / 8, 0.5 - 1 / 8], [0.5 - 3 / 8, 0.5 + 1 / 8], [0.5, 1], [0.5, 0.5]],
    )
    np.testing.assert_allclose(cartesian.cartesian(SOME, maximum=8).edge_attr[2], [0.5, 0.75])
    np.testing.assert_array_equal(
        cartesian.cartesian(SOME, normalized=False).edge_attr, [[3, -1], [-3, 1], [0, 4], [0, 0]]
    )


def test_edges_without_length_and_no_edges():
    loops = graph.Graph(np.array([[0], [0]]), pos=POS)
    np.testing.assert_array_equal(cartesian.cartesian(loops).edge_attr, [[0.5, 0.5]])
    none = graph.Graph(np.zeros((2, 0), int), pos=POS)
    assert cartesian.cartesian(none).edge_attr.shape == (0, 2)


def test_bad_input():
    with pytest.raises(ValueError, match='^a: an edge is 4 long, more than maximum = 3.$'):
        cartesian.cartesian(SOME, maximum=3)
    with pytest.raises(ValueError, match='^maximum = 0 is not positive.$'):
        cartesian.cartesian(SOME, maximum=0)
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        cartesian.cartesian(graph.Graph(EDGES, num_nodes=3, name='b'))
