import numpy as np
import pytest

from research.geometric import normalization, sparse
from research.geometric.convs import gcn_conv, sg_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def smoothing_matrix(edge_index, nodes, weight):
    """S of Wu et al. 2019, dense; existing self loops are kept."""
    matrix = checks.dense(edge_index, nodes, weight)
    for node in range(nodes):
        if not any(source == target == node for source, target in edge_index.T):
            matrix[node, node] += 1
    degree = matrix.sum(1)
    return matrix / np.sqrt(np.outer(degree, degree))


def reference(K):
    """Eq. (8) in its own order: S^K X first, then Theta."""

    def formula(weights, x, edge_index, edge_attr):
        matrix = smoothing_matrix(edge_index, len(x), edge_attr)
        return np.linalg.matrix_power(matrix, K) @ x @ weights['kernel'] + weights['bias']

    return formula


@pytest.mark.parametrize('K, attr', [(2, None), (3, checks.uniform_attr())])
def test_formula(K, attr):
    checks.check_operator(lambda: sg_conv.SGConv(4, K=K), reference(K), attr)


def test_two_nodes_by_hand():
    # One edge from 0 to 1: S = [[1, 0], [1 / sqrt 2, 1 / 2]], and row 1 of S^2 is its
    # [1.5 / sqrt 2, 1 / 4].
    layer = sg_conv.SGConv(1, K=2, kernel_initializer='ones')
    out = layer(np.array([[1.0], [4.0]], np.float32), np.array([[0], [1]], np.int32))
    np.testing.assert_allclose(out[:, 0], [1, 1.5 / np.sqrt(2) + 1], rtol=1e-6)


def test_one_step_is_gcn_and_none_a_dense_layer():
    x = checks.features()
    layer = routes.built(sg_conv.SGConv(4, use_bias=False))
    gcn = gcn_conv.GCNConv(4, use_bias=False)
    gcn(x, checks.EDGES)
    gcn.set_weights(layer.get_weights())
    routes.alike(layer(x, checks.EDGES), gcn(x, checks.EDGES))
    layer.K = 0
    routes.alike(layer(x, checks.EDGES), x @ layer.kernel.numpy())


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_routes_agree(weights):
    layer = routes.built(sg_conv.SGConv(4, K=2), weights)
    routes.check_adjacency(layer, weights)
    routes.check_sparse_x(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    expected = layer(checks.features(), checks.EDGES, weights)
    layer.normalize = False
    edges, coefficients = normalization.gcn_normalized(checks.EDGES, checks.NODES, weights)
    routes.alike(layer(checks.features(), edges, coefficients), expected)
    cached = sparse.adjacency(edges, checks.NODES, coefficients)
    routes.alike(layer(checks.features(), cached), expected)


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match='K = -1'):
        sg_conv.SGConv(4, K=-1)
