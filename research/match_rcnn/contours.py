"""Contours, skeletons and first-stage masks from landmarks (Ge et al. 2019, Sec. 2.1).

"We then generate contours and skeletons automatically by connecting landmarks in a certain order",
and the first stage of labelling masks "automatically generates masks from the contours". Landmarks
that are not labelled (v = 0) are left out: a contour goes on to the next that is.
"""

from __future__ import annotations

import numpy as np

from official.vision import masks
from research.match_rcnn import categories


def contours(landmarks: np.ndarray, category: int) -> list[np.ndarray]:
    """The closed outlines of an item.

    Args:
      landmarks: [k, 3], (x, y, v), at least the category's; more rows are not looked at.
      category: 1 to 13.

    Returns:
      Polygons, float32 [n, 2] in pixels; those with fewer than 3 labelled landmarks are left out.

    Raises:
      ValueError: unknown category, or too few landmarks.
    """
    landmarks = _own(landmarks, category)
    polygons = []
    for contour in categories.CATEGORIES[category - 1].contour:
        points = landmarks[list(contour)]
        points = points[points[:, 2] > 0, :2]
        if len(points) >= 3:
            polygons.append(points)
    return polygons


def skeleton(landmarks: np.ndarray, category: int) -> tuple[np.ndarray, np.ndarray]:
    """The lines of an item's pose.

    Args: as for `contours`.

    Returns:
      The lines both of whose ends are labelled, float32 [m, 2, 2], and whether both ends are
      visible, bool [m].

    Raises:
      ValueError: unknown category, or too few landmarks.
    """
    landmarks = _own(landmarks, category)
    ends = landmarks[np.array(categories.CATEGORIES[category - 1].skeleton)]
    ends = ends[(ends[..., 2] > 0).all(1)]
    return ends[..., :2], (ends[..., 2] == 2).all(1)


def first_stage_mask(landmarks: np.ndarray, category: int, height: int, width: int) -> np.ndarray:
    """The mask that the contours give.

    Args:
      landmarks: [k, 3], see `contours`.
      category: 1 to 13.
      height: of the image in pixels.
      width: of the image in pixels.

    Returns:
      uint8 [height, width], 1 inside any of the contours; rasterized as COCO's polygons are.

    Raises:
      ValueError: unknown category, or too few landmarks.
    """
    from pycocotools import mask as coco_mask

    return coco_mask.decode(masks.run_lengths(contours(landmarks, category), (height, width)))


def _own(landmarks, category):
    if category not in range(1, len(categories.CATEGORIES) + 1):
        raise ValueError(
            f'Unknown category {category!r}; there is 1 to {len(categories.CATEGORIES)}.'
        )
    landmarks = np.asarray(landmarks, np.float32)
    count = categories.CATEGORIES[category - 1].landmarks
    if landmarks.ndim != 2 or landmarks.shape[1] != 3 or len(landmarks) < count:
        raise ValueError(
            f'Landmarks of shape {list(landmarks.shape)}; category {category} has '
            f'{count} times x, y, v.'
        )
    return landmarks[:count]
