"""Tests of official.data.detection: files that are damaged, of many kinds, or of a reader."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import detection_table, problems
from official.vision import image_reader
from tests.official.data import small_table as small


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp('images'))


@pytest.fixture(name='png_reader')
def png_reader_fixture(monkeypatch):
    """A reader of PNG only; that of all formats takes each pipeline two seconds to begin with."""
    monkeypatch.setattr(image_reader, 'decode', png)


def png(data):
    return tf.io.decode_png(data, channels=3)


@pytest.fixture(scope='module')
def plain(table):
    """Training as it is by default."""
    pipeline = small.make(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_reader, 'decode', png)
        return {
            'train': small.take(pipeline.train(4), 11),
            'train_pairs': small.take(pipeline.train_pairs(4), 10),
        }


def damage(path, how):
    if how == 'missing':
        path.unlink()
    elif how == 'text':
        path.write_bytes(b'not an image')
    elif how == 'empty':
        path.write_bytes(b'')
    elif how == 'truncated PNG':
        path.write_bytes(path.read_bytes()[:-20])
    else:
        noise = np.random.default_rng(0).integers(0, 256, [60, 60, 3]).astype(np.uint8)
        contents = io.BytesIO()
        Image.fromarray(noise).save(contents, 'JPEG')
        path.write_bytes(contents.getvalue()[:-300])


DAMAGES = {3: 'missing', 4: 'text', 6: 'empty', 8: 'truncated PNG', 10: 'truncated JPEG'}


def test_damaged_images_are_skipped_and_counted(plain, tmp_path, capfd, monkeypatch):
    table = small.build(tmp_path)
    for row, how in DAMAGES.items():
        damage(tmp_path / f'{row}.png', how)
    instead = {3: 5, 4: 5, 6: 7, 8: 9, 10: 0}
    pipeline = small.make(table)
    batch = small.take(pipeline.train(4), 11)
    assert small.rows_of(batch).tolist() == [
        instead.get(row, row) for row in small.rows_of(plain['train'])
    ]
    small.check(table, batch, [32] * 44)  # With its own boxes.
    assert pipeline.problems.counts == {problems.DAMAGED: 5}
    assert sum('is skipped' in line for line in capfd.readouterr().err.splitlines()) == 5
    assert pipeline.skipped.indices == set(DAMAGES)
    monkeypatch.setattr(image_reader, 'decode', png)  # The damage is known, and what else is PNG.
    batch = small.take(pipeline.evaluation(4))
    assert batch['weights'].tolist() == [1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0]
    used = batch['weights'] > 0
    assert (
        small.rows_of(batch)[used].tolist() == batch['index'][used].tolist() == [0, 1, 2, 5, 7, 9]
    )
    assert pipeline.problems.counts == {problems.DAMAGED: 5}


@pytest.mark.usefixtures('png_reader')
def test_a_pair_with_a_damaged_image_is_skipped(plain, tmp_path, capfd):
    table = small.build(tmp_path)
    damage(tmp_path / '3.png', 'text')
    damage(tmp_path / '10.png', 'truncated PNG')
    pipeline = small.make(table)
    batch = small.take(pipeline.train_pairs(4), 10)
    next_one = {(2, 3): [6, 5], (10, 9): [2, 1]}
    assert small.rows_of(batch).reshape(-1, 2).tolist() == [
        next_one.get(tuple(pair), pair)
        for pair in small.rows_of(plain['train_pairs']).reshape(-1, 2).tolist()
    ]
    small.check(table, batch, [32] * 40)
    assert set(pipeline.problems.files(problems.DAMAGED)) == {
        f'{tmp_path}/3.png',
        f'{tmp_path}/10.png',
    }
    assert pipeline.problems.counts == {problems.DAMAGED: 2}
    assert sum('is skipped' in line for line in capfd.readouterr().err.splitlines()) == 2


def test_no_readable_image_is_refused_at_once(tmp_path):
    table = small.build(tmp_path)
    for row in range(small.NUMBER):
        damage(tmp_path / f'{row}.png', 'missing')
    for start in (lambda p: p.train(4), lambda p: p.train_pairs(4), lambda p: p.evaluation(4)):
        with pytest.raises(ValueError, match='set: of .* none can be read; the first is .*png'):
            start(small.make(table))


KINDS = ('grey', 'rgba', '16', 'jpeg', *range(1, 9))  # Numbers: JPEG of that EXIF orientation.


def save(folder, kind):
    """An image of 24 x 32 pixels, when it is upright, with a bright square on black."""
    upright = np.zeros([24, 32, 3], np.uint8)
    upright[6:12, 4:18] = 200
    if kind in ('grey', 'rgba', '16'):
        opaque = np.full([24, 32, 1], 255, np.uint8)
        array = {
            'grey': upright[..., 0],
            'rgba': np.concatenate([upright, opaque], -1),
            '16': upright[..., 0].astype(np.uint16) * 257,
        }[kind]
        path = f'{folder}/{kind}.png'
        Image.fromarray(array).save(path)
        return path
    # What a viewer does with the image of an orientation, undone.
    undo = {
        2: Image.FLIP_LEFT_RIGHT,
        3: Image.ROTATE_180,
        4: Image.FLIP_TOP_BOTTOM,
        5: Image.TRANSPOSE,
        6: Image.ROTATE_90,
        7: Image.TRANSVERSE,
        8: Image.ROTATE_270,
    }
    image, exif, path = Image.fromarray(upright), Image.Exif(), f'{folder}/{kind}.jpg'
    if kind != 'jpeg':
        exif[0x0112] = kind
    image = image.transpose(undo[kind]) if kind in undo else image
    image.save(path, exif=exif, quality=98)
    return path


def test_kinds_of_files(tmp_path):
    builder = detection_table.TableBuilder('set', ('a',), (1,), mask_size=8)
    for number, kind in enumerate(KINDS):
        builder.add_image(
            save(tmp_path, kind),
            number,
            (24, 32),
            items=[small.Item([4, 6, 18, 12], 1, landmarks=[[4, 6, 2]])],
        )
    # Twice as large as it was annotated.
    builder.add_image(
        save(tmp_path, 'jpeg'),
        99,
        (12, 16),
        items=[small.Item([2, 3, 9, 6], 1, landmarks=[[2, 3, 2]])],
    )
    batch = small.take(small.make(builder.build(), min_size=48, max_size=64).evaluation(1))
    assert batch['sizes'].tolist() == [[48, 64]] * 13
    assert batch['scales'].tolist() == [[2, 2]] * 12 + [[4, 4]]
    for image, boxes, landmarks in zip(
        batch['images'], batch['boxes'], batch['landmarks'], strict=True
    ):
        assert boxes[0].tolist() == [8, 12, 36, 24] and landmarks[0, 0].tolist() == [8, 12, 2]
        rows, columns = np.nonzero(image[..., 1] > 100)
        np.testing.assert_allclose(
            [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], boxes[0], atol=1.01
        )


@pytest.mark.usefixtures('png_reader')
def test_images_come_from_a_reader_if_given(table, plain):
    contents = tf.constant([pathlib.Path(path).read_bytes() for path in table.paths])
    asked = []

    def read(rows):
        def note(rows):
            asked.extend(rows.tolist())
            return rows

        rows = tf.ensure_shape(tf.numpy_function(note, [rows], tf.int64), rows.shape)
        return tf.gather(contents, rows)

    elsewhere = table.subset(range(small.NUMBER))
    elsewhere.paths = [f'record {row}' for row in range(small.NUMBER)]
    for kind, batch in plain.items():
        small.same(
            small.take(getattr(small.make(elsewhere, reader=read), kind)(4), 10),
            {name: values[:40] for name, values in batch.items()},
        )
    assert set(asked) == set(range(small.NUMBER))
