import numpy as np
import pytest
import tensorflow as tf

from research.geometric import sparse
from research.geometric.convs import gmm_conv
from tests.research.geometric import checks


def reference(aggregation):
    """Monti et al. 2017, Eqs. (9) to (11), one edge after the other."""

    def formula(weights, x, edge_index, edge_attr):
        x_sources, x_targets = x if isinstance(x, tuple) else (x, x)
        out = np.zeros((len(x_targets), weights['kernel'].shape[-1]))
        for node in range(len(x_targets)):
            messages = []
            for edge in np.flatnonzero(edge_index[1] == node):
                message = 0
                for mean, deviation, theta in zip(
                    weights['mean'], weights['deviation'], weights['kernel'], strict=True
                ):
                    offset = edge_attr[edge] - mean
                    inverse = np.linalg.inv(np.diag(deviation**2))
                    weight = np.exp(-0.5 * offset @ inverse @ offset)
                    message = message + weight * x_sources[edge_index[0, edge]] @ theta
                messages.append(message)
            if messages:
                out[node] = getattr(np, aggregation)(messages, axis=0)
        out += x_targets @ weights['root_kernel'] if 'root_kernel' in weights else 0
        return out + weights.get('bias', 0)

    return formula


# Of 3 channels in, so that 2 are reached by nodes multiplied first, 5 by sums multiplied after.
@pytest.mark.parametrize('channels', [2, 5])
@pytest.mark.parametrize('aggregation,use_bias', [('mean', True), ('sum', False), ('max', True)])
def test_formula(channels, aggregation, use_bias):
    make = lambda: gmm_conv.GMMConv(channels, 4, 2, aggregation, use_bias=use_bias)
    layer = checks.check_operator(make, reference(aggregation), checks.uniform_attr(2))
    assert len(layer.weights) == 4 + use_bias


def test_start_values():
    """Deviations of a half, means all over the unit cube, kernels of either sign."""
    layer = gmm_conv.GMMConv(5, 200, 2)
    layer(checks.features(), checks.EDGES, checks.uniform_attr(2)(checks.EDGES.shape[1]))
    np.testing.assert_array_equal(layer.deviation, np.full([200, 2], 0.5))
    # Of 200 draws from the uniform on [0, 1]: mean and deviation within five of their errors.
    mean = layer.mean.numpy()
    assert mean.min() >= 0 and mean.max() <= 1
    np.testing.assert_allclose(mean.mean(0), 0.5, atol=5 * 12**-0.5 / 200**0.5)
    np.testing.assert_allclose(mean.std(0), 12**-0.5, atol=0.06)


def test_by_hand():
    # Gaussians about 0 and 3 of deviations 1 and 2; an edge with u = 1 from a node of 10, with
    # matrices 2 and 4: 10 * (2 exp(-1/2) + 4 exp(-1/2)).
    layer = gmm_conv.GMMConv(1, 2, 1, 'sum', root_weight=False)
    arguments = np.array([[10.0], [0.0]], np.float32), np.array([[0], [1]]), np.array([[1.0]])
    layer(*arguments)
    layer.kernel.assign([[[2.0]], [[4.0]]])
    layer.mean.assign([[0.0], [3.0]])
    layer.deviation.assign([[1.0], [2.0]])
    np.testing.assert_allclose(layer(*arguments), [[0], [60 * np.exp(-0.5)]], rtol=1e-6)


@pytest.mark.parametrize('channels', [2, 5])
def test_bipartite(channels):
    x = checks.features(5, 3), checks.features(2, 7, seed=1)
    edges = np.array([[0, 4, 3, 1], [0, 0, 1, 0]], np.int32)
    attr = checks.uniform_attr(2)(4)
    layer = gmm_conv.GMMConv(channels, 4, 2)
    layer(x, edges, attr)
    checks.randomize(layer)
    np.testing.assert_allclose(
        layer(x, edges, attr),
        reference('mean')(checks.values(layer), x, edges, attr),
        rtol=1e-4,
        atol=1e-5,
    )


def test_sparse_features_and_adjacency():
    x, attr = checks.features(), checks.uniform_attr(1)(checks.EDGES.shape[1])
    layer = gmm_conv.GMMConv(5, 4, 1)
    expected = layer(x, checks.EDGES, attr)
    np.testing.assert_allclose(
        layer(tf.sparse.from_dense(x), checks.EDGES, attr), expected, rtol=1e-5, atol=1e-6
    )
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES, attr[:, 0])
    np.testing.assert_allclose(layer(x, adjacency), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match='sparse adjacency matrix'):
        layer(x, adjacency, attr)


def test_a_deviation_of_0_stays_finite():
    x, attr = checks.features(), checks.uniform_attr(2)(checks.EDGES.shape[1])
    layer = gmm_conv.GMMConv(2, 4, 2, mean_initializer='zeros', deviation_initializer='zeros')
    for gradient in checks.tape_gradients(layer, x, checks.EDGES, attr):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_any_size_and_config():
    x, attr = checks.features(), checks.uniform_attr(2)(checks.EDGES.shape[1])
    layer = gmm_conv.GMMConv(5, 4, 2, 'sum')
    expected = layer(x, checks.EDGES, attr)
    again = gmm_conv.GMMConv.from_config(layer.get_config())
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
    x, layer = checks.features(), gmm_conv.GMMConv(2, 4, 2)
    with pytest.raises(ValueError, match='edge_attr is None'):
        layer(x, checks.EDGES)
    with pytest.raises(ValueError, match=r'shape \(10, 3\), but dim = 2'):
        layer(x, checks.EDGES, checks.uniform_attr(3)(10))
