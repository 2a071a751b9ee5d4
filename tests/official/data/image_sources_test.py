"""Tests of official.data.image_sources: arrays, folders and TFDS give the same kind of batches."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from official.data import digits, encoded_images, image_sources, images, resizing, tfds_stream

SIZE = 8
SIDE = 16


def noise(number, height=20, width=24):
    return np.random.RandomState(number).randint(0, 256, [height, width, 3]).astype(np.uint8)


def jpeg(pixels):
    return tf.io.encode_jpeg(pixels, quality=95).numpy()


def write(folder, classes=2, number=6, first=0):
    """Classes of noise; image k of all has the noise of seed first + k."""
    for label in range(classes):
        os.makedirs(folder / f'class{label}')
        for k in range(number):
            pixels = noise(first + label * number + k)
            (folder / f'class{label}' / f'{k}.jpg').write_bytes(jpeg(pixels))


@pytest.fixture(name='folder', scope='module')
def folder_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp('folder')
    write(folder / 'train')
    write(folder / 'val', number=2, first=50)
    return folder


def take(source, numbers, split='train', positions=None, batch=None, **options):
    """Images and numbers of what `source` gives for examples."""
    numbers = np.array(numbers, np.int64)
    positions = np.arange(len(numbers)) if positions is None else np.array(positions, np.int64)
    examples = tf.data.Dataset.from_tensor_slices((positions, numbers)).batch(
        batch or len(numbers), drop_remainder=True
    )
    dataset = source.images(examples, split, **options)
    spec = dataset.element_spec
    size = source.image_size
    assert spec[0].shape == (batch or len(numbers), size, size, source.channels)
    assert (spec[0].dtype, spec[1].dtype) == (tf.uint8, tf.int64)
    return [np.concatenate(x) for x in zip(*dataset.as_numpy_iterator(), strict=True)]


# Arrays.


def arrays(number=5, size=28, channels=1, max_value=255, width=None):
    random = np.random.RandomState(size)
    made = {}
    for split in image_sources.SPLITS:
        made[f'{split}_images'] = random.randint(
            0, max_value + 1, [number, size, width or size, channels]
        ).astype(np.uint8)
        made[f'{split}_labels'] = (np.arange(number) % 2).astype(np.int32)
    return images.ImageArrays(
        **made, class_names=('even', 'odd'), max_value=max_value, name='arrays'
    )


def test_arrays_as_they_are():
    data = arrays(channels=3)
    source = image_sources.ArraySource(
        'there', load=lambda data_dir: data if data_dir == 'there' else None
    )
    assert (source.name, source.class_names, source.image_size, source.channels) == (
        'arrays',
        ('even', 'odd'),
        28,
        3,
    )
    pixels, numbers = take(source, [4, 0, 4, 1])
    assert numbers.tolist() == [4, 0, 4, 1]
    np.testing.assert_array_equal(pixels, data.train_images[[4, 0, 4, 1]])
    pixels, numbers = take(source, [1, 0], 'test', used=np.array([2, 4]))
    assert numbers.tolist() == [1, 0]
    np.testing.assert_array_equal(pixels, data.test_images[[4, 2]])
    np.testing.assert_array_equal(source.labels('test'), data.test_labels)


def test_borders_are_added_on_all_sides():
    data = arrays()
    pixels, _ = take(image_sources.ArraySource(None, lambda _: data, image_size=32), range(5))
    np.testing.assert_array_equal(pixels[:, 2:30, 2:30], data.train_images)
    assert pixels.sum() == data.train_images.sum()  # The rest is black.
    odd, _ = take(image_sources.ArraySource(None, lambda _: data, image_size=31), range(5))
    np.testing.assert_array_equal(odd[:, 1:29, 1:29], data.train_images)


def test_other_scales_become_0_to_255():
    source = image_sources.ArraySource(None, digits.load)
    pixels, _ = take(source, range(1297))
    values = digits.load().train_images
    # 16 is 255; 255 / 16 = 15.9375.
    np.testing.assert_array_equal(pixels, np.floor(values * 15.9375 + 0.5))
    assert pixels.max() == 255
    padded, _ = take(image_sources.ArraySource(None, digits.load, image_size=12), range(9))
    np.testing.assert_array_equal(padded[:, 2:10, 2:10], pixels[:9])


@pytest.mark.parametrize('size, max_value', [(32, 255), (16, 255), (48, 16)])
def test_arrays_are_resized(size, max_value, monkeypatch):
    monkeypatch.setattr(image_sources, '_RESIZED_AT_ONCE', 2)
    data = arrays(size=32, channels=3, max_value=max_value)
    source = image_sources.ArraySource(None, lambda _: data, image_size=size, resize=True)
    pixels, _ = take(source, range(5))
    assert pixels.shape == (5, size, size, 3)
    scaled = np.round(data.train_images * np.float32(255 / max_value)).astype(np.uint8)
    for result, image in zip(pixels, scaled, strict=True):
        # Pillow's bilinear filter is antialiased, too, and rounds at both of its two passes.
        expected = np.asarray(Image.fromarray(image).resize([size, size], Image.BILINEAR))
        assert np.abs(result.astype(int) - expected).max() <= 1
    if size == 32:
        np.testing.assert_array_equal(pixels, data.train_images)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError) as error:
        image_sources.ArraySource(None, lambda _: arrays(), image_size=24)
    assert str(error.value) == (
        'arrays: images of 28 pixels are larger than ArraySource.image_size = 24; resize = True '
        'makes them smaller.'
    )
    with pytest.raises(ValueError, match='arrays: images of 28 x 20 pixels are not square.'):
        image_sources.ArraySource(None, lambda _: arrays(width=20))
    with pytest.raises(ValueError, match='ArraySource.image_size = -1 must be'):
        image_sources.ArraySource(None, lambda _: arrays(), image_size=-1)


def test_check_fits():
    source = image_sources.ArraySource(None, lambda _: arrays())
    image_sources.check_fits(source, 28, 1)
    with pytest.raises(ValueError) as error:
        image_sources.check_fits(source, 32, 1)
    assert str(error.value) == (
        'arrays: images of 28 pixels, grey; the networks are for image_size = 32, grey.'
    )
    with pytest.raises(ValueError, match='28 pixels, grey; the networks are for .* = 28, RGB.'):
        image_sources.check_fits(source, 28, 3)
    for channels in 2, 4:
        with pytest.raises(ValueError, match=f'28 pixels, grey; .* = 28, {channels} channels.'):
            image_sources.check_fits(source, 28, channels)


# Folders.


def decoded(seed):
    return tf.constant(np.asarray(Image.open(io.BytesIO(jpeg(noise(seed))))))


def squares(*seeds):
    """The central squares of images of noise."""
    return np.stack([tfds_stream.square(decoded(seed), SIZE) for seed in seeds])


def cut(seed, key, position, resampling=resizing.antialiased):
    """The random square of an image at a position of the stream with a key."""
    key = encoded_images.crop_key(key, tf.constant(position, tf.int64))
    return encoded_images.distorted_square(decoded(seed), SIZE, key, resampling)


def test_a_folder_by_number(folder):
    source = image_sources.FolderSource(str(folder), SIZE)
    assert source.class_names == ('class0', 'class1') and source.channels == 3
    assert source.labels('train').tolist() == [0] * 6 + [1] * 6
    assert source.labels('test').tolist() == [0, 0, 1, 1]
    pixels, numbers = take(source, [3, 11, 0])
    assert numbers.tolist() == [3, 11, 0]
    # Without a seed: the central square, as for evaluation.
    np.testing.assert_array_equal(pixels, squares(3, 11, 0))
    used = np.array([1, 7, 9])
    some, numbers = take(source, [2, 0], used=used)
    assert numbers.tolist() == [2, 0]
    np.testing.assert_array_equal(some, squares(9, 1))
    np.testing.assert_array_equal(take(source, [3], 'test')[0], squares(53))


def test_crops_belong_to_positions(folder):
    source = image_sources.FolderSource(str(folder), SIZE)
    numbers = [5] * 12
    pixels, _ = take(source, numbers, seed=1, batch=6)
    # The image has few pixels, so that two crops may be the same.
    assert len(np.unique(pixels.reshape(12, -1), axis=0)) >= 10
    later, _ = take(source, numbers[6:], seed=1, positions=range(6, 12))
    np.testing.assert_array_equal(later, pixels[6:])
    np.testing.assert_array_equal(pixels, [cut(5, 1, position) for position in range(12)])
    other, _ = take(source, numbers, seed=2)
    assert (other != pixels).any(axis=(1, 2, 3)).sum() >= 10
    still = image_sources.FolderSource(str(folder), SIZE, random_crop=False)
    fixed, _ = take(still, numbers, seed=1)
    np.testing.assert_array_equal(fixed, squares(*numbers))


def test_damaged_files_are_passed_over_among_those_used(tmp_path, capfd):
    write(tmp_path / 'train')
    (tmp_path / 'train' / 'class0' / '4.jpg').write_bytes(b'text')
    (tmp_path / 'train' / 'class1' / '5.jpg').write_bytes(jpeg(noise(11))[:-150])
    source = image_sources.FolderSource(str(tmp_path), SIZE, test='train')
    used = np.array([0, 4, 9, 11])
    pixels, numbers = take(source, [0, 1, 2, 3], used=used, seed=1)
    assert numbers.tolist() == [0, 2, 2, 0]
    # A stand-in is cut at random, too, as its place in the stream says.
    expected, _ = take(source, [0, 9, 9, 0], seed=1)
    np.testing.assert_array_equal(pixels, expected)
    assert source.skipped['train'].indices == {4, 11} and not source.skipped['test'].indices
    told = capfd.readouterr().err
    assert told.count(f'{tmp_path}/train/class0/4.jpg cannot be read as an image') == 1
    assert told.count(f'{tmp_path}/train/class1/5.jpg cannot be read as an image') == 1


def test_a_folder_without_a_readable_image_is_refused_at_once(tmp_path):
    write(tmp_path / 'train')
    for path in (tmp_path / 'train').glob('*/*'):
        path.write_bytes(b'')
    source = image_sources.FolderSource(str(tmp_path), SIZE, test='train')
    with pytest.raises(ValueError) as error:
        take(source, [0], seed=1)
    assert str(error.value) == (
        f'{tmp_path}: of 12 images 12 were tried and none can be read; the first is '
        f'{tmp_path}/train/class0/0.jpg (An empty file is not read as an image; JPEG, PNG, GIF and '
        'BMP are).'
    )


def test_folders_that_are_wrong(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match='^--data_dir is needed: the folder that holds train/<class>/<image>.JPEG and val/',
    ):
        image_sources.FolderSource(None, SIZE)
    with pytest.raises(FileNotFoundError, match=f'^{folder}/test: no such folder of images.$'):
        image_sources.FolderSource(str(folder), SIZE, test='test')
    write(tmp_path / 'train', classes=2, number=1)
    write(tmp_path / 'val', classes=3, number=1)
    with pytest.raises(ValueError, match='class class2 is in only one of train and val.$'):
        image_sources.FolderSource(str(tmp_path), SIZE)
    with pytest.raises(ValueError, match='FolderSource.image_size = 0'):
        image_sources.FolderSource(str(folder), 0)
    whole = image_sources.FolderSource(str(folder / 'train'), SIZE, train='.', test='.')
    assert len(whole.labels('train')) == len(whole.labels('test')) == 12


def test_names_that_are_not_utf_8(tmp_path):
    name = b'caf\xe9.jpg'
    os.makedirs(tmp_path / 'all' / 'a')
    with open(os.path.join(os.fsencode(tmp_path), b'all', b'a', name), 'wb') as file:
        file.write(jpeg(noise(0)))
    source = image_sources.FolderSource(str(tmp_path), SIZE, train='all', test='all')
    assert take(source, [0])[1].tolist() == [0] and not source.skipped['train'].indices


def test_photographs_are_upright(tmp_path):
    os.makedirs(tmp_path / 'train' / 'a')
    stored = Image.fromarray(noise(0, 4, 4)).resize((SIDE, SIDE), Image.BICUBIC)
    expected = []
    for orientation in range(1, 9):
        path, exif = tmp_path / 'train' / 'a' / f'{orientation}.jpg', Image.Exif()
        exif[0x0112] = orientation
        stored.save(path, exif=exif)
        with Image.open(path) as image:
            expected.append(np.asarray(ImageOps.exif_transpose(image)))
    source = image_sources.FolderSource(str(tmp_path), SIDE, test='train')
    np.testing.assert_array_equal(take(source, range(8))[0], expected)
    assert len(np.unique(expected, axis=0)) == 8


def test_transparent_pixels_are_white_and_few_colours_right(tmp_path, capfd):
    os.makedirs(tmp_path / 'train' / 'a')
    os.makedirs(tmp_path / 'train' / '.ipynb_checkpoints')
    pixels = np.dstack([noise(0, SIDE, SIDE), np.full([SIDE, SIDE], 255, np.uint8)])
    pixels[:, :4, 3] = 0  # Colours are hidden there.
    few = Image.fromarray(noise(1, SIDE, SIDE)).quantize(4)
    Image.fromarray(pixels).save(tmp_path / 'train' / 'a' / '1.png')
    few.save(tmp_path / 'train' / 'a' / '2.png')
    few.save(tmp_path / 'train' / 'a' / '3.bmp')
    few.save(tmp_path / 'train' / 'a' / '._3.bmp')
    few.save(tmp_path / 'train' / '.ipynb_checkpoints' / '1.png')
    source = image_sources.FolderSource(str(tmp_path), SIDE, test='train')
    assert source.class_names == ('a',)
    assert f'{tmp_path}/train: 2 x hidden folder or file (left out): ' in capfd.readouterr().err
    first, second, third = take(source, [0, 1, 2])[0]
    assert (first[:, :4] == 255).all()
    np.testing.assert_array_equal(first[:, 4:], pixels[:, 4:, :3])
    np.testing.assert_array_equal(second, few.convert('RGB'))
    np.testing.assert_array_equal(third, second)


def test_resampling_of_crops_and_squares(folder):
    plain = image_sources.FolderSource(str(folder), SIZE, resampling=resizing.tf1_bilinear)
    np.testing.assert_array_equal(
        take(plain, [3])[0][0], tfds_stream.square(decoded(3), SIZE, resizing.tf1_bilinear)
    )
    pixels = take(plain, [3], seed=5)[0][0]
    np.testing.assert_array_equal(pixels, cut(3, 5, 0, resizing.tf1_bilinear))
    assert np.mean(cut(3, 5, 0) != pixels) > 0.5  # Antialiased, as in the other tests.


# TFDS.


class SmallPhotos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The images of `write`, three of another size for testing."""

    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            disable_shuffling=True,
            features=tfds.features.FeaturesDict(
                {
                    'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
                    'label': tfds.features.ClassLabel(num_classes=4),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {
            'train': self._generate_examples(12, 0),
            'validation': self._generate_examples(3, 50),
        }

    def _generate_examples(self, number, first):
        for key in range(number):
            encoded = b'damaged' if (key, first) == (7, 0) else jpeg(noise(first + key))
            yield key, {'image': io.BytesIO(encoded), 'label': key % 4}


@pytest.fixture(name='prepared', scope='module')
def prepared_fixture(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('tfds'))
    SmallPhotos(data_dir=folder, file_format='array_record').download_and_prepare()
    return folder


def test_tfds_is_like_a_folder(prepared, folder, capfd):
    source = image_sources.TfdsSource(prepared, 'small_photos', SIZE)
    assert source.class_names == ('0', '1', '2', '3') and source.name == 'small_photos'
    assert source.labels('train').tolist() == [0, 1, 2, 3] * 3
    assert source.labels('test').tolist() == [0, 1, 2]
    pixels, numbers = take(source, [*range(12), 7], seed=4)
    assert numbers.tolist() == [*range(7), 8, *range(8, 12), 8]
    assert source.skipped['train'].indices == {7}
    assert 'small_photos, train image 7 cannot be read as an image' in capfd.readouterr().err
    same = image_sources.FolderSource(str(folder), SIZE)
    np.testing.assert_array_equal(pixels, take(same, numbers, seed=4)[0])


def test_tfds_without_labels_is_refused(prepared, monkeypatch):
    original = tfds_stream.Source.__init__

    def unlabelled(self, *arguments):
        original(self, *arguments)
        self.class_names = ()

    monkeypatch.setattr(tfds_stream.Source, '__init__', unlabelled)
    with pytest.raises(ValueError, match='small_photos: this data set has no labels.'):
        image_sources.TfdsSource(prepared, 'small_photos', SIZE)
