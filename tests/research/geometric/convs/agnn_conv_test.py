import numpy as np
import pytest
import tensorflow as tf

from research.geometric import normalization, sparse
from research.geometric.convs import agnn_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes


def reference(fixed_beta=None):
    """Thekumparampil et al. 2018: the softmax over the multiset of neighbours and i, once."""

    def formula(weights, x, edge_index, edge_attr):
        del edge_attr
        beta = weights['beta'] if fixed_beta is None else fixed_beta
        out = np.zeros_like(x)
        for i in range(len(x)):
            near = [s for s, t in edge_index.T if t == i and s != i] + [i]
            cosine = np.array([x[i] @ x[j] / np.sqrt((x[i] @ x[i]) * (x[j] @ x[j])) for j in near])
            share = np.exp(beta * cosine) / np.exp(beta * cosine).sum()
            out[i] = share @ x[near]
        return out

    return formula


def test_formula():
    layer = checks.check_operator(lambda: agnn_conv.AGNNConv(), reference(), gradients=False)
    routes.check_gradients(layer, reference())


def test_fixed_beta():
    layer = checks.check_operator(
        lambda: agnn_conv.AGNNConv(beta=-2.0, train_beta=False), reference(-2.0)
    )
    assert not layer.weights


def test_beta_begins_at_1_or_as_told():
    for arguments, expected in (({}, 1.0), ({'beta': -2.0}, -2.0)):
        layer = agnn_conv.AGNNConv(**arguments)
        layer(checks.features(), checks.EDGES)
        assert float(layer.beta) == expected and len(layer.trainable_weights) == 1


def test_two_nodes_by_hand():
    # 1 looks at 0, at a right angle: its shares are 1 and e^beta over the sum.
    x, edges = np.array([[2.0, 0.0], [0.0, 3.0]], np.float32), np.array([[0], [1]], np.int32)
    out = agnn_conv.AGNNConv(beta=np.log(4))(x, edges)
    np.testing.assert_allclose(out, [[2, 0], [2 / 5, 3 * 4 / 5]], rtol=1e-6)
    # Without beta each gets the mean.
    out = agnn_conv.AGNNConv(beta=0.0, train_beta=False)(x, edges)
    np.testing.assert_allclose(out, [[2, 0], [1, 1.5]], rtol=1e-6)


def test_large_beta_is_finite():
    x = checks.features()
    for beta in (1e4, -1e4):
        assert np.isfinite(agnn_conv.AGNNConv(beta=beta)(x, checks.EDGES)).all()
    # beta -> infinity: each node keeps its own features, the cosine with itself being the most.
    routes.alike(agnn_conv.AGNNConv(beta=1e4)(x, checks.EDGES), x)


def test_nodes_without_features():
    x = checks.features()
    x[1] = 0
    layer = agnn_conv.AGNNConv()
    # Cosine 0 with and of node 1: into it come nodes 0, 0, 2 and itself, in equal shares.
    routes.alike(layer(x, checks.EDGES)[1], (2 * x[0] + x[2]) / 4)
    gradients = checks.tape_gradients(layer, x, checks.EDGES, None)
    assert all(np.abs(gradient).max() < 100 for gradient in gradients)


def test_unit_rows():
    x = tf.constant([[3.0, 4.0], [0.0, 0.0], [-1e-8, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = normalization.unit_rows(x)
        total = tf.reduce_sum(out * [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(out, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    # d (x / |x|) / dx = (I - u u^T) / |x|; of row 0 (1 - .36, -.48) / 5.
    np.testing.assert_allclose(tape.gradient(total, x)[:2], [[0.128, -0.096], [0, 0]], rtol=1e-5)


def test_all_routes_agree():
    layer = agnn_conv.AGNNConv(beta=1.5)
    routes.check_graph(layer)
    routes.check_adjacency(layer)
    # The values of the matrix do not count.
    other = sparse.adjacency(checks.EDGES, checks.NODES, 1 + np.arange(checks.EDGES.shape[1]))
    routes.alike(layer(checks.features(), other), layer(checks.features(), checks.EDGES))


def test_edge_attr_is_refused():
    with pytest.raises(ValueError, match='no use for edge_attr'):
        agnn_conv.AGNNConv()(checks.features(), checks.EDGES, tf.ones(checks.EDGES.shape[1]))
