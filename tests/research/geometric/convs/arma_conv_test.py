import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import normalization, sparse
from research.geometric.convs import arma_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def reference(activation, shared, layers):
    """Bianchi et al. 2019: each stack by itself, dense."""

    def formula(weights, x, edge_index, edge_attr):
        matrix = checks.dense(edge_index, len(x), edge_attr)
        degree = matrix.sum(1)
        inverse_root = np.array([d**-0.5 if d else 0.0 for d in degree])
        matrix = inverse_root[:, None] * matrix * inverse_root
        stacks, _, channels = weights['initial_kernel'].shape
        outputs = []
        for s in range(stacks):
            state = x
            for t in range(layers):
                at, before = (0, 1) if shared else (t, t)
                kernel = weights[f'kernel_{before}'][s] if t else weights['initial_kernel'][s]
                bias = weights[f'bias_{at}'][s * channels : (s + 1) * channels]
                state = activation(
                    matrix @ state @ kernel + x @ weights[f'skip_kernel_{at}'][s] + bias
                )
            outputs.append(state)
        return np.mean(outputs, axis=0)

    return formula


@pytest.mark.parametrize(
    'stacks, layers, shared, name, attr',
    [
        (1, 1, False, 'tanh', None),
        (3, 1, True, 'relu', None),
        (2, 3, False, 'tanh', checks.uniform_attr()),
        (2, 3, True, None, None),
    ],
)
def test_formula(stacks, layers, shared, name, attr):
    activation = {'tanh': np.tanh, 'relu': lambda x: np.maximum(x, 0), None: lambda x: x}[name]
    checks.check_operator(
        lambda: arma_conv.ARMAConv(
            4, num_stacks=stacks, num_layers=layers, shared_weights=shared, activation=name
        ),
        reference(activation, shared, layers),
        attr,
    )


def test_two_nodes_by_hand():
    # Joined both ways, so L^ swaps them; one stack, one layer, with weight 2, skip 3 and bias -20.
    x, edges = np.array([[1.0], [10.0]], np.float32), np.array([[0, 1], [1, 0]], np.int32)
    layer = arma_conv.ARMAConv(1)
    layer(x, edges)
    layer.initial_kernel.assign([[[2.0]]])
    layer.skip_kernels[0].assign([[[3.0]]])
    layer.biases[0].assign([-20.0])
    np.testing.assert_allclose(layer(x, edges)[:, 0], [20 + 3 - 20, 2 + 30 - 20], rtol=1e-6)
    layer.biases[0].assign([-25.0])
    np.testing.assert_allclose(layer(x, edges)[:, 0], [0, 7], rtol=1e-6)


def test_number_of_weights():
    x = checks.features(channels=5)
    for shared, expected in (
        (False, 2 * (5 * 4 + 2 * 4 * 4 + 3 * 5 * 4 + 3 * 4)),
        (True, 2 * (5 * 4 + 4 * 4 + 5 * 4 + 4)),
    ):
        layer = arma_conv.ARMAConv(4, num_stacks=2, num_layers=3, shared_weights=shared)
        layer(x, checks.EDGES)
        assert layer.count_params() == expected


@pytest.mark.parametrize('layers, weights', [(1, None), (3, WEIGHTS)])
def test_all_routes_agree(layers, weights):
    layer = routes.built(
        arma_conv.ARMAConv(4, num_stacks=2, num_layers=layers, activation='tanh'), weights
    )
    routes.check_adjacency(layer, weights)
    routes.check_sparse_x(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    expected = layer(checks.features(), checks.EDGES, weights)
    layer.normalize = False
    edges, coefficients = normalization.gcn_normalized(
        checks.EDGES, checks.NODES, weights, self_loops=False
    )
    cached = sparse.adjacency(edges, checks.NODES, coefficients)
    routes.alike(layer(checks.features(), cached), expected)


def identity_skips(rate, layers=1, channels=50):
    """A layer whose skip is x itself, each W 0, so that the output is the sum of the skips."""
    layer = arma_conv.ARMAConv(channels, num_layers=layers, activation=None, dropout=rate)
    x = np.ones([400, channels], np.float32)
    layer(x, np.zeros([2, 0], np.int32))
    for kernel in layer.skip_kernels:
        kernel.assign(np.eye(channels)[None])
    for kernel in (layer.initial_kernel, *layer.kernels):
        kernel.assign(tf.zeros_like(kernel))
    return layer, x, np.zeros([2, 0], np.int32)


@pytest.mark.parametrize('is_sparse', [False, True])
def test_dropout_of_the_skip(is_sparse):
    layer, x, edges = identity_skips(0.75)
    if is_sparse:
        x[:, ::2] = 0
        x = tf.sparse.from_dense(x)
    key = random.make_key(1)
    out = layer(x, edges, key=key).numpy()
    alive = out[:, 1::2] if is_sparse else out
    assert set(np.unique(out)) == {0.0, 4.0}
    # 20 000 or 10 000 draws: three deviations are below 0.013.
    assert abs(np.mean(alive == 0) - 0.75) < 0.013
    if is_sparse:
        assert (out[:, ::2] == 0).all()
    routes.alike(layer(x, edges, key=key), out)
    assert (layer(x, edges, key=random.make_key(2)).numpy() != out).any()
    dense = x if not is_sparse else tf.sparse.to_dense(x)
    routes.alike(layer(x, edges), dense)  # Without a key no dropout.


def test_dropout_is_drawn_anew_in_each_layer():
    layer, x, edges = identity_skips(0.5, layers=2)
    # Through W = I in the second layer the two skips add up: 0, 2 or 4, with 1/4, 1/2, 1/4.
    layer.kernels[0].assign(np.eye(50)[None])
    layer.normalize = False
    loops = np.tile(np.arange(400, dtype=np.int32), (2, 1))
    del edges
    out = layer(x, loops, key=random.make_key(3)).numpy()
    # L^ = I here, and the first W is 0: the state is the first skip, then that plus the second.
    parts = [np.mean(out == value) for value in (0, 2, 4)]
    np.testing.assert_allclose(parts, [0.25, 0.5, 0.25], atol=0.011)


@pytest.mark.parametrize('layers', [1, 2])
def test_dropout_of_the_products(layers):
    """In PyTorch Geometric until April 2019: dropout between W and L^, of each stack by itself."""
    count, stacks, channels = 400, 2, 25
    layer = arma_conv.ARMAConv(
        channels,
        num_stacks=stacks,
        num_layers=layers,
        activation=None,
        product_dropout=0.75,
        normalize=False,
        use_bias=False,
    )
    x = np.ones([count, channels], np.float32)
    # Each node has one neighbour, the next one, so that L^ moves the rows and changes nothing.
    nodes = np.arange(count, dtype=np.int32)
    edges = np.stack([nodes, np.roll(nodes, 1)])
    layer(x, edges)
    for kernel in layer.skip_kernels:
        kernel.assign(tf.zeros_like(kernel))
    for kernel in (layer.initial_kernel, *layer.kernels):
        kernel.assign(np.tile(np.eye(channels), (stacks, 1, 1)))
    key = random.make_key(1)
    out = layer(x, edges, key=key).numpy() / 4**layers
    # The mean of two independent draws, each 1 where all of its layers keep the element.
    kept = 0.25**layers
    parts = [np.mean(out == value) for value in (0, 0.5, 1)]
    np.testing.assert_allclose(parts, [(1 - kept) ** 2, 2 * kept * (1 - kept), kept**2], atol=0.013)
    if layers == 1:  # What node 1 lost is missing at node 0: dropped before L^, not after.
        alone = layer(x, np.stack([nodes, nodes]), key=key).numpy() / 4
        np.testing.assert_array_equal(out, np.roll(alone, -1, axis=0))
    routes.alike(layer(x, edges), x)  # Without a key no dropout.


def test_dropout_under_xla():
    layer = routes.built(
        arma_conv.ARMAConv(4, num_stacks=2, num_layers=2, dropout=0.5, product_dropout=0.25)
    )
    x, edges = tf.constant(checks.features()), tf.constant(checks.EDGES)
    compiled = tf.function(lambda key: layer(x, edges, key=key), jit_compile=True)
    key = random.make_key(4)
    routes.alike(compiled(key), layer(x, edges, key=key))


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'num_stacks': 0}, 'num_stacks = 0'),
        ({'num_layers': 0}, 'num_layers = 0'),
        ({'dropout': 1.0}, '^dropout = 1.0'),
        ({'product_dropout': -0.5}, '^product_dropout = -0.5'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        arma_conv.ARMAConv(4, **arguments)
