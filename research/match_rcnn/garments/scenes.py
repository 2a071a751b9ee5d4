"""Shop and consumer pictures of an identity: pose, viewpoint, framing, what is in the way."""

from __future__ import annotations

import dataclasses

import numpy as np

from research.match_rcnn.garments import (
    annotation,
    backgrounds,
    body,
    cloth,
    cuts,
    effects,
    identities,
    occluders,
    outfits,
    people,
)
from research.match_rcnn.garments import camera as camera_lib
from research.match_rcnn.garments import stage as stage_lib

_ATTEMPTS = 6


def picture(
    identity: identities.Identity,
    user: bool,
    index: int,
    size: tuple[int, int],
    supersampling: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list]:
    """A picture with its items.

    Args:
      identity: whose.
      user: a consumer's picture, else a shop's.
      index: which of the identity's pictures from that source, from 0.
      size: height, width in pixels.
      supersampling: see `stage.Stage`.
      rng: source of all that is random in it.

    Returns:
      uint8 [height, width, 3], blue, green, red, and `detection_table.Item`s.
    """
    for attempt in range(_ATTEMPTS):
        easy = attempt == _ATTEMPTS - 1
        stage = stage_lib.Stage(*size, supersampling)
        (_user if user else _shop)(stage, identity, index, easy, rng)
        items = annotation.items(stage)
        wanted = sum(shown.worn.required for shown in stage.shown)
        if easy or sum(worn.required for worn, _ in items) == wanted:
            break
    final = (effects.consumer if user else effects.shop)(stage.canvas.picture(), rng)
    return final, [item for _, item in items]


# Kinds of scenes.


def _shop(stage, identity, index, easy, rng):
    backgrounds.shop(stage.canvas.image, rng)
    kind = rng.choice(['flat', 'hanger', 'mannequin', 'model'], p=[0.16, 0.10, 0.10, 0.64])
    if easy:
        kind = 'model'
    items = outfits.choose(identity, index, kind in ('mannequin', 'model'), False, rng)
    if kind in ('flat', 'hanger'):
        _lay(stage, items, rng, hanger=kind == 'hanger', turn=4, bend=0.006, fill=(0.7, 0.95))
        return
    mannequin = kind == 'mannequin'
    viewpoint, pose, turn = _stance(rng, 0.0 if mannequin or easy else 0.28, casual=False)
    if mannequin:
        viewpoint = stage_lib.NO_WEAR
    person = people.sample(rng, mannequin)
    framing = 'items' if easy else rng.choice(['full', 'items', 'zoom'], p=[0.4, 0.5, 0.1])
    matrix, waves = _framed(
        stage, items, pose, turn, rng, framing, person.head, degrees=3, bend=0.006, slant=0.08
    )
    view = cloth.View(
        stage.canvas,
        camera_lib.Camera(matrix, turn, waves, stage.canvas.supersampling),
        _light(rng),
    )
    stage.dress(view, person, pose, items, viewpoint, rng.uniform() < 0.35)
    if not mannequin and not easy:
        occluders.on_figure(view, pose, rng, often=0.12)


def _user(stage, identity, index, easy, rng):
    backgrounds.consumer(stage.canvas.image, rng)
    laid = not easy and rng.uniform() < 0.10
    items = outfits.choose(identity, index, not laid, True, rng)
    if laid:
        _lay(stage, items, rng, hanger=rng.uniform() < 0.35, turn=35, bend=0.02, fill=(0.5, 1.15))
        occluders.in_front(stage.canvas, rng, often=0.3)
        return
    viewpoint, pose, turn = _stance(rng, 0.0 if easy else 0.26, casual=not easy)
    person = people.sample(rng)
    framing = (
        'items'
        if easy
        else rng.choice(['full', 'items', 'zoom', 'small'], p=[0.26, 0.28, 0.30, 0.16])
    )
    matrix, waves = _framed(
        stage,
        items,
        pose,
        turn,
        rng,
        framing,
        True,
        degrees=4 if easy else 14,
        bend=0.004 if easy else 0.03,
        slant=0.3,
    )
    view = cloth.View(
        stage.canvas,
        camera_lib.Camera(matrix, turn, waves, stage.canvas.supersampling),
        _light(rng),
    )
    stage.dress(view, person, pose, items, viewpoint, rng.uniform() < 0.35)
    if not easy:
        occluders.on_figure(view, pose, rng, often=0.45)
        occluders.in_front(stage.canvas, rng, often=0.14)


def _light(rng):
    angle = rng.uniform(np.pi, 2 * np.pi)
    return 0.6 * np.cos(angle), 0.6 * np.sin(angle)


# Poses.


def _stance(rng, aside, casual):
    """Viewpoint, pose and the camera's turn; `aside`: how often the figure does not face it."""
    away = rng.uniform() < aside
    pose = body.Pose(
        arms=(_arm(rng, casual, away), _arm(rng, casual, away)),
        legs=tuple((rng.uniform(1, 7 + 5 * casual), rng.uniform(-2, 5)) for _ in range(2)),
    )
    if not away:
        shift = rng.uniform(-0.05, 0.05)
        return stage_lib.FRONTAL, pose, (rng.uniform(0.92, 1.0), shift)
    if rng.uniform() < 0.5:
        turn = rng.uniform(0.88, 1.0), rng.uniform(-0.06, 0.06)
        return stage_lib.SIDE_OR_BACK, dataclasses.replace(pose, back=True), turn
    squeeze = rng.uniform(0.60, 0.80)
    far = int(rng.choice([-1, 1]))
    shift = far * rng.uniform(0.5, 0.85) * 0.21 * squeeze
    pose = dataclasses.replace(
        pose,
        far=far,
        back=rng.uniform() < 0.2,
        arms=tuple((angles[0] * 0.6, angles[1] * 0.6) for angles in pose.arms),
    )
    return stage_lib.SIDE_OR_BACK, pose, (squeeze, shift)


def _arm(rng, casual, away):
    """Angles of an arm; of a figure that is turned `away` none is before its chest."""
    chances = {'down': 0.74, 'hip': 0.16, 'out': 0.10}
    if casual and not away:
        chances = {'down': 0.55, 'hip': 0.15, 'across': 0.12, 'up': 0.10, 'out': 0.08}
    kind = rng.choice(list(chances), p=list(chances.values()))
    uniform = rng.uniform
    return {
        'down': (uniform(6, 24), uniform(-4, 18)),
        'hip': (uniform(36, 50), uniform(-55, -30)),
        'across': (uniform(8, 22), uniform(-100, -70)),
        'up': (uniform(12, 30), uniform(-165, -130)),
        'out': (uniform(35, 70), uniform(30, 80)),
    }[kind]


# Framing.


def _framed(stage, items, pose, turn, rng, framing, head, degrees, bend, slant):
    """The camera's matrix and waves."""
    garments = [stage_lib.shaped(item, pose) for item in items]
    target = stage_lib.extent(garments)
    if framing in ('full', 'small'):
        top = [0, body.HEAD[1] - 0.3] if head else [0, -0.2]
        target = np.concatenate([target, [top, [-0.3, body.ANKLE + 0.2], [0.3, body.ANKLE + 0.2]]])
    elif framing == 'zoom':
        required = [garment for garment, item in zip(garments, items, strict=True) if item.required]
        target = stage_lib.extent([required[rng.integers(len(required))]])
    fill = {
        'full': (0.84, 0.97),
        'items': (0.72, 0.98),
        'zoom': (1.05, 1.6),
        'small': (0.48, 0.72),
    }[framing]
    waves = _waves(rng, bend)
    matrix, _ = _placed(
        stage,
        target,
        turn,
        waves,
        rng,
        rng.uniform(*fill),
        rng.normal(0, degrees / 2),
        rng.uniform(-slant, slant, 2),
        rng.uniform(0.9, 1.1),
    )
    return matrix, waves


def _waves(rng, bend):
    """Two bends: amplitudes up to `bend`, a wave length of a torso and more."""
    waves = np.zeros([2, 5])
    waves[:, :2] = rng.uniform(-bend, bend, [2, 2])
    waves[:, 2:4] = rng.uniform(-0.9, 0.9, [2, 2])
    waves[:, 4] = rng.uniform(0, 1, 2)
    return waves


def _placed(stage, target, turn, waves, rng, fill, degrees, slant, stretch, most=np.inf):
    """A matrix that makes `target` fill a part of the picture, somewhere in it, and its scale."""
    supersampling = stage.canvas.supersampling
    height, width = (side / supersampling for side in stage.canvas.top.shape)
    bent = camera_lib.Camera(np.diag([stretch, 1, 1]), turn, waves).project(target)
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = bent @ rotation.T
    low, high = turned.min(0), turned.max(0)
    span = high - low
    scale = min(fill * min(width / span[0], height / span[1]), most)
    middle = (low + high) / 2 @ rotation
    room = np.abs([width, height] - scale * span) / 2
    # Close up, some of the target may be outside, but not most of it.
    reach = room if fill <= 1 else np.minimum(0.8 * room, 0.25 * np.array([width, height]))
    place = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * reach
    matrix = camera_lib.placing(
        tuple(middle), tuple(place), scale, degrees, tuple(slant / span.max())
    )
    return matrix @ np.diag([stretch, 1.0, 1.0]), scale


def _lay(stage, items, rng, hanger, turn, bend, fill):
    """Garments that nobody wears, each by itself."""
    height, width = (side / stage.canvas.supersampling for side in stage.canvas.top.shape)
    count = len(items)
    part = rng.uniform(*fill) * (0.62 if count > 1 else 1.0)
    scale = np.inf
    beside = count > 1 and rng.uniform() < 0.5
    # What is worn below lies below.
    order = rng.permutation(count) if beside else range(count - 1, -1, -1)
    for position, i in enumerate(order):
        item = items[i]
        spread = rng.uniform(6, 22) if hanger else rng.uniform(8, 60)
        arms = (spread, spread + rng.uniform(-6, 14))
        back = rng.uniform() < 0.06
        pose = body.Pose(arms=(arms, arms), legs=((rng.uniform(1, 5),) * 2,) * 2, back=back)
        garment = stage_lib.shaped(item, pose)
        target = stage_lib.extent([garment])
        waves = _waves(rng, bend)
        matrix, scale = _placed(
            stage,
            target,
            (1.0, 0.0),
            waves,
            rng,
            part,
            rng.normal(0, turn / 2),
            rng.uniform(-0.05, 0.05, 2),
            1.0,
            1.2 * scale,
        )
        if count > 1:  # Each in its part of the picture, a little over the other perhaps.
            shift = (position - (count - 1) / 2) * 0.42
            place = np.array([width * (shift if beside else 0), height * (0 if beside else shift)])
            center = matrix @ [*target.mean(0), 1.0]
            place += np.array([width, height]) / 2 - center[:2] / center[2]
            place += rng.uniform(-0.05, 0.05, 2) * width
            matrix = np.array([[1, 0, place[0]], [0, 1, place[1]], [0, 0, 1.0]]) @ matrix
        camera = camera_lib.Camera(matrix, (1.0, 0.0), waves, stage.canvas.supersampling)
        view = cloth.View(stage.canvas, camera, _light(rng))
        shown = stage.hang(view, item, pose, stage_lib.NO_WEAR)
        for piece in garment.pieces:
            stage.canvas.shadow(
                camera.project(piece.outline), (0.02 * view.scale,) * 2, 0.03 * view.scale, 0.35
            )
        stage.paint(view, shown, lambda part: part == 'inside')
        if hanger:
            lower = item.category_id in cuts.LOWER
            y, half = (
                (item.design.cut.rise, item.design.cut.waist)
                if lower
                else (garment.landmarks[1][1] + 0.03, 0.30)
            )
            people.hanger(view, y, half)
        stage.paint(view, shown, lambda part: part != 'inside')
