"""Pairs of landmarks that change places in a mirrored image, from their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def flips(keypoints: Sequence[Sequence[str]]) -> np.ndarray:
    """Pairs landmarks whose names differ only in their side, whatever the case of letters.

    The side is left or right anywhere in the name, or l or r as its first or last letter.

    Args:
      keypoints: names of the landmarks of classes 1..C, each once in a class.

    Returns:
      int32 [C + 1, K], K the largest number of a class: landmark j of a mirrored item of class c is
      landmark [c, j] of the original; itself where no other is its partner.
    """
    flips = np.tile(np.arange(max(map(len, keypoints)), dtype=np.int32), (len(keypoints) + 1, 1))
    for row, names in enumerate(keypoints, 1):
        places = {name.lower(): place for place, name in enumerate(names)}
        for place, name in enumerate(names):
            for other in _other_sides(name.lower()):
                there = places.get(other, place)
                if there != place and flips[row, place] == place and flips[row, there] == there:
                    flips[row, [place, there]] = there, place
    return flips


def _other_sides(name) -> Iterator[str]:
    """Possible names of the landmark on the other side, the likeliest first."""
    yield name.replace('left', '\0').replace('right', 'left').replace('\0', 'right')
    swapped = {'l': 'r', 'r': 'l'}
    if name[:1] in swapped:
        yield swapped[name[0]] + name[1:]
    if name[-1:] in swapped:
        yield name[:-1] + swapped[name[-1]]
