import numpy as np
import pytest
import scipy.interpolate
import tensorflow as tf

from research.geometric.convs import spline_conv
from tests.research.geometric import checks


def spline(u, point, size, degree, is_open):
    """N of one control point at u [E], by SciPy, over equidistant knots."""
    intervals = size - degree if is_open else size
    total = np.zeros_like(u)
    # In a closed dimension the first splines are the last ones, come round again.
    for p in [point] if is_open else [point, point + size]:
        knots = (np.arange(degree + 2) + p - degree) / intervals
        within = (knots[0] <= u) & (u <= knots[-1])
        total += np.where(within, scipy.interpolate.BSpline.basis_element(knots)(u), 0)
    return total


def dense_basis(pseudo, sizes, degree, is_open):
    """B [E, K] of all control points."""
    basis = np.ones((len(pseudo), 1))
    for d, size in enumerate(sizes):
        splines = [spline(pseudo[:, d], p, size, degree, is_open[d]) for p in range(size)]
        products = np.einsum('ek,pe->ekp', basis, splines)
        basis = products.reshape(len(pseudo), basis.shape[1] * size)
    return basis


def reference(sizes, degree, is_open, aggregation='mean'):
    """Fey et al. 2018, Sec. 3, over all control points."""

    def formula(weights, x, edge_index, edge_attr):
        x_sources, x_targets = x if isinstance(x, tuple) else (x, x)
        basis = dense_basis(edge_attr.astype(np.float64), sizes, degree, is_open)
        theta = np.einsum('ek,kfc->efc', basis, weights['kernel'])
        messages = np.einsum('ef,efc->ec', x_sources[edge_index[0]], theta)
        out = np.zeros((len(x_targets), theta.shape[-1]))
        for node in set(edge_index[1]):
            out[node] = getattr(np, aggregation)(messages[edge_index[1] == node], axis=0)
        out += x_targets @ weights['root_kernel'] if 'root_kernel' in weights else 0
        return out + weights.get('bias', 0)

    return formula


def sparse_to_dense(basis, points, kernels):
    out = np.zeros((len(basis), kernels))
    np.add.at(out, (np.arange(len(basis))[:, None], points), basis)
    return out


@pytest.mark.parametrize('degree', [1, 2, 3])
@pytest.mark.parametrize(
    'sizes,is_open',
    [((5,), (True,)), ((4,), (False,)), ((4, 5), (True, False)), ((5, 4, 4), (True,) * 3)],
)
def test_basis(degree, sizes, is_open):
    # Off the knots, on them, and at both ends.
    pseudo = np.random.default_rng(0).uniform(size=(40, len(sizes)))
    pseudo = np.concatenate([pseudo, np.repeat(np.linspace(0, 1, 13)[:, None], len(sizes), 1)])
    pseudo = pseudo.astype(np.float32)
    basis, points = spline_conv.spline_basis(tf.constant(pseudo), sizes, degree, is_open)
    assert basis.shape == points.shape == (53, (degree + 1) ** len(sizes))
    np.testing.assert_allclose(np.sum(basis, 1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        sparse_to_dense(basis.numpy(), points.numpy(), np.prod(sizes)),
        dense_basis(pseudo.astype(np.float64), sizes, degree, is_open),
        atol=2e-6,
    )


def test_outside_the_unit_interval():
    pseudo = lambda *u: tf.constant(u, tf.float32)[:, tf.newaxis]
    dense = lambda u, is_open: sparse_to_dense(
        *(t.numpy() for t in spline_conv.spline_basis(u, [5], 2, [is_open])), 5
    )
    np.testing.assert_allclose(
        dense(pseudo(-3.0, 1.5), True), dense(pseudo(0.0, 1.0), True), atol=1e-6
    )
    np.testing.assert_allclose(
        dense(pseudo(-0.75, 1.5, 1.0), False), dense(pseudo(0.25, 0.5, 0.0), False), atol=1e-6
    )


# Of 3 channels in, so that 2 are reached by nodes multiplied first, 4 by sums multiplied after.
@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize(
    'sizes,degree,is_open,aggregation',
    [
        ((3, 4), 1, (True, False), 'mean'),
        ((4,), 3, (True,), 'sum'),
        ((3, 3), 2, (False, True), 'mean'),
        ((2, 2, 2), 1, (True, True, True), 'max'),
    ],
)
def test_formula(channels, sizes, degree, is_open, aggregation):
    make = lambda: spline_conv.SplineConv(channels, len(sizes), sizes, degree, is_open, aggregation)
    checks.check_operator(
        make, reference(sizes, degree, is_open, aggregation), checks.uniform_attr(len(sizes))
    )


def test_without_root_and_bias():
    x, attr = checks.features(), checks.uniform_attr(2)(checks.EDGES.shape[1])
    layer = spline_conv.SplineConv(4, 2, root_weight=False, use_bias=False)
    out = layer(x, checks.EDGES, attr)
    expected = reference((5, 5), 1, (True, True))(checks.values(layer), x, checks.EDGES, attr)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    assert [tuple(weight.shape) for weight in layer.weights] == [(25, 3, 4)]


@pytest.mark.parametrize('channels', [1, 2])
def test_by_hand(channels):
    # Between matrices 2, 6 and 30 at 0, 1/2 and 1: at 1/4 it is 4, at 7/8 it is 24.
    layer = spline_conv.SplineConv(channels, 1, 3, root_weight=False)
    x, edges = np.array([[1.0], [10.0]], np.float32), np.array([[0, 1], [0, 0]])
    attr = np.array([[0.25], [0.875]])
    layer(x, edges, attr)
    layer.kernel.assign([[[2.0] * channels], [[6.0] * channels], [[30.0] * channels]])
    np.testing.assert_allclose(
        layer(x, edges, attr), [[(4 + 240) / 2] * channels, [0] * channels], rtol=1e-6
    )
    # At 1 it rises by 24 on half the interval.
    end = tf.constant([[0.0], [1.0]])
    with tf.GradientTape() as tape:
        tape.watch(end)
        out = layer(x, edges, end)[0, 0]
    np.testing.assert_allclose(tape.gradient(out, end), [[8 / 2], [480 / 2]], rtol=1e-6)


def test_gradient_of_pseudo_coordinates():
    x = checks.features().astype(np.float64)
    attr = checks.uniform_attr(2)(checks.EDGES.shape[1])
    layer = spline_conv.SplineConv(4, 2, (4, 3), 2, (True, False))
    layer(x, checks.EDGES, attr)
    watched = tf.constant(attr)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        out = layer(x, checks.EDGES, watched)
        loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
    formula, weights = reference((4, 3), 2, (True, False)), checks.values(layer)
    expected = checks.numerical_gradient(
        lambda attr: np.sum(formula(weights, x, checks.EDGES, attr) * checks.weighted(out)),
        attr.astype(np.float64),
    )
    np.testing.assert_allclose(tape.gradient(loss, watched), expected, 2e-3, 2e-4)


@pytest.mark.parametrize('channels', [2, 4])
def test_bipartite_and_sparse_features(channels):
    x = checks.features(5, 3), checks.features(2, 7, seed=1)
    edges = np.array([[0, 4, 3, 1], [0, 0, 1, 0]], np.int64)
    attr = checks.uniform_attr(2)(4)
    layer = spline_conv.SplineConv(channels, 2)
    layer(x, edges, attr)
    checks.randomize(layer)
    expected = reference((5, 5), 1, (True, True))(checks.values(layer), x, edges, attr)
    np.testing.assert_allclose(layer(x, edges, attr), expected, rtol=1e-4, atol=1e-5)
    bags = tuple(tf.sparse.from_dense(side) for side in x)
    np.testing.assert_allclose(layer(bags, edges, attr), expected, rtol=1e-4, atol=1e-5)


def test_the_sum_over_control_points_begins_as_one_matrix_does():
    # Of the variance 2 / (F + F') of Glorot & Bengio, whatever K.
    layer = spline_conv.SplineConv(40, 3)
    layer.build(tf.TensorShape([None, 60]))
    np.testing.assert_allclose(np.var(layer.kernel), 2 / 100, rtol=0.02)


def test_any_size_and_config():
    x, attr = checks.features(), checks.uniform_attr(2)(checks.EDGES.shape[1])
    for channels in (2, 4):
        layer = spline_conv.SplineConv(channels, 2, (3, 4), 2, (True, False), 'sum')
        expected = layer(x, checks.EDGES, attr)
        again = spline_conv.SplineConv.from_config(layer.get_config())
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
    with pytest.raises(ValueError, match='degree = 4'):
        spline_conv.SplineConv(2, 2, degree=4)
    with pytest.raises(ValueError, match=r'kernel_size = \(5, 2\) is too small'):
        spline_conv.SplineConv(2, 2, (5, 2), degree=2)
    with pytest.raises(ValueError, match='open_spline = .* has 3 entries, not dim = 2'):
        spline_conv.SplineConv(2, 2, open_spline=(True, True, False))
    with pytest.raises(ValueError, match='edge_attr is None'):
        spline_conv.SplineConv(2, 2)(checks.features(), checks.EDGES)
    with pytest.raises(ValueError, match=r'shape \(10, 3\), but dim = 2'):
        spline_conv.SplineConv(2, 2)(checks.features(), checks.EDGES, checks.uniform_attr(3)(10))
