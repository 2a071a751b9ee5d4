"""Data sets for Match R-CNN: what batches hold, and what is said of files that do not fit."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import problems as problems_lib
from research.match_rcnn import categories, data, deepfashion2, sources
from tests.research.match_rcnn import tiny
from tests.research.match_rcnn import tiny_deepfashion2 as written


def test_rows_of_a_batch_are_pairs_of_consumer_and_shop():
    made = tiny.make_data()
    assert made.class_names == categories.NAMES and made.has_pairs
    batch = next(iter(made.train()))
    assert batch['images'].shape == (4, 64, 48, 3)
    for pair in range(2):
        users, shops = (
            {
                (int(p), int(s))
                for p, s in zip(batch['pair_ids'][row], batch['styles'][row], strict=True)
                if s
            }
            for row in (2 * pair, 2 * pair + 1)
        )
        assert users & shops


def test_every_image_is_evaluated_once():
    made = tiny.make_data()
    seen = [
        int(index)
        for batch in made.evaluation('validation')
        for index, weight in zip(batch['index'], batch['weights'], strict=True)
        if weight
    ]
    assert seen == list(range(made.table('validation').num_images))


def test_a_split_that_there_is_not():
    with pytest.raises(ValueError, match="no split 'test'; there is train, validation"):
        tiny.make_data().table('test')


def test_an_odd_batch_of_pairs():
    with pytest.raises(ValueError, match='batch_size = 3 is odd'):
        tiny.make_data(batch_size=3)


def test_problems_of_files_are_counted(tmp_path):
    """A picture cut short, one without annotation, an annotation without picture, a grey one."""
    shutil.copytree(tiny.folder(), tmp_path / 'set')
    tiny.source(str(tmp_path / 'set'))  # Nothing is drawn anew.
    train = tmp_path / 'set' / 'train'
    names = sorted(os.listdir(train / 'image'))
    with open(train / 'image' / names[0], 'r+b') as file:
        file.truncate(os.path.getsize(train / 'image' / names[0]) // 2)
    os.remove(train / 'annos' / names[1].replace('.jpg', '.json'))
    os.remove(train / 'image' / names[2])
    made = data.MatchData(
        0,
        str(tmp_path / 'set'),
        source=sources.FolderSource,
        batch_size=4,
        pairs=False,
        canvas=tiny.SIZE,
        min_size=48,
        max_size=64,
    )
    list(made.train().take(12))
    problems = {kind: found['count'] for kind, found in made.problems('train').items()}
    assert problems['annotation without its image (skipped)'] == 1
    assert problems['image without annotation (skipped)'] == 1
    assert problems['image that cannot be read (skipped)'] == 1
    files = made.problems('train')['image that cannot be read (skipped)']['files']
    assert [os.path.basename(file) for file in files] == [names[0]]


@pytest.mark.parametrize(
    'source, message',
    [
        (sources.FolderSource, 'holds train/image and train/annos'),
        (sources.CocoSource, 'holds annotations/instances_train2017.json'),
    ],
)
def test_a_source_without_a_folder(source, message):
    with pytest.raises(FileNotFoundError, match=message):
        source(None)


def test_a_malformed_annotation_is_named(tmp_path):
    shutil.copytree(tiny.folder(), tmp_path / 'set')
    path = tmp_path / 'set' / 'train' / 'annos' / '000003.json'
    annotation = json.loads(path.read_text())
    item = next(key for key in annotation if key.startswith('item'))
    annotation[item]['landmarks'] = annotation[item]['landmarks'][3:]
    path.write_text(json.dumps(annotation))
    source = sources.FolderSource(str(tmp_path / 'set'))
    with pytest.raises(ValueError, match='000003.json'):
        source.table('train')
    skipping = sources.FolderSource(str(tmp_path / 'set'), skip_malformed=True)
    assert 3 not in skipping.table('train').image_ids
    assert skipping.table('train').problems.counts[problems_lib.BAD_LANDMARKS] == 1


def test_a_split_without_annotations(tmp_path):
    """As the test split is handed out: in the place of validation, never of training."""
    for number in 1, 2, 5:
        written.write_image(tmp_path / 'test', number, Image.new('RGB', (40, 30)))
    written.write(tmp_path / 'train', 1, [written.item(9, [0, 0, 20, 20])])
    made = data.MatchData(
        0,
        str(tmp_path),
        source=lambda folder: sources.FolderSource(folder, validation='test', consumer_images=2),
        batch_size=1,
        canvas=(40, 60),
        min_size=30,
        max_size=60,
        evaluation_batch=2,
    )
    table = made.table('validation')
    assert table.sources.tolist() == [1, 1, 2] and table.num_items == 0
    batches = list(made.evaluation('validation'))
    assert [batch['weights'].numpy().tolist() for batch in batches] == [[1, 1], [1, 0]]
    assert not any(batch['classes'].numpy().any() for batch in batches)
    assert made.problems('validation')[deepfashion2.NO_ANNOTATIONS]['count'] == 3
    with pytest.raises(FileNotFoundError, match='test/annos: no such folder'):
        sources.FolderSource(str(tmp_path), train='test').table('train')
    with pytest.raises(ValueError, match='FolderSource.consumer_images = 0'):
        sources.FolderSource(str(tmp_path), consumer_images=0)


def test_a_file_of_deepfashion2s_converter(tmp_path):
    """The classes, 294 landmarks and pairs of the folder it was made of."""
    images = [
        (
            1,
            'user',
            [written.item(9, [0, 5, 20, 25], '01221222', style=2), written.item(4, [2, 0, 38, 30])],
        ),
        (2, 'shop', [written.item(9, [3, 5, 20, 25], style=2)]),
    ]
    for image, source, items in images:
        written.write(tmp_path / 'train', image, items, source)
    (tmp_path / 'coco.json').write_text(
        json.dumps(written.converted([(image, None, items) for image, _, items in images]))
    )
    table = sources.CocoSource(
        str(tmp_path), 'coco.json', 'train/image', None, consumer_images=1
    ).table('train')
    folder = deepfashion2.load(tmp_path / 'train')
    assert sum(table.landmark_counts) == 294 and table.num_landmarks == 39
    for field in ('class_names', 'landmark_counts', 'category_ids'):
        assert getattr(table, field) == getattr(folder, field), field
    for field in (
        'landmarks',
        'landmark_flip',
        'boxes',
        'classes',
        'mini_masks',
        'pair_ids',
        'styles',
        'areas',
        'sources',
        'image_ids',
    ):
        np.testing.assert_array_equal(getattr(table, field), getattr(folder, field), field)
    assert table.pairs().tolist() == [[0, 1]]
    # What a file of its kind has wrong may be left out.
    content = written.converted([(image, None, items) for image, _, items in images])
    content['annotations'][1]['bbox'] = [900, 900, 5, 5]
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    arguments = str(tmp_path), 'coco.json', 'train/image', None
    with pytest.raises(ValueError, match='000001.jpg: item 2 .id 2.: box .* outside the image'):
        sources.CocoSource(*arguments).table('train')
    table = sources.CocoSource(*arguments, skip_malformed=True).table('train')
    assert table.item_ids.tolist() == [1, 3] and table.problems.counts[problems_lib.BAD_BOX] == 1


def test_coco_source(tmp_path):
    """The same images are training and validation where there is no other file."""
    os.makedirs(tmp_path / 'images')
    with open(tmp_path / 'images' / '7.png', 'wb') as file:
        file.write(tf.io.encode_png(np.zeros([20, 30, 3], np.uint8)).numpy())
    (tmp_path / 'some.json').write_text(
        json.dumps(
            {
                'images': [{'id': 7, 'file_name': '7.png', 'width': 30, 'height': 20}],
                'categories': [{'id': 4, 'name': 'cat'}],
                'annotations': [
                    {
                        'id': 1,
                        'image_id': 7,
                        'category_id': 4,
                        'bbox': [5, 5, 10, 10],
                        'area': 100,
                        'iscrowd': 0,
                        'segmentation': [[5, 5, 15, 5, 15, 15, 5, 15]],
                    }
                ],
            }
        )
    )
    source = sources.CocoSource(str(tmp_path), 'some.json', 'images', None, 'images')
    table = source.table('train')
    assert table is source.table('validation') and table.class_names == ('cat',)
    np.testing.assert_array_equal(table.boxes, [[5, 5, 15, 15]])
    made = data.MatchData(
        0,
        str(tmp_path),
        source=lambda folder: source,
        batch_size=1,
        canvas=(40, 60),
        min_size=40,
        max_size=60,
        flip=False,
    )
    batch = next(iter(made.train()))
    np.testing.assert_allclose(batch['boxes'][0, 0], [10, 10, 30, 30])
    assert np.all(batch['masks'][0, 0] == 1)


def test_coco_source_takes_the_first_images(tmp_path, capsys):
    """In the file's order; what was wrong is said once, though both splits have it."""
    os.makedirs(tmp_path / 'images')
    for number in (3, 1, 2):
        with open(tmp_path / 'images' / f'{number}.png', 'wb') as file:
            file.write(tf.io.encode_png(np.zeros([20, 30, 3], np.uint8)).numpy())
    (tmp_path / 'some.json').write_text(
        json.dumps(
            {
                'images': [
                    {'id': number, 'file_name': f'{number}.png', 'width': 30, 'height': 20}
                    for number in (3, 1, 2)
                ],
                'categories': [{'id': 4, 'name': 'cat'}],
                'annotations': [
                    {
                        'id': number,
                        'image_id': number,
                        'category_id': 4,
                        'bbox': [number, 5, 10, 10],
                    }
                    for number in (2, 3)
                ],
            }
        )
    )
    source = sources.CocoSource(str(tmp_path), 'some.json', 'images', None, 'images', num_images=2)
    table = source.table('validation')
    assert table is source.table('train') and table.image_ids.tolist() == [3, 1]
    np.testing.assert_array_equal(table.boxes, [[3, 5, 13, 15]])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(table.problems.counts) == 2  # An image and two items lack something.
    with pytest.raises(ValueError, match='CocoSource.num_images = 0'):
        sources.CocoSource(str(tmp_path), num_images=0)
