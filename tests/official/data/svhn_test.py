"""SVHN from its .mat files."""

import numpy as np
import pytest
from scipy import io

from official.data import svhn


@pytest.fixture(name='folder')
def fixture_folder(tmp_path):
    random = np.random.RandomState(0)
    for name, number in (('train', 5), ('test', 3)):
        images = random.randint(0, 256, (32, 32, 3, number)).astype(np.uint8)
        images[2, 7, :, 1] = [10, 20, 30]
        labels = np.array([[10], [1], [9], [2], [3]][:number], np.uint8)
        io.savemat(tmp_path / f'{name}_32x32.mat', {'X': images, 'y': labels})
    return tmp_path


def test_images_come_first_and_ten_is_zero(folder):
    arrays = svhn.load(str(folder))
    assert arrays.train_images.shape == (5, 32, 32, 3)
    assert arrays.train_images[1, 2, 7].tolist() == [10, 20, 30]
    assert arrays.train_labels.tolist() == [0, 1, 9, 2, 3]
    assert arrays.test_labels.tolist() == [0, 1, 9]


def test_a_damaged_file_is_named(folder):
    path = folder / 'test_32x32.mat'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match='test_32x32.mat is damaged'):
        svhn.load(str(folder))


def test_another_shape_is_named(folder):
    io.savemat(
        folder / 'train_32x32.mat', {'X': np.zeros((5, 32, 32, 3), np.uint8), 'y': np.zeros((5, 1))}
    )
    with pytest.raises(ValueError, match=r'train_32x32.mat: X has shape \(5, 32, 32, 3\)'):
        svhn.load(str(folder))


def test_a_missing_file_is_named(folder):
    (folder / 'train_32x32.mat').unlink()
    with pytest.raises(FileNotFoundError, match='train_32x32.mat: no such file'):
        svhn.load(str(folder))


def test_without_files_both_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='prepare svhn_cropped.*train_32x32.mat'):
        svhn.load(str(tmp_path))
