"""Tests of official.data.tfds_stream on small sets prepared here."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from official.data import prepare, tfds_stream
from official.vision import image_reader

NUM_EXAMPLES = 10


def _image(key):
    """Image number `key`: its width grows with it, its left half is dark, its right half bright."""
    image = np.full([6, 6 + 2 * key, 3], 10 * key, np.uint8)
    image[:, image.shape[1] // 2 :] += 100
    return image


class TinyLabelled(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Ten images of different sizes; the label is the number."""

    VERSION = tfds.core.Version('1.0.0')
    FEATURES = {
        'image': tfds.features.Image(shape=(None, None, 3), encoding_format='png'),
        'label': tfds.features.ClassLabel(num_classes=NUM_EXAMPLES),
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, disable_shuffling=True, features=tfds.features.FeaturesDict(self.FEATURES)
        )

    def _split_generators(self, dl_manager):
        return {'train': self._generate_examples()}

    def _generate_examples(self):
        for key in range(NUM_EXAMPLES):
            example = {'image': _image(key), 'label': key}
            yield key, {name: example[name] for name in self.FEATURES}


class TinyUnlabelled(TinyLabelled, skip_registration=True):
    """The images alone, as lsun has them."""

    FEATURES = {'image': TinyLabelled.FEATURES['image']}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('tfds'))
    for builder in TinyLabelled, TinyUnlabelled:
        builder(data_dir=folder, file_format='array_record').download_and_prepare()
    return folder


@pytest.fixture
def png_reader(monkeypatch):
    """A reader of PNG only; that of all formats takes each pipeline a second to begin with."""
    monkeypatch.setattr(image_reader, 'decode', lambda data: tf.io.decode_png(data, channels=3))


def _train(folder, batch_size=4, image_size=6, seed=1, **options):
    return tfds_stream.train_images(
        'tiny_labelled', batch_size, image_size, seed, folder, **options
    )


def _take(dataset, count):
    return [np.concatenate(x) for x in zip(*dataset.take(count).as_numpy_iterator(), strict=True)]


def test_every_epoch_has_every_image_once_with_its_label(folder):
    dataset = _train(folder, flip=False)
    assert dataset.element_spec == (
        tf.TensorSpec([4, 6, 6, 3], tf.uint8),
        tf.TensorSpec([4], tf.int32),
    )
    images, labels = _take(dataset, 5)  # two epochs
    assert sorted(labels[:10]) == sorted(labels[10:]) == list(range(10))
    assert labels[:10].tolist() != labels[10:].tolist()
    for image, label in zip(images, labels, strict=True):
        np.testing.assert_array_equal(image, _image(label)[:, label : label + 6])


@pytest.mark.usefixtures('png_reader')
def test_images_are_mirrored_half_of_the_times(folder):
    images, labels = _take(_train(folder, batch_size=50), 8)
    mirrored = images[:, 0, 0, 0] > images[:, 0, -1, 0]
    assert mirrored.mean() == pytest.approx(0.5, abs=0.1)  # 4 standard deviations
    for image, label, turned in zip(images, labels, mirrored, strict=True):
        expected = _image(label)[:, label : label + 6]
        np.testing.assert_array_equal(image, expected[:, ::-1] if turned else expected)


@pytest.mark.usefixtures('png_reader')
def test_started_later_it_is_the_tail(folder):
    whole, tail = _take(_train(folder), 9), _take(_train(folder, start_step=4), 5)
    for all_steps, later in zip(whole, tail, strict=True):
        np.testing.assert_array_equal(all_steps[16:], later)
    assert _take(_train(folder, seed=2), 9)[1].tolist() != whole[1].tolist()


@pytest.mark.usefixtures('png_reader')
def test_slices_of_the_replicas_make_up_the_batch(folder):
    whole = _take(_train(folder), 5)
    parts = [
        _take(_train(folder, input_context=tf.distribute.InputContext(2, i, 2)), 5)
        for i in range(2)
    ]
    for all_images, first, second in zip(whole, *parts, strict=True):
        halves = [half.reshape(5, 2, *half.shape[1:]) for half in (first, second)]
        together = np.concatenate(halves, axis=1)
        np.testing.assert_array_equal(all_images, together.reshape(all_images.shape))


@pytest.mark.usefixtures('png_reader')
def test_without_labels(folder):
    images = tfds_stream.train_images('tiny_unlabelled', 5, 6, 1, folder, flip=False)
    assert images.element_spec == tf.TensorSpec([5, 6, 6, 3], tf.uint8)
    darkest = np.concatenate(list(images.take(2).as_numpy_iterator())).min(axis=(1, 2, 3))
    assert sorted(darkest) == [10 * key for key in range(10)]
    last = list(tfds_stream.evaluation_images('tiny_unlabelled', 8, 6, folder, 'train'))[-1]
    assert [part.shape for part in last] == [(8, 6, 6, 3), (8,)]


def test_evaluation_takes_every_image_once(folder):
    dataset = tfds_stream.evaluation_images('tiny_labelled', 4, 3, folder, split='train')
    images, labels, weights = _take(dataset, -1)
    assert weights.tolist() == [1] * 10 + [0] * 2
    assert labels[:10].tolist() == list(range(10))
    # Squares of 6 pixels, half dark and half bright, made 3 wide: dark, between, bright.
    assert images.shape == (12, 3, 3, 3)
    assert images[4, :, 0].max() < 65 < images[4, :, 1].min() < 115 < images[4, :, 2].min()


def _labels_file(folder):
    return os.path.join(folder, 'tiny_labelled', '1.0.0', 'labels-train.npy')


def _read_labels(folder, monkeypatch):
    """The labels, and how many examples were read for them."""
    source, read = tfds_stream.Source('tiny_labelled', folder, 'train'), []
    original = type(source._examples).__getitems__

    def counted(self, indices):
        read.extend(indices)
        return original(self, indices)

    with monkeypatch.context() as patch:
        patch.setattr(type(source._examples), '__getitems__', counted)
        labels = source.labels()
    assert labels.dtype == np.int32 and labels.tolist() == list(range(10))
    return len(read)


def test_labels_are_kept_in_a_file(folder, monkeypatch):
    monkeypatch.setattr(tfds_stream, '_LABELS_AT_ONCE', 4)
    assert _read_labels(folder, monkeypatch) == 10
    assert _read_labels(folder, monkeypatch) == 0
    assert os.listdir(os.path.dirname(_labels_file(folder))).count('labels-train.npy') == 1
    assert not [
        name for name in os.listdir(os.path.dirname(_labels_file(folder))) if 'partial' in name
    ]


@pytest.mark.parametrize(
    'wrong',
    [
        np.arange(9, dtype=np.int32),
        np.arange(11, dtype=np.int32),
        np.arange(1, 11, dtype=np.int32),
        np.arange(10.0),
        np.zeros([10, 1], np.int32),
        np.zeros([], np.int32),
        np.array([None] * 10, object),
    ],
)
def test_labels_in_a_file_that_do_not_fit_are_read_anew(folder, monkeypatch, wrong):
    np.save(_labels_file(folder), wrong)
    assert _read_labels(folder, monkeypatch) == 10
    assert _read_labels(folder, monkeypatch) == 0


def test_labels_in_a_damaged_or_older_file_are_read_anew(folder, monkeypatch):
    path = _labels_file(folder)
    for contents in b'', b'text', np.lib.format.MAGIC_PREFIX + b'\x01':
        with open(path, 'wb') as file:
            file.write(contents)
        assert _read_labels(folder, monkeypatch) == 10
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) - 5)
    assert _read_labels(folder, monkeypatch) == 10
    np.save(path, np.zeros(10, np.int32))
    os.utime(path, (0, 0))  # Of an earlier preparation.
    assert _read_labels(folder, monkeypatch) == 10


def test_labels_without_a_place_for_a_file(folder, monkeypatch):
    path = _labels_file(folder)
    if os.path.exists(path):
        os.remove(path)
    blocked = f'{path}.{os.getpid()}.partial'
    os.mkdir(blocked)  # Not to be opened for writing, by whomever.
    try:
        for _ in range(2):
            assert _read_labels(folder, monkeypatch) == 10
        assert not os.path.exists(path)
    finally:
        os.rmdir(blocked)


def test_class_names_of_a_source(folder):
    assert tfds_stream.Source('tiny_labelled', folder, 'train').class_names == tuple('0123456789')
    assert tfds_stream.Source('tiny_unlabelled', folder, 'train').class_names == ()


def test_square_takes_the_middle():
    image = np.zeros([4, 9, 3], np.uint8)
    image[:, 2:6] = 200
    np.testing.assert_array_equal(tfds_stream.square(tf.constant(image), 4), image[:, 2:6])
    upright = tf.constant(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(tfds_stream.square(upright, 2), np.full([2, 2, 3], 200))


def test_bad_input(folder, tmp_path):
    with pytest.raises(ValueError, match="tiny_labelled/1.0.0: no split 'test'; there is train."):
        _train(folder, split='test')
    with pytest.raises(ValueError, match='batch size 4 cannot be divided evenly among 3 replicas'):
        _train(folder, input_context=tf.distribute.InputContext(1, 0, 3))
    prepare.prepare('sklearn_digits', str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        tfds_stream.train_images('sklearn_digits', 4, 8, 0, str(tmp_path))
    assert 'prepared as tfrecord' in str(error.value)
    assert 'official.data.prepare sklearn_digits --file_format=array_record' in str(error.value)
