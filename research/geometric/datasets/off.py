"""Meshes in the Object File Format, as ModelNet has them."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from research.geometric.mesh import Mesh

_HEADER = re.compile(r'(ST)?(C)?(N)?(4)?OFF', re.IGNORECASE)


class _Line(NamedTuple):
    """A line that is not blank: its number in the file, from 1, and its words."""

    number: int
    words: list[str]


class _Misfit(Exception):
    """The words do not lie as one way to read them supposes."""


def read(path: str | os.PathLike) -> Mesh:
    """The mesh in an OFF file.

    `OFF`, in either case, then the numbers of vertices, faces and edges (which nobody fills in), a
    line a vertex, and a line a face: how many vertices, which, and perhaps a colour, which is not
    read. Comments start with #. Several files of ModelNet have `OFF490 518 0` in one line.

    - Lines may break elsewhere, where the file can be read in one way only: vertices and faces must
      each end with a line.
    - Colours, normals and texture coordinates of vertices (COFF, NOFF, STOFF and their mixtures)
      are not read; nor is what follows the last face, as edges do in some files.
    - Polygons become fans of triangles around their first vertex: exact where they are convex.
      Faces of fewer than three vertices have no area and are omitted.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no OFF file, one of vertices with another number of coordinates than three, a
        truncated one, what is no number, a vertex that is not there.
    """
    path = os.fspath(path)
    with open(path, encoding='utf-8-sig', errors='replace') as file:
        lines = [
            _Line(number, words)
            for number, line in enumerate(file, 1)
            if (words := line.partition('#')[0].split())
        ]
    widths, lines = _header(lines, path)
    num_vertices, num_faces, lines = _counts(lines, path)
    try:
        vertices, faces = _line_by_line(lines, num_vertices, num_faces)
    except _Misfit as misfit:
        for width in widths:
            try:
                vertices, faces = _word_by_word(lines, num_vertices, num_faces, width)
                break
            except _Misfit:
                continue
        else:
            raise ValueError(f'{path}: {misfit}') from None
    return Mesh(
        _numbers(vertices, path, np.float64, 3), _triangles(faces, num_vertices, path), path
    )


def _header(lines: list[_Line], path: str) -> tuple[list[int], list[_Line]]:
    """Possible numbers of values per vertex, and the lines after the word OFF."""
    number, words = lines[0] if lines else (1, [''])
    match = _HEADER.match(words[0])
    if not match:
        raise ValueError(f'{path}: line {number} is {" ".join(words)[:20]!r}, not OFF.')
    if match[4] or words[0].startswith('nOFF') or words[1:2] == ['BINARY']:
        raise ValueError(
            f'{path}: line {number} is {" ".join(words)[:20]!r}; only text files of '
            'vertices with three coordinates are read.'
        )
    rest = [word for word in (words[0][match.end() :], *words[1:]) if word]
    width = 3 + 2 * bool(match[1]) + 3 * bool(match[3])
    # A colour has four numbers; many write three.
    widths = [width + 4, width + 3] if match[2] else [width]
    return widths, [_Line(number, rest), *lines[1:]] if rest else lines[1:]


def _counts(lines: list[_Line], path: str) -> tuple[int, int, list[_Line]]:
    """Numbers of vertices and faces, and the lines after them."""
    number, words = lines[0] if lines else (2, [])
    used = min(1, len(lines))
    while len(words) == 1 and used < len(lines):
        words, used = words + lines[used].words, used + 1
    if len(words) < 2 or not all(word.isdigit() for word in words[:3]):
        raise ValueError(
            f'{path}: line {number} is {" ".join(words)[:40]!r}, not the numbers of '
            'vertices, faces and edges.'
        )
    rest = [_Line(lines[used - 1].number, words[3:])] if words[3:] else []
    return int(words[0]), int(words[1]), rest + lines[used:]


def _line_by_line(lines, num_vertices: int, num_faces: int) -> tuple[list[_Line], list[_Line]]:
    """Words of the vertices and of the faces, each in a line of its own."""
    if len(lines) < num_vertices + num_faces:
        raise _Misfit(
            f'truncated: {num_vertices} vertices and {num_faces} faces are promised, '
            f'{len(lines)} lines follow.'
        )
    vertices = lines[:num_vertices]
    faces = lines[num_vertices : num_vertices + num_faces]
    wanted = [3] * num_vertices + [1 + _corners(face.words) for face in faces]
    for line, count in zip(vertices + faces, wanted, strict=True):
        if len(line.words) < count:
            raise _Misfit(
                f'line {line.number} is {" ".join(line.words)[:60]!r}, not {count} numbers.'
            )
    return vertices, faces


def _word_by_word(
    lines, num_vertices: int, num_faces: int, width: int
) -> tuple[list[_Line], list[_Line]]:
    """The same where lines break anywhere, but vertices and faces each end with a line."""
    words = _words(lines)
    vertices = [_take(words, width) for _ in range(num_vertices)]
    if num_vertices and not vertices[-1][1]:
        raise _Misfit()
    rest = list(words)
    for colours in (False, True):
        try:
            return [line for line, _ in vertices], _faces(
                iter(rest), num_faces, num_vertices, colours
            )
        except _Misfit:
            if colours:
                raise
    raise AssertionError('not reached')


def _words(lines) -> Iterator[tuple[int, str, bool]]:
    """Each word with the number of its line, and whether it is the last there."""
    for number, words in lines:
        for place, word in enumerate(words, 1):
            yield number, word, place == len(words)


def _take(words, count: int) -> tuple[_Line, bool]:
    """The next words as a line, and whether they end one."""
    taken = list(itertools.islice(words, count))
    if len(taken) < count:
        raise _Misfit()
    number = taken[0][0] if taken else 0
    return _Line(number, [word for _, word, _ in taken]), bool(taken) and taken[-1][2]


def _faces(words, num_faces: int, num_vertices: int, colours: bool) -> list[_Line]:
    """Faces one after the other; with `colours` each goes on to the end of its line."""
    faces, ends = [], True
    for _ in range(num_faces):
        size, ends = _take(words, 1)
        corners = _corners(size.words)
        if corners:
            others, ends = _take(words, corners)
            if not all(word.isdigit() and int(word) < num_vertices for word in others.words):
                raise _Misfit()
            size = _Line(size.number, size.words + others.words)
        while colours and not ends:
            _, ends = _take(words, 1)
        faces.append(size)
    if not ends:
        raise _Misfit()
    return faces


def _corners(words: list[str]) -> int:
    """Number of vertices of a face; 0 for an invalid number, which is reported where it is read."""
    return int(words[0]) if words[0].isdigit() else 0


def _numbers(lines: list[_Line], path: str, dtype, width: int) -> np.ndarray:
    """The first `width` numbers of each line; all lines at once where all is well."""
    try:
        return np.asarray([line.words[:width] for line in lines], dtype).reshape(-1, width)
    except ValueError:
        pass
    for line in lines:
        try:
            np.asarray(line.words[:width], dtype)
        except ValueError:
            break
    raise ValueError(
        f'{path}: line {line.number} is {" ".join(line.words)[:60]!r}, not {width} numbers.'
    )


def _triangles(faces: list[_Line], num_vertices: int, path: str) -> np.ndarray:
    sizes = _numbers(faces, path, np.int64, 1)[:, 0]
    triangles, order = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        some = [faces[place] for place in places]
        if size < 0:
            raise ValueError(f'{path}: line {some[0].number} is a face of {size} vertices.')
        corners = _numbers(some, path, np.int64, size + 1)[:, 1:]
        wrong = np.argwhere((corners < 0) | (corners >= num_vertices))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(
                f'{path}: line {some[row].number} has vertex {corners[row, column]}, '
                f'but vertices are 0 to {num_vertices - 1}.'
            )
        for second in range(1, size - 1):
            triangles.append(corners[:, [0, second, second + 1]])
            order.append(places)
    return np.concatenate(triangles)[np.argsort(np.concatenate(order), kind='stable')]
