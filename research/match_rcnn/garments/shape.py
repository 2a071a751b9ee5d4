"""Garments as plane shapes: pieces of cloth, marks on them, landmarks.

Coordinates are the figure's: the unit is about the length of a torso, x to the picture's right,
y down, the origin at the base of the neck. `side` is -1 for the picture's left, 1 for its right.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

LEFT, RIGHT = -1, 1


@dataclasses.dataclass
class Piece:
    """Cloth cut along one closed outline.

    Attributes:
      part: its name in the garment, as 'body' or 'left_sleeve'.
      outline: float [n, 2].
      origin: point at which the print's coordinates begin.
      angle: by which the print is turned, in radians.
      tone: brightness, 1 as the cloth is: linings are darker.
      second: of the second colour, as contrasting sleeves.
    """

    part: str
    outline: np.ndarray
    origin: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    tone: float = 1.0
    second: bool = False


@dataclasses.dataclass
class Mark:
    """What is drawn on a piece: a seam, an edge, a patch, a button.

    Attributes:
      part: the piece it is on, whose outline cuts it off.
      kind: 'line', 'area' or 'discs'.
      points: float [n, 2]; of 'discs' the centres.
      tone: brightness times this; of an 'area' with `second`, of the second colour.
      width: of a line, or the radius of discs.
      second: in the second colour, not in the cloth's.
    """

    part: str
    kind: str
    points: np.ndarray
    tone: float = 0.7
    width: float = 0.012
    second: bool = False


@dataclasses.dataclass
class Fold:
    """A crease of a piece from one point to another; a strength below 0 is a valley."""

    part: str
    start: tuple[float, float]
    end: tuple[float, float]
    strength: float = -0.25
    width: float = 0.03


@dataclasses.dataclass
class Garment:
    """A garment on a figure.

    Attributes:
      category_id: 1 to 13.
      landmarks: float [n, 2] in the category's order.
      homes: the parts on which each landmark lies. It is visible where one of them is uppermost;
        a part that has no piece (the front, seen from behind) is never visible.
      pieces: in the order in which they are put on, linings first.
      marks: by the part they lie on.
      folds: creases.
    """

    category_id: int
    landmarks: np.ndarray
    homes: list[frozenset[str]]
    pieces: list[Piece]
    marks: list[Mark]
    folds: list[Fold]


def curve(
    start: Sequence[float] | np.ndarray,
    end: Sequence[float] | np.ndarray,
    bulge: float = 0.0,
    count: int = 8,
) -> np.ndarray:
    """Points from `start` to just before `end` on a parabola.

    Args:
      start: first point, [x, y].
      end: last point, [x, y].
      bulge: greatest distance from the chord, as a part of its length; positive is to the left of
        who walks from start to end, with y down.
      count: number of points.

    Returns:
      float [count, 2].
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = end - start
    normal = np.array([along[1], -along[0]])
    t = np.linspace(0, 1, count, endpoint=False)[:, np.newaxis]
    return start + along * t + normal * (4 * bulge * t * (1 - t))


def path(points: Sequence, bulges: Sequence[float] | float = 0.0) -> np.ndarray:
    """Points along `points` with a bulge for each stretch (`curve`); ends with the last point."""
    bulges = np.broadcast_to(bulges, len(points) - 1)
    pieces = [
        curve(a, b, bulge, 8 if bulge else 2)
        for (a, b), bulge in zip(itertools.pairwise(points), bulges, strict=True)
    ]
    return np.concatenate([*pieces, np.asarray(points[-1], float)[np.newaxis]])


def mirrored(points: np.ndarray) -> np.ndarray:
    """The same line on the other side, from its end to its beginning."""
    return np.asarray(points, float)[::-1] * [-1, 1]


def tube(
    axis: np.ndarray, widths: Sequence[float] | np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """The outer and the inner edge of cloth around an arm or leg.

    Args:
      axis: float [n, 2], from the body outwards.
      widths: half widths at each point.
      side: LEFT or RIGHT; outer is away from the figure's middle when the axis points down.

    Returns:
      Two float [n, 2].
    """
    tangents = np.gradient(axis, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    normals = side * np.stack([tangents[:, 1], -tangents[:, 0]], 1)
    widths = np.broadcast_to(widths, len(axis))[:, np.newaxis]
    return axis + normals * widths, axis - normals * widths


def eased(x: float | np.ndarray, knots: Sequence[tuple[float, float]]) -> np.ndarray:
    """Interpolates (x, y) knots with flat tangents at each."""
    xs, ys = np.array(knots, float).T
    x = np.clip(x, xs[0], xs[-1])
    i = np.clip(np.searchsorted(xs, x, side='right') - 1, 0, len(xs) - 2)
    t = (x - xs[i]) / (xs[i + 1] - xs[i])
    t = t * t * (3 - 2 * t)
    return ys[i] + (ys[i + 1] - ys[i]) * t
