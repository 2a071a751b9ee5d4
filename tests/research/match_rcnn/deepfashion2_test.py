"""Tests of research.match_rcnn.deepfashion2 on folders written here."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from official.data import problems as problems_lib
from research.match_rcnn import deepfashion2
from tests.research.match_rcnn import tiny_deepfashion2 as tiny


@pytest.fixture
def folder(tmp_path):
    """Three images: two of one pair, the first with two items; numbers that leave gaps."""
    tiny.write(tmp_path, 12, [tiny.item(9, [0, 5, 20, 25], style=3)], 'shop', pair_id=8)
    tiny.write(
        tmp_path,
        3,
        [
            tiny.item(
                8,
                [2, 3, 12, 29],
                '10012220000122',
                style=3,
                scale=1,
                occlusion=2,
                zoom_in=3,
                viewpoint=1,
            ),
            tiny.item(1, [4.5, 0, 40, 30]),
        ],
        'user',
        pair_id=8,
        size=(41, 31),
    )
    tiny.write(tmp_path, 100, [], 'shop', pair_id=9)
    return tmp_path


def test_the_table(folder):
    table = deepfashion2.load(folder)
    assert table.image_ids.tolist() == [3, 12, 100]
    assert [path[-16:] for path in table.paths] == [
        'image/000003.jpg',
        'image/000012.jpg',
        'image/000100.jpg',
    ]
    assert table.sizes.tolist() == [[31, 41], [30, 40], [30, 40]]  # height, width
    assert table.sources.tolist() == [1, 2, 2]
    assert table.first.tolist() == [0, 2, 3, 3]
    assert table.boxes.tolist() == [[2, 3, 12, 29], [4.5, 0, 40, 30], [0, 5, 20, 25]]
    assert table.classes.tolist() == [8, 1, 9]
    assert table.pair_ids.tolist() == [8, 8, 8] and table.styles.tolist() == [3, 0, 3]
    for column, codes in (
        ('scales', [1, 2, 2]),
        ('occlusions', [2, 1, 1]),
        ('zoom_ins', [3, 1, 1]),
        ('viewpoints', [1, 2, 2]),
    ):
        assert getattr(table, column).tolist() == codes
    assert table.areas.tolist() == [260, 1065, 400]  # of the boxes
    assert table.item_ids.tolist() == [1, 2, 3]
    assert not table.crowd.any()
    assert [polygon.tolist() for polygon in table.segmentations[2]] == [[[0, 5], [20, 5], [0, 25]]]
    assert table.pairs().tolist() == [[0, 1]]
    assert table.problems.counts == {problems_lib.NO_ITEM: 1}
    assert table.problems.files(problems_lib.NO_ITEM)[0].endswith('annos/000100.json')


def test_landmarks_are_of_their_own_class(folder):
    table = deepfashion2.load(folder)
    assert table.landmarks.shape == (3, 39, 3)
    # Trousers: 14, of which number 3 is at 3/14 of the diagonal of (2, 3, 12, 29).
    np.testing.assert_allclose(table.landmarks[0, 3], [2 + 30 / 14, 3 + 78 / 14, 1], rtol=1e-6)
    modes = [1, 0, 0, 1, 2, 2, 2, 0, 0, 0, 0, 1, 2, 2]
    assert table.landmarks[0, :, 2].tolist() == modes + [0] * 25
    assert not table.landmarks[0, 1].any() and not table.landmarks[0, 14:].any()
    assert table.landmarks[1, :, 2].tolist() == [2] * 25 + [0] * 14
    assert table.landmark_counts == (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
    # Of a skirt 0 and 2, 3 and 7, 4 and 6 change places.
    assert table.landmark_flip[9, :9].tolist() == [2, 1, 0, 7, 6, 5, 4, 3, 8]
    assert table.class_names[8] == 'skirt'


def test_files_without_the_other(folder):
    (folder / 'image' / '000012.jpg').unlink()
    (folder / 'annos' / '000100.json').unlink()
    (folder / 'image' / '.000007.jpg').write_text('hidden', 'utf8')
    (folder / 'annos' / 'about.txt').write_text('', 'utf8')
    table = deepfashion2.load(folder)
    assert table.image_ids.tolist() == [3]
    counts = {problems_lib.NO_IMAGE: 1, problems_lib.NO_ANNOTATION: 1, problems_lib.NO_PARTNER: 1}
    assert table.problems.counts == counts
    assert table.problems.files(problems_lib.NO_IMAGE) == [str(folder / 'annos' / '000012.json')]
    assert table.problems.files(problems_lib.NO_ANNOTATION) == [
        str(folder / 'image' / '000100.jpg')
    ]


def test_images_of_other_kinds(tmp_path):
    item = tiny.item(9, [0, 0, 20, 25])
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new('RGB', (40, 30))
    tiny.write_image(tmp_path, 1, wide, exif=exif)
    tiny.write_image(tmp_path, 2, wide.convert('L'))
    tiny.write_image(tmp_path, 3, wide.convert('RGBA'), '.png')
    tiny.write_image(tmp_path, 4, Image.fromarray(np.zeros([30, 40], np.uint16)), '.png')
    tiny.write_image(tmp_path, 5, wide, '.JPG', format='JPEG')
    (tmp_path / 'image' / '000006.jpg').write_bytes(b'no image')
    for number in range(1, 7):
        tiny.write_annotation(tmp_path, number, {'source': 'user', 'pair_id': 1, 'item1': item})
    problems = problems_lib.Problems('mine')
    table = deepfashion2.load(tmp_path, problems)
    assert table.image_ids.tolist() == [1, 2, 3, 4, 5]
    assert table.sizes.tolist() == [[40, 30], *[[30, 40]] * 4]
    assert table.problems is problems and problems.counts == {
        problems_lib.TURNED: 1,
        problems_lib.CONVERTED: 3,
        problems_lib.DAMAGED: 1,
    }
    assert problems.files(problems_lib.DAMAGED) == [str(tmp_path / 'image' / '000006.jpg')]


def test_boxes_at_the_border(tmp_path):
    tiny.write(tmp_path, 1, [tiny.item(9, [-5, 10, 10, 35])])
    table = deepfashion2.load(tmp_path)
    assert table.boxes.tolist() == [[0, 10, 10, 30]]
    assert table.problems.counts == {problems_lib.CLIPPED: 1}
    tiny.write(tmp_path, 2, [tiny.item(9, [45, 10, 50, 20])])
    with pytest.raises(ValueError, match='annos/000002.json: item 1: box .* is outside the image'):
        deepfashion2.load(tmp_path)


@pytest.mark.parametrize(
    'text, message, kind',
    [
        ('{', 'annos/000005.json: not valid JSON ', problems_lib.BAD_ENTRY),
        ('{"pair_id": 1}', 'source is missing.$', problems_lib.BAD_FIELD),
        (
            {'source': 'user', 'pair_id': 1, 'item1': tiny.item(9, [45, 0, 50, 9])},
            'outside the image',
            problems_lib.BAD_BOX,
        ),
    ],
)
def test_malformed_annotations(folder, text, message, kind):
    tiny.write(folder, 5, [])
    path = tiny.write_annotation(folder, 5, text)
    with pytest.raises(ValueError, match=message):
        deepfashion2.load(folder)
    table = deepfashion2.load(folder, skip_malformed=True)
    assert table.image_ids.tolist() == [3, 12, 100] and table.num_items == 3
    assert table.problems.counts[kind] == 1
    assert table.problems.files(kind)[0].startswith(f'{path}: ')


def test_all_malformed_files_are_named_at_once(folder):
    for number in 5, 6, 7:
        tiny.write(folder, number, [])
    tiny.write_annotation(folder, 5, '{"source": 1, "pair_id": -1}')
    (folder / 'annos' / '000006.json').unlink()
    (folder / 'annos' / '000006.json').mkdir()
    (folder / 'annos' / '000007.json').unlink()
    (folder / 'annos' / '000007.json').symlink_to('nowhere')
    with pytest.raises(ValueError) as error:
        deepfashion2.load(folder)
    for text in (
        ': 4 values cannot be right; skip_malformed = True',
        '000005.json: source 1 is',
        '000005.json: pair_id -1',
        '000006.json: cannot be read (Is a directory)',
        '000007.json: a link to a file that is not there',
    ):
        assert text in str(error.value), text
    table = deepfashion2.load(folder, skip_malformed=True)
    assert table.image_ids.tolist() == [3, 12, 100]
    assert table.problems.counts[problems_lib.BAD_ENTRY] == 2
    assert table.problems.counts[problems_lib.BAD_FIELD] == 2


def test_a_split_without_annotations(folder):
    shutil.rmtree(folder / 'annos')
    with pytest.raises(FileNotFoundError, match='annos: no such folder; a split of DeepFashion2'):
        deepfashion2.load(folder, annotated=True)
    table = deepfashion2.load(folder)
    assert (table.image_ids.tolist(), table.num_items) == ([3, 12, 100], 0)
    assert table.sources.tolist() == [0, 0, 0]
    assert table.problems.counts == {deepfashion2.NO_ANNOTATIONS: 3, problems_lib.NO_ITEM: 3}
    # The first images are consumers', by their number.
    assert deepfashion2.load(folder, consumer_images=12).sources.tolist() == [1, 1, 2]
    with pytest.raises(ValueError, match='consumer_images = 0 must be'):
        deepfashion2.load(folder, consumer_images=0)


def test_what_annotations_say_of_sources_stays(folder):
    assert deepfashion2.load(folder, consumer_images=100).sources.tolist() == [1, 2, 2]


def test_folders_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='image: no such folder; a split of DeepFashion2'):
        deepfashion2.load(tmp_path)
    tiny.write(tmp_path, 1, [])
    (tmp_path / 'image' / '000001.jpg').rename(tmp_path / 'image' / '000002.jpg')
    with pytest.raises(ValueError, match='of 1 images and 1 annotations none have the same numb'):
        deepfashion2.load(tmp_path)
    tiny.write_image(tmp_path, 2, tiny.noise((4, 4)), '.png')
    with pytest.raises(ValueError, match='two files of number 2.$'):
        deepfashion2.load(tmp_path)
    (tmp_path / 'image' / '000002.png').rename(tmp_path / 'image' / 'cat.png')
    with pytest.raises(ValueError, match='image/cat.png: the name is not a number'):
        deepfashion2.load(tmp_path)
