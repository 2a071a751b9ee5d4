"""Tests of research.geometric.transforms.center."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import center

NONE = np.zeros((2, 0), int)
SOME = graph.Graph(NONE, pos=np.array([[1, 1, 1], [1, 5, 1], [4, 3, 1]]))  # Mean (2, 3, 1).


def test_by_hand():
    np.testing.assert_allclose(center.center(SOME).pos, [[-1, -2, 0], [-1, 2, 0], [2, 0, 0]])
    root = np.sqrt(5)
    np.testing.assert_allclose(
        center.unit_sphere(SOME).pos,
        [[-1 / root, -2 / root, 0], [-1 / root, 2 / root, 0], [2 / root, 0, 0]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(center.unit_cube(SOME).pos, [[-0.5, -1, 0], [-0.5, 1, 0], [1, 0, 0]])


def test_shape_is_kept():
    pos = np.random.default_rng(0).normal(3, 7, (50, 3))
    cloud = center.unit_sphere(graph.Graph(NONE, pos=pos)).pos.astype(float)
    assert np.linalg.norm(cloud, axis=1).max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(cloud.mean(axis=0), 0, atol=1e-6)
    ratio = np.linalg.norm(cloud[1:] - cloud[0], axis=1) / np.linalg.norm(pos[1:] - pos[0], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_one_place_and_no_positions():
    same = graph.Graph(NONE, pos=np.full((3, 2), 4))
    for transform in (center.center, center.unit_sphere, center.unit_cube):
        np.testing.assert_array_equal(transform(same).pos, np.zeros((3, 2)))
        with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
            transform(graph.Graph(NONE, num_nodes=5, name='b'))
