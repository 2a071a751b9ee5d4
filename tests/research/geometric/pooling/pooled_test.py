import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import pooled
from tests.research.geometric import checks, pooling_checks
from tests.research.geometric.pooling_checks import BATCH, EDGES, GRAPHS, NODES

ATTR = checks.uniform_attr()(EDGES.shape[1])
# Node 1 of the first graph is dropped, cluster 3 has no node, and 0 and 1 have edges inside.
CLUSTER = np.array([1, -1, 0, 0, 1, 2, 4, 6, 5, 5, 6], np.int32)


def reference(graph, cluster, aggregation='max', attr_sum=True):
    """One node a cluster, in NumPy, without the empty ones."""
    numbers = sorted(set(cluster[cluster >= 0]))
    place = {number: slot for slot, number in enumerate(numbers)}
    members = [np.flatnonzero(cluster == number) for number in numbers]
    x = np.stack([getattr(np, aggregation)(graph.x[m], axis=0) for m in members])
    found = {}
    for e, (j, i) in enumerate(graph.edge_index.T):
        if cluster[j] >= 0 and cluster[i] >= 0 and cluster[j] != cluster[i]:
            ends = place[cluster[i]], place[cluster[j]]
            found.setdefault(ends, []).append(e)
    edges = np.array([[j, i] for i, j in sorted(found)], int).reshape(-1, 2).T
    attr = graph.edge_attr
    if attr is not None:
        attr = np.array([attr[found[ends]].sum(0) for ends in sorted(found)])
        attr = attr.reshape(-1, *graph.edge_attr.shape[1:])
    batch = np.array([graph.batch[m[0]] for m in members])
    pos = None if graph.pos is None else np.stack([graph.pos[m].mean(0) for m in members])
    return pooling_checks.Compact(x, edges, attr, batch, pos)


def whole(x, attr=None, pos=None):
    return pooling_checks.Compact(np.asarray(x, np.float64), EDGES, attr, BATCH, pos)


@pytest.mark.parametrize('aggregation', ['max', 'mean', 'sum'])
@pytest.mark.parametrize('attr', [None, ATTR, checks.normal_attr(2)(EDGES.shape[1])])
@pytest.mark.parametrize('slots', [None, 7, 9])
def test_formula(aggregation, attr, slots):
    x, pos = pooling_checks.features(), checks.features(NODES, 3, seed=9)
    result = pooled.pool_clusters(
        x, EDGES, BATCH, CLUSTER, attr, pos, aggregation, num_clusters=slots
    )
    assert result.x.shape[0] == (slots or NODES) + 1
    np.testing.assert_array_equal(result.assignment, CLUSTER)
    actual = pooling_checks.compact(result)
    expected = reference(whole(x, attr, pos), CLUSTER, aggregation)
    assert 0 < expected.edge_index.shape[1] < EDGES.shape[1]
    pooling_checks.assert_same(actual, expected)
    np.testing.assert_array_equal(actual.edge_index, expected.edge_index)


def test_weights_are_those_of_the_product():
    """S^T A S without its diagonal."""
    cluster = np.maximum(CLUSTER, 0)
    cluster[6] = 3
    result = pooled.pool_clusters(pooling_checks.features(), EDGES, BATCH, cluster, ATTR)
    edges, weights = result.edge_index.numpy(), result.edge_attr.numpy()
    member = np.eye(NODES + 1)[cluster]
    product = member.T @ checks.dense(EDGES, NODES, ATTR) @ member
    np.fill_diagonal(product, 0)
    np.testing.assert_allclose(checks.dense(edges, NODES + 1, weights), product, 1e-5, 1e-6)


def test_clusters_of_nothing():
    x = pooling_checks.features()
    every = np.arange(NODES)
    same = pooled.pool_clusters(x, EDGES, BATCH, every)
    pooling_checks.assert_same(pooling_checks.compact(same), reference(whole(x), every))
    none = np.zeros([2, 0], np.int32)
    for attr in (None, np.zeros(0, np.float32), np.zeros([0, 2], np.float32)):
        for jit in (False, True):
            pool = tf.function(
                lambda: pooled.pool_clusters(x, none, BATCH, CLUSTER, attr), jit_compile=jit
            )
            bare = pool()
            assert bare.edge_index.shape == [2, 0]
            pooling_checks.assert_same(
                pooling_checks.compact(bare),
                reference(whole(x)._replace(edge_index=none, edge_attr=attr), CLUSTER),
            )
    dropped = pooled.pool_clusters(x, EDGES, BATCH, np.full(NODES, -1), ATTR)
    np.testing.assert_array_equal(dropped.x, np.zeros([NODES + 1, 3]))
    np.testing.assert_array_equal(dropped.edge_index, np.full(EDGES.shape, NODES))
    np.testing.assert_array_equal(pooling_checks.follow(dropped), np.zeros([GRAPHS, 9]))


@pytest.mark.parametrize('aggregation', ['max', 'mean'])
def test_what_follows_is_that_of_the_smaller_graph(aggregation):
    """Two levels, values and gradients, with and without XLA, nodes in another order."""
    second = np.array([1, 0, 1, -1, 2, 3, 3] + [-1] * (NODES - 6))
    pool = lambda *a: pooled.pool_clusters(*a, aggregation=aggregation)

    def net(x, edges, batch, cluster, attr):
        first = pool(x, edges, batch, cluster, attr)
        return pooling_checks.follow(
            pool(first.x + 1, first.edge_index, first.batch, second, first.edge_attr)
        )

    def expected(x):
        first = reference(whole(x, ATTR.astype(np.float64)), CLUSTER, aggregation)
        left = second[sorted(set(CLUSTER[CLUSTER >= 0]))]
        return pooling_checks.follow_compact(
            reference(first._replace(x=first.x + 1), left, aggregation)
        )

    def gradients(x, *arguments):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = net(x, *arguments)
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return out, tape.gradient(loss, x)

    x = pooling_checks.features()
    arguments = [tf.constant(a) for a in (x, EDGES, BATCH, CLUSTER, ATTR)]
    out, gradient = gradients(*arguments)
    np.testing.assert_allclose(out, expected(x.astype(np.float64)), 1e-4, 1e-4)
    np.testing.assert_allclose(
        gradient,
        checks.numerical_gradient(
            lambda x: np.sum(expected(x) * checks.weighted(out)), x.astype(np.float64)
        ),
        2e-3,
        1e-3,
    )
    for one, other in zip(
        tf.function(gradients, jit_compile=True)(*arguments), (out, gradient), strict=True
    ):
        np.testing.assert_allclose(one, other, 1e-3, 1e-4)
    order = np.random.default_rng(5).permutation(NODES)
    permuted = net(
        x[order], np.argsort(order)[EDGES].astype(np.int32), BATCH[order], CLUSTER[order], ATTR
    )
    np.testing.assert_allclose(permuted, out, 1e-4, 1e-5)


def test_clusters_beyond_the_last_are_dropped():
    x = pooling_checks.features()
    for jit in (False, True):
        pool = tf.function(
            lambda: pooled.pool_clusters(x, EDGES, BATCH, CLUSTER, ATTR, num_clusters=5),
            jit_compile=jit,
        )
        pooling_checks.assert_same(
            pooling_checks.compact(pool()),
            reference(whole(x, ATTR), np.where(CLUSTER < 5, CLUSTER, -1)),
        )


def test_clusters_that_cross_graphs():
    x, cluster = pooling_checks.features(), CLUSTER.copy()
    last = int(np.flatnonzero(BATCH > 0)[-1])
    cluster[last] = 0
    with pytest.raises(ValueError) as error:
        pooled.pool_clusters(x, EDGES, BATCH, cluster)
    assert str(error.value) == (
        f'cluster 0 has nodes of graph 0 and of graph {BATCH[last]}; all nodes of a cluster must '
        'be of one graph.'
    )
    # A node of no graph is in no cluster, whatever its number.
    batch = BATCH.copy()
    batch[last] = -1
    assert pooled.pool_clusters(x, EDGES, batch, cluster).assignment[last] == -1


def test_types_of_edges_do_not_add_up():
    with pytest.raises(ValueError, match='edge_attr is of int32'):
        pooled.pool_clusters(pooling_checks.features(), EDGES, BATCH, CLUSTER, EDGES[0])
