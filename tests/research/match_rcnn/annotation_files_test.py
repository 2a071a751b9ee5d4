"""Tests of research.match_rcnn.annotation_files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from official.data import problems
from research.match_rcnn import annotation_files
from tests.research.match_rcnn import genuine


def _skirt(**changes):
    """A skirt, whose 8 landmarks are on a line; one is occluded, one is not labelled."""
    landmarks = [number for k in range(8) for number in (10 + k, 20, 2)]
    landmarks[2], landmarks[3:6] = 1, [0, 0, 0]
    fields = {
        'segmentation': [[10, 20, 18, 20, 14, 31.5], [1, 2, 3, 2, 3, 4, 1, 4]],
        'scale': 1,
        'viewpoint': 2,
        'zoom_in': 3,
        'landmarks': landmarks,
        'style': 4,
        'bounding_box': [10, 19.5, 18, 32],
        'category_id': 9,
        'occlusion': 2,
        'category_name': 'skirt',
    }
    return fields | changes


def _text(**changes):
    return json.dumps({'source': 'shop', 'pair_id': 7, 'item1': _skirt()} | changes)


def test_every_field_of_an_item():
    found = annotation_files.parse(_text(), 'a.json')
    assert (found.source, found.pair_id, len(found.items)) == (2, 7, 1)
    item = found.items[0]
    assert (
        item.category,
        item.style,
        item.pair_id,
        item.scale,
        item.viewpoint,
        item.zoom_in,
        item.occlusion,
        item.crowd,
        item.area,
    ) == (9, 4, 7, 1, 2, 3, 2, False, None)
    assert item.box.tolist() == [10, 19.5, 18, 32]
    assert [polygon.tolist() for polygon in item.segmentation] == [
        [[10, 20], [18, 20], [14, 31.5]],
        [[1, 2], [3, 2], [3, 4], [1, 4]],
    ]
    assert item.landmarks.tolist() == [
        [10, 20, 1],
        [0, 0, 0],
        *([10 + k, 20, 2] for k in range(2, 8)),
    ]


def test_items_are_in_the_order_of_their_numbers_whatever_that_of_the_keys():
    items = {f'item{number}': _skirt(style=number) for number in (10, 2, 1)}
    found = annotation_files.parse(json.dumps({**items, 'pair_id': 0, 'source': 'user'}), 'a.json')
    assert (found.source, [item.style for item in found.items]) == (1, [1, 2, 10])
    assert annotation_files.parse('{"pair_id": 1, "source": "user"}', 'a.json').items == []


def test_a_genuine_file():
    found = annotation_files.parse(json.dumps(genuine.ANNOTATION), '000001.json')
    assert (found.source, found.pair_id) == (1, 1)
    top, trousers = found.items
    assert (top.category, top.style, top.scale, top.occlusion, top.zoom_in, top.viewpoint) == (
        1,
        1,
        3,
        2,
        2,
        2,
    )
    assert (trousers.category, trousers.style, trousers.zoom_in) == (8, 0, 3)
    assert top.box.tolist() == [0, 29, 466, 622]
    assert top.landmarks[0].tolist() == [182, 54, 1] and top.landmarks.shape == (25, 3)
    assert [len(polygon) for polygon in top.segmentation] == [25, 7, 7]
    # Written and read as plain JSON it has the file's values, and no others.
    assert json.loads(annotation_files.to_json(found)) == genuine.ANNOTATION


def test_written_annotations_are_read_back_bit_for_bit():
    found = annotation_files.parse(_text(), 'a.json')
    random = np.random.Generator(np.random.PCG64(1))
    item = found.items[0]
    item.box = np.array([0.1, 1e-7, 300.123456789, 16777216])
    item.segmentation = [random.normal(0, 1e3, [5, 2])]
    item.landmarks[:, :2] = random.normal(0, 1e3, [8, 2])
    back = annotation_files.parse(annotation_files.to_json(found), 'a.json').items[0]
    for one, other in (
        (back.box, item.box),
        (back.segmentation[0], item.segmentation[0]),
        (back.landmarks, item.landmarks),
    ):
        assert one.dtype == np.float64 and one.tobytes() == other.tobytes()


def test_without_landmarks_none_is_labelled():
    found = annotation_files.parse(_text(), 'a.json')
    found.items[0].landmarks = None
    written = json.loads(annotation_files.to_json(found))['item1']['landmarks']
    assert written == [0] * 24 and set(map(type, written)) == {int}


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"source": ', '^a.json: not valid JSON '),
        (b'\xff\xfe\xfd', '^a.json: not valid JSON '),
        ('[' * 100_000, '^a.json: not valid JSON '),
        ('[1]', r'^a.json: \[1\] is not an annotation'),
        ('{"pair_id": 1}', '^a.json: source is missing.$'),
        ('{"source": "user"}', '^a.json: pair_id is missing.$'),
        (_text(source='seller'), '^a.json: source \'seller\' is neither "user" nor "shop".$'),
        (_text(source=['user']), '^a.json: source .* is neither "user" nor "shop".$'),
        (_text(pair_id='7'), "^a.json: pair_id '7' is not a whole number from 0 on.$"),
        (_text(pair_id=True), '^a.json: pair_id True is not a whole number from 0 on.$'),
        (_text(pair_id=-1), '^a.json: pair_id -1 is not a whole number from 0 on.$'),
        (_text(pair_id=2**31), '^a.json: pair_id 2147483648 is not a whole number from 0 on.$'),
        (_text(item2=[]), r'^a.json, item2: \[\] is not an item: it has no fields.$'),
        (_text(items=_skirt()), "^a.json: 'items' is not the name of an item: item1, item2, ...$"),
        (_text(item01=_skirt()), "^a.json: 'item01' is not the name of an item"),
    ],
)
def test_malformed_files(text, message):
    with pytest.raises(ValueError, match=message):
        annotation_files.parse(text, 'a.json')


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'category_id': 14}, 'category_id 14 is not a whole number of 1 to 13.'),
        ({'category_id': 0}, 'category_id 0 is not a whole number of 1 to 13.'),
        (
            {'category_name': 'shorts'},
            "category_name 'shorts' does not fit category_id 9, which is 'skirt'.",
        ),
        (
            {'landmarks': [0] * 21},
            "landmarks has 21 numbers instead of the 8 times x, y, v of 'skirt'.",
        ),
        (
            {'landmarks': [0] * 23 + [3]},
            'landmarks, number 8, [0, 0, 3] (x, y, v): v is none of 0, 1 and 2.',
        ),
        (
            {'landmarks': [0.0] * 23 + [0.5]},
            'landmarks, number 8, [0.0, 0.0, 0.5] (x, y, v): v is none of 0, 1 and 2.',
        ),
        ({'landmarks': 'none'}, "landmarks 'none' is not a list of numbers."),
        ({'bounding_box': [5, 5, 5, 9]}, 'bounding_box [5, 5, 5, 9] (x1, y1, x2, y2) has no area.'),
        ({'bounding_box': [5, 9, 8, 5]}, 'bounding_box [5, 9, 8, 5] (x1, y1, x2, y2) has no area.'),
        (
            {'bounding_box': [5, 9, 8]},
            'bounding_box [5, 9, 8] does not have 4 numbers: x1, y1, x2, y2.',
        ),
        ({'bounding_box': [5, 5, '8', 9]}, "bounding_box [5, 5, '8', 9] is not a list of numbers."),
        (
            {'bounding_box': [5, 5, True, 9]},
            'bounding_box [5, 5, True, 9] is not a list of numbers.',
        ),
        (
            {'bounding_box': [5, 5, float('nan'), 9]},
            'bounding_box [5, 5, nan, 9] has a number that is not finite.',
        ),
        (
            {'bounding_box': [5, 5, 1e300, 9]},
            'bounding_box [5, 5, 1e+300, 9] has a number that is not finite.',
        ),
        (
            {'segmentation': [[1, 2, 3, 4, 5, 6, 7]]},
            'segmentation, polygon 1, [1, 2, 3, 4, 5, 6, 7] has an odd number of coordinates.',
        ),
        ({'segmentation': True}, 'segmentation True is not a list of polygons.'),
        ({'segmentation': [7]}, 'segmentation, polygon 1, 7 is not a list of numbers.'),
        ({'scale': 4}, 'scale 4 is not a whole number of 1 to 3.'),
        ({'occlusion': 0}, 'occlusion 0 is not a whole number of 1 to 3.'),
        ({'zoom_in': 2.0}, 'zoom_in 2.0 is not a whole number of 1 to 3.'),
        ({'viewpoint': None}, 'viewpoint None is not a whole number of 1 to 3.'),
        ({'style': -1}, 'style -1 is not a whole number from 0 on.'),
    ],
)
def test_malformed_items(changes, message):
    with pytest.raises(ValueError) as error:
        annotation_files.parse(_text(item12=_skirt(**changes)), 'annos/5.json')
    assert str(error.value) == f'annos/5.json, item12: {message}'


def test_all_faults_of_a_file_are_named():
    text = _text(
        source='seller',
        item1=_skirt(scale=4, style=-1),
        item2=7,
        item3=_skirt(bounding_box=[5, 5, 5, 9]),
    )
    with pytest.raises(problems.Malformed) as error:
        annotation_files.parse(text, 'a.json')
    assert str(error.value).splitlines() == [
        'a.json: source \'seller\' is neither "user" nor "shop".',
        'a.json, item1: style -1 is not a whole number from 0 on.',
        'a.json, item1: scale 4 is not a whole number of 1 to 3.',
        'a.json, item2: 7 is not an item: it has no fields.',
        'a.json, item3: bounding_box [5, 5, 5, 9] (x1, y1, x2, y2) has no area.',
    ]
    assert [kind for kind, _ in error.value.faults] == [problems.BAD_FIELD] * 3 + [
        problems.BAD_ENTRY,
        problems.BAD_BOX,
    ]


@pytest.mark.parametrize('segmentation', [[], [[]], [[1, 2, 3, 4], [1, 2, 3, 4, 5, 1]]])
def test_polygons_that_enclose_nothing_are_the_tables_business(segmentation):
    (item,) = annotation_files.parse(_text(item1=_skirt(segmentation=segmentation)), 'a.json').items
    assert [polygon.ravel().tolist() for polygon in item.segmentation] == segmentation


@pytest.mark.parametrize(
    'digits, message',
    [
        (400, 'bounding_box .* has a number that is not finite.$'),
        (5000, '^a.json: not valid JSON '),
    ],
)  # More than Python takes.
def test_numbers_of_any_length(digits, message):
    text = _text().replace('[10, 19.5, 18, 32]', f'[10, 19.5, {"9" * digits}, 32]')
    with pytest.raises(ValueError, match=message):
        annotation_files.parse(text, 'a.json')


@pytest.mark.parametrize('field', sorted(_skirt()))
def test_missing_fields(field):
    item = _skirt()
    del item[field]
    with pytest.raises(ValueError) as error:
        annotation_files.parse(_text(item1=item), 'a.json')
    assert str(error.value) == f'a.json, item1: {field} is missing.'


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='1.json: no such annotation file.$'):
        annotation_files.read(tmp_path / '1.json')
    with pytest.raises(problems.Malformed, match='cannot be read .Is a directory.'):
        annotation_files.read(tmp_path)
