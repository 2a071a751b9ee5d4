import numpy as np
import pytest
import tensorflow as tf

from research.geometric import normalization
from tests.research.geometric import checks

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def dense(weights, self_loops):
    """D~^(-1/2) A~ D~^(-1/2), of degree 0: zeros."""
    matrix = checks.dense(checks.EDGES, checks.NODES, weights)
    if self_loops:
        looped = checks.EDGES[0][checks.EDGES[0] == checks.EDGES[1]]
        for node in set(range(checks.NODES)) - set(looped.tolist()):
            matrix[node, node] = 1
    degree = matrix.sum(1)
    root = np.array([1 / np.sqrt(d) if d else 0 for d in degree])
    return root[:, None] * matrix * root


@pytest.mark.parametrize('self_loops', [True, False])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_three_give_the_normalized_matrix(self_loops, weights):
    expected = dense(weights, self_loops)
    scale, kept, loops = normalization.symmetric_coefficients(
        checks.EDGES, weights, checks.NODES, self_loops
    )
    by_parts = checks.dense(checks.EDGES, checks.NODES, kept.numpy()) + np.diag(loops)
    scale = scale.numpy()
    np.testing.assert_allclose(scale[:, None] * by_parts * scale, expected, atol=1e-6)

    once = normalization.gcn_normalized(checks.EDGES, checks.NODES, weights, self_loops)
    np.testing.assert_allclose(checks.dense(once[0], checks.NODES, once[1]), expected, atol=1e-6)

    kind = 'gcn' if self_loops else 'symmetric'
    edges, values = normalization.with_coefficients(
        kind, tf.constant(checks.EDGES), weights, checks.NODES
    )
    np.testing.assert_allclose(
        checks.dense(edges.numpy(), checks.NODES, values.numpy()), expected, atol=1e-6
    )


def test_self_loops():
    edges, weights = normalization.with_coefficients(
        'self_loops', tf.constant(checks.EDGES), None, checks.NODES
    )
    expected = checks.dense(checks.EDGES, checks.NODES)
    np.fill_diagonal(expected, 1)
    np.testing.assert_array_equal(checks.dense(edges.numpy(), checks.NODES), expected)
    assert weights is None


def test_as_they_are_and_unknown():
    edges, weights = normalization.with_coefficients(None, checks.EDGES, WEIGHTS, checks.NODES)
    assert edges is checks.EDGES and weights is WEIGHTS
    with pytest.raises(ValueError, match="'gnc' is none of gcn, symmetric, self_loops"):
        normalization.with_coefficients('gnc', checks.EDGES, None, checks.NODES)


def test_rows_to_one():
    np.testing.assert_allclose(
        normalization.rows_to_one(tf.constant([[1.0, 3.0], [0.0, 0.0], [2.0, 0.0]])),
        [[0.25, 0.75], [0, 0], [1, 0]],
    )
