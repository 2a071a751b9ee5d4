import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import diff_pool
from tests.research.geometric import checks, pooling_checks
from tests.research.geometric.pooling_checks import BATCH, EDGES, GRAPHS, NODES, SIZES

ATTR = checks.uniform_attr()(EDGES.shape[1])


def reference(x, adjacency, logits):
    """Ying et al. 2018, Eqs. (3), (4) and Sec. 3.3, of one graph."""
    s = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    link = np.sqrt(np.square(adjacency - s @ s.T).sum())
    entropy = np.mean([-sum(p * np.log(p) for p in row) for row in s])
    return s.T @ x, s.T @ adjacency @ s, link, entropy


def inputs(nodes=8):
    """Three graphs of `nodes`, 3 and 0 nodes; what is masked is infinite or no number."""
    random = np.random.default_rng(2)
    mask = np.arange(nodes) < np.array([[nodes], [3], [0]])
    x = random.normal(size=(3, nodes, 4))
    logits = random.normal(size=(3, nodes, 2))
    adjacency = np.maximum(random.normal(size=(3, nodes, nodes)), 0)
    adjacency *= mask[:, None] & mask[:, :, None]
    x[~mask], logits[~mask] = np.inf, np.nan
    return [a.astype(np.float32) for a in (x, adjacency, logits)], mask


def test_formula():
    (x, adjacency, logits), mask = inputs()
    result = diff_pool.diff_pool(x, adjacency, logits, mask)
    for graph, size in enumerate((8, 3)):
        expected = reference(
            *(
                a.astype(np.float64)
                for a in (x[graph, :size], adjacency[graph, :size, :size], logits[graph, :size])
            )
        )
        for one, other in zip(result, expected, strict=True):
            np.testing.assert_allclose(one[graph], other, 1e-5, 1e-6)
    for value in result:
        np.testing.assert_array_equal(value[2], np.zeros(value.shape[1:]))
    # Without a mask all nodes are there.
    alone = diff_pool.diff_pool(x[:1], adjacency[:1], logits[:1])
    for one, other in zip(alone, result, strict=True):
        np.testing.assert_allclose(one[0], other[0], 1e-6)


def test_gradients():
    arrays, mask = inputs()
    random = np.random.default_rng(4)
    shapes = ((3, 2, 4), (3, 2, 2), (3,), (3,))
    weights = [random.normal(size=shape) for shape in shapes]

    def gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = diff_pool.diff_pool(*tensors, mask)
            loss = tf.add_n(
                [
                    tf.reduce_sum(value * tf.cast(weight, tf.float32))
                    for value, weight in zip(result, weights, strict=True)
                ]
            )
        return tape.gradient(loss, tensors)

    def loss(*arrays):
        total = 0
        for graph, size in enumerate((8, 3)):
            x, adjacency, logits = (a[graph, :size] for a in arrays)
            values = reference(x, adjacency[:, :size], logits)
            total += sum(np.sum(v * w[graph]) for v, w in zip(values, weights, strict=True))
        return total

    tensors = [tf.constant(a) for a in arrays]
    actual = gradients(*tensors)
    compiled = tf.function(gradients, jit_compile=True)(*tensors)
    wide = [a.astype(np.float64) for a in arrays]
    for i, one in enumerate(actual):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(compiled[i], one, 1e-3, 1e-5)
        there = mask[:, :, None] & (mask[:, None] if i == 1 else True)
        there = np.broadcast_to(there, one.shape)
        expected = checks.numerical_gradient(
            lambda value: loss(*wide[:i], value, *wide[i + 1 :]), np.where(there, wide[i], 0)
        )
        np.testing.assert_allclose(one[there], expected[there], 2e-3, 2e-4)
        if i != 1:
            np.testing.assert_array_equal(one[~there], 0 * one[~there])


def test_two_cliques_by_hand():
    """Hard assignments of two cliques with self loops: A = S S^T, so there is no loss at all."""
    member = np.repeat(np.eye(2), 2, axis=0)
    adjacency = member @ member.T
    result = diff_pool.diff_pool(
        np.arange(8, dtype=np.float32).reshape(1, 4, 2),
        adjacency[None].astype(np.float32),
        200 * member[None].astype(np.float32),
    )
    np.testing.assert_array_equal(result.x[0], [[2, 4], [10, 12]])
    np.testing.assert_array_equal(result.adjacency[0], [[4, 0], [0, 4]])
    np.testing.assert_array_equal(result.link_loss, [0])
    np.testing.assert_array_equal(result.entropy_loss, [0])


def test_order_of_nodes_counts_not():
    (x, adjacency, logits), mask = inputs()
    order = np.random.default_rng(5).permutation(8)
    permuted = diff_pool.diff_pool(
        x[:, order], adjacency[:, order][:, :, order], logits[:, order], mask[:, order]
    )
    for one, other in zip(permuted, diff_pool.diff_pool(x, adjacency, logits, mask), strict=True):
        np.testing.assert_allclose(one, other, 1e-5, 1e-6)


@pytest.mark.parametrize('weight', [None, ATTR])
@pytest.mark.parametrize('max_nodes', [3, 6, 8])
def test_to_dense(weight, max_nodes):
    x = pooling_checks.features()
    mixed = np.random.default_rng(1).permutation(NODES)  # Node n stands at place[n].
    place = np.argsort(mixed)
    batch = BATCH[mixed].copy()
    batch[place[4]] = -1  # Node 4 of graph 0.
    edges = place[EDGES].astype(np.int32)
    whole = checks.dense(edges, NODES, weight)

    def make(x, edges, batch):
        return diff_pool.to_dense(x, edges, batch, GRAPHS, max_nodes, weight)

    arguments = [tf.constant(a) for a in (x[mixed], edges, batch)]
    for function in (make, tf.function(make, jit_compile=True)):
        out, adjacency, mask = (t.numpy() for t in function(*arguments))
        assert mask.sum() == sum(min(n, max_nodes) for n in (5, *SIZES[1:]))
        for graph in range(GRAPHS):
            nodes = np.flatnonzero(batch == graph)[:max_nodes]
            count = len(nodes)
            np.testing.assert_array_equal(mask[graph], np.arange(max_nodes) < count)
            np.testing.assert_array_equal(out[graph, :count], x[mixed][nodes])
            np.testing.assert_allclose(
                adjacency[graph, :count, :count], whole[np.ix_(nodes, nodes)], 1e-6
            )
            assert not out[graph, count:].any()
            assert not adjacency[graph, count:].any() and not adjacency[graph, :, count:].any()
