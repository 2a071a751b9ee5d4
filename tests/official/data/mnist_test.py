"""Tests of official.data.mnist; those of the real files skip where they are not at hand."""

import gzip
import pathlib
import re
import struct

import numpy as np
import pytest

from official.data import mnist

STEMS = {
    'train-images-idx3-ubyte': 2051,
    'train-labels-idx1-ubyte': 2049,
    't10k-images-idx3-ubyte': 2051,
    't10k-labels-idx1-ubyte': 2049,
}


def _idx(magic, array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f'>{1 + array.ndim}I', magic, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """Five training and three test images of 2 x 2 pixels, in the four files."""
    contents = (
        np.arange(20).reshape(5, 2, 2),
        [3, 1, 4, 1, 9],
        np.arange(100, 112).reshape(3, 2, 2),
        [2, 7, 0],
    )
    for (stem, magic), content in zip(STEMS.items(), contents, strict=True):
        (tmp_path / f'{stem}.gz').write_bytes(gzip.compress(_idx(magic, content)))
    return tmp_path


def test_reads_the_four_files(folder):
    arrays = mnist.load(str(folder))
    np.testing.assert_array_equal(arrays.train_images, np.arange(20).reshape(5, 2, 2, 1))
    np.testing.assert_array_equal(arrays.test_images, np.arange(100, 112).reshape(3, 2, 2, 1))
    assert arrays.train_labels.tolist() == [3, 1, 4, 1, 9]
    assert arrays.test_labels.tolist() == [2, 7, 0]
    assert arrays.class_names == tuple('0123456789')
    assert arrays.max_value == 255


def test_fashion_has_the_same_files_and_its_own_names(folder):
    arrays = mnist.load_fashion(str(folder))
    np.testing.assert_array_equal(arrays.test_images, mnist.load(str(folder)).test_images)
    assert arrays.class_names[0] == 'T-shirt/top' and arrays.class_names[9] == 'Ankle boot'
    assert arrays.name.startswith('Fashion-MNIST')
    (folder / 't10k-labels-idx1-ubyte.gz').unlink()
    with pytest.raises(FileNotFoundError, match='others of the four Fashion-MNIST files'):
        mnist.load_fashion(str(folder))


def test_reads_unpacked_files(folder):
    for path in list(folder.iterdir()):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert mnist.load(str(folder)).test_labels.tolist() == [2, 7, 0]


@pytest.mark.parametrize('stem', STEMS)
def test_one_file_missing(folder, stem):
    path = folder / f'{stem}.gz'
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f'^{path}: no such file'):
        mnist.load(str(folder))


@pytest.mark.parametrize('stem', STEMS)
def test_a_file_cut_short(folder, stem):
    path = folder / f'{stem}.gz'
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f'^{path}: truncated: the gzip stream ends early'):
        mnist.load(str(folder))


def test_images_and_labels_swapped(folder):
    path = folder / 't10k-images-idx3-ubyte.gz'
    path.write_bytes((folder / 't10k-labels-idx1-ubyte.gz').read_bytes())
    with pytest.raises(ValueError, match=f'^{path}: IDX magic number 2049, expected 2051'):
        mnist.load(str(folder))


def test_labels_of_another_count(folder):
    path = folder / 'train-labels-idx1-ubyte.gz'
    path.write_bytes(_idx(2049, [1, 2, 3]))
    with pytest.raises(ValueError, match=f'^{path}: 3 labels for 5 images.$'):
        mnist.load(str(folder))


def test_a_label_outside_the_classes(folder):
    path = folder / 'train-labels-idx1-ubyte.gz'
    path.write_bytes(_idx(2049, [1, 2, 3, 10, 4]))
    message = f'{path}: label 10 at position 3 is not one of the 10 classes 0 to 9.'
    with pytest.raises(ValueError, match='^' + re.escape(message)):
        mnist.load(str(folder))


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'^data_dir {tmp_path}/nowhere: no such folder.$'):
        mnist.load(f'{tmp_path}/nowhere')


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        mnist.load(str(tmp_path))
    assert str(error.value).startswith(f'{tmp_path}/mnist/')
    assert f'./garden python -m official.data.prepare mnist --data_dir={tmp_path}' in str(
        error.value
    )
    assert 'train-images-idx3-ubyte.gz' in str(error.value)


def test_the_real_files():
    data_dir = pathlib.Path(__file__).resolve().parents[3].parent / 'shared' / 'data' / 'mnist'
    if not data_dir.is_dir():
        pytest.skip(f'the real MNIST files are not in {data_dir}')
    arrays = mnist.load(str(data_dir))
    assert arrays.train_images.shape == (60000, 28, 28, 1)
    assert arrays.test_images.shape == (10000, 28, 28, 1)
    assert arrays.train_images.mean() == pytest.approx(33.3184, abs=1e-4)
    assert arrays.test_images.mean() == pytest.approx(33.7912, abs=1e-4)
    assert np.bincount(arrays.train_labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(arrays.test_labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
