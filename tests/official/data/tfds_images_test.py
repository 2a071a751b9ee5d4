"""Tests of official.data.tfds_images, digits_builder and prepare, without a network."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from official.data import digits, mnist, prepare, tfds_images


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A TFDS data folder with the digits."""
    folder = str(tmp_path_factory.mktemp('tfds'))
    prepare.main(['sklearn_digits', f'--data_dir={folder}'])
    return folder


def test_prepared_digits_are_those_of_scikit_learn(prepared):
    arrays, expected = tfds_images.load('sklearn_digits', prepared), digits.load()
    for field in ('train_images', 'train_labels', 'test_images', 'test_labels'):
        value = getattr(arrays, field)
        assert value.dtype == getattr(expected, field).dtype
        np.testing.assert_array_equal(value, getattr(expected, field))
    assert arrays.class_names == expected.class_names
    assert arrays.max_value == 16


def test_prepared_digits_are_an_ordinary_tfds_data_set(prepared):
    builder = tfds.builder_from_directory(f'{prepared}/sklearn_digits/1.0.0')
    assert builder.info.splits['train'].num_examples == 1297
    assert builder.info.splits['test'].num_examples == 500
    image, label = next(
        iter(
            tfds.load(
                'sklearn_digits',
                split='test',
                data_dir=prepared,
                as_supervised=True,
                download=False,
            )
        )
    )
    np.testing.assert_array_equal(image, digits.load().test_images[0])
    assert label == digits.load().test_labels[0]


def test_preparing_again_keeps_what_is_there(prepared):
    assert prepare.prepare('sklearn_digits', prepared) == f'{prepared}/sklearn_digits/1.0.0'


@pytest.mark.parametrize(
    'source, shape',
    [
        (tfds_images.cifar10, (32, 32, 3)),
        (tfds_images.svhn_cropped, (32, 32, 3)),
        (mnist.load, (28, 28, 1)),
    ],
)
def test_the_catalogues_sets(source, shape):
    with tfds.testing.mock_data(num_examples=6):  # in which a download does nothing
        arrays = source(None, download=True)
        example = next(iter(tfds.load(arrays.name.split()[0], split='train')))
    assert arrays.train_images.shape == arrays.test_images.shape == (6, *shape)
    assert arrays.num_classes == 10
    assert arrays.max_value == 255
    np.testing.assert_array_equal(arrays.train_images[0], example['image'])
    assert arrays.train_labels[0] == example['label']


@pytest.mark.parametrize('name', ['cifar10', 'imagenet2012', 'lsun/bedroom'])
def test_data_that_are_not_there_say_how_to_prepare_them(tmp_path, name):
    with pytest.raises(FileNotFoundError) as error:
        tfds_images.prepared_builder(name, str(tmp_path))
    message = str(error.value)
    assert message.startswith(f'{tmp_path}/{name}/')
    assert f'./garden python -m official.data.prepare {name} --data_dir={tmp_path}' in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'name, message',
    [
        ('cifar11', "TensorFlow Datasets has no data set 'cifar11'; did you mean cifar10"),
        (
            'lsun/bedrom',
            "TensorFlow Datasets has no data set 'lsun/bedrom'; did you mean lsun/bedroom",
        ),
    ],
)
def test_unknown_names_get_the_near_matches(tmp_path, capsys, name, message):
    with pytest.raises(ValueError, match=f'^{message}'):
        tfds_images.load(name, str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        prepare.main([name, f'--data_dir={tmp_path}'])
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith(message)
