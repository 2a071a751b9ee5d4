import numpy as np
import pytest
import tensorflow as tf

from research.geometric import normalization, sparse
from research.geometric.convs import cheb_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def laplacian(edge_index, nodes, weight=None):
    """L = I - D^(-1/2) A D^(-1/2), dense; D the sums of what comes in."""
    matrix = checks.dense(edge_index, nodes, weight)
    degree = matrix.sum(1)
    inverse_root = np.array([d**-0.5 if d else 0.0 for d in degree])
    return np.eye(nodes) - inverse_root[:, None] * matrix * inverse_root


def reference(lambda_max):
    """Defferrard et al. 2016, Eqs. (4) and (5), with explicit T_k(L^)."""

    def formula(weights, x, edge_index, edge_attr):
        identity = np.eye(len(x))
        scaled = 2 * laplacian(edge_index, len(x), edge_attr) / lambda_max - identity
        polynomials = [identity, scaled][: len(weights['kernel'])]
        while len(polynomials) < len(weights['kernel']):
            polynomials.append(2 * scaled @ polynomials[-1] - polynomials[-2])
        return weights['bias'] + sum(
            polynomial @ x @ theta
            for polynomial, theta in zip(polynomials, weights['kernel'], strict=True)
        )

    return formula


# With 2 channels of 3 features by Clenshaw's recurrence, with 4 forwards.
@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize(
    'K, lambda_max, attr',
    [(1, 2.0, None), (2, 2.0, None), (4, 2.0, checks.uniform_attr()), (3, 1.5, None)],
)
def test_formula(channels, K, lambda_max, attr):
    checks.check_operator(
        lambda: cheb_conv.ChebConv(channels, K=K, lambda_max=lambda_max),
        reference(lambda_max),
        attr,
    )


@pytest.mark.parametrize('channels', [2, 4])
def test_filter_of_the_spectrum(channels):
    """Eq. (1), y = U g(Lambda) U^T x, with the greatest eigenvalue and T_k(cos a) = cos(k a)."""
    edges = np.array([[0, 1, 1, 2, 2, 3, 0, 3, 4, 0], [1, 0, 2, 1, 3, 2, 3, 0, 0, 4]], np.int32)
    x = checks.features(5)
    values, vectors = np.linalg.eigh(laplacian(edges, 5))
    layer = cheb_conv.ChebConv(channels, K=5, lambda_max=float(values.max()), use_bias=False)
    layer(x, edges)
    checks.randomize(layer)
    angles = np.arccos(np.clip(2 * values / values.max() - 1, -1, 1))
    expected = sum(
        vectors @ np.diag(np.cos(k * angles)) @ vectors.T @ x @ theta
        for k, theta in enumerate(layer.kernel.numpy().astype(np.float64))
    )
    routes.alike(layer(x, edges), expected)


def test_two_nodes_by_hand():
    # Joined both ways: L^ = -[[0, 1], [1, 0]], T_2 = 2 L^ L^ - I = I, T_3 = L^.
    layer = cheb_conv.ChebConv(1, K=4)
    x, edges = np.array([[1.0], [10.0]], np.float32), np.array([[0, 1], [1, 0]], np.int32)
    layer(x, edges)
    layer.set_weights([np.reshape([2.0, 3.0, 5.0, 7.0], [4, 1, 1]), np.array([100.0])])
    np.testing.assert_allclose(
        layer(x, edges)[:, 0], [100 + 2 - 30 + 5 - 70, 100 + 20 - 3 + 50 - 7], rtol=1e-6
    )


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_routes_agree(channels, weights):
    layer = routes.built(cheb_conv.ChebConv(channels, K=3, lambda_max=1.8), weights)
    routes.check_adjacency(layer, weights)
    routes.check_sparse_x(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    expected = layer(checks.features(), checks.EDGES, weights)
    layer.normalize = False
    edges, coefficients = normalization.gcn_normalized(
        checks.EDGES, checks.NODES, weights, self_loops=False
    )
    routes.alike(layer(checks.features(), edges, coefficients), expected)
    cached = sparse.adjacency(edges, checks.NODES, coefficients)
    routes.alike(layer(checks.features(), cached), expected)


def test_sparse_features_stay_narrow():
    """No tensor of a step on wide sparse features has their width but the weights and gradients."""
    x = tf.sparse.from_dense(checks.features(channels=1000))
    layer = cheb_conv.ChebConv(4, K=3)
    layer(x, checks.EDGES)
    graph = tf.function(lambda: layer(x, checks.EDGES)).get_concrete_function().graph
    wide = [
        t
        for op in graph.get_operations()
        for t in op.outputs
        if t.shape.rank and t.shape[0] == checks.NODES and t.shape[-1] == 1000
    ]
    assert not wide


def test_terms_are_drawn_apart():
    layer = cheb_conv.ChebConv(40, K=3, kernel_initializer=tf.keras.initializers.GlorotUniform(1))
    layer(checks.features(channels=60), checks.EDGES)
    kernel = layer.kernel.numpy()
    # Uniform up to sqrt(6 / (60 + 40)), each of the three, and no two alike.
    np.testing.assert_allclose(np.abs(kernel).max((1, 2)), np.sqrt(6 / 100), rtol=0.01)
    correlation = np.corrcoef(kernel.reshape(3, -1)) - np.eye(3)
    assert np.abs(correlation).max() < 0.1


@pytest.mark.parametrize(
    'arguments, message', [({'K': 0}, 'K = 0'), ({'K': 2, 'lambda_max': 0.0}, 'lambda_max = 0')]
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        cheb_conv.ChebConv(4, **arguments)
