"""Tests of official.data.detection: geometry against float64 NumPy, order, pairs, bad images."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import detection, detection_table, problems
from official.vision import image_reader
from tests.official.data import small_table as small


@pytest.fixture(scope='module', autouse=True)
def png_reader():
    """A reader of PNG only; that of all formats takes each pipeline two seconds to begin with.

    `detection_files_test.py` has it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_reader, 'decode', lambda data: tf.io.decode_png(data, channels=3))
        yield


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def whole(table):
    """What one device reads of each kind, in the most varied way: to make one takes a second."""
    pipeline = small.make(table, **small.VARIED)
    return {
        'train': small.take(pipeline.train(4), 12),
        'train_pairs': small.take(pipeline.train_pairs(4), 12),
    }


@pytest.fixture(scope='module')
def plain(table):
    """Training as it is by default."""
    pipeline = small.make(table)
    return {
        'train': small.take(pipeline.train(4), 11),
        'train_pairs': small.take(pipeline.train_pairs(4), 10),
    }


def test_evaluation(table):
    dataset = small.make(table).evaluation(4)
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
        'masks': ('uint8', (4, 4, small.S, small.S)),
        'pair_ids': ('int32', (4, 4)),
        'styles': ('int32', (4, 4)),
        'index': ('int64', (4,)),
        'weights': ('float32', (4,)),
        'scales': ('float32', (4, 2)),
    }
    assert dataset.cardinality() == 3
    batch = small.take(dataset)
    assert small.rows_of(batch).tolist() == batch['index'].tolist() == [*range(11), 10]
    assert batch['weights'].tolist() == [1] * 11 + [0]
    assert not small.mirrored(batch).any()
    small.check(table, batch, [32] * 12)
    some = small.take(small.make(table, **small.VARIED).evaluation(2, rows=np.array([5, 3, 9])))
    assert small.rows_of(some).tolist() == some['index'].tolist() == [5, 3, 9, 9]
    assert some['weights'].tolist() == [1, 1, 1, 0]
    small.same(
        {name: values[:3] for name, values in some.items()},
        {name: values[[5, 3, 9]] for name, values in batch.items()},
    )


def test_training_with_mirrored_images(table):
    batch = small.take(small.make(table, flip=True).train(5), 44)  # Twenty epochs.
    rows, flips = small.rows_of(batch).reshape(20, 11), small.mirrored(batch)
    assert all(sorted(epoch) == list(range(11)) for epoch in rows.tolist())
    assert len(set(map(tuple, rows.tolist()))) == 20
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / np.sqrt(220)
    small.check(table, batch, [32] * 220)


def test_training_by_default(table, plain):
    for batch in plain.values():
        assert not small.mirrored(batch).any()
        small.check(table, batch, [32] * len(batch['sizes']))


def test_images_of_several_sizes(table):
    sizes = (20, 26, 32)
    batch = small.take(small.make(table, flip=True, min_size=sizes).train(4), 30)
    drawn = np.zeros(120, int)
    for n, row in enumerate(small.rows_of(batch)):
        possible = [small.expected(table, row, size, 48, False)['sizes'].tolist() for size in sizes]
        drawn[n] = sizes[possible.index(batch['sizes'][n].tolist())]
    counts = np.array([np.sum(drawn == size) for size in sizes])
    assert (np.abs(counts - 40) < 4 * np.sqrt(120 * 2 / 9)).all()
    small.check(table, batch, drawn)
    # Which size an image has does not follow from whether it is mirrored.
    assert 10 < np.sum((drawn == 20) & small.mirrored(batch)) < counts[0] - 10


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
    flips = tf.constant(small.FLIP[[[1, 2, 1], [1, 1, 0]]])
    once = detection._mirrored_landmarks(tf.constant(landmarks), width, flips)
    twice = detection._mirrored_landmarks(once, width, flips)
    np.testing.assert_allclose(twice, landmarks, atol=1e-5)
    assert np.abs(once - landmarks).max() > 1


@pytest.mark.parametrize('kind', ['train', 'train_pairs'])
def test_started_later_it_is_the_tail(table, whole, kind):
    pipeline = small.make(table, **small.VARIED)
    start = 5 if kind == 'train' else 7
    tail = small.take(getattr(pipeline, kind)(4, start), 3)
    small.same(
        tail, {name: values[4 * start : 4 * start + 12] for name, values in whole[kind].items()}
    )


def test_the_seed_decides(table, whole):
    batch = small.take(small.make(table, **small.VARIED | {'seed': 4}).train(4), 12)
    assert (small.rows_of(batch) != small.rows_of(whole['train'])).mean() > 0.7
    assert 6 < np.sum(small.mirrored(batch) != small.mirrored(whole['train'])) < 42


@pytest.mark.parametrize('kind', ['train', 'train_pairs'])
def test_two_replicas_take_what_one_takes(table, whole, kind):
    pipeline = small.make(table, **small.VARIED)
    read = getattr(pipeline, kind)
    first = {name: values[:12] for name, values in whole[kind].items()}
    one, other = (
        small.take(read(4, input_context=tf.distribute.InputContext(2, number, 2)), 3)
        for number in (0, 1)
    )
    small.same(
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
    pipeline = small.make(table, flip=True)
    batch = small.take(pipeline.train_pairs(4), 50)  # 100 pairs: 20 epochs.
    found = small.rows_of(batch).reshape(20, 5, 2)
    for epoch in found.tolist():
        assert sorted(epoch) == pairs.tolist()
    small.check(table, batch, [32] * 200)
    users, shops = small.mirrored(batch).reshape(100, 2).T
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
        small.make(table.subset([0, 1, 3])).train_pairs(4)


def test_more_items_than_fit():
    boxes = [[0, 0, 10, 10], [0, 0, 30, 20], [0, 0, 2, 2], [5, 5, 15, 16], [0, 0, 32, 24]]
    builder = detection_table.TableBuilder('set', ('a',), (0,), mask_size=8)
    builder.add_image(
        'x',
        1,
        (24, 32),
        items=[small.Item(box, 1, style=k, crowd=k == 4) for k, box in enumerate(boxes)],
    )
    builder.add_image('y', 2, (24, 32), items=[small.Item(boxes[2], 1, style=9)])
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
    assert set(small.rows_of(small.take(small.make(part, skip_empty=True).train(4), 3))) == {7}
    empty = table.subset([0, 4, 8])
    batch = small.take(small.make(empty, flip=True).train(3), 1)
    assert not any(batch[name].any() for name in ('boxes', 'classes', 'masks', 'landmarks'))
    with pytest.raises(ValueError, match='set: no image is used'):
        small.make(empty, skip_empty=True).train(3)


def test_what_cannot_be_right(table):
    with pytest.raises(ValueError, match='0.png: an image of 20 x 42 .* canvas of 30 x 64'):
        small.make(table.subset([0]), canvas=(30, 64), min_size=(10, 31), max_size=99)
    for options, message in (
        ({'max_items': 0}, 'DetectionPipeline.max_items = 0'),
        ({'min_size': ()}, r'min_size = \(\)'),
        ({'min_size': (5, 0)}, 'min_size = 0'),
        ({'max_size': 1.5}, 'max_size = 1.5'),
        ({'canvas': (3,)}, r'canvas = \(3,\)'),
        ({'canvas': (0, 9)}, 'height = 0'),
    ):
        with pytest.raises(ValueError, match=message):
            small.make(table, **options)
    with pytest.raises(ValueError, match='set: there are no images'):
        small.make(table.subset([]))
