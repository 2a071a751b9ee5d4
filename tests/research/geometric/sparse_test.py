import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from research import geometric
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
        sparse.matmul(sparse.from_scipy(scipy.sparse.csr_matrix(dense)), b), dense @ b, rtol=1e-6
    )
    np.testing.assert_allclose(sparse.matmul(tf.constant(dense), b), dense @ b, rtol=1e-6)


def test_ends_of_edges_however_they_are_given():
    rows = [[2, 0, 1], [0, 1, 1]]
    given = (
        np.array(rows),
        tf.constant(rows),
        rows,
        (np.array(rows[0]), np.array(rows[1])),
        sparse.adjacency(rows, 2, num_sources=3),
    )
    for edge_index in given:
        source, target = sparse.ends(edge_index)
        np.testing.assert_array_equal(source, rows[0])
        np.testing.assert_array_equal(target, rows[1])


@pytest.mark.parametrize(
    'operator',
    [
        geometric.GCNConv(2),
        geometric.GATConv(2),
        geometric.SAGEConv(2),
        geometric.AGNNConv(),
        geometric.EdgeConv(tf.keras.layers.Dense(2)),
        geometric.ChebConv(2, K=2),
        geometric.APPNP(),
        geometric.MessagePassing(),
    ],
)
def test_edges_the_wrong_way_round_are_refused(operator):
    edges = np.array([[0, 1], [1, 2], [2, 0]])
    with pytest.raises(ValueError, match=r'edge_index has shape \(3, 2\), not \[2, edges\]'):
        operator(checks.features(3), edges)


def test_weights_of_any_type_and_one_column():
    expected = [1.0, 2.0]
    for values in (np.array([1.0, 2.0]), [1, 2], np.array([[1.0], [2.0]], np.float32)):
        weights = sparse.weights(values, 2)
        assert weights.dtype == tf.float32
        np.testing.assert_array_equal(weights, expected)
    for layer in (geometric.GCNConv(2), geometric.MessagePassing()):
        x, edges = checks.features(3), np.array([[0, 1], [1, 2]])
        np.testing.assert_array_equal(
            layer(x, edges, np.array([[1.0], [2.0]])), layer(x, edges, tf.constant(expected))
        )
        with pytest.raises(
            ValueError,
            match=r'edge_attr has shape \(2, 3\); this operator takes '
            'one weight for each of the 2 edges',
        ):
            layer(x, edges, np.ones((2, 3)))
        with pytest.raises(ValueError, match=r'edge_attr has shape \(1,\)'):
            layer(x, edges, np.ones(1))
