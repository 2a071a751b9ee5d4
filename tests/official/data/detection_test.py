"""Tests of official.data.detection: geometry against float64 NumPy, order, pairs, bad images."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import detection, detection_table, problems

Item = detection_table.Item
CANVAS = (48, 64)
NUMBER = 11
VARIED = {'flip': True, 'min_size': (20, 32), 'seed': 3}
FLIP = np.array([[0, 1, 2], [1, 0, 2], [0, 1, 2]])
S = 16


def picture(row, height, width):
    """Its colour says which image it is; the left half is darker than the right."""
    pixels = np.full([height, width, 3], 20 * row + 30, np.uint8)
    pixels[:, : width // 2] = 20 * row + 20
    return pixels


def size_of(row):
    return 20 + row, 42 - 2 * row  # The first ones are wide, the last ones high.


def items_of(row, rng):
    """0, 1, 2, 3, 0, ... items of odd numbers."""
    height, width = size_of(row)
    items = []
    for k in range(row % 4):
        x1, y1 = rng.uniform(0, 0.5, 2) * [width, height]
        x2, y2 = rng.uniform(0.6, 1, 2) * [width, height]
        category = 1 + (row + k) % 2
        landmarks = np.concatenate([rng.uniform(0, 20, [3, 2]), [[2], [0], [1]]], 1)
        items.append(
            Item(
                [x1, y1, x2, y2],
                category,
                [[[x1, y1], [x2, y1], [x1, y2]]],
                landmarks if category == 1 else None,
                crowd=row == 7 and k == 2,
                pair_id=1 + row // 4,
                style=1,
            )
        )
    return items


def build(folder, name='set'):
    """Images of users and shops in turn, PNG files."""
    rng = np.random.default_rng(0)
    builder = detection_table.TableBuilder(name, ('top', 'rug'), (3, 0), FLIP, mask_size=S)
    for row in range(NUMBER):
        path = f'{folder}/{row}.png'
        Image.fromarray(picture(row, *size_of(row))).save(path)
        builder.add_image(path, 100 + row, size_of(row), 1 + row % 2, items_of(row, rng))
    return builder.build()


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    return build(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def whole(table):
    """What one device reads of each kind, in the most varied way: to make one takes a second."""
    pipeline = make(table, **VARIED)
    return {'train': take(pipeline.train(4), 12), 'train_pairs': take(pipeline.train_pairs(4), 12)}


@pytest.fixture(scope='module')
def plain(table):
    """Training as it is by default."""
    pipeline = make(table)
    return {'train': take(pipeline.train(4), 11), 'train_pairs': take(pipeline.train_pairs(4), 10)}


def make(table, **options):
    return detection.DetectionPipeline(
        table, **{'canvas': CANVAS, 'min_size': 32, 'max_size': 48, 'max_items': 4} | options
    )


def take(dataset, count=-1):
    """Batches one after another, joined: a dict of arrays."""
    batches = list(dataset.take(count).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def rows_of(batch):
    """Which rows of the table the images are, by their colours."""
    return (batch['images'][:, 0, 0, 0].astype(int) - 20) // 20


def mirrored(batch):
    """By the darker half."""
    right = batch['sizes'][:, 1].astype(int) - 1
    return batch['images'][:, 0, 0, 0] > batch['images'][np.arange(len(right)), 0, right, 0]


def expected(table, row, min_size, max_size, flip, max_items=4):
    """One image's annotations in float64."""
    height, width = table.sizes[row].astype(np.float64)
    scale = min(min_size / min(height, width), max_size / max(height, width))
    new = np.floor(np.array([height, width]) * scale + 0.5)
    y, x = new / [height, width]
    result = {
        'sizes': new,
        'boxes': np.zeros([max_items, 4]),
        'scales': np.array([y, x]),
        'classes': np.zeros(max_items),
        'crowd': np.zeros(max_items, bool),
        'landmarks': np.zeros([max_items, 3, 3]),
        'masks': np.zeros([max_items, S, S]),
        'pair_ids': np.zeros(max_items),
        'styles': np.zeros(max_items),
    }
    for place, item in enumerate(table.items_of(row)):
        x1, y1, x2, y2 = table.boxes[item].astype(np.float64)
        result['boxes'][place] = [x1 * x, y1 * y, x2 * x, y2 * y]
        if flip:
            result['boxes'][place] = [new[1] - x2 * x, y1 * y, new[1] - x1 * x, y2 * y]
        mask = np.unpackbits(table.mini_masks[item]).reshape(S, S)
        result['masks'][place] = mask[:, ::-1] if flip else mask
        for j in range(3):
            source = FLIP[table.classes[item], j] if flip else j
            px, py, v = table.landmarks[item, source].astype(np.float64)
            if v:
                result['landmarks'][place, j] = [new[1] - px * x if flip else px * x, py * y, v]
        for ours, column in (
            ('classes', 'classes'),
            ('crowd', 'crowd'),
            ('pair_ids', 'pair_ids'),
            ('styles', 'styles'),
        ):
            result[ours][place] = getattr(table, column)[item]
        if not has_partner(table, item):
            result['styles'][place] = 0
    return result


def has_partner(table, item):
    """Whether an item of the other source has its pair_id and style."""

    def identity(one):
        return int(table.pair_ids[one]), int(table.styles[one])

    def source(one):
        return table.sources[
            next(row for row in range(table.num_images) if one in table.items_of(row))
        ]

    single = [other for other in range(table.num_items) if not table.crowd[other]]
    return bool(
        item in single
        and table.styles[item] > 0
        and table.pair_ids[item] > 0
        and any(
            identity(other) == identity(item) and {source(item), source(other)} == {1, 2}
            for other in single
        )
    )


def check(table, batch, min_sizes, max_size=48):
    rows, flips = rows_of(batch), mirrored(batch)
    for n, row in enumerate(rows):
        wanted = expected(table, row, min_sizes[n], max_size, flips[n])
        for name in batch.keys() & wanted.keys():
            np.testing.assert_allclose(
                batch[name][n], wanted[name], rtol=1e-5, atol=1e-4, err_msg=f'{name} of {row}'
            )
        height, width = wanted['sizes'].astype(int)
        assert (batch['images'][n, :height, :width] > 0).all()
        assert not batch['images'][n, height:].any() and not batch['images'][n, :, width:].any()


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


def test_evaluation(table):
    dataset = make(table).evaluation(4)
    shapes = {
        name: (spec.dtype.name, tuple(spec.shape)) for name, spec in dataset.element_spec.items()
    }
    assert shapes == {
        'images': ('uint8', (4, 48, 64, 3)),
        'sizes': ('float32', (4, 2)),
        'boxes': ('float32', (4, 4, 4)),
        'classes': ('int32', (4, 4)),
        'crowd': ('bool', (4, 4)),
        'landmarks': ('float32', (4, 4, 3, 3)),
        'masks': ('uint8', (4, 4, S, S)),
        'pair_ids': ('int32', (4, 4)),
        'styles': ('int32', (4, 4)),
        'index': ('int64', (4,)),
        'weights': ('float32', (4,)),
        'scales': ('float32', (4, 2)),
    }
    assert dataset.cardinality() == 3
    batch = take(dataset)
    assert rows_of(batch).tolist() == batch['index'].tolist() == [*range(11), 10]
    assert batch['weights'].tolist() == [1] * 11 + [0]
    assert not mirrored(batch).any()
    check(table, batch, [32] * 12)
    some = take(make(table, **VARIED).evaluation(2, rows=np.array([5, 3, 9])))
    assert rows_of(some).tolist() == some['index'].tolist() == [5, 3, 9, 9]
    assert some['weights'].tolist() == [1, 1, 1, 0]
    same(
        {name: values[:3] for name, values in some.items()},
        {name: values[[5, 3, 9]] for name, values in batch.items()},
    )


def test_training_with_mirrored_images(table):
    batch = take(make(table, flip=True).train(5), 44)  # Twenty epochs.
    rows, flips = rows_of(batch).reshape(20, 11), mirrored(batch)
    assert all(sorted(epoch) == list(range(11)) for epoch in rows.tolist())
    assert len(set(map(tuple, rows.tolist()))) == 20
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / np.sqrt(220)
    check(table, batch, [32] * 220)


def test_training_by_default(table, plain):
    for batch in plain.values():
        assert not mirrored(batch).any()
        check(table, batch, [32] * len(batch['sizes']))


def test_images_of_several_sizes(table):
    sizes = (20, 26, 32)
    batch = take(make(table, flip=True, min_size=sizes).train(4), 30)
    drawn = np.zeros(120, int)
    for n, row in enumerate(rows_of(batch)):
        possible = [expected(table, row, size, 48, False)['sizes'].tolist() for size in sizes]
        drawn[n] = sizes[possible.index(batch['sizes'][n].tolist())]
    counts = np.array([np.sum(drawn == size) for size in sizes])
    assert (np.abs(counts - 40) < 4 * np.sqrt(120 * 2 / 9)).all()
    check(table, batch, drawn)
    # Which size an image has does not follow from whether it is mirrored.
    assert 10 < np.sum((drawn == 20) & mirrored(batch)) < counts[0] - 10


def test_mirroring_twice_changes_nothing():
    rng = np.random.default_rng(0)
    boxes = tf.constant(rng.uniform(0, 50, [2, 3, 4]).astype(np.float32))
    width, valid = tf.constant([50.0, 60.0]), tf.constant([[True, True, True], [True, True, False]])
    once = detection._mirrored_boxes(boxes, width, valid)
    twice = detection._mirrored_boxes(once, width, valid).numpy()
    np.testing.assert_allclose(twice[valid], boxes.numpy()[valid], atol=1e-5)
    assert not twice[1, 2].any() and not once[1, 2].numpy().any()
    landmarks = rng.uniform(1, 50, [2, 3, 3, 3]).astype(np.float32)
    landmarks[..., 2] = rng.integers(0, 3, [2, 3, 3])
    landmarks[landmarks[..., 2] == 0] = 0
    flips = tf.constant(FLIP[[[1, 2, 1], [1, 1, 0]]])
    once = detection._mirrored_landmarks(tf.constant(landmarks), width, flips)
    twice = detection._mirrored_landmarks(once, width, flips)
    np.testing.assert_allclose(twice, landmarks, atol=1e-5)
    assert np.abs(once - landmarks).max() > 1


@pytest.mark.parametrize('kind', ['train', 'train_pairs'])
def test_started_later_it_is_the_tail(table, whole, kind):
    pipeline = make(table, **VARIED)
    start = 5 if kind == 'train' else 7
    tail = take(getattr(pipeline, kind)(4, start), 3)
    same(tail, {name: values[4 * start : 4 * start + 12] for name, values in whole[kind].items()})


def test_the_seed_decides(table, whole):
    batch = take(make(table, **VARIED | {'seed': 4}).train(4), 12)
    assert (rows_of(batch) != rows_of(whole['train'])).mean() > 0.7
    assert 6 < np.sum(mirrored(batch) != mirrored(whole['train'])) < 42


@pytest.mark.parametrize('kind', ['train', 'train_pairs'])
def test_two_replicas_take_what_one_takes(table, whole, kind):
    pipeline = make(table, **VARIED)
    read = getattr(pipeline, kind)
    first = {name: values[:12] for name, values in whole[kind].items()}
    one, other = (
        take(read(4, input_context=tf.distribute.InputContext(2, number, 2)), 3)
        for number in (0, 1)
    )
    same(
        {
            name: np.concatenate(
                [
                    part[2 * step : 2 * step + 2]
                    for step in range(3)
                    for part in (one[name], other[name])
                ]
            )
            for name in one
        },
        first,
    )


def test_pairs(table):
    pairs = table.pairs()
    # Rows 0, 4, 8 have no items; 1 to 3, 5 to 7 and 9 to 10 share an identity each.
    assert pairs.tolist() == [[2, 1], [2, 3], [6, 5], [6, 7], [10, 9]]
    pipeline = make(table, flip=True)
    batch = take(pipeline.train_pairs(4), 50)  # 100 pairs: 20 epochs.
    found = rows_of(batch).reshape(20, 5, 2)
    for epoch in found.tolist():
        assert sorted(epoch) == pairs.tolist()
    check(table, batch, [32] * 200)
    users, shops = mirrored(batch).reshape(100, 2).T
    assert 25 < np.sum(users) < 75 and 25 < np.sum(shops) < 75
    assert 25 < np.sum(users ^ shops) < 75  # Each by itself.
    for name in 'pair_ids', 'styles':
        np.testing.assert_array_equal(batch[name][::2].max(1), batch[name][1::2].max(1))
    with pytest.raises(ValueError, match='batch size 3: pairs make an even number of images'):
        pipeline.train_pairs(3)
    with pytest.raises(
        ValueError, match='batch size 6: 3 pairs of images cannot be divided among 2'
    ):
        pipeline.train_pairs(6, 0, tf.distribute.InputContext(1, 0, 2))
    with pytest.raises(ValueError, match='set: no image of a user and image of a shop'):
        make(table.subset([0, 1, 3])).train_pairs(4)


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


def test_damaged_images_are_skipped_and_counted(plain, tmp_path, capfd):
    table = build(tmp_path)
    for row, how in DAMAGES.items():
        damage(tmp_path / f'{row}.png', how)
    instead = {3: 5, 4: 5, 6: 7, 8: 9, 10: 0}
    pipeline = make(table)
    batch = take(pipeline.train(4), 11)
    assert rows_of(batch).tolist() == [instead.get(row, row) for row in rows_of(plain['train'])]
    check(table, batch, [32] * 44)  # With its own boxes.
    assert pipeline.problems.counts == {problems.DAMAGED: 5}
    assert sum('is skipped' in line for line in capfd.readouterr().err.splitlines()) == 5
    assert pipeline.skipped.indices == set(DAMAGES)
    batch = take(pipeline.evaluation(4))
    assert batch['weights'].tolist() == [1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0]
    used = batch['weights'] > 0
    assert rows_of(batch)[used].tolist() == batch['index'][used].tolist() == [0, 1, 2, 5, 7, 9]
    assert pipeline.problems.counts == {problems.DAMAGED: 5}


def test_a_pair_with_a_damaged_image_is_skipped(plain, tmp_path, capfd):
    table = build(tmp_path)
    damage(tmp_path / '3.png', 'text')
    damage(tmp_path / '10.png', 'truncated PNG')
    pipeline = make(table)
    batch = take(pipeline.train_pairs(4), 10)
    next_one = {(2, 3): [6, 5], (10, 9): [2, 1]}
    assert rows_of(batch).reshape(-1, 2).tolist() == [
        next_one.get(tuple(pair), pair)
        for pair in rows_of(plain['train_pairs']).reshape(-1, 2).tolist()
    ]
    check(table, batch, [32] * 40)
    assert set(pipeline.problems.files(problems.DAMAGED)) == {
        f'{tmp_path}/3.png',
        f'{tmp_path}/10.png',
    }
    assert pipeline.problems.counts == {problems.DAMAGED: 2}
    assert sum('is skipped' in line for line in capfd.readouterr().err.splitlines()) == 2


def test_no_readable_image_is_refused_at_once(tmp_path):
    table = build(tmp_path)
    for row in range(NUMBER):
        damage(tmp_path / f'{row}.png', 'missing')
    for start in (lambda p: p.train(4), lambda p: p.train_pairs(4), lambda p: p.evaluation(4)):
        with pytest.raises(ValueError, match='set: of .* none can be read; the first is .*png'):
            start(make(table))


def test_more_items_than_fit():
    boxes = [[0, 0, 10, 10], [0, 0, 30, 20], [0, 0, 2, 2], [5, 5, 15, 16], [0, 0, 32, 24]]
    builder = detection_table.TableBuilder('set', ('a',), (0,), mask_size=8)
    builder.add_image(
        'x', 1, (24, 32), items=[Item(box, 1, style=k, crowd=k == 4) for k, box in enumerate(boxes)]
    )
    builder.add_image('y', 2, (24, 32), items=[Item(boxes[2], 1, style=9)])
    table = builder.build()

    def chosen(max_items):
        pipeline = detection.DetectionPipeline(table, (24, 32), 24, 32, max_items)
        rows = pipeline._chosen.numpy()
        return np.where(rows < 0, 0, table.styles[rows]).tolist(), pipeline.problems.counts

    assert chosen(1) == ([[1], [9]], {problems.TOO_MANY: 1})
    assert chosen(2) == ([[1, 3], [9, 0]], {problems.TOO_MANY: 1})
    assert chosen(4) == ([[0, 1, 2, 3], [9, 0, 0, 0]], {problems.TOO_MANY: 1})  # No crowd.
    assert chosen(6) == ([[0, 1, 2, 3, 4, 0], [9, 0, 0, 0, 0, 0]], {})


def test_images_without_items_may_be_left_out(table):
    part = table.subset([0, 1, 4, 7])
    part.crowd[0] = True  # The item of row 1.
    assert set(rows_of(take(make(part, skip_empty=True).train(4), 3))) == {7}
    empty = table.subset([0, 4, 8])
    batch = take(make(empty, flip=True).train(3), 1)
    assert not any(batch[name].any() for name in ('boxes', 'classes', 'masks', 'landmarks'))
    with pytest.raises(ValueError, match='set: no image is used'):
        make(empty, skip_empty=True).train(3)


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
            items=[Item([4, 6, 18, 12], 1, landmarks=[[4, 6, 2]])],
        )
    # Twice as large as it was annotated.
    builder.add_image(
        save(tmp_path, 'jpeg'), 99, (12, 16), items=[Item([2, 3, 9, 6], 1, landmarks=[[2, 3, 2]])]
    )
    batch = take(make(builder.build(), min_size=48, max_size=64).evaluation(1))
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


def test_images_come_from_a_reader_if_given(table, plain):
    contents = tf.constant([pathlib.Path(path).read_bytes() for path in table.paths])
    asked = []

    def read(rows):
        def note(rows):
            asked.extend(rows.tolist())
            return rows

        rows = tf.ensure_shape(tf.numpy_function(note, [rows], tf.int64), rows.shape)
        return tf.gather(contents, rows)

    elsewhere = table.subset(range(NUMBER))
    elsewhere.paths = [f'record {row}' for row in range(NUMBER)]
    for kind, batch in plain.items():
        same(
            take(getattr(make(elsewhere, reader=read), kind)(4), 10),
            {name: values[:40] for name, values in batch.items()},
        )
    assert set(asked) == set(range(NUMBER))


def test_what_cannot_be_right(table):
    with pytest.raises(ValueError, match='0.png: an image of 20 x 42 .* canvas of 30 x 64'):
        make(table.subset([0]), canvas=(30, 64), min_size=(10, 31), max_size=99)
    for options, message in (
        ({'max_items': 0}, 'DetectionPipeline.max_items = 0'),
        ({'min_size': ()}, r'min_size = \(\)'),
        ({'min_size': (5, 0)}, 'min_size = 0'),
        ({'max_size': 1.5}, 'max_size = 1.5'),
        ({'canvas': (3,)}, r'canvas = \(3,\)'),
        ({'canvas': (0, 9)}, 'height = 0'),
    ):
        with pytest.raises(ValueError, match=message):
            make(table, **options)
    with pytest.raises(ValueError, match='set: there are no images'):
        make(table.subset([]))
