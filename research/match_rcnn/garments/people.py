"""Figures: skin, heads, hair, shoes, and the mannequins and hangers of shops."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from research.match_rcnn.garments import body, cloth, prints, shape
from research.match_rcnn.garments import canvas as canvas_lib

# Blue, green, red.
_SKINS = (
    (180, 205, 240),
    (150, 185, 230),
    (120, 160, 210),
    (85, 125, 180),
    (60, 90, 140),
    (40, 60, 95),
)
_HAIRS = (
    (20, 22, 28),
    (30, 45, 75),
    (50, 85, 130),
    (110, 170, 205),
    (40, 60, 120),
    (120, 125, 130),
)
_ARMHOLE = 8  # Points of an arm that are inside the armhole of a garment.
_HAIR_CUTS = ('short', 'bob', 'long', 'long', 'bun')


@dataclasses.dataclass
class Person:
    """Who wears it.

    Attributes:
      skin: its fabric.
      hair: its fabric; None: a mannequin's bare head.
      hair_cut: 'short', 'bob', 'long' or 'bun'.
      strands: long hair falls over the shoulders in front.
      shoes: their fabric.
      head, arms: whether it has them: mannequins may not.
    """

    skin: cloth.Fabric
    hair: cloth.Fabric | None
    hair_cut: str
    strands: bool
    shoes: cloth.Fabric
    head: bool = True
    arms: bool = True


def plain(colour: Sequence[int]) -> cloth.Fabric:
    """A fabric of one colour."""
    colour = tuple(int(c) for c in colour)
    return cloth.Fabric.of(prints.Pattern(), prints.Palette(colour, colour, colour))


def sample(rng: np.random.Generator, mannequin: bool = False) -> Person:
    """A person, or a mannequin."""
    if mannequin:
        grey = rng.uniform(150, 235)
        tint = rng.uniform(0, 25)
        skin = plain((grey - tint, grey - tint / 2, grey))
        return Person(
            skin, None, '', False, skin, head=rng.uniform() < 0.5, arms=rng.uniform() < 0.6
        )
    skin = np.array(_SKINS[rng.integers(len(_SKINS))]) * rng.uniform(0.92, 1.05)
    hair = np.array(_HAIRS[rng.integers(len(_HAIRS))]) * rng.uniform(0.8, 1.1)
    cut = _HAIR_CUTS[rng.integers(len(_HAIR_CUTS))]
    shoes = rng.choice([25, 60, 120, 220]) + rng.uniform(-15, 15, 3)
    return Person(
        plain(np.minimum(skin, 255)),
        plain(np.minimum(hair, 255)),
        cut,
        cut == 'long' and rng.uniform() < 0.5,
        plain(np.clip(shoes, 0, 255)),
    )


def ellipse(
    centre: Sequence[float],
    radii: Sequence[float],
    count: int = 28,
    start: float = 0,
    stop: float = 360,
) -> np.ndarray:
    """Points on an ellipse, degrees clockwise from the right."""
    angle = np.radians(np.linspace(start, stop, count, endpoint=stop - start < 360))
    return np.asarray(centre) + np.stack([np.cos(angle), np.sin(angle)], 1) * radii


def _put(view, outline, fabric, tone=1.0):
    view.paint(
        shape.Piece('skin', np.asarray(outline, float), tone=tone), fabric, view.canvas.new_layer()
    )


def back_hair(view: cloth.View, person: Person, pose: body.Pose) -> None:
    """Hair that is behind the body; seen from behind there is none."""
    if person.hair is None or pose.back or not person.head:
        return
    x, y = body.HEAD
    if person.hair_cut == 'bob':
        _put(view, _mane(0.21, -0.16), person.hair, 0.7)
    elif person.hair_cut == 'long':
        _put(view, _mane(0.24, 0.30), person.hair, 0.7)
    elif person.hair_cut == 'bun':
        _put(view, ellipse((x, y - 0.25), (0.09, 0.08)), person.hair)


def _mane(half, bottom):
    """The outline of hair down to `bottom`, to `half` on each side."""
    x, y = body.HEAD
    tips = ellipse((0, bottom - 0.07), (half - 0.02, 0.07), 12, 0, 180)
    return np.concatenate(
        [
            ellipse((x, y - 0.02), (half - 0.02, 0.24), 16, 180, 360),
            [[half, y + 0.10]],
            tips,
            [[-half, y + 0.10]],
        ]
    )


def legs_and_trunk(view: cloth.View, person: Person, pose: body.Pose) -> None:
    """Bare legs with shoes, the torso with the neck, and the shoulders."""
    for side in (shape.LEFT, shape.RIGHT):
        axis = body.leg(pose, side)
        _put(view, body.limb_outline(axis, 0.145, 0.055, side), person.skin)
        foot = axis[-1] + [side * 0.03, 0.06]
        _put(view, ellipse(foot, (0.085, 0.085 if pose.back else 0.11)), person.shoes)
        if person.arms:
            upper = body.arm(pose, side)[:14]
            _put(view, body.limb_outline(upper, 0.078, 0.07, side), person.skin)
    _put(view, body.torso_outline(), person.skin, 0.95)


def arm(view: cloth.View, person: Person, pose: body.Pose, side: int) -> None:
    """A bare arm with its hand, from where it leaves the garment at its shoulder."""
    if not person.arms:
        return
    axis = body.arm(pose, side)
    forward = axis[-1] - axis[-3]
    forward /= np.linalg.norm(forward)
    angle = np.degrees(np.arctan2(forward[1], forward[0]))
    hand = ellipse((0, 0), (0.10, 0.052))
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    hand = hand @ np.array([[cos, sin], [-sin, cos]]) + axis[-1] + 0.075 * forward
    _put(view, hand, person.skin)
    _put(view, body.limb_outline(axis[_ARMHOLE:], 0.072, 0.042, side), person.skin)


def head(view: cloth.View, person: Person, pose: body.Pose) -> None:
    """The head with face and hair, and hair that falls over the garments."""
    if not person.head:
        return
    x, y = body.HEAD
    width, height = body.HEAD_RADII
    _put(view, ellipse(body.HEAD, body.HEAD_RADII), person.skin)
    if person.hair is None:
        return
    if pose.back:
        bottom = {'short': -0.28, 'bob': -0.14, 'long': 0.34, 'bun': -0.26}[person.hair_cut]
        _put(view, _mane(0.19 if person.hair_cut != 'long' else 0.22, bottom), person.hair)
        return
    fringe = np.concatenate(
        [
            ellipse((x, y - 0.01), (width + 0.02, height + 0.03), 20, 170, 370),
            [
                [x + 0.12, y - 0.02],
                [x + 0.09, y - 0.10],
                [x - 0.02, y - 0.13],
                [x - 0.11, y - 0.06],
            ],
        ]
    )
    _face(view)
    _put(view, fringe, person.hair)
    if person.strands:
        for side in (shape.LEFT, shape.RIGHT):
            strand = np.array(
                [
                    [0.13, y - 0.05],
                    [0.18, y + 0.02],
                    [0.20, -0.05],
                    [0.22, 0.20],
                    [0.15, 0.36],
                    [0.10, 0.18],
                    [0.12, -0.05],
                ]
            )
            _put(view, strand * [side, 1], person.hair)


def _face(view):
    x, y = body.HEAD
    image, dark = view.canvas.image, (45, 40, 60)
    eyes = view.camera.project(np.array([[x - 0.055, y + 0.0], [x + 0.055, y + 0.0]]))
    canvas_lib.discs(image, eyes, dark, 0.016 * view.scale)
    mouth = view.camera.project(
        np.array([[x - 0.04, y + 0.115], [x, y + 0.125], [x + 0.04, y + 0.115]])
    )
    canvas_lib.line(image, mouth, (80, 70, 150), 0.018 * view.scale)


def hanger(view: cloth.View, shoulders_y: float, half_width: float) -> None:
    """A hanger with its hook, over which the garment is painted."""
    image, grey = view.canvas.image, (95, 100, 110)
    top = shoulders_y - 0.10
    arms = np.array([[-half_width, shoulders_y + 0.05], [0, top], [half_width, shoulders_y + 0.05]])
    canvas_lib.line(image, view.camera.project(arms), grey, 0.05 * view.scale)
    hook = np.concatenate(
        [[[0, top], [0, top - 0.08]], ellipse((0, top - 0.14), (0.05, 0.055), 12, 90, -160)]
    )
    canvas_lib.line(image, view.camera.project(hook), (120, 120, 125), 0.018 * view.scale)
