"""Tests of research.geometric.transforms.sample_points."""

import numpy as np
import pytest
import scipy.stats

from research.geometric import mesh
from research.geometric.transforms import sample_points

# Triangles of areas 6, 1/2, 0 and 1.5, apart from each other.
VERTICES = np.array(
    [
        [0, 0, 5],
        [3, 0, 5],
        [0, 4, 5],
        [9, 0, 0],
        [9, 1, 0],
        [9, 0, 1],
        [0, 0, 0],
        [1, 1, 1],
        [2, 2, 2],
        [-5, 0, 0],
        [-5, 0, 1],
        [-5, 3, 0],
    ]
)
SOME = mesh.Mesh(VERTICES, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]], 'a.off')
PLANES = ((2, 5), (0, 9), None, (0, -5))  # A coordinate and its value on each face.


def _faces(points):
    """The face that each point is on, by the plane it lies in."""
    faces = np.full(len(points), -1)
    for face, plane in enumerate(PLANES):
        if plane:
            faces[np.abs(points[:, plane[0]] - plane[1]) < 1e-5] = face
    return faces


def test_points_lie_on_the_faces_in_proportion_to_their_areas():
    points = sample_points.sample_points(SOME, 20000, seed=0).pos
    faces = _faces(points)
    counts = np.bincount(faces, minlength=4)
    assert counts[2] == 0 and counts.sum() == 20000
    found = scipy.stats.chisquare(counts[[0, 1, 3]], 20000 * np.array([6, 0.5, 1.5]) / 8)
    assert found.pvalue > 1e-3
    # Inside the triangle: barycentric coordinates of the first face.
    u, v = points[faces == 0, 0] / 3, points[faces == 0, 1] / 4
    assert u.min() >= 0 and v.min() >= 0 and (u + v).max() <= 1 + 1e-6


def test_points_are_uniform_on_a_face():
    points = sample_points.sample_points(mesh.Mesh(VERTICES[:3], [[0, 1, 2]]), 20000, seed=1).pos
    u, v = points[:, 0] / 3, points[:, 1] / 4
    # The midpoints of the sides cut a triangle into four of the same area.
    part = np.where(u > 0.5, 0, np.where(v > 0.5, 1, np.where(u + v < 0.5, 2, 3)))
    assert scipy.stats.chisquare(np.bincount(part)).pvalue > 1e-3
    np.testing.assert_allclose([u.mean(), v.mean()], 1 / 3, atol=0.01)
    # The first coordinate has the distribution 1 - (1 - u)^2.
    assert scipy.stats.kstest(u, lambda u: 1 - (1 - u) ** 2).pvalue > 1e-3


def test_seeds_and_generators():
    one = sample_points.sample_points(SOME, 50, seed=3).pos
    np.testing.assert_array_equal(sample_points.sample_points(SOME, 50, seed=3).pos, one)
    random = np.random.default_rng(3)
    np.testing.assert_array_equal(sample_points.sample_points(SOME, 50, random).pos, one)
    assert np.abs(sample_points.sample_points(SOME, 50, random).pos - one).max() > 0.1


def test_normals():
    graph = sample_points.sample_points(SOME, 100, seed=0, normals=True)
    expected = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [-1, 0, 0]])
    np.testing.assert_array_equal(graph.x, expected[_faces(graph.pos)])
    plain = sample_points.sample_points(SOME, 100, seed=0)
    assert plain.x is None and plain.num_edges == 0 and plain.name == 'a.off'
    np.testing.assert_array_equal(plain.pos, graph.pos)


def test_bad_input():
    with pytest.raises(ValueError, match='^a.off: num_points = 0 is below 1.$'):
        sample_points.sample_points(SOME, 0, 0)
    flat = mesh.Mesh(VERTICES, [[6, 7, 8]], 'b.off')
    with pytest.raises(ValueError, match='^b.off: the mesh has no area, its 1 faces have none.$'):
        sample_points.sample_points(flat, 5, 0)
