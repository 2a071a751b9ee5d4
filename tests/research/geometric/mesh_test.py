"""Tests of research.geometric.mesh."""

import numpy as np
import pytest

from research.geometric import mesh

# A right triangle of legs 3 and 4 in the plane z = 1, a unit one in the plane x = 0, a line.
VERTICES = [[0, 0, 1], [3, 0, 1], [0, 4, 1], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 2, 0]]
FACES = [[0, 1, 2], [3, 4, 5], [3, 4, 6]]


def test_areas_normals_and_corners_by_hand():
    some = mesh.Mesh(VERTICES, FACES)
    np.testing.assert_allclose(some.areas(), [6, 0.5, 0])
    np.testing.assert_allclose(some.normals(), [[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(some.corners()[1], [[0, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_turning_a_face_turns_its_normal():
    turned = mesh.Mesh(VERTICES, [[1, 0, 2]])
    np.testing.assert_allclose(turned.normals(), [[0, 0, -1]])


@pytest.mark.parametrize(
    'vertices, faces, message',
    [
        (np.zeros((3, 2)), [[0, 1, 2]], 'vertices has shape (3, 2), not [V, 3].'),
        (
            [[0, 0, 0], [0, np.nan, 0], [0, 0, 0]],
            [[0, 1, 2]],
            'vertex 1, coordinate 1 is nan, not a finite number.',
        ),
        (VERTICES, [[0, 1]], 'faces are int64 of shape (1, 2), not integers [F, 3].'),
        (VERTICES, [[0.0, 1.0, 2.0]], 'faces are float64 of shape (1, 3), not integers [F, 3].'),
        (VERTICES, np.zeros((0, 3), int), 'the mesh is empty, it has no faces.'),
        (VERTICES, [[0, 1, 2], [0, 7, 1]], 'face 1 has vertex 7, but vertices are 0 to 6.'),
        (VERTICES, [[0, -1, 2]], 'face 0 has vertex -1, but vertices are 0 to 6.'),
    ],
)
def test_bad_meshes(vertices, faces, message):
    with pytest.raises(ValueError) as error:
        mesh.Mesh(vertices, faces, 'a.off')
    assert str(error.value) == f'a.off: {message}'
