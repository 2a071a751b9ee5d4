"""Tests of research.geometric.datasets.edges."""

import numpy as np

from research.geometric.datasets import edges


def test_every_edge_once_in_each_direction():
    got = edges.undirected([0, 1, 2, 3, 3, 0], [1, 0, 2, 0, 0, 3], 5)
    assert got.dtype == np.int32
    assert got.tolist() == [[1, 3, 0, 0], [0, 0, 1, 3]]


def test_numbers_of_nodes_do_not_overflow():
    last = 99_999
    got = edges.undirected(np.array([last], np.int32), np.array([last - 1], np.int32), last + 1)
    assert got.tolist() == [[last, last - 1], [last - 1, last]]


def test_no_edges():
    assert edges.undirected([], [], 3).shape == (2, 0)
    assert edges.undirected([1], [1], 3).shape == (2, 0)
