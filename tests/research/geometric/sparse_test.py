import sys

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from research.geometric import sparse
from tests.research.geometric import checks


def test_adjacency_adds_duplicates_up_and_goes_from_source_to_target():
    weights = checks.uniform_attr()(checks.EDGES.shape[1])
    matrix = sparse.adjacency(checks.EDGES, checks.NODES, weights)
    x = checks.features()
    expected = checks.dense(checks.EDGES, checks.NODES, weights) @ x
    np.testing.assert_allclose(sparse.matmul(matrix, x), expected, rtol=1e-5, atol=1e-6)
    rows = matrix.indices.numpy()
    assert rows.tolist() == sorted(rows.tolist())
    assert len(rows) == checks.EDGES.shape[1]


def test_edges_gives_back_what_adjacency_took():
    edge_index, weights = sparse.edges(sparse.adjacency([[2, 0, 1], [0, 1, 1]], 2, [5, 6, 7], 3))
    np.testing.assert_array_equal(edge_index, [[2, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(weights, [5, 6, 7])


def test_rectangular():
    matrix = sparse.adjacency([[2, 0], [0, 1]], 2, num_sources=3)
    np.testing.assert_array_equal(tf.sparse.to_dense(matrix), [[0, 0, 1], [1, 0, 0]])


def test_from_scipy_and_products_of_either_kind():
    dense = np.array([[0, 2, 0], [1, 0, 3]], np.float32)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.coo_matrix, scipy.sparse.csc_matrix):
        np.testing.assert_array_equal(tf.sparse.to_dense(sparse.from_scipy(kind(dense))), dense)
    b = checks.features(3, 2)
    np.testing.assert_allclose(
        sparse.matmul(sparse.from_scipy(scipy.sparse.csr_matrix(dense)), b), dense @ b, rtol=1e-6)
    np.testing.assert_allclose(sparse.matmul(tf.constant(dense), b), dense @ b, rtol=1e-6)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
