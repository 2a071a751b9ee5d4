"""Tops, outwear and dresses: where their landmarks are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from research.match_rcnn import categories
from research.match_rcnn.garments import body, cuts, upper

_IDS = [i for i in range(1, 14) if i not in cuts.LOWER]
_POSE = body.Pose(arms=((30.0, 25.0), (30.0, 25.0)))


def _samples(category_id, count=12):
    rng = np.random.default_rng(category_id)
    return [cuts.sample(category_id, rng) for _ in range(count)]


@pytest.mark.parametrize('category_id', _IDS)
def test_landmarks_are_mirror_images(category_id):
    flip = list(categories.CATEGORIES[category_id - 1].flip)
    for cut in _samples(category_id):
        landmarks = upper.build(cut, _POSE).landmarks
        assert landmarks.shape == (categories.LANDMARK_COUNTS[category_id - 1], 2)
        np.testing.assert_allclose(landmarks[flip] * [-1, 1], landmarks, atol=1e-9)


@pytest.mark.parametrize('category_id', _IDS)
def test_landmarks_are_on_the_edges_of_their_pieces(category_id):
    for cut in _samples(category_id):
        garment = upper.build(cut, _POSE)
        outlines = {piece.part: piece.outline.astype(np.float32) for piece in garment.pieces}
        for point, home in zip(garment.landmarks, garment.homes, strict=True):
            distances = [
                abs(cv2.pointPolygonTest(outlines[part], tuple(map(float, point)), True))
                for part in home
            ]
            assert min(distances) < 0.02, (cut, point, home)


def test_layout_of_a_short_sleeve_top():
    cut = cuts.UpperCut(
        cuts.SHORT_TOP,
        length=1.0,
        armpit=0.4,
        chest=0.3,
        waist=0.3,
        hem=0.3,
        sag=0.05,
        neck_depth=0.2,
        neck_width=0.15,
    )
    p = upper.build(cut, _POSE).landmarks
    assert p[0, 0] == 0 and p[0, 1] < p[3, 1]  # The back of the neck is above its front.
    np.testing.assert_allclose(p[3], [0, 0.2])
    assert p[1, 0] == -0.15 and p[1, 0] < p[2, 0] < 0 and p[1, 1] < p[2, 1] < p[3, 1]
    np.testing.assert_allclose(p[11], [-0.3, 0.4])  # Armpit.
    np.testing.assert_allclose(p[12:16, 1], [0.6, 0.8, 1.0, 1.05])  # Sides, hem, its middle.
    np.testing.assert_allclose(p[14], [-0.3, 1.0])
    assert p[15, 0] == 0
    # Outer sleeve, cuff, inner sleeve: further out the nearer the cuff.
    assert p[6, 0] > p[7, 0] > p[8, 0] and p[9, 0] < p[10, 0] < p[11, 0] and p[8, 1] < p[9, 1]


def test_openings_of_outwear():
    cut = cuts.UpperCut(
        cuts.LONG_OUTWEAR,
        neck='v',
        neck_depth=0.3,
        length=1.2,
        sag=0.0,
        sleeve=0.9,
        gap_top=0.04,
        gap_hem=0.10,
    )
    p = upper.build(cut, _POSE).landmarks
    np.testing.assert_allclose(
        p[[3, 37, 38, 19]], [[-0.04, 0.3], [-0.06, 0.6], [-0.08, 0.9], [-0.10, 1.2]]
    )
    np.testing.assert_allclose(p[33:37], [[0.04, 0.3], [0.06, 0.6], [0.08, 0.9], [0.10, 1.2]])


def test_from_behind_the_front_has_no_piece():
    for category_id in _IDS:
        cut = _samples(category_id, 1)[0]
        garment = upper.build(cut, body.Pose(back=True))
        parts = {piece.part for piece in garment.pieces}
        hidden = {j for j, home in enumerate(garment.homes) if not home & parts}
        expected = {2, 3, 4}
        if category_id in cuts.OUTWEAR:
            top = len(garment.landmarks) - 6
            expected |= {*range(top, top + 6), top // 2 + 3}
        assert hidden == expected


def test_sleeves_follow_the_arms():
    cut = _samples(cuts.LONG_TOP, 1)[0]
    down = upper.build(cut, body.Pose(arms=((5.0, 5.0), (5.0, 5.0)))).landmarks
    out = upper.build(cut, body.Pose(arms=((60.0, 60.0), (5.0, 5.0)))).landmarks
    assert out[11, 0] < down[11, 0] - 0.3 and out[11, 1] < down[11, 1] - 0.3  # The left cuff.
    np.testing.assert_allclose(out[25:32], down[25:32])  # The right one stays.
    np.testing.assert_allclose(out[:7], down[:7])
