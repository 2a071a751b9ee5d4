"""Prints: they repeat, keep their geometry, and take their colours from the palette."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from research.match_rcnn.garments import prints

_PALETTE = prints.Palette((10, 20, 200), (220, 210, 30), (40, 240, 60))


def test_stripes():
    pattern = prints.Pattern('stripes', counts=(0, 4), share=0.5, seed=1)
    rows = prints.tile(pattern, _PALETTE).astype(float).mean(1)
    for row in range(prints.TILE):
        # 4 periods of 32 rows, the first half of each in the second colour.
        expected = _PALETTE.second if row % 32 < 16 else _PALETTE.first
        np.testing.assert_allclose(rows[row], expected, atol=2.5)


def test_checks_have_three_tones():
    pattern = prints.Pattern('checks', counts=(2, 2), share=0.5, seed=2)
    tile = prints.tile(pattern, _PALETTE).astype(float)
    first, second = np.array(_PALETTE.first), np.array(_PALETTE.second)
    blocks = tile.reshape(4, 32, 4, 32, 3).mean((1, 3))
    np.testing.assert_allclose(blocks[0, 0], second, atol=2)
    np.testing.assert_allclose(blocks[0, 1], (first + second) / 2, atol=2)
    np.testing.assert_allclose(blocks[1, 1], first, atol=2)


@pytest.mark.parametrize('kind', prints.KINDS)
def test_tiles_join(kind):
    pattern = prints.Pattern(kind, counts=(3, 3), share=0.4, seed=5)
    tile = prints.tile(pattern, _PALETTE).astype(float)
    assert tile.shape == (prints.TILE, prints.TILE, 3)
    for axis in (0, 1):
        steps = np.abs(np.diff(np.concatenate([tile, tile.take([0], axis)], axis), axis=axis))
        steps = steps.mean(tuple(i for i in (0, 1, 2) if i != axis))
        # The step over the seam is like steps inside, of which some cross the print's edges.
        assert steps[-1] <= 1.2 * steps.max() + 1


@pytest.mark.parametrize('kind', ['stripes', 'checks', 'dots', 'zigzag', 'flowers', 'camouflage'])
def test_styles_share_their_geometry(kind):
    pattern = prints.Pattern(kind, counts=(3, 3), share=0.4, seed=5)
    other = prints.Palette((200, 30, 40), (20, 200, 220), (250, 250, 10))

    def where(palette):
        tile = prints.tile(pattern, palette).astype(float)
        distances = [np.linalg.norm(tile - c, axis=-1) for c in dataclasses.astuple(palette)]
        return np.argmin(distances, 0)

    same = (where(_PALETTE) == where(other)).mean()
    # Where a check's colours mix, the nearest of the palette may be another.
    assert same > (0.55 if kind == 'checks' else 0.98)
    assert 0.02 < (where(_PALETTE) > 0).mean() < 0.9


def test_sampled_palettes_differ():
    rng = np.random.default_rng(3)
    for _ in range(50):
        a = prints.sample_palette(rng)
        b = prints.sample_palette(rng, (a,))
        assert prints.distance(a.first, a.second) > 60
        assert prints.distance(a.first, b.first) > 60


def test_decal_is_inside_its_square():
    pattern = prints.Pattern('plain', extra='graphic', word='KLM', emblem=1)
    colour, cover = prints.decal(pattern, _PALETTE)
    assert 1000 < (cover > 0).sum() < 7000
    letters = (colour == _PALETTE.third).all(-1)
    assert letters.sum() > 150 and (cover[letters] > 0).all()
