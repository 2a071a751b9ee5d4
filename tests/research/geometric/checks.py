"""What every operator must pass, against a dense float64 transcription of its formula.

`make()` below returns a new layer with the same initial weights' shapes each time, called as
layer(x, edge_index, edge_attr). `reference(weights, x, edge_index, edge_attr)` is the formula in
NumPy, written from the paper: `weights` is a dict from the layer's variable names to float64
arrays. Gradients are compared with central differences of the reference.
"""

import numpy as np
import tensorflow as tf

# Node 5 is isolated, 2 has a self loop, the edge from 0 to 1 is there twice, and the edge from 3
# to 0 one way alone.
EDGES = np.array([[0, 0, 1, 1, 2, 2, 3, 4, 3, 4], [1, 1, 0, 2, 1, 2, 4, 3, 0, 2]], np.int32)
NODES = 6


def features(nodes=NODES, channels=3, seed=0):
    """Normal features, float32 [nodes, channels]."""
    return np.random.default_rng(seed).normal(size=(nodes, channels)).astype(np.float32)


def normal_attr(channels=None, seed=7):
    """A function of the number of edges that gives edge features: normal, [E] or [E, channels]."""

    def attr(edges):
        shape = (edges,) if channels is None else (edges, channels)
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    return attr


def uniform_attr(channels=None, seed=7):
    """As `normal_attr`, uniform on (0.1, 0.9)."""

    def attr(edges):
        shape = (edges,) if channels is None else (edges, channels)
        return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)

    return attr


def types_attr(types, seed=7):
    """As `normal_attr`, integers 0 to types - 1."""
    return lambda edges: np.random.default_rng(seed).integers(0, types, edges).astype(np.int32)


def name_of(variable):
    """The name of a variable without the layer's: 'kernel', or 'mlp/kernel' of a nested layer."""
    return variable.name.split(':')[0].split('/', 1)[-1]


def randomize(layer, seed=3, scale=0.5):
    """Gives every weight, biases too, normal values."""
    random = np.random.default_rng(seed)
    for variable in layer.weights:
        variable.assign(random.normal(size=variable.shape) * scale)


def values(layer):
    """Name to value, float64; the names must differ."""
    named = {name_of(v): v.numpy().astype(np.float64) for v in layer.weights}
    assert len(named) == len(layer.weights), [v.name for v in layer.weights]
    return named


def check_operator(
    make, reference, attr=None, channels=3, rtol=1e-4, atol=1e-5, gradients=True, randomized=True
):
    """Forward, gradients, equivariance, special graphs, padding, batching and XLA.

    Args:
      make: see the module's docstring.
      reference: see the module's docstring.
      attr: function of the number of edges that gives `edge_attr`, or None for none.
      channels: of the input.
      rtol: relative tolerance of values.
      atol: absolute tolerance of values.
      gradients: whether to compare gradients.
      randomized: whether to give the weights random values; else they stay as initialized.

    Returns:
      The layer.
    """
    x = features(channels=channels)
    edge_attr = attr(EDGES.shape[1]) if attr else None
    layer = make()
    layer(x, EDGES, edge_attr)
    if randomized:
        randomize(layer)
    weights = values(layer)

    def agrees(x, edge_index, edge_attr, what):
        expected = reference(weights, x.astype(np.float64), edge_index, edge_attr)
        actual = layer(x, edge_index, edge_attr).numpy()
        assert np.isfinite(actual).all(), what
        assert actual.shape == expected.shape, (what, actual.shape, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol, atol, err_msg=what)
        return actual

    out = agrees(x, EDGES, edge_attr, 'forward')
    assert np.abs(out).max() > 0
    none = np.zeros((2, 0), np.int32)
    agrees(x, none, attr(0) if attr else None, 'no edges')
    agrees(x[:1], none, attr(0) if attr else None, 'one node, no edges')
    agrees(x[:1], np.zeros((2, 1), np.int32), attr(1) if attr else None, 'one self loop')
    _check_equivariance(layer, x, edge_attr, out, rtol, atol)
    _check_padding(layer, x, attr, rtol, atol)
    if gradients:
        _check_gradients(layer, reference, weights, x, edge_attr)
    _check_xla(layer, x, edge_attr)
    return layer


def _check_equivariance(layer, x, edge_attr, out, rtol, atol):
    random = np.random.default_rng(5)
    order = random.permutation(NODES)  # New node n is old node order[n].
    place = np.argsort(order)
    edges = random.permutation(EDGES.shape[1])
    permuted = layer(
        x[order],
        place[EDGES][:, edges].astype(np.int32),
        None if edge_attr is None else edge_attr[edges],
    ).numpy()
    np.testing.assert_allclose(permuted, out[order], rtol, atol, err_msg='permuted')


def _check_padding(layer, x, attr, rtol, atol):
    """A second graph in the batch, as padding is one, leaves the first as it is."""
    padding = features(4, x.shape[1], seed=11)
    pad_edges = np.array([[0, 1, 3, 3, 2], [0, 1, 3, 2, 2]], np.int32) + NODES
    count = EDGES.shape[1]
    whole = attr(count + 5) if attr else None
    alone = layer(x, EDGES, whole[:count] if attr else None).numpy()
    both = layer(
        np.concatenate([x, padding]), np.concatenate([EDGES, pad_edges], axis=1), whole
    ).numpy()
    np.testing.assert_allclose(both[:NODES], alone, rtol, atol, err_msg='padded')


def weighted(out, seed=13):
    """A scalar that depends on every output differently: its weights."""
    return np.random.default_rng(seed).normal(size=out.shape)


def tape_gradients(layer, x, edge_index, edge_attr):
    """Gradients of sum(out * weighted(out)) with respect to x and the layer's weights."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x, edge_index, edge_attr)
        loss = tf.reduce_sum(out * weighted(out).astype(np.float32))
    gradients = tape.gradient(loss, [x, *layer.trainable_weights], unconnected_gradients='zero')
    return [tf.convert_to_tensor(gradient) for gradient in gradients]  # Of a gather, slices.


def numerical_gradient(function, value, step=1e-6):
    """Central differences of a scalar function of one float64 array."""
    gradient = np.zeros_like(value)
    for index in np.ndindex(*value.shape):
        moved = np.array(value)
        moved[index] += step
        above = function(moved)
        moved[index] -= 2 * step
        gradient[index] = (above - function(moved)) / (2 * step)
    return gradient


def _check_gradients(layer, reference, weights, x, edge_attr):
    actual = tape_gradients(layer, x, EDGES, edge_attr)
    x = x.astype(np.float64)

    def loss(weights, x):
        out = reference(weights, x, EDGES, edge_attr)
        return np.sum(out * weighted(out))

    expected = numerical_gradient(lambda x: loss(weights, x), x)
    np.testing.assert_allclose(actual[0], expected, 2e-3, 2e-4, err_msg='gradient of x')
    for variable, gradient in zip(layer.trainable_weights, actual[1:], strict=True):
        name = name_of(variable)
        expected = numerical_gradient(
            lambda value: loss({**weights, name: value}, x), weights[name]
        )
        np.testing.assert_allclose(gradient, expected, 2e-3, 2e-4, err_msg=f'gradient of {name}')


def _check_xla(layer, x, edge_attr):
    arguments = [tf.constant(x), tf.constant(EDGES)]
    arguments += [None if edge_attr is None else tf.constant(edge_attr)]
    compiled = tf.function(lambda *a: tape_gradients(layer, *a), jit_compile=True)
    for one, other in zip(compiled(*arguments), tape_gradients(layer, *arguments), strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-4, err_msg='XLA')


def dense(edge_index, nodes=None, weight=None):
    """The dense adjacency matrix: entry [i, j] sums the weights of the edges from j to i."""
    matrix = np.zeros((nodes, nodes))
    weight = np.ones(edge_index.shape[1]) if weight is None else weight
    for (source, target), value in zip(edge_index.T, weight, strict=True):
        matrix[target, source] += value
    return matrix
