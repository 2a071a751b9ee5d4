import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import nn_conv
from tests.research.geometric import checks

Dense = tf.keras.layers.Dense


def network(hidden, width, last_bias=True, last_activation=None):
    """tanh(e W_1 + b_1) W_2 + b_2; the names are what `checks.name_of` keeps of the weights'."""
    return tf.keras.Sequential(
        [
            Dense(hidden, 'tanh', name='net/first'),
            Dense(width, last_activation, use_bias=last_bias, name='net/last'),
        ]
    )


def reference(aggregation, channels, activation=lambda theta: theta):
    """Gilmer et al. 2017, Sec. 5: messages A(e_vw) h_w, one edge after the other."""

    def formula(weights, x, edge_index, edge_attr):
        x_sources, x_targets = x if isinstance(x, tuple) else (x, x)
        out = np.zeros((len(x_targets), channels))
        for node in range(len(x_targets)):
            messages = []
            for source, attr in zip(
                edge_index[0][edge_index[1] == node], edge_attr[edge_index[1] == node], strict=True
            ):
                hidden = np.tanh(attr @ weights['first/kernel'] + weights['first/bias'])
                theta = hidden @ weights['last/kernel'] + weights.get('last/bias', 0)
                matrix = activation(theta).reshape(x_sources.shape[1], channels)
                messages.append(x_sources[source] @ matrix)
            if messages:
                out[node] = getattr(np, aggregation)(messages, axis=0)
        out += x_targets @ weights['root_kernel'] if 'root_kernel' in weights else 0
        return out + weights.get('bias', 0)

    return formula


# Channels in are 3. With 2 hidden units and 4 channels, and with 1 and 2, no matrix of an edge is
# made, and sums are multiplied in the one, nodes in the other; with 8 hidden units all are made.
@pytest.mark.parametrize(
    'channels,hidden,aggregation,last_bias',
    [
        (4, 2, 'sum', True),
        (4, 2, 'mean', False),
        (2, 1, 'sum', True),
        (4, 2, 'max', True),
        (4, 8, 'mean', True),
    ],
)
def test_formula(channels, hidden, aggregation, last_bias):
    make = lambda: nn_conv.NNConv(channels, network(hidden, 3 * channels, last_bias), aggregation)
    checks.check_operator(make, reference(aggregation, channels), checks.normal_attr(2))


def test_any_network():
    make = lambda: nn_conv.NNConv(
        4, network(2, 12, last_activation='sigmoid'), 'mean', use_bias=False
    )
    sigmoid = lambda theta: 1 / (1 + np.exp(-theta))
    layer = checks.check_operator(make, reference('mean', 4, sigmoid), checks.normal_attr(2))
    assert len(layer.weights) == 5


@pytest.mark.parametrize('channels', [16, 24])
def test_no_matrix_of_an_edge_where_that_is_less(channels, monkeypatch):
    x, attr = checks.features(channels=20), checks.normal_attr(3)(checks.EDGES.shape[1])
    layer = nn_conv.NNConv(channels, network(10, 20 * channels))
    without = layer(x, checks.EDGES, attr)
    monkeypatch.setattr(nn_conv.networks, 'split_last', lambda network: None)
    np.testing.assert_allclose(layer(x, checks.EDGES, attr), without, rtol=1e-4, atol=1e-4)
    monkeypatch.undo()
    monkeypatch.setattr(layer, 'message', None)
    layer(x, checks.EDGES, attr)


def test_by_hand():
    # Theta(e) = [[e, -e]] + [[1, 0]], so 0 and 1 send 2 * [3, -2] and 5 * [1, 0] to 2.
    layer = nn_conv.NNConv(2, Dense(2, name='net/last'), root_weight=False)
    x = np.array([[2.0], [5.0], [7.0]], np.float32)
    edges = np.array([[0, 1], [2, 2]], np.int32)
    attr = np.array([[2.0], [0.0]], np.float32)
    layer(x, edges, attr)
    layer.edge_network.set_weights([np.array([[1.0, -1.0]]), np.array([1.0, 0.0])])
    layer.bias.assign([10.0, 20.0])
    np.testing.assert_allclose(layer(x, edges, attr), [[10, 20], [10, 20], [21, 16]], rtol=1e-6)
    # A number an edge need not be a row.
    np.testing.assert_allclose(layer(x, edges, attr[:, 0])[2], [21, 16], rtol=1e-6)


@pytest.mark.parametrize('hidden', [2, 9])
def test_bipartite(hidden):
    x = checks.features(5, 3), checks.features(2, 7, seed=1)
    edges = np.array([[0, 4, 3, 1], [0, 0, 1, 0]], np.int32)
    attr = checks.normal_attr(2)(4)
    layer = nn_conv.NNConv(4, network(hidden, 12))
    layer(x, edges, attr)
    checks.randomize(layer)
    np.testing.assert_allclose(
        layer(x, edges, attr),
        reference('sum', 4)(checks.values(layer), x, edges, attr),
        rtol=1e-4,
        atol=1e-5,
    )


def test_any_size_and_config():
    x, attr = checks.features(), checks.normal_attr(2)(checks.EDGES.shape[1])
    layer = nn_conv.NNConv(4, network(2, 12), 'mean')
    expected = layer(x, checks.EDGES, attr)
    again = nn_conv.NNConv.from_config(layer.get_config())
    again(x, checks.EDGES, attr)
    again.set_weights(layer.get_weights())
    function = tf.function(
        again,
        input_signature=[
            tf.TensorSpec([None, 3]),
            tf.TensorSpec([2, None], tf.int32),
            tf.TensorSpec([None, 2]),
        ],
    )
    np.testing.assert_allclose(function(x, checks.EDGES, attr), expected, rtol=1e-5, atol=1e-6)


def test_errors():
    x = checks.features()
    with pytest.raises(ValueError, match='answers 11 numbers an edge, .* 3 to 4 .* has 12'):
        nn_conv.NNConv(4, network(2, 11))(x, checks.EDGES, checks.normal_attr(2)(10))
    with pytest.raises(ValueError, match='answers 11 numbers an edge'):
        nn_conv.NNConv(4, Dense(11, 'relu'))(x, checks.EDGES, checks.normal_attr(2)(10))
    with pytest.raises(ValueError, match='edge_attr is None'):
        nn_conv.NNConv(4, network(2, 12))(x, checks.EDGES)
    with pytest.raises(ValueError, match='must be a Keras layer'):
        nn_conv.NNConv(4, tf.nn.relu)
