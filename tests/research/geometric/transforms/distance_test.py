"""Tests of research.geometric.transforms.distance."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import distance

POS = np.array([[0, 0, 0], [3, 0, 4], [0, 2, 0]])
SOME = graph.Graph(np.array([[1, 0, 2, 2], [0, 1, 0, 2]]), pos=POS, name='a')


def test_by_hand():
    np.testing.assert_allclose(distance.distance(SOME).edge_attr, [[1], [1], [0.4], [0]])
    np.testing.assert_allclose(
        distance.distance(SOME, maximum=10).edge_attr, [[0.5], [0.5], [0.2], [0]]
    )
    np.testing.assert_allclose(
        distance.distance(SOME, normalized=False).edge_attr, [[5], [5], [2], [0]]
    )


def test_bad_input():
    with pytest.raises(ValueError, match='^a: an edge is 5 long, more than maximum = 4.5.$'):
        distance.distance(SOME, maximum=4.5)
