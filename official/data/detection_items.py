"""One annotated object of an image, and the checks it passes on its way into a table."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from official.data import problems as problems_lib

_INT32 = 2 ** 31 - 1
_CODES = ('pair_id', 'style', 'scale', 'occlusion', 'zoom_in', 'viewpoint')


@dataclasses.dataclass
class Item:
    """An object as a file has it. Coordinates are continuous pixels of the upright image.

    Attributes:
      box: (x1, y1, x2, y2).
      category: 1..C.
      segmentation: a list of polygons, each [n, 2] or flat (x, y, x, y, ...), or a COCO RLE
        ({'size': [height, width], 'counts': ...}); None or empty: none is given.
      landmarks: [n, 3] or flat, (x, y, v), v 2 visible, 1 occluded, 0 not labelled; n is the
        number that the category has. None: none is labelled.
      crowd: whether it is a group that is not to be told apart (COCO's iscrowd).
      pair_id: of the garment's identity (DeepFashion2); 0: unknown, as with the following.
      style: of the variant of this identity; only items with one take part in pairs.
      scale: 1 small, 2 modest, 3 large.
      occlusion: 1 slight, 2 medium, 3 heavy.
      zoom_in: 1 none, 2 medium, 3 large.
      viewpoint: 1 not worn, 2 frontal, 3 side or back.
      item_id: the file's number of the annotation, from 1; 0: the table gives one.
      area: of the segmentation in pixels; None: that of the box is taken.
    """

    box: Sequence[float]
    category: int
    segmentation: Any = None
    landmarks: Any = None
    crowd: bool = False
    pair_id: int = 0
    style: int = 0
    scale: int = 0
    occlusion: int = 0
    zoom_in: int = 0
    viewpoint: int = 0
    item_id: int = 0
    area: float | None = None


def checked(item: Item, size: tuple[int, int], landmark_counts: Sequence[int], where: str,
            file: str, problems: problems_lib.Problems) -> Item:
    """The item with arrays for lists, its box inside the image; or an error.

    Args:
      item: as a file has it. Not changed.
      size: (height, width) of the image.
      landmark_counts: of each category 1..C.
      where: begins the message of an error: the file and which item it is.
      file: for `problems`.
      problems: counts boxes partly outside the image, segmentations outside their box, and items
        without one.

    Returns:
      Item whose box is float64 [4], segmentation a list of float [n, 2], an RLE or None,
      landmarks float32 [n, 3] or None, and whose area is a float.

    Raises:
      ValueError: a number is not finite or no number; the box has no area or is outside the image;
        a polygon has fewer than 3 points; the category is unknown; the number of landmarks does
        not fit it.
    """
    category = item.category
    if not _is_count(category) or not 1 <= category <= len(landmark_counts):
        raise ValueError(f'{where}: unknown category {category!r}; there is 1 to '
                         f'{len(landmark_counts)}.')
    codes = {}
    for name in _CODES:
        codes[name] = getattr(item, name)
        if not _is_count(codes[name]) or codes[name] > _INT32:
            raise ValueError(f'{where}: {name} {codes[name]!r} is no whole number from 0.')
    if not _is_count(item.item_id):
        raise ValueError(f'{where}: item_id {item.item_id!r} is no whole number from 0.')
    box = _box(item.box, size, where, file, problems)
    area = item.area
    if area is None:
        area = (box[2] - box[0]) * (box[3] - box[1])
    elif not isinstance(area, numbers.Real) or not 0 <= area < np.inf:
        raise ValueError(f'{where}: area {area!r} is no number from 0.')
    segmentation = _segmentation(item.segmentation, size, where)
    if segmentation is None:
        problems.add(problems_lib.NO_MASK, file)
    elif isinstance(segmentation, list) and _is_outside(np.concatenate(segmentation), box):
        problems.add(problems_lib.MASK_OUTSIDE, file)
    return Item(
        box, int(category), segmentation,
        _landmarks(item.landmarks, int(category), landmark_counts, where), bool(item.crowd),
        item_id=int(item.item_id), area=float(area),
        **{name: int(code) for name, code in codes.items()})


def _is_outside(points: np.ndarray, box: np.ndarray) -> bool:
    return bool((points.max(0) <= box[:2]).any() or (points.min(0) >= box[2:]).any())


def _is_count(value) -> bool:
    return isinstance(value, numbers.Integral) and value >= 0


def _floats(values, what: str, where: str) -> np.ndarray:
    """float64 of any shape, all finite."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f'{where}: {what} {_short(values)} is not made of numbers.') from None
    if not np.isfinite(array).all():
        raise ValueError(f'{where}: {what} {_short(values)} has a number that is not finite.')
    return array


def _short(values) -> str:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    text = repr(values)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _box(values, size, where, file, problems) -> np.ndarray:
    box = _floats(values, 'box', where)
    if box.shape != (4,):
        raise ValueError(f'{where}: box {_short(values)} does not have 4 numbers.')
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f'{where}: box {box.tolist()} (x1, y1, x2, y2) has no area.')
    height, width = size
    clipped = np.clip(box, 0, [width, height, width, height])
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise ValueError(f'{where}: box {box.tolist()} (x1, y1, x2, y2) is outside the image of '
                         f'{width} x {height} pixels (width x height).')
    if (clipped != box).any():
        problems.add(problems_lib.CLIPPED, file)
    return clipped


def _segmentation(given, size, where):
    if given is None or len(given) == 0:
        return None
    if isinstance(given, dict):
        if not {'size', 'counts'} <= given.keys() or list(given['size']) != list(size):
            raise ValueError(f'{where}: an RLE of size {given.get("size")!r} in an image of size '
                             f'{list(size)} (height, width).')
        return given
    polygons = []
    for number, points in enumerate(given, 1):
        what = f'polygon {number}'
        polygon = _floats(points, what, where)
        if polygon.ndim == 1 and polygon.size % 2 == 0:
            polygon = polygon.reshape(-1, 2)
        if polygon.ndim != 2 or polygon.shape[1] != 2:
            raise ValueError(f'{where}: {what} {_short(points)} is no list of x, y.')
        if len(polygon) < 3:
            raise ValueError(f'{where}: {what} {_short(points)} has {len(polygon)} points; a '
                             'polygon has at least 3.')
        # Half the memory where nothing is lost, as with whole pixels; else rounding would move
        # pixels of the masks that results are compared with.
        single = polygon.astype(np.float32)
        polygons.append(single if (single == polygon).all() else polygon)
    return polygons


def _landmarks(given, category, landmark_counts, where):
    if given is None:
        return None
    landmarks, count = _floats(given, 'landmarks', where), landmark_counts[category - 1]
    if landmarks.size != 3 * count or landmarks.ndim > 2 or (
            landmarks.ndim == 2 and count and landmarks.shape[1] != 3):
        raise ValueError(f'{where}: {landmarks.size / 3:g} landmarks; category {category} has '
                         f'{count}.')
    landmarks = landmarks.reshape(-1, 3).astype(np.float32)
    odd = landmarks[~np.isin(landmarks[:, 2], (0, 1, 2))]
    if len(odd):
        raise ValueError(f'{where}: landmark {odd[0].tolist()} (x, y, v) has a v other than 0, 1 '
                         'and 2.')
    landmarks[landmarks[:, 2] == 0] = 0
    return landmarks
