import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import dynamic_edge_conv, edge_conv
from tests.research.geometric import checks

Dense = tf.keras.layers.Dense
POINTS = 9


def network():
    return tf.keras.Sequential([Dense(5, 'tanh', name='net/first'), Dense(4, name='net/second')])


def nearest_edges(x, k):
    """Edges from the k nearest points of each, itself among them, of one cloud; brute force."""
    distances = np.square(x[:, None] - x[None]).sum(-1)
    nearest = np.argsort(distances, axis=1, kind='stable')[:, :k]
    return np.stack([nearest.ravel(), np.repeat(np.arange(len(x)), k)]).astype(np.int32)


def reference(k, clouds, aggregation='max'):
    """Wang et al. 2018, Sec. 3, in float64."""

    def formula(weights, x):
        out = []
        for cloud in np.split(x, clouds):
            source, target = nearest_edges(cloud, k)
            edge = np.concatenate([cloud[target], cloud[source] - cloud[target]], axis=1)
            hidden = np.tanh(edge @ weights['first/kernel'] + weights['first/bias'])
            answers = hidden @ weights['second/kernel'] + weights['second/bias']
            out += [
                getattr(np, aggregation)(answers[target == node], axis=0)
                for node in range(len(cloud))
            ]
        return np.array(out)

    return formula


# Of more than 4 channels distances are computed another way.
@pytest.mark.parametrize('channels,aggregation', [(3, 'max'), (6, 'mean'), (3, 'sum')])
def test_formula_and_gradients(channels, aggregation):
    x = checks.features(2 * POINTS, channels)
    layer = dynamic_edge_conv.DynamicEdgeConv(network(), 3, aggregation)
    layer(x, num_graphs=2)
    checks.randomize(layer)
    weights, formula = checks.values(layer), reference(3, 2, aggregation)
    out = layer(x, num_graphs=2)
    np.testing.assert_allclose(out, formula(weights, x), rtol=1e-4, atol=1e-5)
    # `checks` calls a layer with edges, which this one makes for itself.
    call = lambda jit: tf.function(
        lambda x: checks.tape_gradients(Called(layer), x, None, None), jit_compile=jit
    )(tf.constant(x))
    loss = lambda weights, x: np.sum(formula(weights, x) * checks.weighted(out))
    x64 = x.astype(np.float64)
    for jit in (False, True):
        of_x, *of_weights = call(jit)
        np.testing.assert_allclose(
            of_x, checks.numerical_gradient(lambda x: loss(weights, x), x64), 2e-3, 2e-4
        )
        for variable, gradient in zip(layer.trainable_weights, of_weights, strict=True):
            name = checks.name_of(variable)
            expected = checks.numerical_gradient(
                lambda value: loss({**weights, name: value}, x64), weights[name]
            )
            np.testing.assert_allclose(gradient, expected, 2e-3, 2e-4, err_msg=name)


class Called:
    def __init__(self, layer):
        self.layer = layer
        self.trainable_weights = layer.trainable_weights

    def __call__(self, x, edge_index, edge_attr):
        return self.layer(x, num_graphs=2)


@pytest.mark.parametrize('aggregation', ['max', lambda *a: tf.math.unsorted_segment_prod(*a)])
def test_is_edge_conv_on_the_nearest(aggregation):
    x = checks.features(POINTS)
    layer = dynamic_edge_conv.DynamicEdgeConv(network(), 4, aggregation)
    fixed = edge_conv.EdgeConv(layer.network, aggregation)
    np.testing.assert_allclose(layer(x), fixed(x, nearest_edges(x, 4)), rtol=1e-4, atol=1e-5)


def test_order_of_points_and_other_clouds():
    x = checks.features(3 * POINTS)
    layer = dynamic_edge_conv.DynamicEdgeConv(network(), 4)
    whole = layer(x, num_graphs=3).numpy()
    np.testing.assert_allclose(layer(x[:POINTS]), whole[:POINTS], rtol=1e-5, atol=1e-6)
    order = np.random.default_rng(0).permutation(POINTS)
    np.testing.assert_allclose(layer(x[order]), whole[order], rtol=1e-4, atol=1e-5)


def test_any_size_and_config():
    x = checks.features(2 * POINTS)
    layer = dynamic_edge_conv.DynamicEdgeConv(network(), 4, 'mean')
    expected = layer(x, num_graphs=2)
    again = dynamic_edge_conv.DynamicEdgeConv.from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    function = tf.function(
        lambda x: again(x, num_graphs=2), input_signature=[tf.TensorSpec([None, 3])]
    )
    np.testing.assert_allclose(function(x), expected, rtol=1e-5, atol=1e-6)


def test_errors():
    layer = dynamic_edge_conv.DynamicEdgeConv(network(), 4)
    with pytest.raises(ValueError, match='9 points are not 2 clouds of equal sizes'):
        layer(checks.features(9), num_graphs=2)
    with pytest.raises(ValueError, match='k = 4 .* 3 points'):
        layer(checks.features(9), num_graphs=3)
