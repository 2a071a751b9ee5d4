"""Shorts, trousers and skirts: where their landmarks are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from research.match_rcnn import categories
from research.match_rcnn.garments import body, cuts, lower


@pytest.mark.parametrize('category_id', cuts.LOWER)
def test_landmarks_are_mirror_images_on_the_edges(category_id):
    rng = np.random.default_rng(category_id)
    flip = list(categories.CATEGORIES[category_id - 1].flip)
    for _ in range(12):
        garment = lower.build(cuts.sample(category_id, rng), body.Pose())
        np.testing.assert_allclose(garment.landmarks[flip] * [-1, 1], garment.landmarks, atol=1e-9)
        outlines = {piece.part: piece.outline.astype(np.float32) for piece in garment.pieces}
        for point, home in zip(garment.landmarks, garment.homes, strict=True):
            for part in home:
                assert (
                    abs(cv2.pointPolygonTest(outlines[part], tuple(map(float, point)), True)) < 0.02
                )


def test_layout_of_trousers():
    cut = cuts.LowerCut(cuts.TROUSERS, rise=0.8, waist=0.27, hip=0.33, cuff=0.1, length=1.0)
    straight = ((0.0, 0.0), (0.0, 0.0))
    p = lower.build(cut, body.Pose(legs=straight)).landmarks
    np.testing.assert_allclose(p[[0, 2]], [[-0.27, 0.8], [0.27, 0.8]])
    # Straight legs at 0.17 from the middle, down to the ankle.
    np.testing.assert_allclose(p[5], [-0.27, 2.68], atol=1e-6)
    np.testing.assert_allclose(p[6], [-0.07, 2.68], atol=1e-6)
    np.testing.assert_allclose(p[8], [0, body.CROTCH + 0.02])
    assert p[0, 1] < p[3, 1] < p[4, 1] < p[5, 1] and p[8, 1] < p[7, 1] < p[6, 1]


def test_layout_of_a_skirt():
    cut = cuts.LowerCut(cuts.SKIRT, rise=0.8, waist=0.26, hip=0.34, length=2.0, cuff=0.5, sag=0.1)
    p = lower.build(cut, body.Pose()).landmarks
    np.testing.assert_allclose(p[[0, 4, 5, 6]], [[-0.26, 0.8], [-0.5, 2.0], [0, 2.1], [0.5, 2.0]])
    assert p[3, 1] == pytest.approx(1.4)
    # Below the hip the side is straight.
    assert p[3, 0] == pytest.approx(-(0.34 + 0.16 * (1.4 - body.HIP) / (2.0 - body.HIP)), abs=2e-3)
