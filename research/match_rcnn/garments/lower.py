"""Garments that begin at the waist: shorts, trousers, skirts, with their landmarks."""

from __future__ import annotations

import numpy as np

from research.match_rcnn import categories
from research.match_rcnn.garments import body, cuts, details, shape


def build(cut: cuts.LowerCut, pose: body.Pose) -> shape.Garment:
    """Cuts a garment and puts it on a figure.

    Args:
      cut: its measures.
      pose: the figure's legs, and whether it is seen from behind.

    Returns:
      Its pieces and landmarks, in the figure's coordinates.
    """
    if cut.category_id == cuts.SKIRT:
        return _skirt(cut, pose)
    return Trousers(cut, pose).garment


def waistband(cut: cuts.LowerCut) -> np.ndarray:
    """The upper edge from left to right; its middle hangs a little."""
    return shape.path([[-cut.waist, cut.rise], [0, cut.rise + 0.015], [cut.waist, cut.rise]], 0.01)


def _skirt(cut, pose):
    y = np.linspace(cut.rise, cut.length, 24)
    knots = [(cut.rise, cut.waist), (body.HIP, cut.hip)]
    slope = (cut.cuff - cut.hip) / (cut.length - body.HIP)
    x = np.where(y <= body.HIP, shape.eased(y, knots), cut.hip + slope * (y - body.HIP))
    side = np.stack([-x, y], 1)
    hem = shape.path([side[-1], side[-1] * [-1, 1]], -cut.sag / (2 * cut.cuff))
    outline = np.concatenate([waistband(cut)[::-1], side, hem, shape.mirrored(side)])
    points = np.array(
        [
            side[0],
            [0, cut.rise + 0.015],
            side[0] * [-1, 1],
            body.along(side, 0.5)[0],
            side[-1],
            [0, cut.length + cut.sag],
            side[-1] * [-1, 1],
            body.along(side, 0.5)[0] * [-1, 1],
        ]
    )
    marks, folds = details.skirt(cut, side, pose)
    return shape.Garment(
        cut.category_id,
        points,
        [frozenset(['body'])] * len(points),
        [shape.Piece('body', outline)],
        marks,
        folds,
    )


class Trousers:
    """Shorts or trousers.

    Attributes:
      outer, inner: by side the leg's edges, from the hip or the crotch to the cuff.
      crotch: point.
      garment: what became of them.
    """

    def __init__(self, cut: cuts.LowerCut, pose: body.Pose):
        self.cut, self.pose = cut, pose
        self.crotch = np.array([0.0, body.CROTCH + 0.02])
        self.outer, self.inner, pieces = {}, {}, []
        for side, name in ((shape.LEFT, 'left_leg'), (shape.RIGHT, 'right_leg')):
            piece = self._leg(side, name)
            pieces.append(piece)
        points, homes = self._landmarks()
        marks, folds = details.trousers(self)
        self.garment = shape.Garment(cut.category_id, points, homes, pieces, marks, folds)

    def _leg(self, side, name):
        cut = self.cut
        axis = body.leg(self.pose, side)
        t = np.linspace(0, cut.length, 33)
        points = body.along(axis, t)
        knee = (body.KNEE - body.LEG[1]) / (body.ANKLE - body.LEG[1])
        knots = [(0, cut.thigh), (cut.length, cut.cuff)]
        if cut.category_id == cuts.TROUSERS:
            knots.insert(1, (knee, cut.knee))
        outer, inner = shape.tube(points, shape.eased(t, knots), side)
        # Above, the outer edge is the hip's and the inner begins at the crotch.
        y = np.linspace(cut.rise, body.LEG[1], 10)[:-1]
        hip = np.stack([side * shape.eased(y, [(cut.rise, cut.waist), (body.HIP, cut.hip)]), y], 1)
        fade = np.clip(1 - t / 0.25, 0, 1)[:, np.newaxis] ** 2
        outer = outer + fade * ([side * cut.hip, body.LEG[1]] - outer[0])
        fade = np.clip(1 - t / min(0.2, 0.7 * cut.length), 0, 1)[:, np.newaxis] ** 2
        inner = inner + fade * (self.crotch - inner[0])
        # Legs that touch are two all the same.
        apart = 0.004 + 0.06 * np.clip(inner[:, 1] - self.crotch[1], 0, 0.3)
        inner[:, 0] = side * np.maximum(side * inner[:, 0], apart)
        keep = inner[:, 1] >= self.crotch[1] - 1e-9
        inner = np.concatenate([[self.crotch], inner[keep & (t > 0)]])
        self.outer[side] = np.concatenate([hip, outer])
        self.inner[side] = inner
        cuff = shape.curve(outer[-1], inner[-1], -0.06 if side == shape.LEFT else 0.06)
        band = waistband(cut)
        half = band[band[:, 0] * side >= 0]
        half = half if side == shape.LEFT else half[::-1]  # From the side to the middle.
        outline = np.concatenate([self.outer[side][:-1], cuff, inner[::-1], half[::-1]])
        direction = points[-1] - points[0]
        return shape.Piece(
            name, outline, (0.0, cut.rise), 0.5 * float(np.arctan2(-direction[0], direction[1]))
        )

    def _landmarks(self):
        cut = self.cut
        category = categories.CATEGORIES[cut.category_id - 1]
        points, homes = np.zeros([category.landmarks, 2]), [frozenset()] * category.landmarks
        both = frozenset(['left_leg', 'right_leg'])
        points[1], homes[1] = [0, cut.rise + 0.015], both
        middle = 6 if cut.category_id == cuts.SHORTS else 8
        points[middle], homes[middle] = self.crotch, both
        for side, name in ((shape.LEFT, 'left_leg'), (shape.RIGHT, 'right_leg')):
            outer, inner = self.outer[side], self.inner[side]
            if cut.category_id == cuts.SHORTS:
                down, up = _at(outer, [0.5, 1]), _at(inner, [1])
            else:
                down, up = _at(outer, [1 / 3, 2 / 3, 1]), _at(inner, [1, 0.5])
            leg = [outer[0], *down, *up]
            for index, point in zip((0, *range(3, middle)), leg, strict=True):
                j = index if side == shape.LEFT else category.flip[index]
                points[j], homes[j] = point, frozenset([name])
        return points, homes


def _at(line, fractions):
    """Points at fractions of a line's length."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.asarray(fractions) * length[-1]
    return np.stack([np.interp(wanted, length, line[:, i]) for i in (0, 1)], 1)
