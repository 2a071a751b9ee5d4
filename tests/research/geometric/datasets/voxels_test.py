"""Tests of research.geometric.datasets.voxels."""

import numpy as np
import pytest

from research.geometric.datasets import voxels


def _volume(mesh):
    """Volume inside a closed surface whose faces are turned outwards: the divergence theorem."""
    first, second, third = mesh.corners().swapaxes(0, 1)
    return np.sum(first * np.cross(second, third)) / 6


def test_one_voxel_is_a_unit_cube():
    grid = np.zeros((3, 4, 5), bool)
    grid[1, 2, 3] = True
    mesh = voxels.surface(grid)
    assert mesh.vertices.shape == (8, 3) and mesh.faces.shape == (12, 3)
    np.testing.assert_array_equal(mesh.vertices.min(axis=0), [1, 2, 3])
    np.testing.assert_array_equal(mesh.vertices.max(axis=0), [2, 3, 4])
    np.testing.assert_array_equal(mesh.areas(), np.full(12, 0.5))
    # Outwards: from the centre of the cube to that of the face.
    outward = mesh.corners().mean(axis=1) - [1.5, 2.5, 3.5]
    assert (np.sum(outward * mesh.normals(), axis=1) > 0).all()


def test_shared_faces_are_not_exposed():
    grid = np.zeros((4, 3, 3), bool)
    grid[:2, 0, 0] = True  # At the border of the grid.
    mesh = voxels.surface(grid)
    assert mesh.areas().sum() == 10
    assert _volume(mesh) == pytest.approx(2)


def test_random_grids_have_as_many_faces_as_counted():
    grid = np.random.default_rng(0).uniform(size=(5, 6, 4)) < 0.4
    exposed = 0
    for i, j, k in np.argwhere(grid):
        for step in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
            beyond = tuple(np.add((i, j, k), step))
            inside = all(0 <= place < size for place, size in zip(beyond, grid.shape, strict=True))
            exposed += not (inside and grid[beyond])
    mesh = voxels.surface(grid)
    assert len(mesh.faces) == 2 * exposed
    assert _volume(mesh) == pytest.approx(grid.sum())


def test_bad_grids():
    with pytest.raises(ValueError, match='^a: the grid is empty, no voxel is occupied.$'):
        voxels.surface(np.zeros((2, 2, 2)), 'a')
    with pytest.raises(ValueError, match=r'^a: the grid has shape \(2, 2\), not \[X, Y, Z\].$'):
        voxels.surface(np.ones((2, 2)), 'a')
