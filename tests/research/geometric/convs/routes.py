"""What the operators with more than one way to a result must pass: all ways agree."""

import numpy as np
import tensorflow as tf

from research.geometric import sparse
from tests.research.geometric import checks


def built(layer, edge_attr=None, channels=3, **arguments):
    """The layer with random weights, built on `checks.EDGES`."""
    layer(checks.features(channels=channels), checks.EDGES, edge_attr, **arguments)
    checks.randomize(layer)
    return layer


def alike(one, other, what='', rtol=1e-4, atol=1e-5):
    """Asserts that two tensors, or lists of tensors, are close."""
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol, atol, err_msg=what), one, other
    )


def check_gradients(layer, reference, edge_attr=None):
    """As `checks.check_operator`, for a layer among whose weights are scalars."""
    weights = {name: np.array(value) for name, value in checks.values(layer).items()}
    checks._check_gradients(layer, reference, weights, checks.features(), edge_attr)


def check_adjacency(layer, weights=None, channels=3):
    """The sparse adjacency matrix gives what edge_index gives, gradients too."""
    x = checks.features(channels=channels)
    gathered = checks.tape_gradients(layer, x, checks.EDGES, weights)
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES, weights)
    alike(
        [tf.convert_to_tensor(g) for g in checks.tape_gradients(layer, x, adjacency, None)],
        [tf.convert_to_tensor(g) for g in gathered],
        'gradients of the sparse route',
    )
    alike(layer(x, adjacency), layer(x, checks.EDGES, weights), 'sparse route')


def check_sparse_x(layer, weights=None, channels=3):
    """A sparse x gives what the dense one gives, on both routes, gradients of the weights too."""
    x = checks.features(channels=channels) * (np.arange(checks.NODES * channels) % 3 > 0).reshape(
        checks.NODES, channels
    )
    assert (x == 0).any()
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES, weights)

    def gradients(x, edge_index, edge_attr):
        with tf.GradientTape() as tape:
            out = layer(x, edge_index, edge_attr)
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return [out, *tape.gradient(loss, layer.trainable_weights)]

    expected = gradients(x, checks.EDGES, weights)
    alike(gradients(tf.sparse.from_dense(x), checks.EDGES, weights), expected, 'sparse x')
    alike(gradients(tf.sparse.from_dense(x), adjacency, None), expected, 'sparse x and route')


def check_graph(layer, edge_attr=None, channels=3):
    """One graph function takes any number of nodes and edges; the configuration makes its like."""
    x = checks.features(channels=channels)
    specs = [tf.TensorSpec([None, channels]), tf.TensorSpec([2, None], tf.int32)]
    if edge_attr is not None:
        specs.append(tf.TensorSpec([None, *edge_attr.shape[1:]], edge_attr.dtype))
    function = tf.function(layer, input_signature=specs)
    for count in (checks.EDGES.shape[1], 4):
        attr = [] if edge_attr is None else [edge_attr[:count]]
        edges = checks.EDGES[:, :count]
        alike(function(x, edges, *attr), layer(x, edges, *attr), 'unknown sizes')
    like = type(layer).from_config(layer.get_config())
    like(x, checks.EDGES, edge_attr)
    like.set_weights(layer.get_weights())
    alike(like(x, checks.EDGES, edge_attr), layer(x, checks.EDGES, edge_attr), 'configuration')


def check_edge_attr_refused(layer):
    """Weights of edges beside a sparse matrix, which has its own, are refused."""
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES)
    try:
        layer(checks.features(), adjacency, checks.uniform_attr()(checks.EDGES.shape[1]))
    except ValueError as error:
        assert 'edge_attr comes with a sparse adjacency matrix' in str(error)
    else:
        raise AssertionError('edge_attr was not refused')
