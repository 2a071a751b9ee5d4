import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import normalization, sparse
from research.geometric.convs import appnp
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def smoothing_matrix(edge_index, nodes, weight):
    """A^ of Klicpera et al. 2019, dense; existing self loops are kept."""
    matrix = checks.dense(edge_index, nodes, weight)
    looped = {target for source, target in edge_index.T if source == target}
    matrix += np.diag([0.0 if node in looped else 1.0 for node in range(nodes)])
    inverse_root = np.diag(matrix.sum(1) ** -0.5)
    return inverse_root @ matrix @ inverse_root


def reference(K, alpha):
    """Eq. (4), written out: alpha sum over k < K of (1 - alpha)^k A^^k X + (1 - alpha)^K A^^K X."""

    def formula(weights, x, edge_index, edge_attr):
        del weights
        matrix = (1 - alpha) * smoothing_matrix(edge_index, len(x), edge_attr)
        powers = [np.linalg.matrix_power(matrix, k) for k in range(K + 1)]
        return alpha * sum(powers[:-1], np.zeros_like(matrix)) @ x + powers[-1] @ x

    return formula


@pytest.mark.parametrize('K, alpha, attr', [(10, 0.1, None), (3, 0.4, checks.uniform_attr())])
def test_formula(K, alpha, attr):
    layer = checks.check_operator(lambda: appnp.APPNP(K, alpha), reference(K, alpha), attr)
    assert not layer.weights


def test_two_nodes_by_hand():
    # Joined both ways: A^ is 1/2 everywhere, so after each step half the mean and half of x.
    x, edges = np.array([[0.0], [8.0]], np.float32), np.array([[0, 1], [1, 0]], np.int32)
    np.testing.assert_allclose(appnp.APPNP(1, 0.5)(x, edges)[:, 0], [2, 6], rtol=1e-6)
    np.testing.assert_allclose(appnp.APPNP(2, 0.25)(x, edges)[:, 0], [3, 5], rtol=1e-6)


def test_limits():
    x = checks.features()
    routes.alike(appnp.APPNP(10, 1.0)(x, checks.EDGES), x)
    routes.alike(appnp.APPNP(0, 0.1)(x, checks.EDGES), x)
    # Many steps end at personalized PageRank, alpha (I - (1 - alpha) A^)^-1 X, Eq. (3).
    matrix = smoothing_matrix(checks.EDGES, checks.NODES, None)
    pagerank = 0.2 * np.linalg.inv(np.eye(checks.NODES) - 0.8 * matrix) @ x
    routes.alike(appnp.APPNP(80, 0.2)(x, checks.EDGES), pagerank)


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_routes_agree(weights):
    layer = appnp.APPNP(4, 0.2)
    routes.check_adjacency(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    expected = layer(checks.features(), checks.EDGES, weights)
    layer.normalize = False
    edges, coefficients = normalization.gcn_normalized(checks.EDGES, checks.NODES, weights)
    routes.alike(layer(checks.features(), edges, coefficients), expected)
    cached = sparse.adjacency(edges, checks.NODES, coefficients)
    routes.alike(layer(checks.features(), cached), expected)


# Nodes without edges but their loops: A^ = I, and with alpha 0 an entry dropped is a row of 0.
LONELY = np.ones([20000, 1], np.float32)
NO_EDGES = np.zeros([2, 0], np.int32)
LOOPS = np.tile(np.arange(20000, dtype=np.int32), (2, 1))


@pytest.mark.parametrize('cached', [False, True])
def test_dropout_of_entries(cached):
    edges = sparse.adjacency(LOOPS, 20000) if cached else NO_EDGES
    key = random.make_key(1)
    one = appnp.APPNP(1, 0.0, dropout=0.3, normalize=not cached)
    out = one(LONELY, edges, key=key).numpy()
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
    # Three deviations of the mean of 20 000 draws are below 0.01.
    assert abs(np.mean(out == 0) - 0.3) < 0.01
    routes.alike(one(LONELY, edges, key=key), out)
    assert (one(LONELY, edges, key=random.make_key(2)).numpy() != out).any()
    routes.alike(one(LONELY, edges), LONELY)
    # Two iterations draw apart: both entries are kept with 0.7^2.
    two = appnp.APPNP(2, 0.0, dropout=0.3, normalize=not cached)(LONELY, edges, key=key).numpy()
    assert abs(np.mean(two != 0) - 0.49) < 0.011


def test_dropout_of_edges_and_under_xla():
    layer = appnp.APPNP(1, 0.0, dropout=0.5)
    # One edge into each of the second half from one of the first; x is 0 but there.
    half = 10000
    edges = tf.constant(np.stack([np.arange(half), half + np.arange(half)]).astype(np.int32))
    x = tf.constant(np.repeat([[1.0], [0.0]], half, axis=0).astype(np.float32))
    key = random.make_key(5)
    out = layer(x, edges, key=key)
    reached = out.numpy()[half:]
    np.testing.assert_allclose(np.unique(reached), [0, 2 / np.sqrt(2)], rtol=1e-6)
    assert abs(np.mean(reached == 0) - 0.5) < 0.016
    compiled = tf.function(lambda key: layer(x, edges, key=key), jit_compile=True)
    routes.alike(compiled(key), out)


@pytest.mark.parametrize(
    'arguments, message',
    [({'K': -1}, 'K = -1'), ({'alpha': 1.1}, 'alpha = 1.1'), ({'dropout': -0.1}, 'dropout = -0.1')],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        appnp.APPNP(**arguments)
