"""Tests of official.data.coco on small sets made here."""

import json
import os

import numpy as np
import pytest

from official.data import coco, coco_classes, detection_table, problems
from tests.official.data import coco_files


@pytest.fixture
def folder(tmp_path):
    coco_files.save(f'{tmp_path}/images/b.jpg', 20, 30)
    coco_files.save(f'{tmp_path}/images/sub/a.jpg', 40, 10)
    return str(tmp_path)


def test_columns(folder):
    table = coco_files.load(folder, coco_files.content(), mask_size=8)
    assert table.class_names == ('doll', 'rug') and table.category_ids == (7, 20)
    assert table.landmark_counts == (6, 0)
    np.testing.assert_array_equal(
        table.landmark_flip, [[0, 1, 2, 3, 4, 5], [0, 2, 1, 4, 3, 5], [0, 1, 2, 3, 4, 5]]
    )
    assert table.paths == [f'{folder}/images/b.jpg', f'{folder}/images/sub/a.jpg']
    expected = {
        'image_ids': [9, 2],
        'sizes': [[20, 30], [40, 10]],
        'sources': [0, 0],
        'first': [0, 1, 3],
        'classes': [1, 2, 2],
        'item_ids': [6, 5, 7],
        'boxes': [[2, 3, 22, 13], [1.5, 2, 4.5, 32], [0, 0, 10, 40]],
        'crowd': [False, False, True],
        'areas': [200, 17.5, 400],
        'styles': [0, 0, 0],
        'pair_ids': [0, 0, 0],
    }
    for column, values in expected.items():
        np.testing.assert_array_equal(getattr(table, column), values, column)
    np.testing.assert_array_equal(table.landmarks[0], [[3, 4, 2], *[[0, 0, 0]] * 4, [9, 8, 1]])
    assert not table.landmarks[1:].any()
    masks = np.unpackbits(table.mini_masks, axis=1).reshape(3, 8, 8)
    rows, columns = np.indices([8, 8])
    off = rows != columns
    for mask in masks[:2]:  # The upper right half.
        np.testing.assert_array_equal(mask[off], (rows < columns)[off])
    assert masks[2].all() and table.problems.counts == {}


@pytest.mark.parametrize('source', [['user'], {'url': 'x'}, 3, 'Flickr', None])
def test_a_source_of_another_set_is_unknown(folder, source):
    written = coco_files.content()
    written['images'][0]['source'] = source
    assert coco_files.load(folder, written).sources.tolist() == [detection_table.UNKNOWN] * 2


def test_back_to_coco(folder):
    table = coco_files.load(folder, coco_files.content())
    for landmarks, everything, keypoints in (
        (False, False, None),
        (True, False, [3, 4, 2, *[0] * 12, 9, 8, 1]),
        (True, True, [3, 4, 2, *[0] * 12, 9, 8, 1]),
    ):
        back = json.loads(json.dumps(coco.to_coco(table, landmarks, everything)))
        first = back['annotations'][0]
        assert first.items() >= {'id': 6, 'image_id': 9, 'category_id': 7, 'area': 200}.items()
        assert first['bbox'] == [2, 3, 20, 10]
        assert first.get('keypoints') == keypoints
        assert first.get('num_keypoints') == (2 if landmarks else None)
        assert first['segmentation'] == [[2, 3, 22, 3, 22, 13]] and first['iscrowd'] == 0
        assert back['annotations'][2]['segmentation'] == {'size': [40, 10], 'counts': [0, 400]}
        assert back['annotations'][2]['iscrowd'] == 1
        assert back['annotations'][1].get('keypoints') == (
            None if not landmarks else [0] * 18 if everything else []
        )
        assert back['images'] == [
            {'id': 9, 'file_name': 'b.jpg', 'height': 20, 'width': 30},
            {'id': 2, 'file_name': 'a.jpg', 'height': 40, 'width': 10},
        ]
        assert [c['id'] for c in back['categories']] == [7, 20]


def test_landmarks_of_all_classes_end_to_end(folder):
    three = coco_files.content()
    three['categories'][0]['keypoints'] = ['a', 'b']
    three['categories'].append({'id': 30, 'name': 'hat', 'keypoints': ['c', 'd', 'e']})
    three['annotations'] += [
        coco_files.annotation(8, 9, 20, keypoints=[1, 2, 2, 3, 4, 1]),
        coco_files.annotation(9, 9, 30, keypoints=[5, 6, 2, 0, 0, 0, 7, 8, 1]),
    ]
    table = coco_files.load(folder, three)
    assert table.landmarks.shape == (5, 6, 3) and table.landmark_offsets == (0, 6, 8, 11)
    by_id = {a['id']: a for a in coco.to_coco(table, True, True)['annotations']}
    assert by_id[8]['keypoints'] == [0] * 18 + [1, 2, 2, 3, 4, 1] + [0] * 9
    assert by_id[9]['keypoints'] == [0] * 24 + [5, 6, 2, 0, 0, 0, 7, 8, 1]
    assert by_id[9]['num_keypoints'] == 2
    apart = {a['id']: a for a in coco.to_coco(table, True)['annotations']}
    assert apart[9]['keypoints'] == [5, 6, 2, 0, 0, 0, 7, 8, 1]


def test_images_that_are_not_as_they_should_be(folder, capsys):
    images = {
        'none': None,
        'text': 'text',
        'turned': (10, 40, 6),
        'stored': (40, 10, 6),
        'half': (20, 5, 1),
        'other': (40, 13, 1),
        'grey': (40, 10, 1, 'L'),
        'small': (20, 5, 8),
        'empty': (40, 10, 1),
    }
    written = coco_files.content()
    for number, (name, kind) in enumerate(images.items(), 100):
        written['images'].append(
            {'id': number, 'file_name': f'{name}.jpg', 'height': 40, 'width': 10}
        )
        if name != 'empty':
            written['annotations'].append(
                coco_files.annotation(
                    number, number, 20, (1, 4, 3, 6), segmentation=[[1, 4, 4, 4, 1, 10]]
                )
            )
        if kind == 'text':
            open(f'{folder}/images/text.jpg', 'w', encoding='utf-8').close()
        elif kind is not None:
            coco_files.save(f'{folder}/images/{name}.jpg', *kind)
    written['annotations'] += [
        coco_files.annotation(200, 77),
        coco_files.annotation(201, 9, bbox=(2, 2, 0, 5)),
    ]
    coco_files.save(f'{folder}/images/alone.jpg', 5, 5)
    coco_files.save(f'{folder}/images/sub/alone.png', 5, 5)
    open(f'{folder}/images/notes.txt', 'w', encoding='utf-8').close()
    table = coco_files.load(folder, written)
    found = table.problems
    assert found.counts == {
        problems.NO_IMAGE: 2,
        problems.DAMAGED: 1,
        problems.TURNED: 3,
        problems.OTHER_SIZE: 2,
        problems.OTHER_SHAPE: 1,
        problems.CONVERTED: 1,
        problems.NO_ITEM: 1,
        problems.NO_AREA: 1,
        problems.NO_ANNOTATION: 2,
    }
    assert found.files(problems.OTHER_SHAPE) == [f'{folder}/images/other.jpg']
    assert found.files(problems.NO_ANNOTATION) == [
        f'{folder}/images/alone.jpg',
        f'{folder}/images/sub/alone.png',
    ]
    assert found.files(problems.NO_AREA) == [f'{folder}/x.json, annotation 201']
    assert len(capsys.readouterr().err.splitlines()) == len(found.counts)
    names = [os.path.basename(path)[:-4] for path in table.paths]
    assert names == ['b', 'a', 'turned', 'stored', 'half', 'grey', 'small', 'empty']
    boxes = {name: table.boxes[table.items_of(row)].tolist() for row, name in enumerate(names)}
    sizes = dict(zip(names, table.sizes.tolist(), strict=True))
    upright = [[1, 4, 4, 10]]
    assert boxes['turned'] == boxes['half'] == boxes['grey'] == upright and boxes['empty'] == []
    assert sizes['turned'] == sizes['half'] == [40, 10]  # Half: the pipeline scales.
    # Annotated as stored, 40 high and 10 wide. 6 turns (x, y) to (40 - y, x), 8 to (y, 10 - x).
    assert sizes['stored'] == sizes['small'] == [10, 40]
    assert boxes['stored'] == [[30, 1, 36, 4]] and boxes['small'] == [[4, 6, 10, 9]]
    polygon = table.segmentations[table.first[names.index('stored')]][0]
    np.testing.assert_array_equal(polygon, [[36, 1], [36, 4], [30, 1]])


def test_images_need_not_be_looked_at(folder, capsys):
    os.remove(f'{folder}/images/b.jpg')
    given = problems.Problems()
    assert coco_files.load(folder, coco_files.content(), problems=given).num_images == 1
    assert given.counts == {problems.NO_IMAGE: 1} and capsys.readouterr().err == ''
    assert coco_files.load(folder, coco_files.content(), check_images=False).num_images == 2


@pytest.mark.parametrize(
    'names, flip',
    [
        (['L_Eye', 'R_Eye', 'Nose'], [1, 0, 2]),
        (['eye_r', 'eye_l'], [1, 0]),
        (['lwrist', 'nose', 'rwrist'], [2, 1, 0]),
        (['LEye', 'REye'], [1, 0]),
        (['upper left corner', 'tip', 'upper right corner'], [2, 1, 0]),
        (['fl', 'fr', 'rl', 'rr'], [1, 0, 3, 2]),
        (['hip.L', 'hip.R', 'left'], [1, 0, 2]),
        ([1, 2, 3], None),
        (['ear', 'tail'], None),
        (['centre'], False),
    ],
)
def test_mirror_pairs_by_names(folder, names, flip):
    """None: there is no pair among several, which is said."""
    table = coco_files.load(
        folder,
        {
            **coco_files.content(),
            'annotations': [],
            'categories': [{'id': 7, 'name': 'doll', 'keypoints': names}],
        },
    )
    np.testing.assert_array_equal(table.landmark_flip[1], flip or range(len(names)))
    assert table.problems.files(problems.NO_MIRROR) == (
        [f'{folder}/x.json, category doll'] if flip is None else []
    )


@pytest.mark.parametrize('listed', [{}, {'keypoints': []}, {'keypoints': None}])
def test_landmarks_that_no_category_lists(folder, listed):
    """As many as most annotations have; sets of faces write an empty list."""
    points = [value for number in range(68) for value in (number % 30, number % 20, 2)]
    table = coco_files.load(
        folder,
        {
            'images': coco_files.content()['images'],
            'categories': [{'id': 7, 'name': 'face', **listed}],
            'annotations': [
                coco_files.annotation(1, 9, 7, keypoints=points),
                coco_files.annotation(2, 2, 7, keypoints=[]),
                coco_files.annotation(3, 9, 7, keypoints=points),
                coco_files.annotation(4, 2, 7, keypoints=points[:9]),
            ],
        },
        skip_malformed=True,
    )
    assert table.landmark_counts == (68,) and table.item_ids.tolist() == [1, 3, 2]
    np.testing.assert_array_equal(table.landmarks[0].reshape(-1), points)
    assert not table.landmarks[2].any()
    assert table.problems.counts[problems.NO_MIRROR] == 1
    assert table.problems.counts[problems.BAD_LANDMARKS] == 1


def test_landmarks_end_to_end(folder):
    """As DeepFashion2's converter writes them: those of all classes in every annotation."""
    layout = coco_classes.EndToEnd(
        ('top', 'skirt'), (3, 2), np.array([[0, 1, 2], [1, 0, 2], [1, 0, 2]])
    )
    names = [str(number) for number in range(1, 6)]
    top, skirt = [1, 2, 2, 3, 4, 1, 5, 6, 2, *[0] * 6], [*[0] * 9, 7, 8, 2, 9, 10, 1]
    written = {
        'images': [
            {**image, 'source': source}
            for image, source in zip(coco_files.content()['images'], ('shop', 'user'), strict=True)
        ],
        'categories': [
            {'id': 1, 'name': 'a', 'keypoints': names},
            {'id': 2, 'name': 'b', 'keypoints': names},
        ],
        'annotations': [
            coco_files.annotation(1, 9, 1, keypoints=top, pair_id=4, style=2, scale=3),
            coco_files.annotation(2, 2, 2, keypoints=skirt, pair_id=4, style=0),
        ],
    }
    table = coco_files.load(folder, written, end_to_end=layout)
    assert table.class_names == ('top', 'skirt') and table.landmark_counts == (3, 2)
    np.testing.assert_array_equal(table.landmark_flip, layout.flip)
    assert table.landmarks.shape == (2, 3, 3)
    np.testing.assert_array_equal(table.landmarks[0].reshape(-1), top[:9])
    np.testing.assert_array_equal(table.landmarks[1, :2].reshape(-1), skirt[9:])
    assert (table.pair_ids.tolist(), table.styles.tolist()) == ([4, 4], [2, 0])
    assert table.scales.tolist() == [3, 0] and table.sources.tolist() == [2, 1]
    back = coco.to_coco(table, landmarks=True, all_landmarks=True)
    assert [one['keypoints'] for one in back['annotations']] == [top, skirt]
    assert [(one['pair_id'], one['style']) for one in back['annotations']] == [(4, 2), (4, 0)]
    # Another number of categories is another set; its pair and style are kept, too.
    apart = coco_files.load(folder, written)
    assert apart.landmark_counts == (5, 5) and apart.class_names == ('a', 'b')
    assert apart.styles.tolist() == [2, 0] and apart.scales.tolist() == [0, 0]
    with pytest.raises(ValueError, match='style .* is not a whole number'):
        written['annotations'][0]['style'] = 'red'
        coco_files.load(folder, written, end_to_end=layout)
    assert not coco_files.load(folder, written).styles.any()


def test_categories_of_one_name_stay_apart(folder):
    assert coco_files.load(
        folder, coco_files.changed('categories', 0, name='doll')
    ).class_names == (
        'doll (7)',
        'doll (20)',
    )
