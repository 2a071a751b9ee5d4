"""The surface of a grid of voxels as a mesh."""

from __future__ import annotations

import numpy as np

from research.geometric.mesh import Mesh

# Corners of the face of a unit cube that looks along +x, counter-clockwise from outside; of -x; and
# so on for y and z.
_SIDES = (
    ((1, 0, 0), ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1))),
    ((-1, 0, 0), ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0))),
    ((0, 1, 0), ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0))),
    ((0, -1, 0), ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1))),
    ((0, 0, 1), ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))),
    ((0, 0, -1), ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0))),
)


def surface(occupied: np.ndarray, name: str = 'voxels') -> Mesh:
    """The exposed faces of the occupied voxels, which no other occupied voxel covers.

    Args:
      occupied: bool [X, Y, Z]; beyond the grid nothing is.
      name: what an error message calls the mesh.

    Returns:
      Two triangles a face, turned outwards; voxel (i, j, k) is the cube from (i, j, k) to
      (i + 1, j + 1, k + 1).

    Raises:
      ValueError: no three dimensions, or no voxel is occupied.
    """
    occupied = np.asarray(occupied, bool)
    if occupied.ndim != 3:
        raise ValueError(f'{name}: the grid has shape {occupied.shape}, not [X, Y, Z].')
    if not occupied.any():
        raise ValueError(f'{name}: the grid is empty, no voxel is occupied.')
    padded = np.pad(occupied, 1)
    corners = []
    for direction, side in _SIDES:
        beyond = tuple(
            slice(1 + step, 1 + step + size)
            for step, size in zip(direction, occupied.shape, strict=True)
        )
        exposed = np.argwhere(occupied & ~padded[beyond])
        corners.append(exposed[:, np.newaxis] + np.asarray(side))
    quads = np.concatenate(corners)
    lattice = np.asarray(occupied.shape) + 1
    ids, corner_of = np.unique(
        np.ravel_multi_index(quads.reshape(-1, 3).T, lattice), return_inverse=True
    )
    corner_of = corner_of.reshape(-1, 4)
    return Mesh(
        np.stack(np.unravel_index(ids, lattice), axis=1),
        np.concatenate([corner_of[:, [0, 1, 2]], corner_of[:, [0, 2, 3]]]),
        name,
    )
