import fractions
import math

import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import top_k
from tests.research.geometric import checks, pooling_checks
from tests.research.geometric.pooling_checks import BATCH, EDGES, GRAPHS, NODES

ATTR = checks.uniform_attr()(EDGES.shape[1])


def reference(kernel, graph, ratio):
    """Cangea et al. 2018: y = X p / |p|, X' = (X * tanh y)_i, A' = A_ii, one graph at a time."""
    kernel = kernel[:, 0]
    score = graph.x @ kernel / np.sqrt(np.sum(kernel**2))
    kept = []
    for g in np.unique(graph.batch):
        nodes = np.flatnonzero(graph.batch == g)
        count = math.ceil(fractions.Fraction(str(ratio)) * len(nodes))
        kept += sorted(sorted(nodes, key=lambda node: (-score[node], node))[:count])
    x = np.stack([graph.x[node] * np.tanh(score[node]) for node in kept])
    place = {node: slot for slot, node in enumerate(kept)}
    edges = [e for e, (j, i) in enumerate(graph.edge_index.T) if j in place and i in place]
    index = np.array([[place[end] for end in graph.edge_index[:, e]] for e in edges], int)
    attr = None if graph.edge_attr is None else graph.edge_attr[edges]
    pos = None if graph.pos is None else graph.pos[kept]
    return pooling_checks.Compact(x, index.reshape(-1, 2).T, attr, graph.batch[kept], pos)


def whole(x, attr=ATTR, pos=None):
    return pooling_checks.Compact(np.asarray(x, np.float64), EDGES, attr, BATCH, pos)


def made(ratio, seed=3):
    layer = top_k.TopKPooling(ratio)
    layer(pooling_checks.features(), EDGES, BATCH, GRAPHS)
    checks.randomize(layer, seed)
    return layer


@pytest.mark.parametrize('ratio', [0.001, 0.34, 0.5, 0.8, 1])
@pytest.mark.parametrize('attr', [None, ATTR, checks.normal_attr(2)(EDGES.shape[1])])
def test_formula(ratio, attr):
    x, layer = pooling_checks.features(), made(ratio)
    pos = checks.features(NODES, 2, seed=9)
    pooled = layer(x, EDGES, BATCH, GRAPHS, attr, pos)
    expected = reference(layer.kernel.numpy(), whole(x, attr, pos), ratio)
    actual = pooling_checks.compact(pooled)
    pooling_checks.assert_same(actual, expected)
    # Edges keep their order.
    np.testing.assert_array_equal(actual.edge_index, expected.edge_index)
    slots = pooled.x.shape[0] - 1
    assert slots <= NODES and slots <= ratio * NODES + GRAPHS
    kept = np.flatnonzero(pooled.assignment >= 0)
    np.testing.assert_array_equal(tf.gather(pooled.assignment, kept), range(len(kept)))
    np.testing.assert_array_equal(pos[kept], actual.pos)


def test_types_of_edges_stay():
    types = checks.types_attr(3)(EDGES.shape[1])
    layer = made(0.8)
    pooled = layer(pooling_checks.features(), EDGES, BATCH, GRAPHS, types)
    assert pooled.edge_attr.dtype == tf.int32
    pooling_checks.assert_same(
        pooling_checks.compact(pooled),
        reference(layer.kernel.numpy(), whole(pooling_checks.features(), types), 0.8),
    )


def test_graph_u_net():
    """Gao & Ji 2018 gate by a sigmoid."""
    x = np.array([[3.0, 4.0], [0.0, 1.0], [-1.0, 0.0]], np.float32)
    layer = top_k.TopKPooling(0.5, 'sigmoid')
    layer(x, np.zeros([2, 0], np.int32), np.zeros(3, np.int32), 1)
    layer.kernel.assign([[3.0], [4.0]])
    pooled = layer(x, np.zeros([2, 0], np.int32), np.zeros(3, np.int32), 1)
    # Scores are 5, 0.8 and -0.6, and of three nodes two are kept.
    gate = 1 / (1 + np.exp(-np.array([5, 0.8])))
    np.testing.assert_allclose(
        pooling_checks.compact(pooled).x, [[3 * gate[0], 4 * gate[0]], [0, gate[1]]], rtol=1e-6
    )


@pytest.mark.parametrize('attr', [None, ATTR])
def test_what_follows_is_that_of_the_smaller_graph(attr):
    """Two levels with convolutions between, values and gradients."""
    first, second = made(0.8), made(0.6, seed=4)
    x = pooling_checks.features()

    def net(x, batch=BATCH, graphs=GRAPHS, edges=EDGES, attr=attr):
        pooled = first(x, edges, batch, graphs, attr)
        pooled = second(pooled.x + 1.0, pooled.edge_index, pooled.batch, graphs, pooled.edge_attr)
        return pooling_checks.follow(pooled, graphs)

    def expected(kernels, x):
        graph = reference(kernels[0], whole(x, attr), 0.8)
        graph = reference(kernels[1], graph._replace(x=graph.x + 1), 0.6)
        return pooling_checks.follow_compact(graph)

    def gradients(x, *arguments):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = net(x, *arguments)[:GRAPHS]
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return out, *tape.gradient(loss, [x, first.kernel, second.kernel])

    kernels = [first.kernel.numpy().astype(np.float64), second.kernel.numpy().astype(np.float64)]
    wide = x.astype(np.float64)
    out, *actual = gradients(tf.constant(x))
    np.testing.assert_allclose(out, expected(kernels, wide), 1e-4, 1e-4)
    np.testing.assert_array_equal(out[1], np.zeros_like(out[1]))
    loss = lambda kernels, x: np.sum(expected(kernels, x) * checks.weighted(out))
    numerical = (
        checks.numerical_gradient(lambda x: loss(kernels, x), wide),
        *[
            checks.numerical_gradient(
                lambda value: loss([*kernels[:i], value, *kernels[i + 1 :]], wide), kernels[i]
            )
            for i in (0, 1)
        ],
    )
    for one, other in zip(actual, numerical, strict=True):
        np.testing.assert_allclose(one, other, 2e-3, 1e-3)

    # As padded: a further graph, and XLA.
    more = checks.features(3, seed=11)
    edges = np.array([[0, 1, 2, 2], [0, 0, 1, 1]], np.int32) + NODES
    edges = np.concatenate([EDGES, edges], axis=1)
    arguments = [
        tf.constant(np.concatenate([x, more])),
        tf.constant(np.append(BATCH, [GRAPHS] * 3).astype(np.int32)),
        GRAPHS + 1,
        tf.constant(edges),
        None if attr is None else tf.constant(np.append(attr, np.ones(4, np.float32))),
    ]
    padded, *of_padded = gradients(*arguments)
    np.testing.assert_allclose(padded, out, 1e-5, 1e-5)
    np.testing.assert_allclose(of_padded[0][:NODES], actual[0], 1e-4, 1e-5)
    compiled = tf.function(gradients, jit_compile=True)
    for one, other in zip(compiled(*arguments), [padded, *of_padded], strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, 1e-3, 1e-4)


def test_order_of_nodes_counts_not():
    x, layer = pooling_checks.features(), made(0.8)
    random = np.random.default_rng(5)
    order, edges = random.permutation(NODES), random.permutation(EDGES.shape[1])
    place = np.argsort(order)
    out = pooling_checks.follow(layer(x, EDGES, BATCH, GRAPHS, ATTR))
    permuted = layer(
        x[order], place[EDGES[:, edges]].astype(np.int32), BATCH[order], GRAPHS, ATTR[edges]
    )
    np.testing.assert_allclose(pooling_checks.follow(permuted), out, 1e-4, 1e-5)


def test_of_equal_scores_the_lower_index_is_kept():
    layer = made(0.5)
    for value in (0.0, -0.0, 1.0):
        x = tf.fill([6, 3], value)
        x = tf.where(tf.range(6)[:, tf.newaxis] % 2 == 0, x, -x if value == 0 else x)
        none, batch = tf.zeros([2, 0], tf.int32), tf.constant([1, 0, 1, 0, 0, -1])
        for jit in (False, True):
            pool = tf.function(lambda x: layer(x, none, batch, 2).assignment, jit_compile=jit)
            # Two of three nodes, one of two.
            np.testing.assert_array_equal(pool(x), [0, 1, -1, 2, -1, -1])


def test_rounding_up_is_exact():
    layer = made(0.1)
    for nodes, kept in ((30, 3), (31, 4), (70, 7)):
        pooled = layer(
            checks.features(nodes), np.zeros([2, 0], np.int32), np.zeros(nodes, np.int32), 1
        )
        assert np.sum(pooled.assignment.numpy() >= 0) == kept == pooled.x.shape[0] - 1


def test_sizes_that_are_not_known():
    layer = made(0.8)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 3]),
            tf.TensorSpec([2, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def pool(x, edge_index, batch):
        return tuple(layer(x, edge_index, batch, GRAPHS))[:2]

    x = pooling_checks.features()
    expected = layer(x, EDGES, BATCH, GRAPHS)
    for one, other in zip(pool(x, EDGES, BATCH), expected[:2], strict=True):
        np.testing.assert_allclose(one, other, 1e-6)


@pytest.mark.parametrize('ratio', [0, -0.5, 1.5, 1e-4])
def test_ratio(ratio):
    with pytest.raises(ValueError, match=f'ratio = {ratio} is outside'):
        top_k.TopKPooling(ratio)
