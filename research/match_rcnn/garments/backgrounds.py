"""What is behind the garments: a shop's clean backdrop, or wherever consumers take photos."""

from __future__ import annotations

import cv2
import numpy as np

from research.match_rcnn.garments import prints


def _colour(rng, low=40, high=235, spread=60):
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.uniform(-spread, spread, 3), 0, 255)


def _ramp(height, width, start, end, vertical):
    """A picture that goes from one colour to another: uint8 [height, width, 3]."""
    ends = np.stack([start, end]).astype(np.float32)[:, np.newaxis]
    if not vertical:
        ends = ends.transpose(1, 0, 2)
    return cv2.resize(ends, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def shop(image: np.ndarray, rng: np.random.Generator) -> None:
    """White, grey or a pale colour, with a floor now and then; fills uint8 [h, w, 3]."""
    height, width = image.shape[:2]
    light = rng.uniform(215, 255)
    base = np.clip(light + rng.uniform(-14, 14, 3) * (rng.uniform() < 0.6), 0, 255)
    other = np.clip(base - rng.uniform(0, 28), 0, 255)
    image[:] = _ramp(height, width, base, other, rng.uniform() < 0.7)
    if rng.uniform() < 0.3:
        line = int(height * rng.uniform(0.72, 0.92))
        image[line:] = _ramp(height - line, width, other - rng.uniform(5, 25), other, True)


def consumer(image: np.ndarray, rng: np.random.Generator) -> None:
    """A room or a street with things in it; fills uint8 [h, w, 3]."""
    height, width = image.shape[:2]
    outdoors = rng.uniform() < 0.35
    horizon = int(height * rng.uniform(0.45, 0.85))
    wall, floor = _colour(rng, 90, 235, 45), _colour(rng, 50, 190, 35)
    image[:horizon] = _ramp(
        horizon, width, wall, wall * rng.uniform(0.6, 0.95), rng.uniform() < 0.5
    )
    image[horizon:] = _ramp(height - horizon, width, floor * 0.75, floor, True)
    if outdoors:
        _street(image, rng, horizon)
    else:
        _room(image, rng, horizon)
    for _ in range(rng.integers(2, 7)):
        _thing(image, rng)
    _grain(image, rng)


def _rectangle(image, rng, x, y, w, h, colour, patterned=False):
    height, width = image.shape[:2]
    x1, x2 = max(int(x), 0), min(int(x + w), width)
    y1, y2 = max(int(y), 0), min(int(y + h), height)
    if x1 >= x2 or y1 >= y2:
        return
    if patterned:
        _patterned(image[y1:y2, x1:x2], rng, None)
    else:
        colour = np.asarray(colour, float)
        image[y1:y2, x1:x2] = _ramp(
            y2 - y1, x2 - x1, np.clip(colour * 1.08, 0, 255), colour * 0.85, rng.uniform() < 0.5
        )


def _patterned(part, rng, mask):
    """Covers a part with a print as garments have: it takes more than a print to be one."""
    pattern = prints.sample_pattern(rng, False)
    tile = prints.tile(pattern, prints.sample_palette(rng))
    size = max(16, int(part.shape[1] * rng.uniform(0.25, 0.8)))
    tile = cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA)
    repeats = -(-part.shape[0] // size), -(-part.shape[1] // size), 1
    filled = np.tile(tile, repeats)[: part.shape[0], : part.shape[1]]
    if mask is None:
        part[:] = filled
    else:
        cv2.copyTo(filled, mask, part)


def _room(image, rng, horizon):
    height, width = image.shape[:2]
    if rng.uniform() < 0.4:  # Tiles or boards.
        step = int(width * rng.uniform(0.06, 0.2)) + 2
        shade = _colour(rng, 60, 200, 20)
        for x in range(int(rng.integers(step)), width, step):
            cv2.line(image, (x, horizon), (int(x + 1.5 * (x - width / 2)), height), shade, 2)
    if rng.uniform() < 0.5:  # A door or window.
        w, h = width * rng.uniform(0.2, 0.45), height * rng.uniform(0.3, 0.8)
        x, y = rng.uniform(-0.1, 0.8) * width, horizon - h
        colour = _colour(rng, 80, 250, 30)
        _rectangle(image, rng, x - 4, y - 4, w + 8, h + 8, colour * 0.6)
        _rectangle(image, rng, x, y, w, h, colour)
        _rectangle(image, rng, x + w * 0.48, y, w * 0.04, h, colour * 0.6)
    for _ in range(rng.integers(0, 4)):  # Pictures on the wall.
        w, h = width * rng.uniform(0.08, 0.25), height * rng.uniform(0.06, 0.2)
        x, y = rng.uniform(0, 1) * width, rng.uniform(0, 0.5) * height
        _rectangle(image, rng, x - 3, y - 3, w + 6, h + 6, _colour(rng, 20, 120, 20))
        _rectangle(image, rng, x, y, w, h, _colour(rng), rng.uniform() < 0.5)
    if rng.uniform() < 0.5:  # A curtain or a bed's cover.
        tall = rng.uniform() < 0.5
        w, h = (
            (width * rng.uniform(0.12, 0.3), height)
            if tall
            else (width * rng.uniform(0.4, 0.9), height * rng.uniform(0.15, 0.35))
        )
        x = rng.choice([0, width - w])
        _rectangle(
            image, rng, x, 0 if tall else horizon - h * 0.4, w, h, _colour(rng), rng.uniform() < 0.6
        )


def _street(image, rng, horizon):
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 4)):
        w = width * rng.uniform(0.2, 0.6)
        x, top = rng.uniform(-0.2, 0.9) * width, horizon * rng.uniform(0, 0.6)
        colour = _colour(rng, 70, 210, 40)
        _rectangle(image, rng, x, top, w, horizon - top, colour)
        pane = max(int(w / rng.integers(3, 6)), 6)
        for column in range(int(x) + pane // 4, int(x + w) - pane // 2, pane):
            for row in range(int(top) + pane // 4, horizon - pane // 2, pane):
                _rectangle(image, rng, column, row, pane * 0.5, pane * 0.55, colour * 0.55)
    green = np.array([60, 120, 70]) * rng.uniform(0.6, 1.3)
    for _ in range(rng.integers(0, 14)):
        centre = (int(rng.uniform(0, width)), int(horizon - rng.uniform(0, 0.3) * height))
        cv2.circle(
            image,
            centre,
            int(width * rng.uniform(0.03, 0.12)),
            np.clip(green * rng.uniform(0.7, 1.3), 0, 255),
            -1,
        )


def _thing(image, rng):
    """A shape that is no garment, though it may have a garment's print."""
    height, width = image.shape[:2]
    centre = rng.uniform(0, 1, 2) * (width, height)
    size = width * rng.uniform(0.05, 0.2)
    kind = rng.integers(4)
    if kind == 0:
        _rectangle(
            image,
            rng,
            *(centre - size / 2),
            size,
            size * rng.uniform(0.5, 3),
            _colour(rng),
            rng.uniform() < 0.4,
        )
    elif kind == 1:
        cv2.circle(image, tuple(int(c) for c in centre), int(size * 0.6), _colour(rng), -1)
    elif kind == 2:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        points = centre + size * np.stack([np.cos(angles), np.sin(angles)], 1)
        points = np.round(points).astype(np.int32)
        if rng.uniform() < 0.5:
            cv2.fillPoly(image, [points], _colour(rng))
        else:
            low = np.maximum(points.min(0), 0)
            high = np.minimum(points.max(0) + 1, (width, height))
            if (high > low).all():
                mask = np.zeros((high - low)[::-1], np.uint8)
                cv2.fillPoly(mask, [points - low], 255)
                _patterned(image[low[1] : high[1], low[0] : high[0]], rng, mask)
    else:
        end = centre + rng.uniform(-1, 1, 2) * (width, height) * 0.4
        cv2.line(
            image,
            tuple(int(c) for c in centre),
            tuple(int(c) for c in end),
            _colour(rng),
            max(int(width * rng.uniform(0.005, 0.04)), 1),
        )


def _grain(image, rng):
    """Uneven light and texture."""
    height, width = image.shape[:2]
    cell = int(rng.integers(8, 60))
    coarse = rng.standard_normal([height // cell + 2, width // cell + 2]).astype(np.float32)
    coarse = cv2.resize(coarse, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
    fine = rng.standard_normal([height // 2, width // 2], np.float32)
    noise = rng.uniform(0, 8) * coarse + rng.uniform(0, 6) * fine
    noise = cv2.resize(noise, (width, height))
    image[:] = cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
