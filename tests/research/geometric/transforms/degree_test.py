"""Tests of research.geometric.transforms.degree."""

import numpy as np
import pytest
import scipy.sparse

from research.geometric import graph
from research.geometric.transforms import degree

# Node 0 has edges from 1, twice, and 2; node 2 from itself; node 3 none.
SOME = graph.Graph(np.array([[1, 1, 2, 2, 0], [0, 0, 0, 2, 1]]), num_nodes=4, name='a')


def test_degrees_count_what_comes_in():
    assert degree.degrees(SOME).tolist() == [3, 1, 1, 0]


def test_one_hot():
    expected = [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(degree.one_hot_degree(SOME, 4).x, expected)
    sparse = degree.one_hot_degree(SOME, 4, sparse=True).x
    assert scipy.sparse.isspmatrix_csr(sparse) and sparse.nnz == 4
    np.testing.assert_array_equal(sparse.toarray(), expected)
    with pytest.raises(ValueError, match='^a: node 0 has degree 3, more than max_degree = 2.$'):
        degree.one_hot_degree(SOME, 2)


def test_normalized():
    np.testing.assert_allclose(degree.normalized_degree(SOME, 1.5, 0.5).x, [[3], [-1], [-1], [-3]])
    with pytest.raises(ValueError, match='^deviation = 0 is not positive.$'):
        degree.normalized_degree(SOME, 1, 0)
