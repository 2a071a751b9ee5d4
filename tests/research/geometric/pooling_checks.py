"""What every readout and pooling must pass, against NumPy that handles one small graph at a time.

The batch has four graphs: 0 is that of `checks`, 1 has no nodes, 2 one node without edges, and 3
has four nodes.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from research.geometric import message_passing
from research.geometric.convs import gcn_conv
from research.geometric.pooling import readout
from tests.research.geometric import checks

SIZES = (6, 0, 1, 4)
GRAPHS = len(SIZES)
BATCH = np.repeat(np.arange(GRAPHS), SIZES).astype(np.int32)
NODES = len(BATCH)
EDGES = np.concatenate(
    [checks.EDGES, np.array([[0, 1, 1, 2, 3, 2, 0], [1, 0, 2, 1, 3, 3, 2]]) + 7], axis=1
)
EDGES = EDGES.astype(np.int32)


def features(channels=3, seed=0, equal=False):
    """Normal features of the batch, float32 [NODES, channels]; nodes 7 and 8 may be equal."""
    x = checks.features(NODES, channels, seed)
    if equal:
        x[8] = x[7]
    return x


class Compact(NamedTuple):
    """A batch without empty slots, sink and dropped edges."""

    x: np.ndarray
    edge_index: np.ndarray
    edge_attr: np.ndarray | None
    batch: np.ndarray
    pos: np.ndarray | None = None


def compact(pooled):
    """Removes from a `Pooled` what stands for nothing, and checks that it does."""
    batch, edges = pooled.batch.numpy(), pooled.edge_index.numpy()
    sink = len(batch) - 1
    used = batch >= 0
    assert not used[sink] and batch.min() == -1
    rest = pooled.x.numpy()[~used]
    np.testing.assert_array_equal(rest, np.zeros_like(rest))
    assert edges.shape[1] == 0 or (edges.min() >= 0 and edges.max() <= sink)
    lost = (edges == sink).any(0)
    assert (edges[:, lost] == sink).all(), 'an edge joins the sink and another node'
    assert used[edges[:, ~lost]].all(), 'an edge joins a slot without a node'
    attr = pooled.edge_attr
    if attr is not None:
        attr = attr.numpy()
        np.testing.assert_array_equal(attr[lost], np.zeros_like(attr[lost]))
        attr = attr[~lost]
    number = np.cumsum(used) - 1
    pos = None if pooled.pos is None else pooled.pos.numpy()[used]
    return Compact(pooled.x.numpy()[used], number[edges[:, ~lost]], attr, batch[used], pos)


def assert_same(actual, expected, rtol=1e-5, atol=1e-6):
    """Two `Compact` agree; the order of edges counts not."""
    np.testing.assert_array_equal(actual.batch, expected.batch)
    np.testing.assert_allclose(actual.x, expected.x, rtol, atol)
    assert actual.edge_index.shape == expected.edge_index.shape
    orders = []
    for graph in (actual, expected):
        keys = [] if graph.edge_attr is None else np.atleast_2d(np.round(graph.edge_attr.T, 3))
        orders.append(np.lexsort([*keys, *graph.edge_index]))
    np.testing.assert_array_equal(
        actual.edge_index[:, orders[0]], expected.edge_index[:, orders[1]]
    )
    if expected.edge_attr is None:
        assert actual.edge_attr is None
    else:
        np.testing.assert_allclose(
            actual.edge_attr[orders[0]], expected.edge_attr[orders[1]], rtol, atol
        )
    if expected.pos is not None:
        np.testing.assert_allclose(actual.pos, expected.pos, rtol, atol)


class _Plus(message_passing.MessagePassing):
    """x_i + 1 + the aggregated messages, so that slots without a node are soon no zeros."""

    def update(self, x, aggregated):
        return x + 1 + aggregated


def follow(pooled, graphs=GRAPHS):
    """What comes after a pooling: convolutions of all aggregations, then all readouts."""
    x = _Plus('mean')(pooled.x, pooled.edge_index, pooled.edge_attr)
    x = _Plus('sum')(x, pooled.edge_index, pooled.edge_attr)
    x = _Plus('max')(x, pooled.edge_index)
    x = gcn_conv.GCNConv(1).smooth(x, pooled.edge_index, None)
    return tf.concat(
        [readout.Readout(word)(x, pooled.batch, graphs) for word in ('sum', 'mean', 'max')], -1
    )


def follow_compact(graph, graphs=GRAPHS):
    """`follow` in NumPy of the graph that has only the nodes and edges that are left."""
    x, nodes = graph.x, len(graph.x)
    for word in ('mean', 'sum', 'max'):
        total = np.zeros_like(x)
        for node in range(nodes):
            edges = np.flatnonzero(graph.edge_index[1] == node)
            messages = x[graph.edge_index[0, edges]]
            if graph.edge_attr is not None and word != 'max':
                messages = messages * np.reshape(graph.edge_attr, [-1, 1])[edges]
            if len(edges):
                total[node] = getattr(np, word)(messages, axis=0)
        x = x + 1 + total
    matrix = checks.dense(graph.edge_index, nodes)
    for node in np.flatnonzero(np.diag(matrix) == 0):
        matrix[node, node] = 1
    root = 1 / np.sqrt(matrix.sum(1))
    x = root[:, None] * matrix * root @ x
    read = np.zeros([graphs, 3, x.shape[1]])
    for g in np.unique(graph.batch):
        rows = x[graph.batch == g]
        read[g] = rows.sum(0), rows.mean(0), rows.max(0)
    return read.reshape(graphs, -1)


def check_readout(make, reference, channels=3, equal=True, rtol=1e-4, atol=1e-5):
    """Forward, gradients, invariance, empty graph, nodes of no graph, batching and XLA.

    Args:
      make: makes the layer, called as layer(x, batch, num_graphs).
      reference: called as reference(weights, x) with the nodes x [n, F] of one graph, n > 0, and a
        dict from names to arrays, all float64, gives its row.
      channels: F.
      equal: whether two nodes of one graph are equal; not where the layer has no gradient there.
      rtol: relative tolerance.
      atol: absolute tolerance.

    Returns:
      The layer.
    """
    x = features(channels, equal=equal)
    layer = make()
    layer(x, BATCH, GRAPHS)
    checks.randomize(layer)
    weights = checks.values(layer)

    def whole(weights, x):
        rows = {g: reference(weights, x[g == BATCH]) for g in range(GRAPHS) if SIZES[g]}
        like = np.zeros_like(next(iter(rows.values())))
        return np.stack([rows.get(g, like) for g in range(GRAPHS)])

    out = layer(x, BATCH, GRAPHS).numpy()
    expected = whole(weights, x.astype(np.float64))
    assert out.shape == expected.shape and np.abs(out[[0, 2, 3]]).max() > 0
    np.testing.assert_allclose(out, expected, rtol, atol, err_msg='forward')
    np.testing.assert_array_equal(out[1], np.zeros_like(out[1]), 'empty graph')

    order = np.random.default_rng(5).permutation(NODES)
    np.testing.assert_allclose(
        layer(x[order], BATCH[order], GRAPHS), out, rtol, atol, err_msg='permuted'
    )

    # Nodes of no graph between the others, and a further graph as padding is one.
    more = 10 * checks.features(5, channels, seed=11)
    mixed = np.concatenate([more[:2], x, more[2:]])
    ids = np.concatenate([[-1, -1], BATCH, [-1, GRAPHS, GRAPHS]]).astype(np.int32)
    np.testing.assert_allclose(
        layer(mixed, ids, GRAPHS + 1)[:GRAPHS], out, rtol, atol, err_msg='padded'
    )

    def gradients(x, batch, graphs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x, batch, graphs)
            loss = tf.reduce_sum(result * checks.weighted(result).astype(np.float32))
        return tape.gradient(loss, [x, *layer.trainable_weights], unconnected_gradients='zero')

    actual = gradients(tf.constant(x), BATCH, GRAPHS)
    loss = lambda weights, x: np.sum(whole(weights, x) * checks.weighted(out))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(
        actual[0],
        checks.numerical_gradient(lambda x: loss(weights, x), wide),
        2e-3,
        2e-4,
        err_msg='gradient of x',
    )
    for variable, gradient in zip(layer.trainable_weights, actual[1:], strict=True):
        name = checks.name_of(variable)
        numerical = checks.numerical_gradient(
            lambda value: loss({**weights, name: value}, wide), weights[name]
        )
        np.testing.assert_allclose(gradient, numerical, 2e-3, 2e-4, err_msg=f'gradient of {name}')

    plain = gradients(tf.constant(mixed), ids, GRAPHS + 1)
    compiled = tf.function(lambda x, batch: gradients(x, batch, GRAPHS + 1), jit_compile=True)
    for one, other in zip(compiled(tf.constant(mixed), tf.constant(ids)), plain, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, 1e-3, 1e-4, err_msg='XLA')
    nowhere = np.flatnonzero(ids < 0)
    np.testing.assert_array_equal(plain[0].numpy()[nowhere], 0 * mixed[nowhere])

    free = tf.function(
        lambda x, batch: layer(x, batch, GRAPHS),
        input_signature=[tf.TensorSpec([None, channels]), tf.TensorSpec([None], tf.int32)],
    )
    np.testing.assert_allclose(free(x, BATCH), out, rtol, atol, err_msg='unknown sizes')
    return layer
