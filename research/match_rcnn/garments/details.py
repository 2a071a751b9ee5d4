"""What is on a garment: seams, collars, closures, pockets, and where it creases."""

from __future__ import annotations

from typing import Any

import numpy as np

from research.match_rcnn.garments import body, cuts, shape

_DARK, _LIGHT = 0.62, 1.3


def _line(part, points, tone=_DARK, width=0.010, second=False):
    return shape.Mark(part, 'line', np.asarray(points, float), tone, width, second)


def _area(part, points, tone=0.85, second=False):
    return shape.Mark(part, 'area', np.asarray(points, float), tone, second=second)


def _discs(part, points, tone=0.45, radius=0.018, second=False):
    return shape.Mark(part, 'discs', np.asarray(points, float), tone, radius, second)


def upper(made: Any) -> tuple[list[shape.Mark], list[shape.Fold]]:
    """Marks and folds of a garment of `upper.build`, which is given half-made."""
    cut = made.cut
    trunk = ['left_front', 'right_front'] if made.outwear and not made.pose.back else ['body']
    marks = []
    for part in trunk:
        marks += _hem(made, part)
        if cut.waist_seam:
            marks += _waist(made, part)
    if not made.pose.back:
        marks += _neck(made)
        marks += _closure(made)
        marks += _pockets(made)
    for side, (_, outer, inner) in made.sleeves.items():
        marks += _cuff(cut, _sleeve(side), outer, inner)
    return marks, _upper_folds(made, trunk)


def _sleeve(side):
    return 'left_sleeve' if side == shape.LEFT else 'right_sleeve'


def _hem(made, part):
    cut = made.cut
    line = shape.path([made.hem, made.hem * [-1, 1]], -cut.sag / max(2 * cut.hem, 0.1))
    marks = [_line(part, line - [0, 0.035], 0.75, 0.007)]
    if cut.cuffs == 'rib' and cut.category_id in (*cuts.TOPS, *cuts.OUTWEAR):
        marks.append(_area(part, np.concatenate([line - [0, 0.07], line[::-1] + [0, 0.02]]), 0.86))
    if cut.ruffle:
        above = line - [0, 0.22]
        waves = 0.012 * np.sin(np.linspace(0, 40, len(above)))
        marks += [_line(part, above * [1.1, 1] + np.stack([0 * waves, waves], 1), 0.6, 0.018)]
    for x in np.linspace(-0.8, 0.8, cut.pleats) if cut.pleats else ():
        top = body.WAIST + 0.05
        marks.append(
            _line(part, [[x * cut.waist, top], [x * cut.hem, cut.length + 0.1]], 0.72, 0.014)
        )
    return marks


def _waist(made, part):
    y, width = body.WAIST + 0.02, made.cut.waist + 0.08
    line = shape.path([[-width, y], [width, y]], -0.02)
    if made.cut.waist_seam == 'seam':
        return [_line(part, line, 0.6, 0.010)]
    belt = np.concatenate([line - [0, 0.035], line[::-1] + [0, 0.035]])
    marks = [
        _area(part, belt, 0.7, second=True),
        _line(part, line - [0, 0.035], 0.5, 0.008),
        _line(part, line + [0, 0.035], 0.5, 0.008),
    ]
    if made.cut.waist_seam == 'belt' and not made.pose.back:
        marks.append(
            _area(
                part,
                [[-0.04, y - 0.05], [0.04, y - 0.05], [0.04, y + 0.05], [-0.04, y + 0.05]],
                1.2,
                second=True,
            )
        )
    return marks


def _neck(made):
    """The neckline's edge and the collar."""
    cut = made.cut
    parts = ['left_front', 'right_front'] if made.outwear else ['body']
    if made.sling:
        edge = np.concatenate([made.edge, shape.mirrored(made.edge)])
        return [_line('body', edge + [0, 0.025], 0.75, 0.008)]
    edge = np.concatenate([made.neckline, shape.mirrored(made.neckline)])
    neck, marks = made.neck, []
    if cut.neck == 'turtle':
        return [
            _line('body', [[-0.125, -0.03], [0, 0.0], [0.125, -0.03]], 0.6, 0.012),
            _line('body', edge + [0, 0.03], 0.8, 0.01),
        ]
    if cut.collar in ('shirt', 'lapel'):
        drop = 0.16 if cut.collar == 'shirt' else 0.8 * (made.front[1] - neck[1]) + 0.04
        spread = 0.13 if cut.collar == 'shirt' else 0.17
        front = made.front
        tip = np.array([front[0] - spread * 0.75, neck[1] + drop])
        outline = np.array(
            [
                neck + [-0.03, -0.03],
                neck + [-0.055, 0.02],
                tip,
                [front[0] - 0.005, front[1] + 0.01],
                made.quarter + [0.02, 0],
            ]
        )
        for part, sign in ((parts[0], 1), (parts[-1], -1)):
            points = outline * [sign, 1]
            marks += [_area(part, points, 1.12), _line(part, points[1:4], 0.5, 0.012)]
        return marks
    marks = [_line(part, edge, 0.8, 0.05) for part in parts]
    return marks + [_line(part, edge + [0, 0.028], 0.6, 0.008) for part in parts]


def _closure(made):
    cut = made.cut
    if cut.closure == 'placket':
        top, bottom = made.front[1], made.front[1] + 0.2
        box = [[-0.022, top], [0.022, top], [0.022, bottom], [-0.022, bottom]]
        heights = np.linspace(top + 0.04, bottom - 0.03, 3)
        return [
            _area('body', box, 0.92),
            _line('body', box + [box[0]], 0.6, 0.008),
            _discs('body', [[0, y] for y in heights], radius=0.013),
        ]
    if not made.outwear:
        return []
    edge, marks = made.opening(), []
    for part, sign in (('left_front', 1), ('right_front', -1)):
        line = edge * [sign, 1]
        if cut.closure == 'zip':
            marks += [
                _line(part, line, 0.4, 0.03),
                _line(part, line - [sign * 0.03, 0], 0.75, 0.008),
            ]
        else:
            marks.append(_line(part, line - [sign * 0.055, 0], 0.72, 0.008))
            marks.append(_line(part, line, 0.45, 0.016))
    if cut.closure == 'buttons':
        step = max(3, round((cut.length - cut.neck_depth) / 0.16))
        places = body.along(edge, np.linspace(0.06, 0.94, step)) * [-1, 1] + [0.028, 0]
        marks.append(_discs('right_front', places, second=True, tone=0.6, radius=0.02))
    return marks


def _pockets(made):
    cut = made.cut
    right = 'right_front' if made.outwear else 'body'
    left = 'left_front' if made.outwear else 'body'
    low = min(0.84, cut.length - 0.2)

    def patch(part, x, y, w, h):
        box = [[x - w, y], [x + w, y], [x + w, y + h], [x - w, y + h]]
        return [_area(part, box, 0.95), _line(part, box + [box[0]], 0.6, 0.008)]

    if cut.pockets == 'chest':
        return patch(right, 0.18, 0.40, 0.06, 0.13)
    if cut.pockets == 'hip':
        return patch(left, -0.22, low, 0.065, 0.15) + patch(right, 0.22, low, 0.065, 0.15)
    if cut.pockets == 'pouch':
        y = min(0.70, cut.length - 0.26)
        box = [[-0.12, y], [0.12, y], [0.2, y + 0.18], [-0.2, y + 0.18]]
        return [_area('body', box, 0.94), _line('body', box + [box[0]], 0.6, 0.009)]
    return []


def _cuff(cut, part, outer, inner):
    step = max(1, round(len(outer) * 0.05 / cut.sleeve))
    seam = np.array([outer[-1 - step], inner[-1 - step]])
    marks = []
    if cut.cuffs == 'rib':
        marks.append(_area(part, [*seam, inner[-1], outer[-1]], 0.84))
    if cut.cuffs:
        marks.append(_line(part, seam, 0.62, 0.010))
    return marks


def _upper_folds(made, trunk):
    cut, folds = made.cut, []
    waist = min(body.WAIST, cut.length - 0.12)
    for part in trunk:
        for sign in (-1, 1):
            armpit = made.armpit * [-sign, 1]
            folds += [
                shape.Fold(part, tuple(armpit), (sign * 0.10, cut.armpit + 0.16), -0.22, 0.02),
                shape.Fold(part, (sign * cut.waist, waist), (sign * 0.06, waist + 0.05), -0.2),
                shape.Fold(
                    part, (sign * cut.waist, waist - 0.06), (sign * 0.1, waist - 0.03), 0.15
                ),
                shape.Fold(
                    part, (sign * 0.16, cut.length), (sign * 0.12, waist + 0.04), -0.18, 0.04
                ),
            ]
        if cut.category_id in cuts.DRESSES:
            folds += _drape(part, cut.waist, waist + 0.05, cut.hem, cut.length, 7)
    for side, (axis, outer, inner) in made.sleeves.items():
        part = _sleeve(side)
        folds.append(shape.Fold(part, tuple(inner[2]), tuple(axis[5]), -0.25, 0.02))
        for t in (0.35, 0.5, 0.62, 0.9):
            if t < cut.sleeve:
                i = int(t / cut.sleeve * (len(outer) - 1))
                j = max(i - 2, 0)
                folds.append(
                    shape.Fold(
                        part, tuple(inner[i]), tuple((outer[j] + inner[j]) / 2), -0.28, 0.022
                    )
                )
    return folds


def _drape(part, top_width, top, bottom_width, bottom, count):
    """Folds that fall from a waist to a hem."""
    return [
        shape.Fold(
            part,
            (x * top_width, top + 0.2 * (k % 2)),
            (x * bottom_width, bottom),
            -0.22 if k % 2 else 0.2,
            0.04,
        )
        for k, x in enumerate(np.linspace(-0.85, 0.85, count))
    ]


# Below the waist.


def _band(parts, cut):
    width, y = cut.waist + 0.05, cut.rise
    line = shape.path([[-width, y + 0.055], [0, y + 0.07], [width, y + 0.055]], 0.01)
    top = np.array([[width, y - 0.02], [-width, y - 0.02]])
    marks = []
    for part in parts:
        if cut.belt:
            marks += [
                _area(part, np.concatenate([line, top]), 0.7, second=True),
                _area(
                    part,
                    [
                        [-0.035, y + 0.005],
                        [0.035, y + 0.005],
                        [0.035, y + 0.075],
                        [-0.035, y + 0.075],
                    ],
                    1.5,
                    second=True,
                ),
            ]
        marks.append(_line(part, line, 0.55, 0.010))
    return marks


def skirt(cut: cuts.LowerCut, side: np.ndarray, pose: body.Pose) -> tuple[list, list]:
    """Marks and folds of a skirt, whose left edge is `side`."""
    marks = _band(['body'], cut)
    hem = shape.path([side[-1], side[-1] * [-1, 1]], -cut.sag / (2 * cut.cuff)) - [0, 0.035]
    marks.append(_line('body', hem, 0.75, 0.007))
    for x in np.linspace(-0.8, 0.8, cut.pleats) if cut.pleats else ():
        marks.append(
            _line(
                'body',
                [[x * cut.waist, cut.rise + 0.07], [x * cut.cuff, cut.length + 0.1]],
                0.72,
                0.014,
            )
        )
    if cut.pockets and not pose.back:
        for sign in (-1, 1):
            marks.append(
                _line(
                    'body',
                    [[sign * 0.14, cut.rise + 0.07], [sign * (cut.waist + 0.03), cut.rise + 0.2]],
                    0.6,
                )
            )
    folds = _drape('body', cut.waist, cut.rise + 0.12, cut.cuff, cut.length, 7)
    return marks, folds


def trousers(made: Any) -> tuple[list, list]:
    """Marks and folds of shorts or trousers, given half-made (`lower.Trousers`)."""
    cut, parts = made.cut, ['left_leg', 'right_leg']
    marks, folds = _band(parts, cut), []
    y, crotch = cut.rise, made.crotch
    for part in parts:
        marks.append(_line(part, [[0, y + 0.06], crotch], 0.5, 0.012))
    for sign, part in ((-1, 'left_leg'), (1, 'right_leg')):
        outer, inner = made.outer[sign], made.inner[sign]
        if made.pose.back and cut.pockets:
            box = np.array(
                [
                    [0.07, y + 0.14],
                    [0.21, y + 0.13],
                    [0.21, y + 0.26],
                    [0.14, y + 0.30],
                    [0.07, y + 0.27],
                    [0.07, y + 0.14],
                ]
            )
            marks.append(_line(part, box * [sign, 1], 0.55))
        elif cut.pockets:
            marks.append(
                _line(
                    part,
                    shape.path(
                        [[sign * 0.16, y + 0.065], [sign * (cut.waist + 0.05), y + 0.19]],
                        -0.15 * sign,
                    ),
                    0.55,
                )
            )
        if cut.side_stripe:
            marks.append(_line(part, outer - [sign * 0.03, 0], 0.95, 0.035, second=True))
        if cut.cuffs:
            marks.append(_line(part, [outer[-3], inner[-3]], 0.6, 0.012))
        folds += [
            shape.Fold(part, tuple(crotch), (sign * 0.2, crotch[1] - 0.12), -0.25, 0.02),
            shape.Fold(
                part, tuple(crotch + [0, 0.05]), (sign * 0.24, crotch[1] + 0.02), -0.2, 0.02
            ),
            shape.Fold(part, tuple(outer[8]), tuple((outer[-1] + inner[-1]) / 2), 0.15, 0.05),
        ]
        if cut.category_id == cuts.TROUSERS:
            n = len(inner)
            for i in (n // 2, n // 2 + 3, n - 4, n - 2):
                k = min(len(outer) - n + i + 1, len(outer) - 1)
                folds.append(
                    shape.Fold(part, tuple(inner[i]), tuple((inner[i] + outer[k]) / 2), -0.25, 0.02)
                )
    if cut.fly and not made.pose.back:
        marks.append(
            _line(
                'right_leg',
                shape.path([[0.05, y + 0.065], [0.05, y + 0.24], [0.0, y + 0.30]], [0, 0.15]),
                0.6,
                0.008,
            )
        )
        marks.append(_discs('right_leg', [[0.012, y + 0.035]], radius=0.016))
    if cut.drawstring and not made.pose.back:
        for part, sign in (('left_leg', -1), ('right_leg', 1)):
            marks.append(
                _line(part, [[0, y + 0.04], [sign * 0.03, y + 0.20]], 1.2, 0.014, second=True)
            )
    return marks, folds
