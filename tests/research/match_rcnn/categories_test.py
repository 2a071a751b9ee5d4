"""The categories against what is published of the data set: literals of the specification."""

from __future__ import annotations

import numpy as np
import pytest

from research.match_rcnn import categories

# The whole outline of a genuine short sleeve top, as landmarks from 1 (two were cut).
_SAMPLE_1 = [
    6,
    5,
    4,
    3,
    2,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
]


def _published_pairs(category_id):
    """Mirror pairs, from 1, as the specification writes them."""
    n = categories.CATEGORIES[category_id - 1].landmarks
    if category_id == 3:
        return [
            (2, 6),
            (3, 5),
            (4, 26),
            *((k, 32 - k) for k in range(7, 16)),
            (16, 29),
            (27, 30),
            (28, 31),
        ]
    if category_id == 4:
        return [
            (2, 6),
            (3, 5),
            (4, 34),
            *((k, 40 - k) for k in range(7, 20)),
            (20, 37),
            (35, 38),
            (36, 39),
        ]
    if category_id == 7:
        return [(1, 3), (4, 10), (5, 9), (6, 8)]
    if category_id == 8:
        return [(1, 3), (4, 14), (5, 13), (6, 12), (7, 11), (8, 10)]
    if category_id == 9:
        return [(1, 3), (4, 8), (5, 7)]
    return [(2, 6), (3, 5), *((k, n + 7 - k) for k in range(7, n + 1))]


def test_names_counts_and_offsets():
    assert categories.NAMES == (
        'short sleeve top',
        'long sleeve top',
        'short sleeve outwear',
        'long sleeve outwear',
        'vest',
        'sling',
        'shorts',
        'trousers',
        'skirt',
        'short sleeve dress',
        'long sleeve dress',
        'vest dress',
        'sling dress',
    )
    assert categories.LANDMARK_COUNTS == (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
    assert categories.OFFSETS == (0, 25, 58, 89, 128, 143, 158, 168, 182, 190, 219, 256, 275)
    assert sum(categories.LANDMARK_COUNTS) == categories.NUM_LANDMARKS == 294
    assert categories.MAX_LANDMARKS == 39
    for category, name, count, offset in zip(
        categories.CATEGORIES,
        categories.NAMES,
        categories.LANDMARK_COUNTS,
        categories.OFFSETS,
        strict=True,
    ):
        assert (category.name, category.landmarks, category.offset) == (name, count, offset)


@pytest.mark.parametrize('category_id', range(1, 14))
def test_flip(category_id):
    category = categories.CATEGORIES[category_id - 1]
    n = category.landmarks
    expected = np.arange(39)
    for left, right in _published_pairs(category_id):
        expected[left - 1], expected[right - 1] = right - 1, left - 1
    row = categories.landmark_flip()[category_id]
    np.testing.assert_array_equal(row, expected)
    np.testing.assert_array_equal(row[row], np.arange(39))
    assert category.flip == tuple(row[:n])


def test_flip_of_nothing_is_the_identity():
    flip = categories.landmark_flip()
    assert flip.shape == (14, 39) and flip.dtype == np.int32
    np.testing.assert_array_equal(flip[0], np.arange(39))


def test_sigmas():
    sigmas = categories.sigmas()
    assert sigmas.shape == (294,) and sigmas.dtype == np.float64
    # First and last of some categories, and the sum of them all.
    assert sigmas[0] == 0.012 and sigmas[24] == 0.0298
    assert sigmas[25] == 0.0194 and sigmas[57] == 0.0286
    assert sigmas[89] == 0.0137 and sigmas[127] == 0.0573
    assert sigmas[182] == 0.0253 and sigmas[189] == 0.0513
    assert sigmas[275] == 0.0244 and sigmas[293] == 0.0173
    assert sigmas.sum() == pytest.approx(11.519, abs=1e-9)


def test_sigmas_are_symmetric_but_those_of_category_11():
    sigmas = categories.sigmas()
    odd = []
    for category_id, category in enumerate(categories.CATEGORIES, 1):
        mine = sigmas[category.offset : category.offset + category.landmarks]
        odd += [
            (category_id, j) for j in range(category.landmarks) if mine[j] != mine[category.flip[j]]
        ]
    assert odd == [(11, 14), (11, 28)]


def _from_1(loops):
    return [[j + 1 for j in loop] for loop in loops]


def test_contours_are_those_of_the_data_set():
    top, *sleeves = _from_1(categories.CATEGORIES[0].contour)
    assert [j for j in top if j not in (7, 8, 17)] == _SAMPLE_1
    assert sleeves == [[7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24, 25]]
    assert _from_1(categories.CATEGORIES[7].contour) == [
        [3, 2, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        [2, 1, 4, 5, 6, 7, 8, 9],
        [3, 2, 9, 10, 11, 12, 13, 14],
    ]


def test_contours_of_outwear_are_two_halves():
    left, right, *sleeves = _from_1(categories.CATEGORIES[2].contour)
    assert left == [2, 3, 4, 30, 31, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7]
    assert right == [6, 5, 26, 27, 28, 29, 17, 18, 19, 20, 21, 22, 23, 24, 25]
    assert sleeves == [[7, 8, 9, 10, 11, 12], [20, 21, 22, 23, 24, 25]]


@pytest.mark.parametrize('category_id', range(1, 14))
def test_contours_and_skeletons_are_their_own_mirror_images(category_id):
    category = categories.CATEGORIES[category_id - 1]
    edges = {frozenset(edge) for edge in category.skeleton}
    assert len(edges) == len(category.skeleton)
    assert {frozenset(category.flip[j] for j in edge) for edge in edges} == edges
    assert {j for edge in edges for j in edge} == set(range(category.landmarks))

    def sides(loop):
        return frozenset(frozenset(pair) for pair in zip(loop, loop[1:] + loop[:1], strict=True))

    loops = {sides(loop) for loop in category.contour}
    assert {sides(tuple(category.flip[j] for j in loop)) for loop in category.contour} == loops
    # All landmarks but the back of the neck are on a contour.
    on = {j for loop in category.contour for j in loop}
    missing = set() if category.name in ('shorts', 'trousers', 'skirt') else {0}
    assert on == set(range(category.landmarks)) - missing
