"""CIFAR-10 from its binary files."""

import numpy as np
import pytest

from official.data import cifar10


@pytest.fixture(name='folder')
def fixture_folder(tmp_path):
    random = np.random.RandomState(0)
    for number, name in enumerate(
        [f'data_batch_{n}.bin' for n in range(1, 6)] + ['test_batch.bin']
    ):
        records = random.randint(0, 256, (4, 3073)).astype(np.uint8)
        records[:, 0] = [number, 1, 2, 9]
        # Red, green and blue of the pixel in row 2, column 5 of the first image.
        records[0, [1 + 2 * 32 + 5, 1025 + 2 * 32 + 5, 2049 + 2 * 32 + 5]] = [10, 20, 30 + number]
        records.tofile(tmp_path / name)
    return tmp_path


def test_planes_become_pixels_and_files_follow_each_other(folder):
    arrays = cifar10.load(str(folder))
    assert arrays.train_images.shape == (20, 32, 32, 3)
    assert arrays.test_images.shape == (4, 32, 32, 3)
    assert arrays.train_labels.tolist() == [
        label for number in range(5) for label in (number, 1, 2, 9)
    ]
    for number in range(5):
        assert arrays.train_images[4 * number, 2, 5].tolist() == [10, 20, 30 + number]
    assert arrays.test_images[0, 2, 5].tolist() == [10, 20, 35]
    assert arrays.class_names[9] == 'truck'


def test_a_file_that_is_cut_short_is_named(folder):
    path = folder / 'data_batch_3.bin'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match='data_batch_3.bin has 12291 bytes, no multiple of 3073'):
        cifar10.load(str(folder))


def test_a_label_that_there_is_not_is_named(folder):
    path = folder / 'test_batch.bin'
    contents = bytearray(path.read_bytes())
    contents[3073] = 10
    path.write_bytes(contents)
    with pytest.raises(ValueError, match='test_batch.bin: label 10 at position 1'):
        cifar10.load(str(folder))


def test_a_missing_file_among_others_is_named(folder):
    (folder / 'data_batch_5.bin').unlink()
    with pytest.raises(FileNotFoundError, match='data_batch_5.bin: no such file, while others'):
        cifar10.load(str(folder))


def test_without_files_both_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='prepare cifar10.*data_batch_1.bin'):
        cifar10.load(str(tmp_path))
