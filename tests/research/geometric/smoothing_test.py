import numpy as np
import pytest
import tensorflow as tf

from research.geometric import smoothing, sparse
from tests.research.geometric import checks

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def matrix(self_loops, weights):
    """P, dense, in float64."""
    entries = checks.dense(checks.EDGES, checks.NODES, weights)
    looped = {target for source, target in checks.EDGES.T if source == target}
    if self_loops:
        entries += np.diag([float(node not in looped) for node in range(checks.NODES)])
    degree = entries.sum(1)
    scale = np.array([d**-0.5 if d else 0.0 for d in degree])
    return scale[:, None] * entries * scale


@pytest.mark.parametrize('self_loops', [True, False])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_both_routes_multiply_by_the_matrix(self_loops, weights):
    x = checks.features()
    layer = smoothing.NormalizedPropagation(self_loops=self_loops)
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES, weights)
    for edges, attr in ((checks.EDGES, weights), (adjacency, None)):
        np.testing.assert_allclose(
            layer.smooth(tf.constant(x), edges, attr),
            matrix(self_loops, weights) @ x,
            rtol=1e-5,
            atol=1e-6,
        )
        twice = layer.smoother(edges, attr, checks.NODES)
        np.testing.assert_allclose(
            twice(twice(tf.constant(x))),
            np.linalg.matrix_power(matrix(self_loops, weights), 2) @ x,
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_given_coefficients_are_taken_as_they_are(weights):
    x = checks.features()
    layer = smoothing.NormalizedPropagation(normalize=False)
    expected = checks.dense(checks.EDGES, checks.NODES, weights) @ x
    np.testing.assert_allclose(
        layer.smooth(tf.constant(x), checks.EDGES, weights), expected, rtol=1e-5, atol=1e-6
    )
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES, weights)
    np.testing.assert_allclose(
        layer.smooth(tf.constant(x), adjacency), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('normalize', [True, False])
def test_weights_beside_a_matrix_are_refused(normalize):
    layer = smoothing.NormalizedPropagation(normalize)
    adjacency = sparse.adjacency(checks.EDGES, checks.NODES)
    with pytest.raises(ValueError, match='edge_attr comes with a sparse adjacency matrix'):
        layer.smooth(tf.constant(checks.features()), adjacency, WEIGHTS)
