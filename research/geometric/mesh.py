"""A triangle mesh: what shapes are before points are drawn from them."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mesh:
    """Triangles in space, checked when made. They need not be closed, nor turned outwards.

    Args:
      vertices: positions, [V, 3]; kept as float64.
      faces: integers [F, 3], the vertices of each triangle; kept as int64.
      name: what an error message calls the mesh: the file it is from.

    Raises:
      ValueError: other shapes, a vertex that is not finite, a face with a vertex that is not
        there, or no faces.
    """

    vertices: np.ndarray
    faces: np.ndarray
    name: str = 'mesh'

    def __post_init__(self):
        vertices, faces = np.asarray(self.vertices, np.float64), np.asarray(self.faces)
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise ValueError(f'{self.name}: vertices has shape {vertices.shape}, not [V, 3].')
        wrong = np.argwhere(~np.isfinite(vertices))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f'{self.name}: vertex {row}, coordinate {column} is '
                f'{vertices[row, column]}, not a finite number.'
            )
        if faces.ndim != 2 or faces.shape[1] != 3 or not np.issubdtype(faces.dtype, np.integer):
            raise ValueError(
                f'{self.name}: faces are {faces.dtype} of shape {faces.shape}, not integers [F, 3].'
            )
        if not len(faces):
            raise ValueError(f'{self.name}: the mesh is empty, it has no faces.')
        wrong = np.argwhere((faces < 0) | (faces >= len(vertices)))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f'{self.name}: face {row} has vertex {faces[row, column]}, but '
                f'vertices are 0 to {len(vertices) - 1}.'
            )
        object.__setattr__(self, 'vertices', vertices)
        object.__setattr__(self, 'faces', faces.astype(np.int64))

    def corners(self) -> np.ndarray:
        """Positions of each triangle's vertices, [F, 3, 3]."""
        return self.vertices[self.faces]

    def areas(self) -> np.ndarray:
        """Areas of the triangles, [F]."""
        return np.linalg.norm(self._crossed(), axis=1) / 2

    def normals(self) -> np.ndarray:
        """Unit normals, by the right-hand rule of the vertices' order, [F, 3]; 0 without area."""
        crossed = self._crossed()
        length = np.linalg.norm(crossed, axis=1, keepdims=True)
        return crossed / np.where(length > 0, length, 1)

    def _crossed(self) -> np.ndarray:
        corners = self.corners()
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
