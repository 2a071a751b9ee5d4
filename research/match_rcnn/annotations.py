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
from research.match_rcnn import categories

SOURCES = {'user': detection_table.USER, 'shop': detection_table.SHOP}
# What each code means, from code 1 on.
LEVELS = {
    'scale': ('small', 'moderate', 'large'),
    'occlusion': ('slight', 'medium', 'heavy'),
    'zoom_in': ('no', 'medium', 'large'),
    'viewpoint': ('no wear', 'frontal', 'side or back'),
}
_FIELDS = ('segmentation', 'scale', 'viewpoint', 'zoom_in', 'landmarks', 'style', 'bounding_box',
           'category_id', 'occlusion', 'category_name')
_ITEM = re.compile('item([1-9][0-9]*)')
_MOST = 2 ** 31 - 1


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
      ValueError: as `parse`.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such annotation file.') from None
    return parse(content, os.fspath(path))


def parse(content: str | bytes, file: str) -> Annotation:
    """Takes the text of a file apart.

    Args:
      content: the JSON text.
      file: its name, for messages.

    Raises:
      ValueError: the text is no JSON, a key is missing, or a value cannot be right; the message
        names the file, the item, the field and the value.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:  # Includes what is no Unicode.
        raise ValueError(f'{file}: damaged, no JSON ({error}).') from None
    if not isinstance(fields, dict):
        raise ValueError(f'{file}: {_short(fields)} is no annotation: source, pair_id, item1, ... '
                         'are missing.')
    source = _field(fields, 'source', file)
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f'{file}: source {_short(source)} is neither "user" nor "shop".')
    pair_id = _whole(fields, 'pair_id', file, 0)
    items = []
    for key in sorted(filter(_is_item, fields), key=lambda key: int(key[4:])):
        items.append(_item(fields[key], pair_id, f'{file}, {key}'))
    odd = [key for key in fields if key.startswith('item') and not _is_item(key)]
    if odd:
        raise ValueError(f'{file}: {_short(odd[0])} is no name of an item: item1, item2, ...')
    return Annotation(SOURCES[source], pair_id, items)


def _is_item(key):
    return _ITEM.fullmatch(key) is not None


def _item(fields, pair_id, where):
    if not isinstance(fields, dict):
        raise ValueError(f'{where}: {_short(fields)} is no item: it has no fields.')
    for field in _FIELDS:
        _field(fields, field, where)
    category_id = _whole(fields, 'category_id', where, 1, len(categories.CATEGORIES))
    category = categories.CATEGORIES[category_id - 1]
    if fields['category_name'] != category.name:
        raise ValueError(f'{where}: category_name {_short(fields["category_name"])} does not fit '
                         f'category_id {category_id}, which is {category.name!r}.')
    return detection_table.Item(
        _box(fields['bounding_box'], where), category_id, _polygons(fields['segmentation'], where),
        _landmarks(fields['landmarks'], category, where), pair_id=pair_id,
        style=_whole(fields, 'style', where, 0),
        **{field: _whole(fields, field, where, 1, len(names)) for field, names in LEVELS.items()})


def _field(fields, name, where):
    if name not in fields:
        raise ValueError(f'{where}: {name} is missing.')
    return fields[name]


def _whole(fields, name, where, low, high=_MOST):
    value = _field(fields, name, where)
    # JSON's true is no number, though Python's True is 1.
    if type(value) is not int or not low <= value <= high:  # pylint: disable=unidiomatic-typecheck
        wanted = f'of {low} to {high}' if high < _MOST else f'from {low} on'
        raise ValueError(f'{where}: {name} {_short(value)} is no whole number {wanted}.')
    return value


def _numbers(values, name, where):
    if not isinstance(values, list) or not set(map(type, values)) <= {int, float}:
        raise ValueError(f'{where}: {name} {_short(values)} is no list of numbers.')
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        array = np.full(1, np.inf)
    # Tables have float32, for which what is finite here may be too much.
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise ValueError(f'{where}: {name} {_short(values)} has a number that is not finite.')
    return array


def _box(values, where):
    box = _numbers(values, 'bounding_box', where)
    if box.size != 4:
        raise ValueError(f'{where}: bounding_box {_short(values)} does not have 4 numbers: x1, y1, '
                         'x2, y2.')
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f'{where}: bounding_box {_short(values)} (x1, y1, x2, y2) has no area.')
    return box


def _polygons(values, where):
    if not isinstance(values, list) or not values:
        raise ValueError(f'{where}: segmentation {_short(values)} has no polygon.')
    polygons = []
    for number, points in enumerate(values, 1):
        name = f'segmentation, polygon {number},'
        polygon = _numbers(points, name, where)
        if polygon.size % 2:
            raise ValueError(f'{where}: {name} {_short(points)} has an odd number of coordinates.')
        if polygon.size < 6:
            raise ValueError(f'{where}: {name} {_short(points)} has {polygon.size // 2} points '
                             'instead of 3 or more.')
        polygons.append(polygon.reshape(-1, 2))
    return polygons


def _landmarks(values, category, where):
    landmarks = _numbers(values, 'landmarks', where)
    if landmarks.size != 3 * category.landmarks:
        raise ValueError(f'{where}: landmarks has {landmarks.size} numbers instead of the '
                         f'{category.landmarks} times x, y, v of {category.name!r}.')
    landmarks = landmarks.reshape(-1, 3)
    modes = landmarks[:, 2]
    odd = np.flatnonzero((modes != 0) & (modes != 1) & (modes != 2))
    if odd.size:
        raise ValueError(f'{where}: landmarks, number {odd[0] + 1}, '
                         f'{values[3 * odd[0]:3 * odd[0] + 3]} (x, y, v): v is none of 0, 1 and 2.')
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
        'pair_id': int(annotation.pair_id)}
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
    return [int(value) if value.is_integer() else value
            for value in np.asarray(values, np.float64).reshape(-1).tolist()]
