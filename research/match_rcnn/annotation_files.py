"""An image's annotation file of DeepFashion2 (Ge et al. 2019, Sec. 2): JSON, read and written.

    {"source": "user" or "shop", "pair_id": 1, "item1": {...}, "item2": {...}, ...}

in any order, each item with `segmentation` (polygons x, y, x, y, ...), `scale`, `viewpoint`,
`zoom_in`, `landmarks` (x, y, v, ...), `style`, `bounding_box` (x1, y1, x2, y2), `category_id`,
`occlusion` and `category_name`. Coordinates are pixels, pixel i being [i, i + 1).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from official.data import detection_table
from official.data import problems as problems_lib
from research.match_rcnn import categories

SOURCES = {'user': detection_table.USER, 'shop': detection_table.SHOP}
# What each code means, from code 1 on.
LEVELS = {
    'scale': ('small', 'moderate', 'large'),
    'occlusion': ('slight', 'medium', 'heavy'),
    'zoom_in': ('no', 'medium', 'large'),
    'viewpoint': ('no wear', 'frontal', 'side or back'),
}
_FIELDS = (
    'segmentation',
    'scale',
    'viewpoint',
    'zoom_in',
    'landmarks',
    'style',
    'bounding_box',
    'category_id',
    'occlusion',
    'category_name',
)
_ITEM = re.compile('item([1-9][0-9]*)')
_MOST = 2**31 - 1


@dataclasses.dataclass
class Annotation:
    """What is known of one image.

    Attributes:
      source: detection_table.USER or detection_table.SHOP.
      pair_id: of the images of the same garments.
      items: in the order of their numbers. Boxes are float64 [4], landmarks float64 [n, 3] with
        the n of the category, segmentations lists of float64 [m, 2].
    """

    source: int
    pair_id: int
    items: list[detection_table.Item]


def read(path: str | os.PathLike) -> Annotation:
    """Reads one file.

    Raises:
      FileNotFoundError: there is no such file.
      problems_lib.Malformed: as `parse`; or it cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such annotation file.') from None
    except OSError as error:
        raise problems_lib.Malformed(
            (problems_lib.BAD_ENTRY, f'{path}: cannot be read ({error.strerror}).')
        ) from None
    return parse(content, os.fspath(path))


def parse(content: str | bytes, file: str) -> Annotation:
    """Takes the text of a file apart.

    Args:
      content: the JSON text.
      file: its name, for messages.

    Raises:
      problems_lib.Malformed: the text is not valid JSON, a key is missing, or a value cannot be
        right; a sentence for each names the file, the item, the field and the value.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:  # Includes what is not Unicode.
        raise _malformed(f'{file}: not valid JSON ({error}).') from None
    if not isinstance(fields, dict):
        raise _malformed(
            f'{file}: {_short(fields)} is not an annotation: source, pair_id, item1, '
            '... are missing.'
        )
    errors = []
    source = _or_fault(errors, _source, fields, file)
    pair_id = _or_fault(errors, _whole, fields, 'pair_id', file, 0)
    items = [
        _or_fault(errors, _item, fields[key], pair_id, f'{file}, {key}')
        for key in sorted(filter(_is_item, fields), key=lambda key: int(key[4:]))
    ]
    odd = [key for key in fields if key.startswith('item') and not _is_item(key)]
    if odd:
        errors.append(
            _malformed(f'{file}: {_short(odd[0])} is not the name of an item: item1, item2, ...')
        )
    if errors:
        raise problems_lib.Malformed.of(errors)
    return Annotation(SOURCES[source], pair_id, items)


def _malformed(sentence, kind=problems_lib.BAD_ENTRY):
    return problems_lib.Malformed((kind, sentence))


def _or_fault(errors, function, *args):
    """Returns the result of a function, or None where it raises, and keeps the error."""
    try:
        return function(*args)
    except problems_lib.Malformed as error:
        errors.append(error)
        return None


def _is_item(key):
    return _ITEM.fullmatch(key) is not None


def _source(fields, file):
    source = _field(fields, 'source', file)
    if not isinstance(source, str) or source not in SOURCES:
        raise _malformed(
            f'{file}: source {_short(source)} is neither "user" nor "shop".', problems_lib.BAD_FIELD
        )
    return source


def _item(fields, pair_id, where):
    if not isinstance(fields, dict):
        raise _malformed(f'{where}: {_short(fields)} is not an item: it has no fields.')
    errors = []
    for field in _FIELDS:
        _or_fault(errors, _field, fields, field, where)
    if errors:
        raise problems_lib.Malformed.of(errors)
    category = _or_fault(errors, _category, fields, where)
    box = _or_fault(errors, _box, fields['bounding_box'], where)
    polygons = _or_fault(errors, _polygons, fields['segmentation'], where)
    landmarks = None
    if category is not None:
        landmarks = _or_fault(errors, _landmarks, fields['landmarks'], category, where)
    style = _or_fault(errors, _whole, fields, 'style', where, 0)
    codes = {
        field: _or_fault(errors, _whole, fields, field, where, 1, len(names))
        for field, names in LEVELS.items()
    }
    if errors:
        raise problems_lib.Malformed.of(errors)
    return detection_table.Item(
        box,
        categories.CATEGORIES.index(category) + 1,
        polygons,
        landmarks,
        pair_id=pair_id,
        style=style,
        **codes,
    )


def _field(fields, name, where):
    if name not in fields:
        raise _malformed(f'{where}: {name} is missing.', problems_lib.BAD_FIELD)
    return fields[name]


def _category(fields, where):
    kind = problems_lib.BAD_CATEGORY
    category_id = _whole(fields, 'category_id', where, 1, len(categories.CATEGORIES), kind)
    category = categories.CATEGORIES[category_id - 1]
    if fields['category_name'] != category.name:
        raise _malformed(
            f'{where}: category_name {_short(fields["category_name"])} does not fit category_id '
            f'{category_id}, which is {category.name!r}.',
            kind,
        )
    return category


def _whole(fields, name, where, low, high=_MOST, kind=problems_lib.BAD_FIELD):
    value = _field(fields, name, where)
    # JSON's true is not a number, though Python's True is 1.
    if type(value) is not int or not low <= value <= high:
        wanted = f'of {low} to {high}' if high < _MOST else f'from {low} on'
        raise _malformed(f'{where}: {name} {_short(value)} is not a whole number {wanted}.', kind)
    return value


def _numbers(values, name, where, kind):
    if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
        raise _malformed(f'{where}: {name} {_short(values)} is not a list of numbers.', kind)
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        array = np.full(1, np.inf)
    # Tables have float32, for which what is finite here may be too much.
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise _malformed(f'{where}: {name} {_short(values)} has a number that is not finite.', kind)
    return array


def _box(values, where):
    kind = problems_lib.BAD_BOX
    box = _numbers(values, 'bounding_box', where, kind)
    if box.size != 4:
        raise _malformed(
            f'{where}: bounding_box {_short(values)} does not have 4 numbers: x1, y1, x2, y2.', kind
        )
    if box[2] <= box[0] or box[3] <= box[1]:
        raise _malformed(
            f'{where}: bounding_box {_short(values)} (x1, y1, x2, y2) has no area.', kind
        )
    return box


def _polygons(values, where):
    """Of any number of points: the table leaves out those that enclose nothing, and counts them."""
    kind = problems_lib.BAD_MASK
    if not isinstance(values, list):
        raise _malformed(f'{where}: segmentation {_short(values)} is not a list of polygons.', kind)
    polygons = []
    for number, points in enumerate(values, 1):
        name = f'segmentation, polygon {number},'
        polygon = _numbers(points, name, where, kind)
        if polygon.size % 2:
            raise _malformed(
                f'{where}: {name} {_short(points)} has an odd number of coordinates.', kind
            )
        polygons.append(polygon.reshape(-1, 2))
    return polygons


def _landmarks(values, category, where):
    kind = problems_lib.BAD_LANDMARKS
    landmarks = _numbers(values, 'landmarks', where, kind)
    if landmarks.size != 3 * category.landmarks:
        raise _malformed(
            f'{where}: landmarks has {landmarks.size} numbers instead of the '
            f'{category.landmarks} times x, y, v of {category.name!r}.',
            kind,
        )
    landmarks = landmarks.reshape(-1, 3)
    modes = landmarks[:, 2]
    odd = np.flatnonzero((modes != 0) & (modes != 1) & (modes != 2))
    if odd.size:
        raise _malformed(
            f'{where}: landmarks, number {odd[0] + 1}, {values[3 * odd[0] : 3 * odd[0] + 3]} (x, '
            'y, v): v is none of 0, 1 and 2.',
            kind,
        )
    return landmarks


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def to_json(annotation: Annotation) -> str:
    """The text of a file that `parse` makes the same annotation of, bit for bit.

    Whole coordinates are written as whole numbers, as in the data set. Landmarks that are None are
    written as not labelled.
    """
    fields: dict[str, Any] = {
        'source': {code: name for name, code in SOURCES.items()}[annotation.source],
        'pair_id': int(annotation.pair_id),
    }
    for number, item in enumerate(annotation.items, 1):
        category = categories.CATEGORIES[item.category - 1]
        landmarks = item.landmarks
        if landmarks is None:
            landmarks = np.zeros([category.landmarks, 3])
        fields[f'item{number}'] = {
            'segmentation': [_plain(polygon) for polygon in item.segmentation],
            'landmarks': _plain(landmarks),
            'style': int(item.style),
            'bounding_box': _plain(item.box),
            'category_id': int(item.category),
            'category_name': category.name,
            **{field: int(getattr(item, field)) for field in LEVELS},
        }
    return json.dumps(fields)


def _plain(values: np.ndarray | Sequence) -> list[int | float]:
    return [
        int(value) if value.is_integer() else value
        for value in np.asarray(values, np.float64).reshape(-1).tolist()
    ]
