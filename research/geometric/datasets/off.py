"""Meshes in the Object File Format, as ModelNet has them."""

from __future__ import annotations

import os

import numpy as np

from research.geometric.mesh import Mesh


def read(path: str | os.PathLike) -> Mesh:
    """The mesh in an OFF file.

    `OFF`, then the numbers of vertices, faces and edges (which nobody fills in), a line a vertex,
    and a line a face: how many vertices, which, and perhaps a colour, which is left. Comments
    start with #. Several files of ModelNet have `OFF490 518 0` in one line.

    - Polygons become fans of triangles around their first vertex: exact where they are convex.
      Faces of fewer than three vertices have no area and are left out.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no OFF file, a truncated one, what is no number, a vertex that is not there.
    """
    path = os.fspath(path)
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = [(number, content) for number, line in enumerate(file, 1)
                 if (content := line.partition('#')[0].strip())]
    if not lines or not lines[0][1].startswith('OFF'):
        raise ValueError(f'{path}: line {lines[0][0] if lines else 1} is '
                         f'{lines[0][1][:20] if lines else ""!r}, not OFF.')
    rest = lines[0][1][len('OFF'):].strip()
    lines = [(lines[0][0], rest), *lines[1:]] if rest else lines[1:]
    num_vertices, num_faces = _counts(lines, path)
    if len(lines) != 1 + num_vertices + num_faces:
        what = 'truncated' if len(lines) < 1 + num_vertices + num_faces else 'too long'
        raise ValueError(f'{path}: {what}: {num_vertices} vertices and {num_faces} faces are '
                         f'promised, {len(lines) - 1} lines follow.')
    vertices = _rows(lines[1:num_vertices + 1], path, np.float64, 3)
    return Mesh(np.asarray(vertices).reshape(-1, 3),
                _triangles(lines[num_vertices + 1:], num_vertices, path), path)


def _counts(lines, path: str) -> tuple[int, int]:
    number, content = lines[0] if lines else (2, '')
    fields = content.split()
    if len(fields) not in (2, 3) or not all(field.isdigit() for field in fields):
        raise ValueError(f'{path}: line {number} is {content[:40]!r}, not the numbers of vertices, '
                         'faces and edges.')
    return int(fields[0]), int(fields[1])


def _rows(lines, path: str, dtype, width: int) -> np.ndarray:
    """The first `width` numbers of each line; all lines at once where all is well."""
    fields = [content.split()[:width] for _, content in lines]
    try:
        values = np.asarray(fields, dtype)
        if values.shape == (len(lines), width) or not lines:
            return values.reshape(-1, width)
    except ValueError:
        pass
    for (number, content), row in zip(lines, fields, strict=True):
        try:
            whole = len(np.asarray(row, dtype)) == width
        except ValueError:
            whole = False
        if not whole:
            break
    raise ValueError(f'{path}: line {number} is {content[:60]!r}, not {width} numbers.')


def _triangles(lines, num_vertices: int, path: str) -> np.ndarray:
    sizes = _rows(lines, path, np.int64, 1)[:, 0]
    triangles, order = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        some = [lines[place] for place in places]
        if size < 0:
            raise ValueError(f'{path}: line {some[0][0]} is a face of {size} vertices.')
        corners = _rows(some, path, np.int64, size + 1)[:, 1:]
        wrong = np.argwhere((corners < 0) | (corners >= num_vertices))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(f'{path}: line {some[row][0]} has vertex {corners[row, column]}, but '
                             f'vertices are 0 to {num_vertices - 1}.')
        for second in range(1, size - 1):
            triangles.append(corners[:, [0, second, second + 1]])
            order.append(places)
    return np.concatenate(triangles)[np.argsort(np.concatenate(order), kind='stable')]
