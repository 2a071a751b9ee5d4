"""Tests of research.s3gan.data."""

import functools
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import datasets

from official.core import distribution, errors
from official.data import image_sources, images, labelling
from research.s3gan import data as data_lib
from research.s3gan import label_file

CPUS = distribution.virtual_cpu_devices(2)
NUMBER, CLASSES = 50, 3
LABELS = (np.arange(NUMBER) * 7 % 10 % CLASSES).astype(np.int32)


def numbered(data_dir=None):
    """Images of which each is its number in one colour; test images are numbered from 100 on."""
    del data_dir
    pixels = np.arange(NUMBER, dtype=np.uint8)[:, None, None, None] * np.ones([4, 4, 1], np.uint8)
    return images.ImageArrays(pixels, LABELS, 100 + pixels[:22], LABELS[:22], ('a', 'b', 'c'))


ARRAYS = functools.partial(image_sources.ArraySource, load=numbered)


def make(seed=1, data_dir=None, **options):
    return data_lib.GanData(
        seed, data_dir, **{'source': ARRAYS, 'batch_size': 8, 'evaluation_batch': 8, **options}
    )


def take(dataset, number):
    """Columns of `number` batches, or of all (-1), stacked."""
    return [
        np.stack(column) for column in zip(*dataset.take(number).as_numpy_iterator(), strict=True)
    ]


def context(replicas, pipeline=0, pipelines=1):
    return tf.distribute.InputContext(pipelines, pipeline, replicas)


@pytest.fixture(name='soft_file')
def soft_file_fixture(tmp_path):
    probabilities = np.random.RandomState(0).dirichlet([1] * 4, NUMBER).astype(np.float32)
    path = str(tmp_path / 'labels.npz')
    label_file.write(
        path,
        LABELS,
        hard=probabilities.argmax(1),
        num_labels=4,
        source='dice',
        probabilities=probabilities,
    )
    return path, probabilities


@pytest.mark.parametrize(
    'kind', ['true', 'single', 'random', 'few random', 'partial', 'dropped', 'inferred', 'soft']
)
def test_images_come_with_their_labels(kind, soft_file):
    path, probabilities = soft_file
    made, number = {
        'true': (labelling.true_labels, 3),
        'single': (labelling.single_label, 1),
        'random': (labelling.random_labels, 3),
        'few random': (functools.partial(labelling.random_labels, num_labels=2), 2),
        'partial': (functools.partial(labelling.partial_labels, percent=20), 3),
        'dropped': (
            functools.partial(labelling.partial_labels, percent=20, drop_unlabelled=True),
            3,
        ),
        'inferred': (functools.partial(label_file.inferred_labels, path=path), 4),
        'soft': (functools.partial(label_file.inferred_labels, path=path, soft=True), 4),
    }[kind]
    data = make(labelling=made)
    assert data.num_labels == number and data.class_names == ('a', 'b', 'c')
    dataset = data.train()
    soft = kind == 'soft'
    assert dataset.element_spec == (
        tf.TensorSpec([16, 4, 4, 1], tf.uint8),
        tf.TensorSpec([16, 4], tf.float32) if soft else tf.TensorSpec([16], tf.int32),
    )
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    pixels, labels = (column.reshape(160, *column.shape[2:]) for column in take(dataset, 10))
    which = pixels[:, 0, 0, 0]
    expected = made(LABELS, 3, 1)
    used = expected.indices.tolist()
    if 'random' not in kind:
        np.testing.assert_array_equal(labels, expected.labels[[used.index(k) for k in which]])
    # Whole epochs: each image once in each.
    for epoch in range(160 // len(used)):
        assert sorted(which[epoch * len(used) : (epoch + 1) * len(used)]) == used
    if kind == 'true':
        np.testing.assert_array_equal(labels, LABELS[which])
    if kind in ('partial', 'dropped'):
        assert set(labels[labels >= 0]) == {0, 1, 2}
        np.testing.assert_array_equal(labels[labels >= 0], LABELS[which[labels >= 0]])
        assert (labels < 0).any() == (kind == 'partial')
    if soft:
        np.testing.assert_array_equal(labels, probabilities[which])


def test_a_random_label_is_a_new_one_each_time_an_image_is_read():
    data = make(labelling=functools.partial(labelling.random_labels, num_labels=4))
    pixels, labels = (column.reshape(800, -1) for column in take(data.train(), 50))
    which, labels = pixels[:, 0], labels[:, 0]
    # 16 readings of each image: that one of 50 has the same label in all has chance 50 / 4^15.
    for number in range(NUMBER):
        assert len(set(labels[which == number])) > 1
    counts = np.bincount(labels, minlength=4)
    assert np.square(counts - 200).sum() / 200 < 16.3  # 3 degrees of freedom: 99.9 %.
    # From anywhere in the stream, and in any share of a batch, they are the same.
    later = take(data.train(start_step=45), 5)[1].reshape(-1)
    np.testing.assert_array_equal(later, labels[45 * 16 :])
    halves = take(data.train(input_context=context(2)), 100)[1].reshape(-1)
    np.testing.assert_array_equal(halves, labels)
    other = make(seed=2, labelling=functools.partial(labelling.random_labels, num_labels=4))
    assert 0.1 < np.mean(take(other.train(), 50)[1].reshape(-1) == labels) < 0.4


def test_a_batch_has_the_images_of_all_updates_of_the_discriminator():
    three = make(discriminator_steps=3)
    assert three.train().element_spec[0].shape == (24, 4, 4, 1)
    # Of the replicas each has whole updates of its share of the batch.
    two = three.train(input_context=context(2))
    assert two.element_spec[0].shape == (12, 4, 4, 1)
    whole, halves = take(three.train(), 4)[0], take(two, 8)[0]
    np.testing.assert_array_equal(halves.reshape(whole.shape), whole)


def test_started_later_it_is_the_tail():
    whole, tail = take(make().train(), 9), take(make().train(start_step=5), 4)
    for column, later in zip(whole, tail, strict=True):
        np.testing.assert_array_equal(column[5:], later)
    assert (take(make(seed=2).train(), 9)[0] != whole[0]).any()


def test_evaluation_has_every_image_once():
    data = make(labelling=labelling.single_label)
    for split, number, first in ('test', 22, 100), ('train', NUMBER, 0):
        dataset = data.evaluation(split)
        steps = -(-number // 8)
        assert int(dataset.cardinality()) == steps
        pixels, labels, weights = (
            column.reshape(8 * steps, *column.shape[2:]) for column in take(dataset, -1)
        )
        assert weights.tolist() == [1] * number + [0] * (8 * steps - number)
        assert pixels[:number, 0, 0, 0].tolist() == list(range(first, first + number))
        # The true labels, whatever the GAN is told.
        np.testing.assert_array_equal(labels[:number], LABELS[:number])
        assert (labels[number:] == LABELS[number - 1]).all()
        assert dataset.element_spec == (
            tf.TensorSpec([8, 4, 4, 1], tf.uint8),
            tf.TensorSpec([8], tf.int32),
            tf.TensorSpec([8], tf.float32),
        )
    parts = [take(data.evaluation('test', context(4, which, 2)), -1) for which in range(2)]
    assert parts[0][2].shape == parts[1][2].shape == (6, 2)
    # Steps of 8: two replicas of the one pipeline, two of the other.
    rows = [part[0][:, :, 0, 0, 0].reshape(3, 4) for part in parts]
    assert np.concatenate(rows, 1).reshape(-1)[:22].tolist() == list(range(100, 122))


def test_batches_that_cannot_be_divided_are_refused():
    data = make(batch_size=9, evaluation_batch=7, discriminator_steps=2)
    for pipeline, size in (
        (data.train, 9),
        (data.calibration, 9),
        (data.evaluation, 7),
        (functools.partial(data.samples, 5), 7),
    ):
        # 18 images could be halved; 9, those of one update, cannot.
        with pytest.raises(ValueError) as error:
            pipeline(input_context=context(2))
        assert str(error.value) == (f'batch size {size} cannot be divided evenly among 2 replicas.')


@pytest.mark.parametrize(
    'name', ['batch_size', 'discriminator_steps', 'evaluation_batch', 'calibration_batches']
)
def test_counts_are_positive(name):
    with pytest.raises(ValueError, match=f'GanData.{name} = 0 must be a whole number'):
        make(**{name: 0})


def test_label_prior(soft_file):
    partial = functools.partial(labelling.partial_labels, percent=20)
    counts = np.round(np.bincount(LABELS) / 5)
    assert len(set(counts)) > 1
    np.testing.assert_allclose(make(labelling=partial).label_prior(), [1 / 3] * 3)
    np.testing.assert_allclose(
        make(labelling=partial, empirical_prior=True).label_prior(), counts / counts.sum()
    )
    soft = functools.partial(label_file.inferred_labels, path=soft_file[0], soft=True)
    np.testing.assert_allclose(make(labelling=soft).label_prior(), [1 / 4] * 4)
    np.testing.assert_allclose(
        make(labelling=soft, empirical_prior=True).label_prior(), soft_file[1].mean(0), rtol=1e-5
    )


def test_positions_of_generated_images():
    data = make(batch_size=8, evaluation_batch=6, calibration_batches=3)
    assert np.stack(list(data.calibration())).tolist() == np.arange(24).reshape(3, 8).tolist()
    assert np.stack(list(data.samples(10))).tolist() == np.arange(12).reshape(2, 6).tolist()
    # Sets have nothing in common.
    assert np.stack(list(data.samples(10, first=1)))[0, 0] == 12
    for make_positions in data.calibration, functools.partial(data.samples, 10):
        whole = np.concatenate(list(make_positions()))
        parts = [
            np.stack(list(make_positions(input_context=context(2, which, 2)))) for which in range(2)
        ]
        np.testing.assert_array_equal(np.concatenate(parts, 1).reshape(-1), whole)


def test_real_images_of_a_label(soft_file):
    path, probabilities = soft_file

    def numbers(data, label, number):
        pixels = data.real_images(label, number)
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (4, 4, 1)
        return pixels[:, 0, 0, 0].tolist()

    of_one = np.flatnonzero(LABELS == 1).tolist()
    assert numbers(make(), 1, 4) == of_one[:4]
    assert numbers(make(), 1, 1000) == of_one
    assert numbers(make(), 1, 0) == []
    dropped = make(
        labelling=functools.partial(labelling.partial_labels, percent=20, drop_unlabelled=True)
    )
    indices = dropped.labelling.indices
    assert numbers(dropped, 2, 9) == indices[LABELS[indices] == 2].tolist()
    soft = make(labelling=functools.partial(label_file.inferred_labels, path=path, soft=True))
    assert numbers(soft, 3, 5) == np.flatnonzero(probabilities.argmax(1) == 3)[:5].tolist()
    many = make(labelling=lambda labels, *_: labelling.Labelling(np.arange(NUMBER), LABELS, 9))
    assert numbers(many, 8, 5) == []


# Folders, with damaged files among them.


def write_folder(folder, damaged=()):
    """PNGs of one colour, which is the image's number; classes of 20, 30 and 5 images."""
    number = 0
    for label, count in enumerate((20, 30, 5)):
        os.makedirs(folder / f'class{label}')
        for _ in range(count):
            # Of different sizes; the upper half is brighter, so that crops are not alike.
            pixels = np.full([30, 31 + number % 7, 3], number, np.uint8)
            pixels[:, :, 2] = np.arange(30)[:, None] * 8
            contents = tf.io.encode_png(pixels).numpy()
            (folder / f'class{label}' / f'{number:03d}.png').write_bytes(
                contents[:-30] if number in damaged else contents
            )
            number += 1
    return np.repeat([0, 1, 2], [20, 30, 5])


def of_folder(folder, **options):
    return make(
        data_dir=str(folder),
        source=functools.partial(image_sources.FolderSource, image_size=6, train='.', test='.'),
        **options,
    )


def test_damaged_files_change_nothing_else(tmp_path):
    damaged = {3, 19, 20, 54}
    truth = write_folder(tmp_path / 'good')
    write_folder(tmp_path / 'bad', damaged)
    good, bad = of_folder(tmp_path / 'good'), of_folder(tmp_path / 'bad')
    (pixels, labels), (other_pixels, other_labels) = (take(data.train(), 6) for data in (good, bad))
    which, instead = pixels[..., 0, 0, 0], other_pixels[..., 0, 0, 0]
    broken = np.isin(which, list(damaged))
    assert broken.sum() > 4 and len(np.unique(pixels[..., 2], axis=0)) > 1
    np.testing.assert_array_equal(labels, truth[which])
    np.testing.assert_array_equal(other_labels, truth[instead])
    # All others are where they were, with the same crops.
    np.testing.assert_array_equal(other_pixels[~broken], pixels[~broken])
    following = {3: 4, 19: 21, 20: 21, 54: 0}
    assert instead[broken].tolist() == [following[number] for number in which[broken]]
    assert bad.source.skipped['train'].indices == damaged

    # Started later, and in two pipelines, it is the same.
    for column, later in zip(
        (other_pixels, other_labels), take(bad.train(start_step=5), 1), strict=True
    ):
        np.testing.assert_array_equal(column[5:], later)
    parts = [take(bad.train(input_context=context(2, which, 2)), 3) for which in range(2)]
    for column, first, second in zip((other_pixels, other_labels), *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([first, second], 1), column[:3])

    # In evaluation there are as many images as before, each with the label that it has.
    pixels, labels, weights = (np.concatenate(column) for column in take(bad.evaluation(), -1))
    which = pixels[:55, 0, 0, 0]
    assert weights.sum() == 55 and len(labels) == 56
    assert which.tolist() == [following.get(number, number) for number in range(55)]
    np.testing.assert_array_equal(labels[:55], truth[which])


def test_without_a_readable_image_a_run_ends_with_a_sentence(tmp_path):
    write_folder(tmp_path, set(range(55)))
    data = of_folder(tmp_path)
    # As the training loop takes them.
    for pipeline in data.train, data.evaluation:
        with pytest.raises(ValueError) as error:
            tf.distribute.get_strategy().distribute_datasets_from_function(
                lambda context: pipeline(input_context=context)
            )
        assert errors.sentence(error.value) == (
            f'{tmp_path}: of 55 images 55 were tried and none can be read; the first is '
            f'{tmp_path}/class0/000.png (Invalid PNG data, size 69).'
        )


def test_two_devices_take_their_shares(tmp_path):
    write_folder(tmp_path, {3, 20})
    data = of_folder(tmp_path)
    strategy = tf.distribute.MirroredStrategy(CPUS)
    batches = iter(
        strategy.distribute_datasets_from_function(
            lambda context: data.train(input_context=context)
        )
    )
    pixels, labels = take(data.train(), 2)
    for step in range(2):
        images, given = (
            tf.concat(strategy.experimental_local_results(part), 0) for part in next(batches)
        )
        np.testing.assert_array_equal(images, pixels[step])
        np.testing.assert_array_equal(given, labels[step])


def test_real_images_have_their_label_though_files_are_damaged(tmp_path):
    write_folder(tmp_path / 'bad', {0, 2, 50, 54})
    data = of_folder(tmp_path / 'bad')
    assert data.real_images(0, 4)[:, 0, 0, 0].tolist() == [1, 3, 4, 5]
    # There are no more, and none is shown twice.
    assert sorted(data.real_images(2, 5)[:, 0, 0, 0]) == [51, 52, 53]


def test_photographs(tmp_path):
    """Cuttings of scikit-learn's two photographs, wide and high, as JPEG files of several kinds."""
    random, files = np.random.default_rng(0), {}
    for name, photograph in zip(
        ('china', 'flower'), datasets.load_sample_images().images, strict=True
    ):
        os.makedirs(tmp_path / 'train' / name)
        for number in range(10):
            size = [128, int(random.integers(128, 300))][:: random.choice([1, -1])]
            top, left = (
                int(random.integers(whole - part + 1))
                for whole, part in zip(photograph.shape[:2], size, strict=True)
            )
            path = str(tmp_path / 'train' / name / f'{number}.jpg')
            Image.fromarray(photograph[top : top + size[0], left : left + size[1]]).save(
                path, quality=90, progressive=number % 2 == 0, subsampling=number % 3
            )
            files[path] = np.asarray(Image.open(path)).astype(int)
    source = functools.partial(image_sources.FolderSource, image_size=128, test='train')
    data = make(data_dir=str(tmp_path), batch_size=10, evaluation_batch=5, source=source)
    assert data.class_names == ('china', 'flower')
    pixels, labels = take(data.train(), 3)
    assert pixels.shape == (3, 20, 128, 128, 3)
    assert sorted(labels.reshape(-1)[:20]) == [0] * 10 + [1] * 10

    pixels, labels, _ = (np.concatenate(column) for column in take(data.evaluation(), -1))
    assert labels.tolist() == [0] * 10 + [1] * 10
    for path, image in zip(sorted(files), pixels, strict=True):
        expected = files[path]
        # The short side is 128: the central square is not resized.
        top, left = ((side - 128) // 2 for side in expected.shape[:2])
        difference = np.abs(image - expected[top : top + 128, left : left + 128])
        assert difference.mean() < 2 and difference.max() < 20, path
    assert not data.source.skipped['train'].indices
