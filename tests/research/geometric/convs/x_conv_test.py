import numpy as np
import pytest
import tensorflow as tf

from research.geometric import neighbors, sparse
from research.geometric.convs import x_conv
from tests.research.geometric import checks

POINTS = 7
FEATURES = 3


def edges_of(pos, each, queries=None):
    """Edges to every point from the `each` nearest, nearest first, by brute force."""
    queries = pos if queries is None else queries
    distances = np.square(queries[:, None] - pos[None]).sum(-1)
    nearest = np.argsort(distances, axis=1, kind='stable')[:, :each]
    return np.stack([nearest.ravel(), np.repeat(np.arange(len(queries)), each)]).astype(np.int32)


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def formula(weights, x, pos, edge_index, k, dilation=1):
    """Li et al. 2018, Algorithm 1, one representative point after the other."""
    pos_sources, pos_targets = pos if isinstance(pos, tuple) else (pos, pos)
    out = []
    for point, place in enumerate(pos_targets):
        chosen = edge_index[0][edge_index[1] == point][::dilation]
        moved = pos_sources[chosen] - place  # line 1
        lifted = elu(moved @ weights['lift_1/kernel'] + weights['lift_1/bias'])
        lifted = elu(lifted @ weights['lift_2/kernel'] + weights['lift_2/bias'])  # line 2
        both = lifted if x is None else np.concatenate([lifted, x[chosen]], axis=1)  # line 3
        matrix = elu(moved.ravel() @ weights['transform/kernel'] + weights['transform/bias'])
        matrix = matrix.reshape(k, k)
        for layer in '12':
            kernels = weights[f'transform_kernel_{layer}']
            matrix = np.stack([matrix[:, column] @ kernels[:, column] for column in range(k)])
            matrix = matrix + weights[f'transform_bias_{layer}']
            matrix = elu(matrix) if layer == '1' else matrix  # line 4
        transformed = matrix @ both  # line 5
        collected = [
            transformed[:, channel] @ weights['depthwise_kernel'][:, channel]
            for channel in range(both.shape[1])
        ]
        out.append(
            np.concatenate(collected) @ weights['pointwise/kernel']
            + weights.get('pointwise/bias', 0)
        )  # line 6
    return np.array(out)


class Points(tf.keras.layers.Layer):
    """The operator as `checks` calls one: `x` is features beside positions."""

    def __init__(self, conv, channels):
        super().__init__()
        self.conv = conv
        self.channels = channels

    def call(self, x, edge_index, edge_attr=None):
        features = x[:, : self.channels] if self.channels else None
        return self.conv(features, edge_index, edge_attr, pos=x[:, self.channels :])


def layer_and_weights(channels, **arguments):
    """A layer with random weights, called as `checks` does, and the weights by their names."""
    conv = x_conv.XConv(5, **arguments)
    layer = Points(conv, channels)
    x = checks.features(20, channels + 3)
    layer(x, edges_of(x[:, channels:], conv.kernel_size * conv.dilation))
    checks.randomize(layer)
    weights = {name.split('/', 1)[-1]: value for name, value in checks.values(layer).items()}
    return layer, weights


@pytest.mark.parametrize(
    'channels,k,dilation,use_bias',
    [(FEATURES, 4, 1, True), (FEATURES, 3, 2, False), (0, 2, 2, True)],
)
def test_formula_and_gradients(channels, k, dilation, use_bias):
    layer, weights = layer_and_weights(
        channels, kernel_size=k, dilation=dilation, use_bias=use_bias, hidden_channels=2
    )
    x = checks.features(POINTS, channels + 3, seed=1)
    edges = edges_of(x[:, channels:], k * dilation)

    def reference(weights, x):
        features = x[:, :channels] if channels else None
        return formula(weights, features, x[:, channels:], edges, k, dilation)

    out = layer(x, edges)
    np.testing.assert_allclose(out, reference(weights, x), rtol=1e-4, atol=1e-5)
    loss = lambda weights, x: np.sum(reference(weights, x) * checks.weighted(out))
    gradients = checks.tape_gradients(layer, x, edges, None)
    compiled = tf.function(
        lambda x, edges: checks.tape_gradients(layer, x, edges, None), jit_compile=True
    )
    for one, other in zip(compiled(x, edges), gradients, strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-4)
    x = x.astype(np.float64)
    expected = checks.numerical_gradient(lambda x: loss(weights, x), x)
    np.testing.assert_allclose(gradients[0], expected, 2e-3, 2e-4)
    for variable, gradient in zip(layer.trainable_weights, gradients[1:], strict=True):
        name = checks.name_of(variable).split('/', 1)[-1]
        expected = checks.numerical_gradient(
            lambda value: loss({**weights, name: value}, x), weights[name]
        )
        np.testing.assert_allclose(gradient, expected, 2e-3, 2e-4, err_msg=name)


def test_by_hand():
    # Two points of features 1 and 10; each convolves itself, then the other. Without lifted
    # coordinates and with X as it begins, the identity, it is 3 x_p + 5 x_other, times 2 plus 7.
    conv = x_conv.XConv(1, 2, hidden_channels=1, depth_multiplier=1)
    x, pos = np.array([[1.0], [10.0]], np.float32), np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
    edges = np.array([[0, 1, 1, 0], [0, 0, 1, 1]], np.int32)
    conv(x, edges, pos=pos)
    conv.transform_kernels[1].assign(tf.zeros([2, 2, 2]))
    conv.kernel.assign([[[100.0], [3.0]], [[100.0], [5.0]]])
    conv.lift[1].set_weights([np.zeros([1, 1]), np.zeros(1)])
    conv.pointwise.set_weights([np.array([[1.0], [2.0]]), np.array([7.0])])
    np.testing.assert_allclose(conv(x, edges, pos=pos), [[113], [77]], rtol=1e-6)


def test_order_of_points_translation_and_other_clouds():
    layer, _ = layer_and_weights(FEATURES, kernel_size=3)
    x = checks.features(2 * POINTS, FEATURES + 3, seed=1)
    clouds = x[:, FEATURES:].reshape(2, POINTS, 3)
    edges = neighbors.edge_index(neighbors.knn(clouds, None, 3), POINTS)
    whole = layer(x, edges).numpy()
    first = x[:POINTS]
    np.testing.assert_allclose(
        layer(first, edges_of(clouds[0], 3)), whole[:POINTS], rtol=1e-4, atol=1e-5
    )
    order = np.random.default_rng(0).permutation(POINTS)
    np.testing.assert_allclose(
        layer(first[order], edges_of(clouds[0][order], 3)), whole[order], rtol=1e-4, atol=1e-5
    )
    moved = x + np.float32([0] * FEATURES + [5, -3, 2])
    np.testing.assert_allclose(layer(moved, edges), whole, rtol=1e-3, atol=1e-4)
    backwards = edges_of(clouds[0], 3)
    backwards[0] = backwards[0].reshape(-1, 3)[:, ::-1].ravel()
    assert np.abs(layer(first, backwards) - whole[:POINTS]).max() > 0.01


@pytest.mark.parametrize('targets', [None, 'given'])
def test_bipartite(targets):
    layer, weights = layer_and_weights(FEATURES, kernel_size=4, dilation=2)
    x, pos = checks.features(9), (checks.features(9, seed=1), checks.features(2, seed=2))
    edges = edges_of(*pos[:1], 8, pos[1])
    out = layer.conv((x, targets and checks.features(2)), edges, pos=pos)
    np.testing.assert_allclose(out, formula(weights, x, pos, edges, 4, 2), rtol=1e-4, atol=1e-5)


def test_widths_are_the_authors():
    conv = x_conv.XConv(64, 8)
    conv.build(tf.TensorShape([None, 48]))
    assert conv.kernel.shape == (8, 48 // 4 + 48, 2)
    without = x_conv.XConv(64, 8)
    without.build(tf.TensorShape(None))
    assert without.kernel.shape == (8, 32, 4)
    # One kernel of length k has the variance 1 / k.
    np.testing.assert_allclose(np.var(conv.kernel), 1 / 8, rtol=0.2)
    np.testing.assert_allclose(np.var(conv.transform_kernels[0]), 1 / 8, rtol=0.2)


def test_any_size_and_config():
    x, pos = checks.features(), checks.features(seed=1)
    edges = edges_of(pos, 4)
    conv = x_conv.XConv(5, 2, dilation=2)
    expected = conv(x, edges, pos=pos)
    again = x_conv.XConv.from_config(conv.get_config())
    again(x, edges, pos=pos)
    again.set_weights(conv.get_weights())
    function = tf.function(
        lambda x, edges, pos: again(x, edges, pos=pos),
        input_signature=[
            tf.TensorSpec([None, 3]),
            tf.TensorSpec([2, None], tf.int32),
            tf.TensorSpec([None, 3]),
        ],
    )
    np.testing.assert_allclose(function(x, edges, pos), expected, rtol=1e-5, atol=1e-6)


def test_errors():
    x, pos = checks.features(), checks.features(seed=1)
    edges = edges_of(pos, 4)
    conv = x_conv.XConv(5, 4)
    with pytest.raises(ValueError, match='pos is None'):
        conv(x, edges)
    with pytest.raises(ValueError, match='edge_attr is given'):
        conv(x, edges, checks.normal_attr()(24), pos=pos)
    with pytest.raises(ValueError, match='10 edges are not kernel_size .* = 4 for each of 6'):
        conv(x, checks.EDGES, pos=pos)
    swapped = edges.copy()
    swapped[:, [3, 4]] = swapped[:, [4, 3]]
    with pytest.raises(ValueError, match='edge 3 leads to point 1, not 0'):
        conv(x, swapped, pos=pos)
    with pytest.raises(ValueError, match='no order of neighbours'):
        conv(x, sparse.adjacency(edges, 6), pos=pos)
    with pytest.raises(ValueError, match='dilation = 0 is not positive'):
        x_conv.XConv(5, 4, dilation=0)
