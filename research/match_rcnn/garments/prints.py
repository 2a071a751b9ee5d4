"""Cloth: colours and prints.

An identity has a `Pattern`, the geometry of its print; a style of it has a `Palette`. A pattern is
a tile that repeats, with something that does not (a graphic on the chest, a second colour below a
line).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np

TILE = 128  # Pixels of a tile.
KINDS = ('plain', 'stripes', 'checks', 'dots', 'zigzag', 'flowers', 'melange', 'camouflage')
EXTRAS = ('', 'two_tone', 'gradient', 'sleeves', 'graphic', 'logo')
_LETTERS = 'ABCDEHKLMNORSTUVXYZ'


@dataclasses.dataclass(frozen=True)
class Pattern:
    """The geometry of a print.

    Attributes:
      kind: one of KINDS.
      size: of a tile, in the figure's units.
      counts: how often the print repeats along the tile's x and y, of stripes the direction.
      share: of the second colour, 0 to 1.
      seed: of what is irregular.
      extra: one of EXTRAS.
      line: y below which the second colour begins ('two_tone'), or its middle ('gradient').
      word: the letters of a graphic or logo.
      emblem: 0 to 4, the shape of a graphic.
    """

    kind: str = 'plain'
    size: float = 0.4
    counts: tuple[int, int] = (0, 4)
    share: float = 0.5
    seed: int = 0
    extra: str = ''
    line: float = 0.6
    word: str = ''
    emblem: int = 0


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of a style: (blue, green, red), 0 to 255."""

    first: tuple[int, int, int]
    second: tuple[int, int, int]
    third: tuple[int, int, int]


def sample_pattern(rng: np.random.Generator, upper: bool) -> Pattern:
    """A print's geometry; `upper`: of a garment with a chest."""
    kind = rng.choice(KINDS, p=[0.26, 0.19, 0.12, 0.10, 0.07, 0.10, 0.09, 0.07])
    counts = {
        'stripes': [(0, n) for n in (2, 3, 5, 8)] + [(n, 0) for n in (3, 5, 8)] + [(3, 3), (4, -4)],
        'checks': [(n, n) for n in (2, 3, 4, 6)],
        'dots': [(n, n) for n in (2, 3, 4, 6)],
        'zigzag': [(3, 3), (4, 5), (2, 4)],
        'flowers': [(n, n) for n in (2, 3)],
    }.get(kind, [(1, 1)])
    extras = EXTRAS[1:] if upper else EXTRAS[1:3]
    plainish = kind in ('plain', 'melange')
    extra = str(rng.choice(extras)) if rng.uniform() < (0.7 if plainish else 0.12) else ''
    if not plainish and extra in ('graphic', 'gradient'):
        extra = 'sleeves' if upper else ''
    return Pattern(
        kind=str(kind),
        size=float(rng.uniform(0.30, 0.48)),
        counts=counts[rng.integers(len(counts))],
        share=float(rng.uniform(0.25, 0.6)),
        seed=int(rng.integers(2**31)),
        extra=extra,
        line=float(rng.uniform(0.45, 0.75) if upper else rng.uniform(1.1, 1.5)),
        word=''.join(rng.choice(list(_LETTERS), rng.integers(2, 5))),
        emblem=int(rng.integers(5)),
    )


def _colour(rng, near=None):
    """A colour, neutral now and then."""
    hue = rng.uniform(0, 180)
    if rng.uniform() < 0.3:
        saturation, value = rng.uniform(0, 25), rng.choice([35, 70, 130, 190, 235])
    else:
        saturation, value = rng.uniform(70, 230), rng.uniform(70, 240)
    pixel = np.uint8([[[hue, saturation, value]]])
    return tuple(int(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0])


def distance(a: Any, b: Any) -> float:
    """How far apart two colours are, 0 to about 440."""
    return float(np.linalg.norm(np.subtract(a, b)))


def sample_palette(rng: np.random.Generator, others: tuple[Palette, ...] = ()) -> Palette:
    """Three colours that differ, the first also from those of `others`."""
    first = _colour(rng)
    for _ in range(20):
        if all(distance(first, other.first) > 110 for other in others):
            break
        first = _colour(rng)
    rest = []
    for _ in range(2):
        colour = _colour(rng)
        for _ in range(20):
            if all(distance(colour, c) > 90 for c in (first, *rest)):
                break
            colour = _colour(rng)
        rest.append(colour)
    return Palette(first, *rest)


def tile(pattern: Pattern, palette: Palette) -> np.ndarray:
    """The part of a print that repeats: uint8 [TILE, TILE, 3]."""
    rng = np.random.default_rng(pattern.seed)
    first, second, third = (np.float32(c) for c in dataclasses.astuple(palette))
    v, u = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    nx, ny = pattern.counts
    if pattern.kind == 'stripes':
        phase = (nx * u + ny * v) % 1
        image = np.where((phase < pattern.share)[..., np.newaxis], second, first)
        thin = (phase > 0.84) & (phase < 0.93) & (pattern.seed % 3 == 0)
        image = np.where(thin[..., np.newaxis], third, image)
    elif pattern.kind == 'checks':
        wide = pattern.share
        a, b = ((nx * u) % 1 < wide), ((ny * v) % 1 < wide)
        weight = (0.5 * a + 0.5 * b)[..., np.newaxis].astype(np.float32)
        image = first * (1 - weight) + second * weight
        if pattern.seed % 2:
            thin = (np.abs((nx * u) % 1 - 0.8) < 0.05) | (np.abs((ny * v) % 1 - 0.8) < 0.05)
            image = np.where(thin[..., np.newaxis], third, image)
    elif pattern.kind == 'zigzag':
        wave = np.abs((nx * u) % 1 - 0.5)
        phase = (ny * v + wave) % 1
        image = np.where((phase < pattern.share)[..., np.newaxis], second, first)
    else:
        image = np.empty([TILE, TILE, 3], np.float32)
        image[:] = first
    if pattern.kind in ('dots', 'flowers'):
        image = _scatter(image, pattern, palette, rng)
    if pattern.kind == 'camouflage':
        image = _camouflage(image, palette, rng)
    noise = rng.standard_normal([TILE, TILE], np.float32)
    if pattern.kind == 'melange':
        rows = cv2.blur(noise, (9, 1), borderType=cv2.BORDER_REFLECT) * 3
        lighter = 255 - first if first.mean() < 128 else -first
        image = image + (0.16 * rows)[..., np.newaxis] * (0.5 * lighter + 0.25 * (second - first))
        weave = 6.0
    else:
        weave = 3.5
    return np.clip(image + weave * noise[..., np.newaxis], 0, 255).astype(np.uint8)


def _around(image, x, y, radius, colour):
    """A disc on a surface whose opposite edges meet."""
    for dx in (-TILE, 0, TILE):
        for dy in (-TILE, 0, TILE):
            if -radius <= x + dx <= TILE + radius and -radius <= y + dy <= TILE + radius:
                cv2.circle(image, (int(x + dx), int(y + dy)), int(max(radius, 1)), colour, -1)


def _scatter(image, pattern, palette, rng):
    n = pattern.counts[0]
    step = TILE / n
    for i in range(n):
        for j in range(n):
            x, y = (i + 0.25 + 0.5 * (j % 2)) * step, (j + 0.5) * step
            if pattern.kind == 'dots':
                _around(image, x, y, step * (0.14 + 0.25 * pattern.share), palette.second)
                continue
            x, y = x + rng.uniform(-0.2, 0.2) * step, y + rng.uniform(-0.2, 0.2) * step
            petal = step * (0.13 + 0.1 * pattern.share)
            turn = rng.uniform(0, 2 * np.pi)
            for k in range(5):
                angle = turn + 2 * np.pi * k / 5
                _around(
                    image,
                    x + petal * 1.2 * np.cos(angle),
                    y + petal * 1.2 * np.sin(angle),
                    petal,
                    palette.second,
                )
            _around(image, x, y, petal * 0.8, palette.third)
    return image


def _camouflage(image, palette, rng):
    for colour, sigma in ((palette.second, 9), (palette.third, 6)):
        noise = np.tile(rng.standard_normal([TILE, TILE], np.float32), (3, 3))
        smooth = cv2.GaussianBlur(noise, (0, 0), sigma)[TILE : 2 * TILE, TILE : 2 * TILE]
        level = np.quantile(smooth, 0.68)
        image = np.where((smooth > level)[..., np.newaxis], np.float32(colour), image)
    return image


def decal(pattern: Pattern, palette: Palette) -> tuple[np.ndarray, np.ndarray]:
    """The graphic or logo: uint8 [96, 96, 3] and where it covers, uint8 [96, 96]."""
    side = 96
    colour = np.empty([side, side, 3], np.uint8)
    colour[:] = palette.second
    mask = np.zeros([side, side], np.uint8)
    middle = side / 2
    if pattern.extra == 'graphic':
        rays = {0: 0, 1: 5, 2: 3, 3: 4, 4: 8}[pattern.emblem]
        if not rays:
            cv2.circle(mask, (48, 44), 36, 255, -1)
        else:
            angles = np.arange(2 * rays) * np.pi / rays - np.pi / 2
            radii = np.where(np.arange(2 * rays) % 2, 40 if rays == 4 else 18, 42)
            points = np.stack([middle + radii * np.cos(angles), 44 + radii * np.sin(angles)], 1)
            cv2.fillPoly(mask, [points.astype(np.int32)], 255)
    scale = 1.5 if pattern.extra == 'graphic' else 2.6
    font = cv2.FONT_HERSHEY_DUPLEX
    word = pattern.word[:3] if pattern.extra == 'graphic' else pattern.word
    (width, height), _ = cv2.getTextSize(word, font, 1.0, 3)
    scale = min(scale, 86 / max(width, 1))
    place = (int(middle - scale * width / 2), int(46 + scale * height / 2))
    letters = np.zeros_like(mask)
    cv2.putText(letters, word, place, font, scale, 255, 5 if pattern.extra == 'logo' else 4)
    colour[letters > 0] = palette.third if pattern.extra == 'graphic' else palette.second
    return colour, np.maximum(mask, letters)
