import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import message_passing, sparse
from research.geometric.convs import gat_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes


def reference(heads, channels, concat, self_loops=True):
    """Velickovic et al. 2018, Eqs. (3)-(6), node by node."""

    def formula(weights, x, edge_index, edge_attr):
        assert edge_attr is None
        out = np.zeros((len(x), heads, channels))
        for head in range(heads):
            kernel = weights['kernel'].reshape(-1, heads, channels)[:, head]
            a = np.concatenate(
                [weights['attention_target'][head], weights['attention_source'][head]]
            )
            h = x @ kernel
            for i in range(len(x)):
                neighbours = [
                    j for j, target in edge_index.T if target == i and not (self_loops and j == i)
                ]
                neighbours += [i] * self_loops
                if not neighbours:
                    continue
                e = np.array([a @ np.concatenate([h[i], h[j]]) for j in neighbours])
                e = np.where(e > 0, e, 0.2 * e)
                alpha = np.exp(e) / np.exp(e).sum()
                out[i, head] = alpha @ h[neighbours]
        out = out.reshape(len(x), -1) if concat else out.mean(1)
        return out + weights['bias']

    return formula


@pytest.mark.parametrize('concat', [True, False])
@pytest.mark.parametrize('self_loops', [True, False])
def test_formula(concat, self_loops):
    checks.check_operator(
        lambda: gat_conv.GATConv(2, heads=3, concat=concat, self_loops=self_loops),
        reference(3, 2, concat, self_loops),
    )


def test_two_nodes_by_hand():
    # Node 1 attends to 0 and to itself; e = LeakyReLU(a_t x_i + a_s x_j) = x_i - x_j here.
    layer = gat_conv.GATConv(1, kernel_initializer='ones', use_bias=False)
    x = np.array([[1.0], [3.0]], np.float32)
    edges = np.array([[0], [1]], np.int32)
    layer(x, edges)
    layer.attention_source.assign([[-1.0]])
    alpha = np.exp(2) / (np.exp(2) + np.exp(0))
    np.testing.assert_allclose(layer(x, edges)[:, 0], [1.0, alpha * 1 + (1 - alpha) * 3], rtol=1e-6)


def test_attention_stays_finite_where_logits_are_huge():
    layer = gat_conv.GATConv(2)
    assert np.isfinite(layer(checks.features() * 1e4, checks.EDGES)).all()


class Gathered(message_passing.MessagePassing):
    """A head's messages one by one, of what is projected: [N, channels + 2], the scores last."""

    def message(self, x_source, x_target, edge_attr):
        logits = tf.nn.leaky_relu(x_target[:, -2] + x_source[:, -1], 0.2)
        share = tf.exp(logits)[:, tf.newaxis]
        return tf.concat([share * x_source[:, :-2], share], axis=1)

    def update(self, x, aggregated):
        return aggregated[:, :-1] / aggregated[:, -1:]


def test_all_routes_agree():
    layer = routes.built(gat_conv.GATConv(2, heads=3))
    routes.check_adjacency(layer)
    routes.check_sparse_x(layer)
    routes.check_graph(layer)
    # The values of the matrix do not count.
    x = checks.features()
    other = sparse.adjacency(checks.EDGES, checks.NODES, 1 + np.arange(checks.EDGES.shape[1]))
    routes.alike(layer(x, other), layer(x, checks.EDGES))


def test_agrees_with_message_passing():
    layer = routes.built(gat_conv.GATConv(2, heads=3))
    loops = np.tile(np.arange(checks.NODES, dtype=np.int32), (2, 1))
    edges = np.concatenate([checks.EDGES[:, checks.EDGES[0] != checks.EDGES[1]], loops], axis=1)

    def gathered(x, edge_index, edge_attr):
        heads = tf.split(x @ layer.kernel, 3, axis=1)
        scored = [
            tf.concat([head, head @ tf.stack([target, source], axis=1)], axis=1)
            for head, target, source in zip(
                heads,
                tf.unstack(layer.attention_target),
                tf.unstack(layer.attention_source),
                strict=True,
            )
        ]
        return tf.concat([Gathered()(x, edge_index) for x in scored], axis=1) + layer.bias

    gathered.trainable_weights = layer.trainable_weights
    x = checks.features()
    routes.alike(gathered(x, edges, None), layer(x, checks.EDGES))
    routes.alike(
        checks.tape_gradients(gathered, x, edges, None),
        checks.tape_gradients(layer, x, checks.EDGES, None),
    )


@pytest.mark.parametrize(
    'initializer', ['glorot_uniform', tf.keras.initializers.GlorotUniform(seed=3)]
)
def test_start_values(initializer):
    """W and the halves of a are drawn apart, each as Glorot & Bengio's uniform of its shape."""
    layer = gat_conv.GATConv(64, heads=64, kernel_initializer=initializer)
    layer(checks.features(channels=64), checks.EDGES)
    source, target = layer.attention_source.numpy(), layer.attention_target.numpy()
    first = layer.kernel.numpy()[:, :64]
    for one, other in ((source, target), (source, first), (target, first)):
        # 4 096 independent pairs: the correlation's standard error is 1/64.
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / 64
    for weight, fans in ((source, 128), (target, 128), (layer.kernel.numpy(), 64 + 4096)):
        limit = (6 / fans) ** 0.5
        assert 0.99 * limit < np.abs(weight).max() <= limit
    assert not layer.bias.numpy().any()


def test_self_loops_made_beforehand():
    x = checks.features()
    layer = gat_conv.GATConv(2, heads=2)
    expected = layer(x, checks.EDGES)
    layer.self_loops = False
    others = checks.EDGES[:, checks.EDGES[0] != checks.EDGES[1]]
    loops = np.tile(np.arange(checks.NODES, dtype=np.int32), (2, 1))
    np.testing.assert_allclose(
        layer(x, np.concatenate([loops, others], axis=1)), expected, rtol=1e-5, atol=1e-6
    )


def test_bipartite_pair():
    layer = gat_conv.GATConv(2, heads=2, self_loops=False)
    sources, targets = checks.features(5), checks.features(3, seed=1)
    edges = np.array([[0, 4, 2, 4], [0, 0, 2, 2]], np.int32)
    out = layer((sources, targets), edges)
    # As one graph in which the sources come after the targets.
    whole = layer(np.concatenate([targets, sources]), edges + [[3], [0]])
    np.testing.assert_allclose(out, whole[:3], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match='no self loops; it needs self_loops=False'):
        gat_conv.GATConv(2)((sources, targets), edges)


def test_dropout_drops_attention():
    # 400 sources of one target: alpha is 1/400 each, and x is one.
    layer = gat_conv.GATConv(
        1, dropout=0.6, self_loops=False, kernel_initializer='ones', use_bias=False
    )
    edges = np.stack([np.arange(400), np.zeros(400, np.int64)])
    x = np.ones((400, 1), np.float32)
    key = random.make_key(1)
    once = float(layer(x, edges, key=key)[0, 0])
    kept = once * 400 * 0.4
    assert kept == pytest.approx(round(kept), abs=1e-3)
    assert 120 < kept < 200  # 160 expected, standard deviation 9.8.
    assert once == float(layer(x, edges, key=key)[0, 0])
    assert once != float(layer(x, edges, key=random.make_key(2))[0, 0])
    assert float(layer(x, edges)[0, 0]) == pytest.approx(1)


def test_bad_arguments():
    with pytest.raises(ValueError, match='no use for edge_attr'):
        gat_conv.GATConv(1)(checks.features(), checks.EDGES, np.ones(10, np.float32))
    with pytest.raises(ValueError, match='dropout = 1.0 is outside'):
        gat_conv.GATConv(1, dropout=1.0)
