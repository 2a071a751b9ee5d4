"""Tests of research.geometric.transforms.polar."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import polar

POS = np.array([[0, 0], [2, 0], [0, 1], [-1, 0], [0, -2], [1, 1]])
EDGES = np.array([[1, 2, 3, 4, 5, 0], [0, 0, 0, 0, 0, 0]])
SOME = graph.Graph(EDGES, pos=POS, name='a')


def test_by_hand():
    expected = [[1, 0], [0.5, 0.25], [0.5, 0.5], [1, 0.75], [np.sqrt(2) / 2, 0.125], [0, 0]]
    np.testing.assert_allclose(polar.polar(SOME).edge_attr, expected, rtol=1e-6)
    np.testing.assert_allclose(
        polar.polar(SOME, maximum=4).edge_attr[:, 0], np.array(expected)[:, 0] / 2, rtol=1e-6
    )


def test_just_below_the_axis_is_within_0_to_1():
    below = graph.Graph(np.array([[1], [0]]), pos=np.array([[0, 0], [1, -1e-30]]))
    assert polar.polar(below).edge_attr[0, 1] == 0


def test_bad_input():
    with pytest.raises(ValueError, match='^b: pos has 3 dimensions, not 2.$'):
        polar.polar(graph.Graph(EDGES, pos=np.zeros((6, 3)), name='b'))
    with pytest.raises(ValueError, match='^a: an edge is 2 long, more than maximum = 1.$'):
        polar.polar(SOME, maximum=1)
