"""One annotated object of an image, and the checks it passes on its way into a table."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from official.data import problems as problems_lib
from official.vision import masks

MIN_SIDE = 0.01  # Pixels. Of a narrower box a float32 does not tell the sides apart for sure.
_MOST = float(np.finfo(np.float32).max)
_INT32, _INT64 = 2**31 - 1, 2**63 - 1
_CODES = ('pair_id', 'style', 'scale', 'occlusion', 'zoom_in', 'viewpoint')


@dataclasses.dataclass
class Item:
    """An object as a file has it. Coordinates are continuous pixels of the upright image.

    Attributes:
      box: (x1, y1, x2, y2).
      category: 1..C.
      segmentation: a list of polygons, each [n, 2] or flat (x, y, x, y, ...), or a COCO RLE
        ({'size': [height, width], 'counts': ...}); None, or no polygon but empty ones: none is
        given.
      landmarks: [n, 3] or flat, (x, y, v), v 2 visible, 1 occluded, 0 not labelled; n is the
        number that the category has. None or empty: none is labelled.
      crowd: True for a group whose objects are not to be distinguished (COCO's iscrowd).
      pair_id: of the garment's identity (DeepFashion2); 0: unknown, as with the following.
      style: of the variant of this identity; only items with one take part in pairs.
      scale: 1 small, 2 modest, 3 large.
      occlusion: 1 slight, 2 medium, 3 heavy.
      zoom_in: 1 none, 2 medium, 3 large.
      viewpoint: 1 not worn, 2 frontal, 3 side or back.
      item_id: the file's number of the annotation, from 1; 0: the table gives one.
      area: of the segmentation in pixels; None: that of the box is taken.
    """

    box: Sequence[float] | np.ndarray
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


def checked(
    item: Item,
    size: tuple[int, int],
    landmark_counts: Sequence[int],
    where: str,
    file: str,
    problems: problems_lib.Problems,
) -> Item:
    """The item with arrays for lists, its box inside the image; or an error.

    Polygons of fewer than 3 points are left out, and what is left of a segmentation without area is
    none. What is far outside the image is cut off.

    Args:
      item: as a file has it. Not changed.
      size: (height, width) of the image.
      landmark_counts: of each category 1..C.
      where: begins the message of an error: the file and which item it is.
      file: for `problems`.
      problems: counts boxes partly outside the image, segmentations outside their box or without
        area, polygons that are left out or cut, and items without a segmentation.

    Returns:
      Item whose box is float64 [4], segmentation a list of float [n, 2], an RLE or None,
      landmarks float32 [n, 3] or None, and whose area is a float.

    Raises:
      problems_lib.Malformed: with all that cannot be right. A number is not finite or no number;
        the box has no area, is narrower than `MIN_SIDE` or outside the image; a segmentation is
        none; the category is unknown; the number of landmarks does not fit it; crowd is not yes or
        no.
    """
    errors = []

    def checked_part(function, *args):
        try:
            return function(*args)
        except problems_lib.Malformed as error:
            errors.append(error)
            return None

    category = checked_part(_category, item.category, landmark_counts, where)
    codes = {name: checked_part(_code, getattr(item, name), name, where) for name in _CODES}
    item_id = checked_part(_identity, item.item_id, where)
    crowd = checked_part(_crowd, item.crowd, where)
    box = checked_part(_box, item.box, size, where)
    area = checked_part(_area, item.area, where)
    segmentation = checked_part(_segmentation, item.segmentation, size, where)
    landmarks = None
    if category is not None:
        landmarks = checked_part(_landmarks, item.landmarks, category, landmark_counts, where)
    if errors:
        raise problems_lib.Malformed.of(errors)
    box, clipped = box
    if clipped:
        problems.add(problems_lib.CLIPPED, file)
    if area is None:
        area = (box[2] - box[0]) * (box[3] - box[1])
    segmentation, handled = segmentation
    for kind in handled:
        problems.add(kind, file)
    if isinstance(segmentation, list) and _is_outside(np.concatenate(segmentation), box):
        problems.add(problems_lib.MASK_OUTSIDE, file)
    return Item(
        box, category, segmentation, landmarks, crowd, item_id=item_id, area=float(area), **codes
    )


def _category(category, landmark_counts, where) -> int:
    if not is_count(category) or not 1 <= category <= len(landmark_counts):
        raise problems_lib.Malformed(
            (
                problems_lib.BAD_CATEGORY,
                f'{where}: unknown category {_short(category)}; there is 1 '
                f'to {len(landmark_counts)}.',
            )
        )
    return int(category)


def _code(value, name, where) -> int:
    if (type(value) is not int and not is_count(value)) or not 0 <= value <= _INT32:
        raise problems_lib.Malformed(
            (
                problems_lib.BAD_FIELD,
                f'{where}: {name} {_short(value)} is not a whole number from 0.',
            )
        )
    return int(value)


def _identity(value, where) -> int:
    if not is_count(value) or value > _INT64:
        raise problems_lib.Malformed(
            (
                problems_lib.BAD_FIELD,
                f'{where}: item_id {_short(value)} is not a whole number from 0 to 2**63 - 1.',
            )
        )
    return int(value)


def _crowd(value, where) -> bool:
    if not isinstance(value, (numbers.Integral, np.bool_)) or value not in (0, 1):
        raise problems_lib.Malformed(
            (problems_lib.BAD_FIELD, f'{where}: crowd {_short(value)} is neither 0 nor 1.')
        )
    return bool(value)


def _area(value, where) -> float | None:
    if value is not None and (
        not isinstance(value, numbers.Real) or not 0 <= cast(float, value) <= _MOST
    ):
        raise problems_lib.Malformed(
            (problems_lib.BAD_FIELD, f'{where}: area {_short(value)} is not a number from 0.')
        )
    return cast('float | None', value)


def _is_outside(points: np.ndarray, box: np.ndarray) -> bool:
    return bool((points.max(0) <= box[:2]).any() or (points.min(0) >= box[2:]).any())


def is_count(value: Any) -> bool:
    """Returns True if a value is a whole number from 0; JSON's true is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 0


def _floats(values, what: str, where: str, kind: str) -> np.ndarray:
    """float64 of any shape, all finite."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise problems_lib.Malformed(
            (kind, f'{where}: {what} {_short(values)} is not made of numbers.')
        ) from None
    # Tables have float32, for which what is finite here may be too much.
    if not np.abs(array).max(initial=0) <= _MOST:
        raise problems_lib.Malformed(
            (kind, f'{where}: {what} {_short(values)} has a number that is not finite.')
        )
    return array


def _short(values) -> str:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    try:
        text = repr(values)
    except ValueError:  # A whole number of thousands of digits.
        return 'of too many digits'
    return text if len(text) <= 80 else f'{text[:77]}...'


def _box(values, size, where) -> tuple[np.ndarray, bool]:
    """The box inside the image, and if it was clipped."""
    kind = problems_lib.BAD_BOX
    box = _floats(values, 'box', where, kind)
    if box.shape != (4,):
        raise problems_lib.Malformed(
            (kind, f'{where}: box {_short(values)} does not have 4 numbers.')
        )
    shown = f'{where}: box {box.tolist()} (x1, y1, x2, y2)'
    if box[2] <= box[0] or box[3] <= box[1]:
        raise problems_lib.Malformed((kind, f'{shown} has no area.'))
    height, width = size
    clipped = np.clip(box, 0, [width, height, width, height])
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise problems_lib.Malformed(
            (kind, f'{shown} is outside the image of {width} x {height} pixels (width x height).')
        )
    sides = clipped[2:] - clipped[:2]
    if sides.min() < MIN_SIDE:
        raise problems_lib.Malformed(
            (
                kind,
                f'{shown} has a side of {sides.min():g} pixels in the image; the least is '
                f'{MIN_SIDE}.',
            )
        )
    return clipped, bool((clipped != box).any())


def _segmentation(given, size, where) -> tuple[Any, list[str]]:
    """Polygons, an RLE or None, and what was handled on the way."""
    kind = problems_lib.BAD_MASK
    if given is None:
        return None, [problems_lib.NO_MASK]
    if isinstance(given, dict):
        try:
            masks.run_lengths(given, size)
        except ValueError as error:
            raise problems_lib.Malformed((kind, f'{where}: {error}')) from None
        return given, []
    if not isinstance(given, (list, tuple, np.ndarray)):
        raise problems_lib.Malformed(
            (kind, f'{where}: segmentation {_short(given)} is neither polygons nor an RLE.')
        )
    polygons, handled = [], []
    for number, points in enumerate(given, 1):
        what = f'polygon {number}'
        polygon = _floats(points, what, where, kind)
        if polygon.ndim == 1 and polygon.size % 2 == 0:
            polygon = polygon.reshape(-1, 2)
        if polygon.ndim != 2 or polygon.shape[1] != 2:
            raise problems_lib.Malformed(
                (kind, f'{where}: {what} {_short(points)} is not a list of x, y.')
            )
        if len(polygon) < 3:
            # Converters of boxes write an empty polygon for a missing mask.
            handled += [problems_lib.SHORT_POLYGON] * bool(len(polygon))
            continue
        near = masks.clip_polygon(polygon, size[::-1])
        if near is not polygon:
            handled.append(problems_lib.MASK_CLIPPED)
            polygon = near
        if not len(polygon):
            continue
        # Half the memory where nothing is lost, as with whole pixels; else rounding would move
        # pixels of the masks that results are compared with.
        single = polygon.astype(np.float32)
        polygons.append(single if (single == polygon).all() else polygon)
    if not polygons:
        return None, handled + [problems_lib.NO_MASK]
    if not any(_encloses(polygon) for polygon in polygons):
        return None, handled + [problems_lib.MASK_FLAT]
    return polygons, handled


def _encloses(polygon) -> bool:
    """Returns True unless all points are on one line."""
    (x, y), (x1, y1), (x2, y2) = polygon[:3].tolist()
    if abs((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) > 1e-3:
        return True  # As nearly all do by their first corner.
    sides = (polygon[1:] - polygon[0]).astype(np.float64)
    longest = sides[np.argmax(np.square(sides).sum(1))]
    return bool(
        (
            np.abs(sides[:, 0] * longest[1] - sides[:, 1] * longest[0])
            > 1e-9 * (np.square(longest).sum())
        ).any()
    )


def _landmarks(given, category, landmark_counts, where):
    kind = problems_lib.BAD_LANDMARKS
    if given is None or (isinstance(given, (list, tuple)) and not given):
        return None
    landmarks, count = _floats(given, 'landmarks', where, kind), landmark_counts[category - 1]
    if (
        landmarks.size != 3 * count
        or landmarks.ndim not in (1, 2)
        or (landmarks.ndim == 2 and count and landmarks.shape[1] != 3)
    ):
        raise problems_lib.Malformed(
            (kind, f'{where}: {landmarks.size / 3:g} landmarks; category {category} has {count}.')
        )
    landmarks = landmarks.reshape(-1, 3).astype(np.float32)
    odd = landmarks[~np.isin(landmarks[:, 2], (0, 1, 2))]
    if len(odd):
        raise problems_lib.Malformed(
            (kind, f'{where}: landmark {odd[0].tolist()} (x, y, v) has a v other than 0, 1 and 2.')
        )
    landmarks[landmarks[:, 2] == 0] = 0
    return landmarks
