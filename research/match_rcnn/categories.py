"""The 13 categories of DeepFashion2 and their landmarks (Ge et al. 2019, Sec. 2 and 2.1).

Left and right are those of the picture. Landmarks are counted from 1 in the paper's figures and
from 0 here. What every category has in common:

- 0: middle of the neckline's back; 1..5: the neckline in front from left to right, 3 the middle
  (of garments below the waist, 0..2: the waistband from left to right);
- from there on around the outline: shoulder, outside of the left sleeve, cuff, inside of the
  sleeve, armpit, side, hem, and up again on the right;
- of outwear, 3 is the left front's top and the last six are the opening: down the right front from
  its top to the hem, then the two in the middle of the left front.

Counts, order and mirror pairs are the data set's. Contours follow the polygons of its annotations,
whose first stage joins landmarks: the whole outline, then each sleeve or leg. The skeletons' edges
are this project's: for drawing alone.
"""

from __future__ import annotations

import itertools
import json
import pathlib
from typing import NamedTuple

import numpy as np

_SIGMAS = pathlib.Path(__file__).with_name('oks_sigmas.json')


class Category(NamedTuple):
    """A category's landmarks.

    Indices of landmarks are the category's own: 0 to landmarks - 1.
    """

    name: str
    landmarks: int  # How many.
    offset: int  # Of its landmarks among all NUM_LANDMARKS.
    contour: tuple[tuple[int, ...], ...]  # Closed outlines; the item is their union.
    skeleton: tuple[tuple[int, int], ...]  # Edges in drawing order.
    flip: tuple[int, ...]  # Landmark j of a mirrored item is landmark flip[j] of the original.


def _mirrored(count, pairs):
    """The permutation of `count` landmarks that swaps `pairs`."""
    flip = list(range(count))
    for left, right in pairs:
        flip[left], flip[right] = right, left
    return tuple(flip)


def _path(*landmarks):
    return tuple(itertools.pairwise(landmarks))


# Neckline, from the back's middle around.
_NECK = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0))


def _upper(count, armpit=None):
    """A garment with one closed outline; with sleeves, `armpit` is the left one."""
    last = count - 1
    contour = [(5, 4, 3, 2, 1, *range(6, count))]
    skeleton = (*_NECK, *_path(1, *range(6, count), 5))
    if armpit is not None:
        contour += _sleeves(armpit, last)
        skeleton += ((6, armpit), (last, last + 6 - armpit))  # The seams of the sleeves.
    pairs = [(1, 5), (2, 4), *((k, last + 6 - k) for k in range(6, (count + 6) // 2))]
    return tuple(contour), skeleton, _mirrored(count, pairs)


def _sleeves(armpit, right_shoulder):
    """A sleeve may lie across the body, where an outline that crosses itself would have a hole."""
    right_armpit = right_shoulder + 6 - armpit
    return [tuple(range(6, armpit + 1)), tuple(range(right_armpit, right_shoulder + 1))]


def _outwear(count, armpit):
    """A garment with an opening in front: two halves."""
    top = count - 6  # Of the right front, which goes down to top + 3.
    left_hem = top // 2 + 3  # The left front's lower corner.
    last = top - 1  # The right shoulder.
    left_front = (3, top + 4, top + 5, left_hem)
    right_front = range(top, top + 4)
    left = (1, 2, *left_front, *range(left_hem - 1, 5, -1))
    right = (5, 4, *right_front, *range(left_hem + 1, top))
    skeleton = (
        *_path(0, 1, 2, *left_front),
        *_path(0, 5, 4, *right_front),
        *_path(1, *range(6, left_hem + 1)),
        *_path(top + 3, *range(left_hem + 1, top), 5),
        (6, armpit),
        (last, last + 6 - armpit),
    )
    pairs = [
        (1, 5),
        (2, 4),
        *zip(left_front, right_front, strict=True),
        *((k, last + 6 - k) for k in range(6, left_hem)),
    ]
    return (left, right, *_sleeves(armpit, last)), skeleton, _mirrored(count, pairs)


def _lower(count, crotch=None):
    """A garment that begins at the waist; with legs, `crotch` is where they meet."""
    around = range(3, count)
    contour = [(2, 1, 0, *around)]
    skeleton = _path(0, 1, 2) + _path(0, *around, 2)
    if crotch is not None:
        contour += [(1, 0, *range(3, crotch + 1)), (2, 1, *range(crotch, count))]
        skeleton += ((1, crotch),)
    pairs = [(0, 2), *((k, count + 2 - k) for k in range(3, (count + 3) // 2))]
    return tuple(contour), skeleton, _mirrored(count, pairs)


_SHAPES = (
    ('short sleeve top', 25, _upper(25, armpit=11)),
    ('long sleeve top', 33, _upper(33, armpit=15)),
    ('short sleeve outwear', 31, _outwear(31, armpit=11)),
    ('long sleeve outwear', 39, _outwear(39, armpit=15)),
    ('vest', 15, _upper(15)),
    ('sling', 15, _upper(15)),
    ('shorts', 10, _lower(10, crotch=6)),
    ('trousers', 14, _lower(14, crotch=8)),
    ('skirt', 8, _lower(8)),
    ('short sleeve dress', 29, _upper(29, armpit=11)),
    ('long sleeve dress', 37, _upper(37, armpit=15)),
    ('vest dress', 19, _upper(19)),
    ('sling dress', 19, _upper(19)),
)

NAMES: tuple[str, ...] = tuple(name for name, _, _ in _SHAPES)
LANDMARK_COUNTS: tuple[int, ...] = tuple(count for _, count, _ in _SHAPES)
OFFSETS: tuple[int, ...] = tuple(sum(LANDMARK_COUNTS[:i]) for i in range(len(LANDMARK_COUNTS)))
NUM_LANDMARKS = sum(LANDMARK_COUNTS)
MAX_LANDMARKS = max(LANDMARK_COUNTS)

# By category id less 1: ids are 1 to 13.
CATEGORIES: tuple[Category, ...] = tuple(
    Category(name, count, offset, *shape)
    for (name, count, shape), offset in zip(_SHAPES, OFFSETS, strict=True)
)


def landmark_flip() -> np.ndarray:
    """Which landmark of an item is which of its mirror image.

    Returns:
      int32 [14, 39]: landmark j of a mirrored item of category c is landmark [c, j] of the
      original. Row 0, and what is beyond a category's landmarks, is the identity.
    """
    flip = np.tile(np.arange(MAX_LANDMARKS, dtype=np.int32), [len(CATEGORIES) + 1, 1])
    for row, category in zip(flip[1:], CATEGORIES, strict=True):
        row[: category.landmarks] = category.flip
    return flip


def sigmas() -> np.ndarray:
    """The sigmas of object landmark similarity as in the data set's evaluation.

    Those of category 11 are not quite mirror-symmetric; they stay as they were published.

    Returns:
      float64 [294], in the order of the categories.
    """
    with open(_SIGMAS, encoding='utf-8') as file:
        values = [value for category in json.load(file) for value in category]
    return np.array(values, np.float64)
