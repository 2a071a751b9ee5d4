"""Tests of official.data.coco on files that cannot be right."""

import numpy as np
import pytest

from official.data import coco, problems
from tests.official.data import coco_files


@pytest.fixture
def folder(tmp_path):
    coco_files.save(f'{tmp_path}/images/b.jpg', 20, 30)
    coco_files.save(f'{tmp_path}/images/sub/a.jpg', 40, 10)
    return str(tmp_path)


def without(part, number, field):
    written = coco_files.content()
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
        (coco_files.changed('images', 0, id=2), 'x.json: image id 2 is there twice'),
        (
            coco_files.changed('images', 0, id=2**63),
            r"x.json: images\[0\] has id '9223372036854775808', which "
            'is not a whole number of 64 bits',
        ),
        (
            coco_files.changed('images', 0, file_name=None),
            r'x.json: images\[0\] has file_name None',
        ),
        (
            coco_files.changed('images', 0, height=10**6),
            'x.json: image b.jpg has height 1000000 and width 30',
        ),
        ({**coco_files.content(), 'categories': []}, 'x.json: there are no categories'),
        (
            coco_files.changed('categories', 1, keypoints=5),
            'x.json: category 7 has keypoints 5, which is not',
        ),
        (
            coco_files.changed('categories', 1, keypoints=[None]),
            r'x.json: category 7 has keypoints \[None\]',
        ),
        (coco_files.changed('categories', 1, name=None), 'x.json: category 7 has the name None'),
        ('[' * 10_000, 'x.json: not valid JSON'),
        (
            coco_files.changed('annotations', 0, id=2**63),
            r'x.json: annotations\[0\] has id .* of 64 bits',
        ),
        (
            coco_files.changed('annotations', 0, iscrowd='0'),
            r"sub/a.jpg: item 1 \(id 5\): crowd '0' is neither",
        ),
        (
            coco_files.changed('annotations', 0, category_id=[7]),
            r'annotation 5 has unknown category \[7\]',
        ),
        (coco_files.changed('annotations', 0, bbox=None), 'x.json: annotation 5 has box None'),
        (
            coco_files.changed('annotations', 0, bbox=[1, 2, 10**400, 3]),
            r'\(id 5\): box .* not finite',
        ),
        (
            coco_files.changed('annotations', 0, segmentation=True),
            r'\(id 5\): segmentation True is neither',
        ),
        (
            coco_files.changed('annotations', 2, segmentation={'size': None, 'counts': [400]}),
            r'\(id 7\): an RLE of size None',
        ),
        (
            coco_files.changed('annotations', 2, segmentation={'size': [40, 10], 'counts': None}),
            r'\(id 7\): an RLE whose counts are neither',
        ),
        (
            coco_files.changed('annotations', 2, segmentation={'size': [40, 10], 'counts': []}),
            r'\(id 7\): an RLE whose counts sum to 0, not 400',
        ),
        (
            coco_files.changed('images', 0, width='wide'),
            "x.json: image b.jpg has height 20 and width 'wide'",
        ),
        (coco_files.changed('categories', 0, id=None), 'x.json: category id None'),
        (
            coco_files.changed('categories', 1, keypoints=['a', 'b', 'a']),
            'x.json: two keypoints .* one name',
        ),
        (
            coco_files.changed('annotations', 0, category_id=5),
            'x.json: annotation 5 has unknown category 5; there is 7, 20',
        ),
        (
            coco_files.changed('annotations', 0, bbox=[1, 2, 3]),
            r'x.json: annotation 5 has box \[1, 2, 3\]',
        ),
        (
            coco_files.changed('annotations', 0, bbox=[1, 2, -3, 4]),
            r'x.json, image sub/a.jpg: item 1 \(id 5\): box .* has no area',
        ),
        (
            coco_files.changed('annotations', 0, bbox=[1, 2, float('nan'), 4]),
            r'\(id 5\): box .* not finite',
        ),
        (
            coco_files.changed('annotations', 0, bbox=[11, 2, 3, 4]),
            r'\(id 5\): box .* is outside the image',
        ),
        (
            coco_files.changed('annotations', 1, keypoints=[1, 2, 2]),
            r'\(id 6\): 1 landmarks; category 1 has 6',
        ),
    ],
)
def test_bad_files(folder, written, message):
    with pytest.raises(ValueError, match=message):
        coco_files.load(folder, written)


def faulty():
    """Three annotations that cannot be right, and three that only look so."""
    written = coco_files.content()
    written['annotations'] += [
        coco_files.annotation(20, 9, segmentation=[[]]),
        coco_files.annotation(21, 9, 7, keypoints=[]),
        coco_files.annotation(22, 9, segmentation=[[1, 2], [1, 2, 4, 2, 4, 6], [1, 2, 3, 4]]),
        coco_files.annotation(30, 9, bbox=[40, 2, 3, 4]),
        coco_files.annotation(31, 9, 5),
        coco_files.annotation(32, 2, bbox=[1, 2, 'x', 4]),
    ]
    written['images'].append({'id': 3, 'file_name': None, 'height': 1, 'width': 1})
    return written


def test_all_faults_are_named_at_once(folder):
    with pytest.raises(ValueError) as error:
        coco_files.load(folder, faulty())
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
    table = coco_files.load(folder, faulty(), skip_malformed=True)
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


def test_missing_files(folder):
    with pytest.raises(FileNotFoundError, match='none.json: no such annotation file'):
        coco.load(f'{folder}/none.json', folder)
    coco_files.load(folder, coco_files.content())
    with pytest.raises(FileNotFoundError, match='/none: no such folder of images'):
        coco.load(f'{folder}/x.json', f'{folder}/none')
    with pytest.raises(ValueError, match='images: cannot be read .Is a directory.'):
        coco.load(f'{folder}/images', folder)
