"""What is in the way: bags, telephones, things in the foreground."""

from __future__ import annotations

import cv2
import numpy as np

from research.match_rcnn.garments import body, cloth, people, prints, shape
from research.match_rcnn.garments import canvas as canvas_lib


def _put(view, outline, fabric):
    view.paint(shape.Piece('thing', np.asarray(outline, float)), fabric, view.canvas.new_layer())


def _fabric(rng):
    grey = rng.uniform(25, 220)
    return people.plain(np.clip(grey + rng.uniform(-50, 50, 3), 0, 255))


def on_figure(view: cloth.View, pose: body.Pose, rng: np.random.Generator, often: float) -> None:
    """Things that the figure carries; `often`: the chance that there is one."""
    for side, angles in ((shape.LEFT, pose.arms[0]), (shape.RIGHT, pose.arms[1])):
        if angles[1] < -120 and rng.uniform() < 0.85:
            _telephone(view, pose, side, rng)
            return
    if rng.uniform() >= often:
        return
    kind = rng.integers(2 if pose.back else 3)  # A scarf's ends are in front.
    side = int(rng.choice([-1, 1]))
    if kind == 0:
        _shoulder_bag(view, side, rng)
    elif kind == 1:
        _hand_bag(view, pose, side, rng)
    else:
        _scarf(view, rng)


def _telephone(view, pose, side, rng):
    axis = body.arm(pose, side)
    x, y = axis[-1] + [0, -0.06]
    w, h = rng.uniform(0.06, 0.085), rng.uniform(0.12, 0.16)
    _put(view, [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]], _fabric(rng))


def _shoulder_bag(view, side, rng):
    """Across the chest, the bag at the other hip."""
    end = np.array([-side * rng.uniform(0.24, 0.36), rng.uniform(0.75, 1.1)])
    start = np.array([side * rng.uniform(0.18, 0.28), 0.03])
    fabric = _fabric(rng)
    across = np.array([0.02, 0.012 * side])
    _put(view, [start - across, start + across, end + across, end - across], fabric)
    w, h = rng.uniform(0.11, 0.2), rng.uniform(0.09, 0.17)
    _put(view, _rounded(end + [0, h * 0.8], w, h), fabric)


def _hand_bag(view, pose, side, rng):
    hand = body.arm(pose, side)[-1] + [0, 0.08]
    fabric = _fabric(rng)
    w, h = rng.uniform(0.16, 0.28), rng.uniform(0.13, 0.24)
    middle = hand + [side * rng.uniform(-0.05, 0.1), 0.16 + h]
    for x in (-0.5, 0.5):
        top = np.array([middle[0] + x * w, middle[1] - h])
        _put(
            view,
            [hand - [0.012, 0], hand + [0.012, 0], top + [0.012, 0.01], top - [0.012, 0]],
            fabric,
        )
    _put(view, _rounded(middle, w, h), fabric)


def _rounded(middle, w, h):
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(middle) + np.stack(
        [w * np.sign(cos) * np.abs(cos) ** 0.35, h * np.sign(sin) * np.abs(sin) ** 0.35], 1
    )


def _scarf(view, rng):
    """Around the neck, its ends on the chest."""
    fabric = _fabric(rng)
    if rng.uniform() < 0.6:
        pattern = prints.sample_pattern(rng, False)
        fabric = cloth.Fabric.of(pattern, prints.sample_palette(rng))
    length = rng.uniform(0.35, 0.7)
    for side in (shape.LEFT, shape.RIGHT):
        end = 0.10 + length * rng.uniform(0.7, 1.0)
        x = rng.uniform(0.03, 0.10)
        _put(
            view,
            np.array(
                [
                    [0.13, -0.06],
                    [x + 0.06, 0.15],
                    [x + 0.07, end],
                    [x - 0.06, end],
                    [x - 0.05, 0.15],
                    [0.02, 0.06],
                ]
            )
            * [side, 1],
            fabric,
        )
    _put(view, people.ellipse((0, 0.0), (0.17, 0.075)), fabric)


def in_front(canvas: canvas_lib.Canvas, rng: np.random.Generator, often: float) -> None:
    """Something near the camera, at an edge of the picture; `often`: the chance that there is."""
    if rng.uniform() >= often:
        return
    height, width = canvas.top.shape
    layer = canvas.new_layer()
    mask = np.zeros([height, width], np.uint8)
    side = int(rng.integers(4))
    edge = np.array(
        [
            [0, rng.uniform(0, 1)],
            [1, rng.uniform(0, 1)],
            [rng.uniform(0, 1), 1],
            [rng.uniform(0, 1), 0],
        ][side]
    ) * [width, height]
    reach = rng.uniform(0.12, 0.34) * min(width, height)
    if rng.uniform() < 0.5:  # A leaf or a blob.
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radii = reach * (1 + 0.3 * np.sin(angles * rng.integers(2, 7) + rng.uniform(0, 6)))
        points = edge + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, np.newaxis]
    else:  # A rail, a chair's back, someone's shoulder.
        direction = np.array([width, height]) / 2 - edge
        direction = direction / np.linalg.norm(direction) + rng.normal(0, 0.5, 2)
        direction /= np.linalg.norm(direction)
        across = np.array([-direction[1], direction[0]]) * reach * rng.uniform(0.2, 0.6)
        end = edge + direction * reach * rng.uniform(1.5, 2.6)
        start = edge - direction * reach
        points = np.array([start - across, start + across, end + across, end - across])
    canvas_lib.fill(mask, [points], 255)
    colour = np.empty([height, width, 3], np.uint8)
    colour[:] = np.clip(rng.uniform(20, 220) + rng.uniform(-50, 50, 3), 0, 255)
    light = np.linspace(0.75, 1.15, width, dtype=np.float32)[np.newaxis].repeat(height, 0)
    colour = cv2.multiply(colour, cv2.merge([light] * 3), dtype=cv2.CV_8U)
    canvas.paint((slice(0, height), slice(0, width)), mask, colour, layer)
