"""Tests of research.geometric.transforms.normalize_features."""

import numpy as np
import pytest
import scipy.sparse

from research.geometric import graph
from research.geometric.transforms import normalize_features

X = np.array([[1, 3, 0], [0, 0, 0], [0.5, 0.25, 0.25], [0, 200, 0]], np.float32)
EXPECTED = [[0.25, 0.75, 0], [0, 0, 0], [0.5, 0.25, 0.25], [0, 1, 0]]
NONE = np.zeros((2, 0), np.int32)


def test_dense():
    some = graph.Graph(NONE, X)
    np.testing.assert_array_equal(normalize_features.normalize_features(some).x, EXPECTED)
    np.testing.assert_array_equal(some.x, X)  # The graph given is as it was.


def test_sparse_stays_sparse():
    x = normalize_features.normalize_features(graph.Graph(NONE, scipy.sparse.csr_matrix(X))).x
    assert scipy.sparse.isspmatrix_csr(x) and x.nnz == 6 and x.dtype == np.float32
    np.testing.assert_array_equal(x.toarray(), EXPECTED)


def test_bad_features():
    with pytest.raises(ValueError, match='^a: the graph has no features to normalize.$'):
        normalize_features.normalize_features(graph.Graph(NONE, num_nodes=2, name='a'))
    for kind in (np.asarray, scipy.sparse.csr_matrix):
        with pytest.raises(ValueError, match='^a: x has the negative value -3.0, so that its rows'):
            normalize_features.normalize_features(
                graph.Graph(NONE, kind([[1.0, -3.0], [2, 0]]), name='a')
            )
