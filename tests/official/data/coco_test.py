"""Tests of official.data.coco on small sets made here."""

import copy
import json
import os

import numpy as np
import pytest
from PIL import Image

from official.data import coco, coco_classes, problems

KEYPOINTS = ['nose', 'left_eye', 'Right_Eye', 'foot_right', 'foot_left', 'left_only']


def save(path, height, width, orientation=1, mode='RGB'):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new(mode, (width, height)).save(path, exif=exif)


def annotation(identity, image, category=20, bbox=(1, 2, 3, 4), **options):
    return {
        'id': identity,
        'image_id': image,
        'category_id': category,
        'bbox': list(bbox),
        **options,
    }


def content():
    return {
        'images': [
            {'id': 9, 'file_name': 'b.jpg', 'height': 20, 'width': 30},
            {'id': 2, 'file_name': 'sub/a.jpg', 'height': 40, 'width': 10},
        ],
        'annotations': [
            annotation(
                5,
                2,
                20,
                (1.5, 2, 3, 30),
                area=17.5,
                iscrowd=0,
                segmentation=[[1.5, 2, 4.5, 2, 4.5, 32]],
            ),
            annotation(
                6,
                9,
                7,
                (2, 3, 20, 10),
                keypoints=[3, 4, 2, *[0] * 12, 9, 8, 1],
                segmentation=[[2, 3, 22, 3, 22, 13]],
            ),
            annotation(
                7,
                2,
                20,
                (0, 0, 10, 40),
                iscrowd=1,
                segmentation={'size': [40, 10], 'counts': [0, 400]},
            ),
        ],
        'categories': [
            {'id': 20, 'name': 'rug'},
            {'id': 7, 'name': 'doll', 'keypoints': KEYPOINTS},
        ],
    }


@pytest.fixture
def folder(tmp_path):
    save(f'{tmp_path}/images/b.jpg', 20, 30)
    save(f'{tmp_path}/images/sub/a.jpg', 40, 10)
    return str(tmp_path)


def load(folder, written, **options):
    with open(f'{folder}/x.json', 'w', encoding='utf-8') as file:
        file.write(written if isinstance(written, str) else json.dumps(written))
    return coco.load(f'{folder}/x.json', f'{folder}/images', **options)


def test_columns(folder):
    table = load(folder, content(), mask_size=8)
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


def test_back_to_coco(folder):
    table = load(folder, content())
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
    three = content()
    three['categories'][0]['keypoints'] = ['a', 'b']
    three['categories'].append({'id': 30, 'name': 'hat', 'keypoints': ['c', 'd', 'e']})
    three['annotations'] += [
        annotation(8, 9, 20, keypoints=[1, 2, 2, 3, 4, 1]),
        annotation(9, 9, 30, keypoints=[5, 6, 2, 0, 0, 0, 7, 8, 1]),
    ]
    table = load(folder, three)
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
    written = content()
    for number, (name, kind) in enumerate(images.items(), 100):
        written['images'].append(
            {'id': number, 'file_name': f'{name}.jpg', 'height': 40, 'width': 10}
        )
        if name != 'empty':
            written['annotations'].append(
                annotation(number, number, 20, (1, 4, 3, 6), segmentation=[[1, 4, 4, 4, 1, 10]])
            )
        if kind == 'text':
            open(f'{folder}/images/text.jpg', 'w', encoding='utf-8').close()
        elif kind is not None:
            save(f'{folder}/images/{name}.jpg', *kind)
    written['annotations'] += [annotation(200, 77), annotation(201, 9, bbox=(2, 2, 0, 5))]
    save(f'{folder}/images/alone.jpg', 5, 5)
    save(f'{folder}/images/sub/alone.png', 5, 5)
    open(f'{folder}/images/notes.txt', 'w', encoding='utf-8').close()
    table = load(folder, written)
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
    assert load(folder, content(), problems=given).num_images == 1
    assert given.counts == {problems.NO_IMAGE: 1} and capsys.readouterr().err == ''
    assert load(folder, content(), check_images=False).num_images == 2


def changed(part, number, **fields):
    written = copy.deepcopy(content())
    written[part][number].update(fields)
    return written


def without(part, number, field):
    written = content()
    del written[part][number][field]
    return written


@pytest.mark.parametrize(
    'written, message',
    [
        ('{"images": [', 'x.json: not valid JSON'),
        ('[]', 'x.json: no COCO annotations: list at the top'),
        ({'images': []}, "x.json: no COCO annotations: there is no list 'annotations'"),
        (without('images', 1, 'height'), r"x.json: images\[1\] has no 'height'"),
        (without('annotations', 2, 'bbox'), r"x.json: annotations\[2\] has no 'bbox'"),
        (changed('images', 0, id=2), 'x.json: image id 2 is there twice'),
        (
            changed('images', 0, id=2**63),
            r"x.json: images\[0\] has id '9223372036854775808', which "
            'is not a whole number of 64 bits',
        ),
        (changed('images', 0, file_name=None), r'x.json: images\[0\] has file_name None'),
        (changed('images', 0, height=10**6), 'x.json: image b.jpg has height 1000000 and width 30'),
        ({**content(), 'categories': []}, 'x.json: there are no categories'),
        (changed('categories', 1, keypoints=5), 'x.json: category 7 has keypoints 5, which is not'),
        (changed('categories', 1, keypoints=[None]), r'x.json: category 7 has keypoints \[None\]'),
        (changed('categories', 1, name=None), 'x.json: category 7 has the name None'),
        ('[' * 10_000, 'x.json: not valid JSON'),
        (changed('annotations', 0, id=2**63), r'x.json: annotations\[0\] has id .* of 64 bits'),
        (
            changed('annotations', 0, iscrowd='0'),
            r"sub/a.jpg: item 1 \(id 5\): crowd '0' is neither",
        ),
        (changed('annotations', 0, category_id=[7]), r'annotation 5 has unknown category \[7\]'),
        (changed('annotations', 0, bbox=None), 'x.json: annotation 5 has box None'),
        (changed('annotations', 0, bbox=[1, 2, 10**400, 3]), r'\(id 5\): box .* not finite'),
        (changed('annotations', 0, segmentation=True), r'\(id 5\): segmentation True is neither'),
        (
            changed('annotations', 2, segmentation={'size': None, 'counts': [400]}),
            r'\(id 7\): an RLE of size None',
        ),
        (
            changed('annotations', 2, segmentation={'size': [40, 10], 'counts': None}),
            r'\(id 7\): an RLE whose counts are neither',
        ),
        (
            changed('annotations', 2, segmentation={'size': [40, 10], 'counts': []}),
            r'\(id 7\): an RLE whose counts sum to 0, not 400',
        ),
        (changed('images', 0, width='wide'), "x.json: image b.jpg has height 20 and width 'wide'"),
        (changed('categories', 0, id=None), 'x.json: category id None'),
        (changed('categories', 1, keypoints=['a', 'b', 'a']), 'x.json: two keypoints .* one name'),
        (
            changed('annotations', 0, category_id=5),
            'x.json: annotation 5 has unknown category 5; there is 7, 20',
        ),
        (changed('annotations', 0, bbox=[1, 2, 3]), r'x.json: annotation 5 has box \[1, 2, 3\]'),
        (
            changed('annotations', 0, bbox=[1, 2, -3, 4]),
            r'x.json, image sub/a.jpg: item 1 \(id 5\): box .* has no area',
        ),
        (changed('annotations', 0, bbox=[1, 2, float('nan'), 4]), r'\(id 5\): box .* not finite'),
        (changed('annotations', 0, bbox=[11, 2, 3, 4]), r'\(id 5\): box .* is outside the image'),
        (
            changed('annotations', 1, keypoints=[1, 2, 2]),
            r'\(id 6\): 1 landmarks; category 1 has 6',
        ),
    ],
)
def test_bad_files(folder, written, message):
    with pytest.raises(ValueError, match=message):
        load(folder, written)


def faulty():
    """Three annotations that cannot be right, and three that only look so."""
    written = content()
    written['annotations'] += [
        annotation(20, 9, segmentation=[[]]),
        annotation(21, 9, 7, keypoints=[]),
        annotation(22, 9, segmentation=[[1, 2], [1, 2, 4, 2, 4, 6], [1, 2, 3, 4]]),
        annotation(30, 9, bbox=[40, 2, 3, 4]),
        annotation(31, 9, 5),
        annotation(32, 2, bbox=[1, 2, 'x', 4]),
    ]
    written['images'].append({'id': 3, 'file_name': None, 'height': 1, 'width': 1})
    return written


def test_all_faults_are_named_at_once(folder):
    with pytest.raises(ValueError) as error:
        load(folder, faulty())
    lines = str(error.value).splitlines()
    assert lines[0] == 'x.json: 4 values cannot be right; skip_malformed = True leaves them out:'
    assert [line for line in lines if not line.startswith('  ')][1:] == [
        '1 x entry that cannot be right:',
        '1 x category that cannot be right:',
        '2 x box that cannot be right:',
    ]
    for text in (
        'images[2] has file_name None',
        'annotation 31 has unknown category 5',
        "annotation 32 has box [1, 2, 'x', 4]",
        'item 5 (id 30): box [40.0, 2.0',
    ):
        assert text in str(error.value)


def test_faults_can_be_skipped_and_are_counted(folder):
    table = load(folder, faulty(), skip_malformed=True)
    assert sorted(table.item_ids.tolist()) == [5, 6, 7, 20, 21, 22]
    assert table.problems.counts == {
        problems.BAD_ENTRY: 1,
        problems.BAD_CATEGORY: 1,
        problems.BAD_BOX: 2,
        problems.NO_MASK: 2,
        problems.SHORT_POLYGON: 2,
    }
    assert table.problems.files(problems.BAD_CATEGORY) == [
        f'{folder}/x.json: annotation 31 has unknown category 5; there is 7, 20.'
    ]
    item = table.item_ids.tolist().index(22)
    np.testing.assert_array_equal(table.segmentations[item], [[[1, 2], [4, 2], [4, 6]]])


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
    table = load(
        folder,
        {
            **content(),
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
    table = load(
        folder,
        {
            'images': content()['images'],
            'categories': [{'id': 7, 'name': 'face', **listed}],
            'annotations': [
                annotation(1, 9, 7, keypoints=points),
                annotation(2, 2, 7, keypoints=[]),
                annotation(3, 9, 7, keypoints=points),
                annotation(4, 2, 7, keypoints=points[:9]),
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
            for image, source in zip(content()['images'], ('shop', 'user'), strict=True)
        ],
        'categories': [
            {'id': 1, 'name': 'a', 'keypoints': names},
            {'id': 2, 'name': 'b', 'keypoints': names},
        ],
        'annotations': [
            annotation(1, 9, 1, keypoints=top, pair_id=4, style=2, scale=3),
            annotation(2, 2, 2, keypoints=skirt, pair_id=4, style=0),
        ],
    }
    table = load(folder, written, end_to_end=layout)
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
    apart = load(folder, written)
    assert apart.landmark_counts == (5, 5) and apart.class_names == ('a', 'b')
    assert apart.styles.tolist() == [2, 0] and apart.scales.tolist() == [0, 0]
    with pytest.raises(ValueError, match='style .* is not a whole number'):
        written['annotations'][0]['style'] = 'red'
        load(folder, written, end_to_end=layout)
    assert not load(folder, written).styles.any()


def test_categories_of_one_name_stay_apart(folder):
    assert load(folder, changed('categories', 0, name='doll')).class_names == (
        'doll (7)',
        'doll (20)',
    )


def test_missing_files(folder):
    with pytest.raises(FileNotFoundError, match='none.json: no such annotation file'):
        coco.load(f'{folder}/none.json', folder)
    load(folder, content())
    with pytest.raises(FileNotFoundError, match='/none: no such folder of images'):
        coco.load(f'{folder}/x.json', f'{folder}/none')
    with pytest.raises(ValueError, match='images: cannot be read .Is a directory.'):
        coco.load(f'{folder}/images', folder)
