import numpy as np
import pytest

from research.geometric.models import sort_readout


def test_formula():
    """Sorted by the last channel, descending; convolved along the nodes; ReLU; flattened."""
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    batch = np.array([0, 0, 0, 0, 0, 1, 1])
    layer = sort_readout.SortReadout(k=4, filters=3, kernel_size=2)
    out = layer(x, batch, 3)
    kernel, bias = (np.float64(w) for w in layer.convolution.weights)
    expected = []
    for graph in range(3):
        nodes = x[batch == graph]
        rows = np.zeros([4, 2])
        nodes = nodes[np.argsort(-nodes[:, 1], kind='stable')][:4]
        rows[: len(nodes)] = nodes
        expected.append(
            [
                max(0, sum(rows[start + i] @ kernel[i, :, f] for i in range(2)) + bias[f])
                for start in range(3)
                for f in range(3)
            ]
        )
    assert out.shape == (3, 9)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_bad_kernel():
    with pytest.raises(ValueError, match='kernel_size = 5 must be 1 to k = 4'):
        sort_readout.SortReadout(k=4)
    with pytest.raises(ValueError, match='kernel_size = 0 must be 1 to k = 4'):
        sort_readout.SortReadout(k=4, kernel_size=0)
