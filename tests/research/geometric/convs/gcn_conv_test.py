import numpy as np
import pytest
import tensorflow as tf

from research.geometric import normalization, sparse
from research.geometric.convs import gcn_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes


def reference(weights, x, edge_index, edge_attr):
    """Kipf & Welling 2017, Eq. (2), dense; existing self loops are kept."""
    matrix = checks.dense(edge_index, len(x), edge_attr)
    looped = {int(source) for source, target in edge_index.T if source == target}
    for node in range(len(x)):
        if node not in looped:
            matrix[node, node] = 1
    inverse_root = np.diag(1 / np.sqrt(matrix.sum(1)))
    return inverse_root @ matrix @ inverse_root @ x @ weights['kernel'] + weights['bias']


@pytest.mark.parametrize('attr', [None, checks.uniform_attr()])
def test_formula(attr):
    checks.check_operator(lambda: gcn_conv.GCNConv(4), reference, attr)


def test_three_nodes_by_hand():
    # A path 0 - 1 - 2: degrees with self loops 2, 3, 2.
    edges = np.array([[0, 1, 1, 2], [1, 0, 2, 1]], np.int32)
    layer = gcn_conv.GCNConv(1, kernel_initializer='ones')
    out = layer(np.array([[1.0], [2.0], [4.0]], np.float32), edges)
    root = np.sqrt(6)
    np.testing.assert_allclose(
        out[:, 0], [1 / 2 + 2 / root, 1 / root + 2 / 3 + 4 / root, 2 / root + 4 / 2], rtol=1e-6
    )


@pytest.mark.parametrize('weights', [None, checks.uniform_attr()(checks.EDGES.shape[1])])
def test_all_routes_agree(weights):
    layer = routes.built(gcn_conv.GCNConv(4), weights)
    routes.check_adjacency(layer, weights)
    routes.check_sparse_x(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    x = checks.features()
    expected = layer(x, checks.EDGES, weights)
    layer.normalize = False
    edges, coefficients = normalization.gcn_normalized(checks.EDGES, checks.NODES, weights)
    routes.alike(layer(x, edges, coefficients), expected)
    cached = sparse.adjacency(edges, checks.NODES, coefficients)
    routes.alike(layer(x, cached), expected)
    routes.alike(layer(tf.sparse.from_dense(x), cached), expected)
