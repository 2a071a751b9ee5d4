"""Tests of research.match_rcnn.builder, prepare and prepared on a folder written here."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from official.data import detection_table
from official.data import problems as problems_lib
from research.match_rcnn import deepfashion2, prepare, prepared, sources
from tests.research.match_rcnn import tiny_deepfashion2 as tiny


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Of all that an image may be: grey, turned, with alpha, 16-bit, without items, truncated."""
    folder = tmp_path_factory.mktemp('raw')
    train = folder / 'train'
    skirt = tiny.item(
        9,
        [0.1, 5, 20, 25.7],
        '01221222',
        style=3,
        scale=1,
        occlusion=3,
        zoom_in=2,
        viewpoint=3,
        segmentation=[[1, 2, 3, 4, 5.5, 1], [0, 0, 9, 0, 9, 9, 0, 9]],
    )
    outwear = tiny.item(4, [0, 0, 40, 30], segmentation=[[], [0, 0, 9, 0, 9, 9]])
    tiny.write(train, 3, [skirt, outwear], 'user', pair_id=8)
    tiny.write(train, 5, [], 'shop', pair_id=8)
    tiny.write(train, 20, [tiny.item(9, [-3, 5, 20, 25], style=3)], 'shop', pair_id=8)
    exif = Image.Exif()
    exif[0x0112] = 8
    wide = tiny.noise((40, 30))
    tiny.write_image(train, 30, wide, exif=exif)
    tiny.write_image(train, 31, wide.convert('L'))
    tiny.write_image(train, 32, wide.convert('RGBA'), '.png')
    tiny.write_image(train, 33, Image.fromarray(np.full([30, 40], 40000, np.uint16)), '.png')
    tiny.truncate(tiny.write_image(train, 34, wide))
    for number in range(30, 35):
        tiny.write_annotation(
            train,
            number,
            {'source': 'user', 'pair_id': number, 'item1': tiny.item(8, [1, 2, 20, 30])},
        )
    tiny.write_image(train, 40, wide)
    tiny.write_annotation(train, 41, {'source': 'user', 'pair_id': 41})
    tiny.write(folder / 'validation', 1, [tiny.item(1, [0, 0, 40, 30])], 'shop')
    tiny.write_image(folder / 'test', 7, wide)
    return folder


@pytest.fixture(scope='module')
def data_dir(folder, tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp('tfds'))
    # Its progress bars have no place in a test's output.
    tfds.disable_progress_bar()
    prepare.prepare(str(folder), data_dir)
    return data_dir


def _equal(table, expected):
    for field in dataclasses.fields(expected):
        one, other = getattr(table, field.name), getattr(expected, field.name)
        if field.name in ('name', 'paths', 'problems'):
            continue
        if field.name == 'segmentations':
            assert len(one) == len(other)
            for polygons, others in zip(one, other, strict=True):
                assert [polygon.tolist() for polygon in polygons] == [
                    polygon.tolist() for polygon in others
                ]
        elif isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, field.name)
        else:
            assert one == other, field.name


def test_tables_are_those_of_the_folders(folder, data_dir, tmp_path):
    expected = deepfashion2.load(folder / 'train')
    assert expected.image_ids.tolist() == [3, 5, 20, 30, 31, 32, 33, 34]
    builder = prepared.open_builder(data_dir)
    table = prepared.table_of(builder, 'train')
    # The header of 34 is whole, so that the folder's table has it.
    _equal(table, expected.subset(range(7)))
    assert table.paths[0] == os.path.join('train', 'image', '000003.jpg')
    counts = expected.problems.counts | {problems_lib.DAMAGED: 1}
    assert (
        table.problems.counts
        == counts
        == {
            problems_lib.NO_IMAGE: 1,
            problems_lib.NO_ANNOTATION: 1,
            problems_lib.DAMAGED: 1,
            problems_lib.TURNED: 1,
            problems_lib.CONVERTED: 3,
            problems_lib.NO_ITEM: 1,
            problems_lib.CLIPPED: 1,
        }
    )
    assert table.problems.files(problems_lib.DAMAGED)[0].endswith('train/image/000034.jpg')
    _equal(prepared.table_of(builder, 'validation'), deepfashion2.load(folder / 'validation'))


def test_a_split_of_images_alone(data_dir):
    table = prepared.table_of(prepared.open_builder(data_dir), 'test')
    assert (table.image_ids.tolist(), table.sources.tolist(), table.num_items) == ([7], [0], 0)


@pytest.mark.parametrize(
    'consumer_images, expected',
    [(None, detection_table.UNKNOWN), (7, detection_table.USER), (6, detection_table.SHOP)],
)
def test_a_source_validates_on_the_test_split(data_dir, folder, consumer_images, expected):
    source = sources.TfdsSource(data_dir, 'test', consumer_images)
    assert source.table('validation').sources.tolist() == [expected]
    assert len(source.reader('validation')) == 1
    _equal(source.table('train'), prepared.table_of(prepared.open_builder(data_dir), 'train'))
    with pytest.raises(ValueError, match='TfdsSource.consumer_images = 0'):
        sources.TfdsSource(data_dir, consumer_images=0)


def test_images_are_read_by_index_byte_for_byte(folder, data_dir):
    builder = prepared.open_builder(data_dir)
    reader = prepared.Reader(builder, 'train')
    table = prepared.table_of(builder, 'train')
    assert len(reader) == 7
    rows = [6, 0, 3, 0]
    batches = tf.data.Dataset.from_tensors(np.array(rows, np.int64)).map(reader)
    assert batches.element_spec == tf.TensorSpec([4], tf.string)
    (encoded,) = batches.as_numpy_iterator()
    for row, content in zip(rows, encoded, strict=True):
        assert content == (folder / table.paths[row]).read_bytes()


def test_examples_as_tfds_gives_them(folder, data_dir):
    """The features of the first example, against the file's own values."""
    source = tfds.builder('deepfashion2', data_dir=data_dir).as_data_source(split='train')
    example = source[0]
    assert (example['image_id'], example['pair_id'], example['source']) == (3, 8, 0)
    assert example['image'].shape == (30, 40, 3) and example['size'].tolist() == [30, 40]
    items = example['items']
    fields = json.loads((folder / 'train' / 'annos' / '000003.json').read_text('utf8'))
    for number, raw in enumerate([fields['item1'], fields['item2']]):
        for name in ('style', 'scale', 'occlusion', 'zoom_in', 'viewpoint'):
            assert items[name][number] == raw[name]
        assert items['category'][number] == raw['category_id'] - 1
        box = np.array(raw['bounding_box'], np.float32)
        np.testing.assert_array_equal(items['bounding_box'][number], box)
        count = len(raw['landmarks']) // 3
        np.testing.assert_array_equal(
            items['landmarks'][number].reshape(-1)[: 3 * count],
            np.array(raw['landmarks'], np.float32),
        )
        assert not items['landmarks'][number][count:].any()
        assert [
            np.reshape(polygon, -1).tolist() for polygon in items['segmentation'][number]
        ] == raw['segmentation']
    assert source[1]['items']['category'] == [] and source[1]['source'] == 1


def test_the_index_is_written_once_and_anew_for_other_data(data_dir, monkeypatch):
    builder = prepared.open_builder(data_dir)
    path = os.path.join(str(builder.data_path), 'annotations-train.jsonl')
    assert os.path.exists(path)
    expected = prepared.table_of(builder, 'train')
    with monkeypatch.context() as patch:
        patch.setattr(prepared, '_records', None)  # No example is read.
        _equal(prepared.table_of(builder, 'train'), expected)
    os.utime(path, (0, 0))
    with open(path, 'w', encoding='utf-8') as file:
        file.write('of other data')
    os.utime(path, (0, 0))
    monkeypatch.setattr(prepared, '_AT_ONCE', 3)
    _equal(prepared.table_of(builder, 'train'), expected)
    with open(path, encoding='utf-8') as file:
        assert len(file.readlines()) == 7
    assert not [name for name in os.listdir(builder.data_path) if 'partial' in name]


def test_an_index_that_cannot_be_written(data_dir):
    builder = prepared.open_builder(data_dir)
    path = os.path.join(str(builder.data_path), 'annotations-validation.jsonl')
    os.remove(path)
    blocked = f'{path}.{os.getpid()}.partial'
    os.mkdir(blocked)
    try:
        assert prepared.table_of(builder, 'validation').image_ids.tolist() == [1]
        assert not os.path.exists(path)
    finally:
        os.rmdir(blocked)


def test_the_command(folder, tmp_path, capsys):
    validation = tmp_path / 'raw' / 'validation'
    tiny.write(validation, 1, [tiny.item(9, [1, 2, 30, 20])])
    options = [f'--manual_dir={tmp_path / "raw"}', f'--data_dir={tmp_path / "tfds"}']
    prepare.main(options)
    path = capsys.readouterr().out.splitlines()[-1]
    assert path == str(tmp_path / 'tfds' / 'deepfashion2' / '1.0.0')
    assert os.listdir(tmp_path / 'tfds' / 'deepfashion2') == ['1.0.0']
    with pytest.raises(SystemExit):
        prepare.main(['--manual_dir=nowhere'])
    assert capsys.readouterr().err == (
        'nowhere: none of the folders train, validation, test is there.\n'
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (
            {'item1': tiny.item(9, [50, 2, 60, 20])},
            r'000001.json: item 1: box .* is outside the image',
        ),
        ({'item1': tiny.item(9, [1, 2, 30, 20], scale=0)}, r'000001.json, item1: scale 0 is not'),
    ],
)
def test_annotations_are_checked_first(tmp_path, change, message):
    train, fields = tmp_path / 'raw' / 'train', {'source': 'user', 'pair_id': 1}
    tiny.write_image(train, 1, tiny.noise((40, 30)))
    tiny.write_annotation(train, 1, fields | change)
    with pytest.raises(ValueError, match=message):
        prepare.prepare(str(tmp_path / 'raw'), str(tmp_path / 'tfds'))


def test_what_is_not_there(folder, data_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match='no prepared data; .* -m research.match_rcnn.prep'):
        prepared.open_builder(str(tmp_path))
    (tmp_path / 'raw').mkdir()
    with pytest.raises(FileNotFoundError, match='raw: none of the folders train, validation, test'):
        prepare.prepare(str(tmp_path / 'raw'), str(tmp_path))
    builder = prepared.open_builder(data_dir)
    for function in prepared.table_of, prepared.Reader:
        with pytest.raises(ValueError, match="no split 'all'; there is test, train, validation.$"):
            function(builder, 'all')


def test_data_in_another_format(folder, tmp_path):
    from research.match_rcnn import builder

    tiny.write(tmp_path / 'raw' / 'train', 1, [])
    builder.Deepfashion2(data_dir=str(tmp_path)).download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(tmp_path / 'raw'))
    )
    with pytest.raises(FileNotFoundError, match='prepared as tfrecord, .* needs array_record'):
        prepared.open_builder(str(tmp_path))
