"""Garments that hang from the shoulders: tops, outwear, dresses, with their landmarks."""

from __future__ import annotations

import numpy as np

from research.match_rcnn import categories
from research.match_rcnn.garments import body, cuts, details, shape


def build(cut: cuts.UpperCut, pose: body.Pose, under: bool = False) -> shape.Garment:
    """Cuts a garment and puts it on a figure.

    Args:
      cut: its measures.
      pose: the figure's arms, and whether it is seen from behind.
      under: it is worn under outwear, below whose sleeves its own begin.

    Returns:
      Its pieces and landmarks, in the figure's coordinates.
    """
    return _Upper(cut, pose, under).garment


class _Upper:
    """A garment in the making: lines of the left half, mirrored where the pose is of no matter."""

    def __init__(self, cut, pose, under):
        self.cut, self.pose, self.under = cut, pose, under
        self.sling = cut.category_id in cuts.SLINGS
        self.sleeved = cut.sleeve > 0 and cut.category_id in (
            cuts.SHORT_SLEEVED + cuts.LONG_SLEEVED
        )
        self.outwear = cut.category_id in cuts.OUTWEAR
        # On the outside of a sleeve between its ends, and as many on the inside.
        self.sleeve_points = 3 if cut.category_id in cuts.LONG_SLEEVED else 1
        self._lines()
        self.sleeves = {}
        if self.sleeved:
            self.sleeves = {side: self._sleeve(side) for side in (shape.LEFT, shape.RIGHT)}
        pieces = self._pieces()
        landmarks, homes = self._landmarks()
        marks, folds = details.upper(self)
        self.garment = shape.Garment(cut.category_id, landmarks, homes, pieces, marks, folds)

    # Lines of the left half.

    def _lines(self):
        cut = self.cut
        if cut.neck == 'turtle':
            self.neck = np.array([-cut.neck_width, cut.neck_depth - 0.02])
        elif self.sling:
            self.neck = np.array([-cut.neck_width, 0.035])  # Where the strap lies on the shoulder.
        else:
            self.neck = np.array([-cut.neck_width, -0.02 + 0.20 * max(cut.neck_width - 0.12, 0)])
        self.front = np.array([0.0, cut.neck_depth])
        self.armpit = np.array([-cut.chest, cut.armpit])
        self.shoulder = np.array([-cut.shoulder, 0.065 + 0.5 * max(cut.shoulder - 0.33, 0)])
        if not self.sleeved and not self.sling:
            self.shoulder[1] = self.neck[1] + 0.24 * (cut.shoulder - cut.neck_width)
        self._neckline()
        self.hem = np.array([-self.width(cut.length), cut.length])
        self.hem_middle = np.array([0.0, cut.length + cut.sag])

    def _neckline(self):
        """self.quarter, the landmark between the neck and the front, and self.neckline to it."""
        cut, front = self.cut, self.front
        if self.sling:
            # The strap ends here; the edge goes on to the front's middle.
            drop = {'round': 0.05, 'v': 0.11, 'square': 0.0, 'heart': -0.01}[cut.neck]
            self.quarter = np.array([-0.92 * cut.neck_width, cut.neck_depth - drop])
            bulge = {'round': -0.12, 'v': 0.0, 'square': 0.0, 'heart': 0.22}[cut.neck]
            self.edge = shape.path([self.quarter, front], bulge)
            self.back = np.array([0.0, cut.neck_depth - 0.06])
            return
        neck = self.neck
        if cut.neck == 'turtle':
            self.quarter = np.array([0.55 * neck[0], cut.neck_depth - 0.008])
            self.neckline = shape.path([neck, self.quarter, front], -0.03)
            self.back = np.array([0.0, neck[1] - 0.015])
            return
        depth = front[1] - neck[1]
        kind = 'v' if self.outwear and cut.collar != 'band' else cut.neck
        x, y, bulge = {
            'round': (0.78, 0.66, -0.11),
            'boat': (0.62, 0.66, -0.05),
            'v': (0.52, 0.50, -0.02),
            'square': (0.96, 0.96, 0.0),
        }[kind]
        self.quarter = neck + [(1 - x) * -neck[0], y * depth]
        if self.outwear:
            front[0] = -cut.gap_top
            self.quarter[0] = (neck[0] + front[0]) / 2 - 0.01
        self.neckline = shape.path([neck, self.quarter, front], bulge)
        self.back = np.array([0.0, neck[1] + min(0.045, 0.5 * max(depth, 0.05))])

    def width(self, y):
        """Half the garment's width at a height below the armpit."""
        cut = self.cut
        knots = [(cut.armpit, cut.chest)]
        if cut.length > body.WAIST + 0.2:
            knots.append((body.WAIST, cut.waist))
            if cut.length > body.HIP + 0.25:
                knots.append((body.HIP, cut.hip))
                slope = (cut.hem - cut.hip) / (cut.length - body.HIP)
                below = cut.hip + slope * (np.asarray(y, float) - body.HIP)
                return np.where(y <= body.HIP, shape.eased(y, knots), below)
            knots.append((cut.length, cut.hem))
        else:
            knots.append((cut.length, (cut.chest + cut.waist) / 2))
        return shape.eased(y, knots)

    def _sides(self, count):
        """Heights of the landmarks between armpit and hem, evenly."""
        heights = np.linspace(self.cut.armpit, self.cut.length, count + 2)[1:-1]
        return np.stack([-self.width(heights), heights], 1)

    def _sleeve(self, side):
        cut = self.cut
        axis = body.arm(self.pose, side)
        t = np.linspace(0, cut.sleeve, 25)
        points = body.along(axis, t)
        widths = shape.eased(t / cut.sleeve, [(0, cut.sleeve_width), (1, cut.cuff_width)])
        if cut.cuffs == 'rib' and cut.category_id in cuts.LONG_SLEEVED:
            widths = np.where(t > cut.sleeve - 0.06, np.minimum(widths, 0.07), widths)
        outer, inner = shape.tube(points, widths, side)
        # The ends at the body are the body's.
        fade = np.clip(1 - t / 0.28, 0, 1)[:, np.newaxis] ** 2
        outer += fade * (self.shoulder * [-side, 1] - outer[0])
        inner += fade * (self.armpit * [-side, 1] - inner[0])
        return axis, outer, inner

    # Pieces.

    def _armhole(self, side):
        """From the shoulder to the armpit."""
        bulge = (-0.15 if self.under else 0.10) if self.sleeved else 0.17
        line = shape.path([self.shoulder, self.armpit], bulge)
        return line if side == shape.LEFT else line * [-1, 1]

    def _side(self):
        """From the armpit to the hem."""
        y = np.linspace(self.cut.armpit, self.cut.length, 20)
        return np.stack([-self.width(y), y], 1)

    def _hem(self, start, end):
        bulge = -self.cut.sag / max(np.linalg.norm(np.subtract(end, start)), 0.1)
        return shape.path([start, end], bulge)

    def _half(self, neckline):
        """The left half, from the neckline's middle around to the hem's end."""
        if self.sling:
            rim = shape.curve(neckline[0], self.armpit, 0.10)
            return np.concatenate([neckline[::-1], rim, self._side()])
        collar = [] if self.cut.neck != 'turtle' else [[-0.115, -0.03]]
        shoulder = shape.path([neckline[0], *collar, self.shoulder], 0.0)
        return np.concatenate([neckline[::-1], shoulder, self._armhole(shape.LEFT), self._side()])

    def _body(self, neckline):
        half = self._half(neckline)
        whole = self._hem(self.hem, self.hem * [-1, 1])
        return np.concatenate([half, whole, shape.mirrored(half)])

    def _back_neckline(self):
        if self.sling:
            return shape.path([self.quarter, self.back], 0.05)
        return shape.path([self.neck, self.back], -0.10)

    def _pieces(self):
        pose = self.pose
        pieces = []
        if pose.back:
            outline = self._body(self._back_neckline())
            pieces.append(shape.Piece('body', outline))
        elif self.outwear:
            pieces.append(shape.Piece('inside', self._body(self._back_neckline()), tone=0.5))
            half = self._front_half()
            pieces += [
                shape.Piece('left_front', half),
                shape.Piece('right_front', shape.mirrored(half)),
            ]
        else:
            front = self.edge if self.sling else self.neckline
            back = self._back_neckline()
            inside = np.concatenate([back, shape.mirrored(back), front * [-1, 1], front[::-1]])
            pieces += [
                shape.Piece('inside', inside, tone=0.55),
                shape.Piece('body', self._body(front)),
            ]
        if self.sling:
            pieces += [self._strap(side) for side in (shape.LEFT, shape.RIGHT)]
        for side, (axis, outer, inner) in self.sleeves.items():
            cuff = shape.curve(outer[-1], inner[-1], -0.06 * side * -1)
            outline = np.concatenate([outer[:-1], cuff, inner[::-1], self._armhole(side)[::-1]])
            direction = body.along(axis, [0.25])[0] - axis[0]
            angle = float(np.arctan2(-direction[0], direction[1]))
            pieces.append(shape.Piece(_sleeve_name(side), outline, tuple(axis[0]), angle))
        return pieces

    def _front_half(self):
        """Of outwear: the left front."""
        line = self._half(self.neckline)
        corner = self.opening()[-1]
        return np.concatenate([line, shape.path([self.hem, corner], -0.01), self.opening()[::-1]])

    def opening(self):
        """The edge of outwear's left front, from the top down."""
        cut = self.cut
        y = np.linspace(cut.neck_depth, self.hem_middle[1], 13)
        t = (y - y[0]) / (y[-1] - y[0])
        x = -(cut.gap_top + (cut.gap_hem - cut.gap_top) * t)
        return np.stack([x, y], 1)

    def _strap(self, side):
        width = self.cut.strap
        top, end = self.neck, self.quarter
        outline = np.array(
            [top - [width, 0], top + [width, -0.004], end + [width, 0.01], end - [width, -0.01]]
        )
        return shape.Piece(_strap_name(side), outline if side == shape.LEFT else outline * [-1, 1])

    # Landmarks.

    def _landmarks(self):
        cut = self.cut
        flip = categories.CATEGORIES[cut.category_id - 1].flip
        points, homes = np.zeros([len(flip), 2]), [frozenset()] * len(flip)

        def put(index, point, *home):
            """Sets a landmark of the left half and its mirror image."""
            for side, j in ((shape.RIGHT, flip[index]), (shape.LEFT, index)):
                points[j] = np.asarray(point) * [-side, 1]
                homes[j] = frozenset(part.format(name=_name(side)) for part in home)

        # From behind the front is out of sight: there is no such piece.
        seen, trunk = ('front', 'body') if self.pose.back else ('body', 'body')
        if self.outwear and not self.pose.back:
            seen = trunk = '{name}_front'
        straps = ['{name}_strap'] if self.sling else []
        put(0, self.back, 'body' if self.pose.back else 'inside')
        put(1, self.neck, *(straps or [trunk]))
        put(2, self.quarter, seen, *(straps if seen == trunk else []))
        put(3, self.front, seen)
        if self.outwear:
            top = len(flip) - 6
            edge = body.along(self.opening(), [1 / 3, 2 / 3, 1])
            for index, point in zip((top + 4, top + 5, top // 2 + 3), edge, strict=True):
                put(index, point, seen)
        index = self._around(put, trunk)
        if not self.outwear:
            put(index, self.hem_middle, trunk)
        for side in self.sleeves:
            self._place_sleeve(points, flip, side)
        return points, homes

    def _around(self, put, trunk):
        """From the shoulder to the hem's end; gives the index after."""
        cut, index = self.cut, 6
        if not self.sling:
            put(index, self.shoulder, trunk, *(['{name}_sleeve'] if self.sleeved else []))
            index += 1
        if self.sleeved:
            for _ in range(2 * self.sleeve_points + 2):
                put(index, self.armpit, '{name}_sleeve')  # Its place follows.
                index += 1
        put(index, self.armpit, trunk, *(['{name}_sleeve'] if self.sleeved else []))
        sides = 2 if self.sleeved else 1
        sides += 2 * (cut.category_id in cuts.DRESSES) + self.sling
        for point in (*self._sides(sides), self.hem):
            index += 1
            put(index, point, trunk)
        return index + 1

    def _place_sleeve(self, points, flip, side):
        """Sleeves are where the arms are, which are not mirror images."""
        _, outer, inner = self.sleeves[side]
        fractions = np.linspace(0, 1, self.sleeve_points + 2)[1:]
        edge = [*body.along(outer, fractions), *body.along(inner, fractions[::-1])]
        for index, point in enumerate(edge, 7):
            points[index if side == shape.LEFT else flip[index]] = point


def _name(side):
    return 'left' if side == shape.LEFT else 'right'


def _sleeve_name(side):
    return f'{_name(side)}_sleeve'


def _strap_name(side):
    return f'{_name(side)}_strap'
