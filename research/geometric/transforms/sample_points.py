"""Points on the surface of a mesh."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.mesh import Mesh


def sample_points(mesh: Mesh, num_points: int, seed: int, normals: bool = False) -> Graph:
    """A cloud of points, uniform on the surface: as many on a face as its area is of the whole.

    A face is drawn in proportion to its area and a point on it as
    (1 - sqrt(u)) A + sqrt(u) (1 - v) B + sqrt(u) v C with uniform u, v (Osada et al. 2002, "Shape
    Distributions").

    Args:
      mesh: the mesh.
      num_points: how many.
      seed: an integer, or the `np.random.Generator` to draw with.
      normals: whether `x` are the unit normals of the faces that the points are on, [N, 3].

    Returns:
      A graph without edges, `pos` [num_points, 3].

    Raises:
      ValueError: `num_points` below 1, or a mesh without area.
    """
    if num_points < 1:
        raise ValueError(f'{mesh.name}: num_points = {num_points} is below 1.')
    ends = np.cumsum(mesh.areas())
    if not ends[-1] > 0:
        raise ValueError(f'{mesh.name}: the mesh has no area, its {len(ends)} faces have none.')
    random = np.random.default_rng(seed)
    # Less than the total, so that no point falls behind the last face.
    drawn = np.minimum(random.uniform(0, ends[-1], num_points), np.nextafter(ends[-1], 0))
    faces = np.searchsorted(ends, drawn, side='right')
    root, v = np.sqrt(random.uniform(size=(num_points, 1))), random.uniform(size=(num_points, 1))
    first, second, third = mesh.corners()[faces].swapaxes(0, 1)
    points = (1 - root) * first + root * (1 - v) * second + root * v * third
    return Graph(
        np.zeros((2, 0), np.int32),
        mesh.normals()[faces] if normals else None,
        pos=points,
        name=mesh.name,
    )
