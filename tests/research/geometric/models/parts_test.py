import numpy as np
import pytest

from research.geometric.models import parts
from tests.research.geometric import checks


@pytest.mark.parametrize('train_eps', [False, True])
def test_isomorphism_layer(train_eps):
    layer = parts.isomorphism_layer(4, train_eps)
    x = checks.features()
    layer(x, checks.EDGES)
    assert len(layer.trainable_weights) == 4 + train_eps
    if train_eps:
        layer.eps.assign(0.5)
    (first, bias), (second, other) = (
        [np.float64(w) for w in dense.weights] for dense in layer.mlp.layers
    )
    total = (1.5 if train_eps else 1) * x + checks.dense(checks.EDGES, len(x)) @ x
    expected = np.maximum(total @ first + bias, 0) @ second + other
    np.testing.assert_allclose(layer(x, checks.EDGES), expected, rtol=1e-4, atol=1e-5)


def test_soft_attention():
    x, batch = checks.features(), np.array([0, 0, 2, 2, 2, 2])
    layer = parts.soft_attention()
    out = layer(x, batch, 3)
    kernel, bias = (np.float64(w) for w in layer.gate.weights)
    for graph in (0, 2):
        nodes = x[batch == graph]
        share = np.exp(nodes @ kernel + bias)
        np.testing.assert_allclose(
            out[graph], (share * nodes).sum(0) / share.sum(), rtol=1e-4, atol=1e-5
        )
    assert np.all(out[1] == 0)
