"""Operators and readouts in 16 bits and in float64: sums in float32, and the same values."""

import numpy as np
import pytest
import tensorflow as tf

from research import geometric
from research.geometric import segments, sparse
from research.geometric.pooling import readout
from tests.research.geometric import checks

ATTR = checks.uniform_attr()(checks.EDGES.shape[1])
PSEUDO = checks.uniform_attr(2)(checks.EDGES.shape[1])
TYPES = checks.types_attr(3)(checks.EDGES.shape[1])
POS = checks.features(channels=2, seed=4)
NEAREST = np.stack([np.arange(18) % 6, np.arange(18) // 3]).astype(np.int32)


def dense(channels):
    return tf.keras.Sequential([tf.keras.layers.Dense(5, 'relu'), tf.keras.layers.Dense(channels)])


# Each with its call's arguments after x, and whether there is a way through a sparse matrix.
OPERATORS = {
    'GCN': (lambda: geometric.GCNConv(4), (checks.EDGES, ATTR), True),
    'SG': (lambda: geometric.SGConv(4, K=2), (checks.EDGES, ATTR), True),
    'Cheb': (lambda: geometric.ChebConv(4, K=3), (checks.EDGES, ATTR), True),
    'ARMA': (lambda: geometric.ARMAConv(4, num_stacks=2, num_layers=2), (checks.EDGES, ATTR), True),
    'APPNP': (lambda: geometric.APPNP(K=3), (checks.EDGES, ATTR), True),
    'SAGE': (lambda: geometric.SAGEConv(4), (checks.EDGES, ATTR), True),
    'SAGE, 1.0': (lambda: geometric.SAGEConv(4, root_weight=False), (checks.EDGES, ATTR), True),
    'SAGE, max': (lambda: geometric.SAGEConv(4, 'max', False), (checks.EDGES,), True),
    'GIN': (lambda: geometric.GINConv(dense(4), train_eps=True), (checks.EDGES, ATTR), True),
    'GAT': (lambda: geometric.GATConv(4, heads=2), (checks.EDGES,), True),
    'AGNN': (lambda: geometric.AGNNConv(), (checks.EDGES,), True),
    'RGCN': (lambda: geometric.RGCNConv(4, 3, num_bases=2), (checks.EDGES, TYPES), False),
    'NN': (lambda: geometric.NNConv(4, dense(12), 'mean'), (checks.EDGES, PSEUDO), False),
    'GMM': (lambda: geometric.GMMConv(4, 3, 2), (checks.EDGES, PSEUDO), False),
    'GMM, wide': (lambda: geometric.GMMConv(2, 3, 2), (checks.EDGES, PSEUDO), False),
    'Spline': (lambda: geometric.SplineConv(4, 2), (checks.EDGES, PSEUDO), False),
    'Edge': (lambda: geometric.EdgeConv(dense(4)), (checks.EDGES,), False),
    'DynamicEdge': (lambda: geometric.DynamicEdgeConv(dense(4), 2), (), False),
    'PointNet': (lambda: geometric.PointNetConv(dense(4)), (checks.EDGES, None, POS), False),
    'X': (lambda: geometric.XConv(4, 3), (NEAREST, None, POS), False),
}


@pytest.fixture(name='policy')
def _policy():
    """Sets the policy of the layers that are made from now on."""
    yield tf.keras.mixed_precision.set_global_policy
    tf.keras.mixed_precision.set_global_policy('float32')


def answer(make, *arguments):
    """What a layer with fixed weights answers, and the gradients of its weights."""
    layer = make()
    layer(checks.features(), *arguments)
    checks.randomize(layer)
    with tf.GradientTape() as tape:
        out = layer(checks.features(), *arguments)
        loss = tf.reduce_sum(tf.cast(out, tf.float32) * checks.weighted(out).astype(np.float32))
    gradients = tape.gradient(loss, layer.trainable_weights)
    return out, [np.asarray(gradient, np.float64) for gradient in gradients]


@pytest.mark.parametrize('name', OPERATORS)
def test_every_policy_gives_the_same(name, policy):
    make, arguments, has_sparse_route = OPERATORS[name]
    ways = [arguments]
    if has_sparse_route:
        ways.append((sparse.adjacency(checks.EDGES, checks.NODES, *arguments[1:]),))
    policy('float64')
    exact, gradients = answer(make, *arguments)
    assert exact.dtype == tf.float64
    size = np.abs(exact).max()
    for of, unit in (
        ('float64', 2.0**-20),
        ('mixed_float16', 2.0**-10),
        ('mixed_bfloat16', 2.0**-7),
    ):
        policy(of)
        for way in ways:
            out, own = answer(make, *way)
            assert out.dtype == tf.keras.mixed_precision.global_policy().compute_dtype
            # A handful of roundings one after the other, of the largest values there are.
            np.testing.assert_allclose(out, exact, rtol=0, atol=8 * unit * size)
            for one, other in zip(own, gradients, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=24 * unit * np.abs(other).max())


@pytest.mark.parametrize('of', ['mixed_bfloat16', 'mixed_float16'])
def test_sums_over_many_neighbours(of, policy):
    """By hand: 4 000 ones are 4 000, and their mean is 1."""
    policy(of)
    count = 4000
    x = np.ones([count + 1, 1], np.float32)
    x[0] = 0
    star = np.stack([np.arange(1, count + 1), np.zeros(count)]).astype(np.int32)
    matrix = sparse.adjacency(star, count + 1)
    same = tf.keras.layers.Activation('linear')
    for edges in (star, matrix):
        assert float(geometric.GINConv(same)(x, edges)[0, 0]) == count
        sage = geometric.SAGEConv(1, kernel_initializer='ones')
        assert float(sage(x, edges)[0, 0]) == 1
    batch = np.zeros(count + 1, np.int32)
    assert float(readout.Readout('sum')(x, batch, 1)[0, 0]) == count
    assert float(readout.Readout('mean')(x[1:], batch[1:], 1)[0, 0]) == 1
    assert float(readout.Readout('max')(x, batch, 1)[0, 0]) == 1


def test_a_mean_of_more_than_float16_holds():
    values = tf.fill([2000, 1], tf.constant(60_000.0, tf.float16))
    mean = segments.segment_mean(values, tf.zeros([2000], tf.int32), 1)
    assert mean.dtype == tf.float16 and float(mean[0, 0]) == 60_000
