"""The levels of an item's difficulty from its geometry (Ge et al. 2019, Sec. 2, "Variations").

The files of DeepFashion2 have codes, which are what evaluation goes by. The formulas here follow
the paper's words and give codes to garments that are drawn; `stats` says how many codes of a data
set agree. Shares are of all landmarks of the category; on the genuine annotations at hand that
gives the codes that the files have, and shares of the labelled ones do not. Viewpoint is not a
matter of geometry.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def scale(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """By the share of the image that the box covers: < 10 %, 10 to 40 %, > 40 %.

    Args:
      boxes: [..., 4], (x1, y1, x2, y2) in pixels.
      sizes: [..., 2], (height, width) of the images.

    Returns:
      int32 [...]: 1 small, 2 moderate, 3 large.
    """
    boxes, sizes = np.asarray(boxes, np.float64), np.asarray(sizes, np.float64)
    boxes = np.clip(boxes, 0, sizes[..., [1, 0, 1, 0]])
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    # Ten times the area instead of a tenth of the image, which would be rounded.
    image = sizes[..., 0] * sizes[..., 1]
    return _codes(10 * area >= image, 10 * area > 4 * image)


def occlusion(landmarks: np.ndarray, counts: np.ndarray | int) -> np.ndarray:
    """By the share of landmarks that are occluded: < 20 %, 20 to 50 %, > 50 %.

    Args:
      landmarks: [..., K, 3], (x, y, v).
      counts: [...], how many of the K the category has; the first.

    Returns:
      int32 [...]: 1 slight, 2 medium, 3 heavy.
    """
    landmarks, counts = np.asarray(landmarks), np.asarray(counts)
    occluded = (_own(landmarks, counts) & (landmarks[..., 2] == 1)).sum(-1)
    return _codes(5 * occluded >= counts, 2 * occluded > counts)


def zoom_in(
    landmarks: np.ndarray, counts: np.ndarray | int, sizes: np.ndarray | Sequence[int]
) -> np.ndarray:
    """By the share of landmarks outside the image: none, up to 30 %, > 30 %.

    A landmark that is not labelled counts as outside: the files have no other sign of it.

    Args:
      landmarks: [..., K, 3], (x, y, v).
      counts: [...], how many of the K the category has; the first.
      sizes: [..., 2], (height, width) of the images.

    Returns:
      int32 [...]: 1 no, 2 medium, 3 large.
    """
    landmarks, counts = np.asarray(landmarks), np.asarray(counts)
    height, width = np.moveaxis(np.asarray(sizes)[..., np.newaxis, :], -1, 0)
    x, y, mode = np.moveaxis(landmarks, -1, 0)
    missing = (mode == 0) | (x < 0) | (y < 0) | (x > width) | (y > height)
    outside = (_own(landmarks, counts) & missing).sum(-1)
    return _codes(outside > 0, 10 * outside > 3 * counts)


def _own(landmarks, counts):
    return np.arange(landmarks.shape[-2]) < counts[..., np.newaxis]


def _codes(at_least_medium, high):
    return (1 + at_least_medium.astype(np.int32) + high).astype(np.int32)
