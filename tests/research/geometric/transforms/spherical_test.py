"""Tests of research.geometric.transforms.spherical."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import spherical

POS = np.array([[0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -2], [-1, -1, np.sqrt(2)]])
EDGES = np.array([[1, 2, 3, 4, 5, 0], [0, 0, 0, 0, 0, 0]])
SOME = graph.Graph(EDGES, pos=POS, name='a')


def test_by_hand():
    np.testing.assert_allclose(
        spherical.spherical(SOME).edge_attr,
        [[1, 0, 0.5], [0.5, 0.25, 0.5], [0.5, 0, 0], [1, 0, 1], [1, 0.625, 0.25], [0, 0, 0]],
        rtol=1e-6,
        atol=1e-7,
    )


def test_positions_come_back():
    random = np.random.default_rng(0)
    pos = random.normal(size=(30, 3)).astype(np.float32)
    edges = random.integers(0, 30, (2, 100))
    u = spherical.spherical(graph.Graph(edges, pos=pos), maximum=10).edge_attr.astype(float)
    assert u.min() >= 0 and u.max() <= 1
    rho, theta, phi = u[:, 0] * 10, u[:, 1] * 2 * np.pi, u[:, 2] * np.pi
    back = np.stack(
        [rho * np.sin(phi) * np.cos(theta), rho * np.sin(phi) * np.sin(theta), rho * np.cos(phi)],
        axis=1,
    )
    np.testing.assert_allclose(back, pos[edges[0]] - pos[edges[1]], atol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match='^b: pos has 2 dimensions, not 3.$'):
        spherical.spherical(graph.Graph(EDGES, pos=np.zeros((6, 2)), name='b'))
    with pytest.raises(ValueError, match='^a: an edge is 2 long, more than maximum = 1.$'):
        spherical.spherical(SOME, maximum=1)
