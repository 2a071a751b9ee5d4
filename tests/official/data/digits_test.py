"""Tests of official.data.digits."""

import numpy as np
import pytest
from sklearn import datasets

from official.data import digits


def test_sizes_and_balance():
    arrays = digits.load()
    assert arrays.train_images.shape == (1297, 8, 8, 1)
    assert arrays.test_images.shape == (500, 8, 8, 1)
    assert np.bincount(arrays.test_labels).tolist() == [50] * 10
    # scikit-learn has 178 182 177 183 181 182 181 179 174 180.
    assert np.bincount(arrays.train_labels).tolist() == [
        128,
        132,
        127,
        133,
        131,
        132,
        131,
        129,
        124,
        130,
    ]
    assert arrays.max_value == 16
    assert arrays.train_images.max() == arrays.test_images.max() == 16


def test_the_two_parts_are_scikit_learns_digits():
    arrays = digits.load()
    bunch = datasets.load_digits()

    def rows(pixels, labels):
        return sorted(map(tuple, np.column_stack([pixels.reshape(len(pixels), 64), labels])))

    together = rows(
        np.concatenate([arrays.train_images, arrays.test_images]),
        np.concatenate([arrays.train_labels, arrays.test_labels]),
    )
    assert together == rows(bunch.data, bunch.target)


def test_the_split_never_changes():
    # Measured results depend on it: the places of the first test digits in scikit-learn's order.
    bunch = datasets.load_digits()
    arrays = digits.load()
    places = [
        int(np.flatnonzero((bunch.data == image.reshape(64)).all(axis=1))[0])
        for image in arrays.test_images[:10]
    ]
    assert places == [1, 5, 11, 13, 14, 18, 19, 20, 23, 24]


def test_a_folder_that_nobody_reads_is_refused():
    with pytest.raises(
        ValueError, match='^--data_dir=mine would be ignored: digits.load reads no '
    ):
        digits.load('mine')
