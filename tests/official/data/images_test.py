"""Tests of official.data.images."""

import dataclasses
import re

import numpy as np
import pytest

from official.data import images


def _arrays(**changes):
    fields = {
        'train_images': np.array([0, 255, 7], np.uint8).reshape(3, 1, 1, 1),
        'train_labels': np.array([0, 1, 0], np.int32),
        'test_images': np.array([9, 8], np.uint8).reshape(2, 1, 1, 1),
        'test_labels': np.array([1, 1], np.int32),
        'class_names': ('cat', 'dog'),
        'name': 'pets',
    }
    return images.ImageArrays(**{**fields, **changes})


def test_good_arrays_are_taken():
    arrays = _arrays()
    assert arrays.num_classes == 2
    assert arrays.image_shape == (1, 1, 1)
    assert arrays.max_value == 255
    with pytest.raises(dataclasses.FrozenInstanceError):
        arrays.max_value = 16


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'train_labels': np.array([0, 2, 0], np.int32)},
            'pets: train_labels: label 2 at position 1 is not one of the 2 classes 0 to 1.',
        ),
        (
            {'test_labels': np.array([0, -1], np.int32)},
            'pets: test_labels: label -1 at position 1 is not one of the 2 classes 0 to 1.',
        ),
        (
            {'train_labels': np.array([0, 1], np.int32)},
            'pets: train_labels: 2 labels for 3 images.',
        ),
        (
            {'test_labels': np.array([0, 1])},
            'pets: test_labels: int64 of shape (2,), not int32 of shape [n].',
        ),
        (
            {'train_images': np.zeros([3, 1, 1, 1], np.float32)},
            'pets: train_images is float32, not uint8.',
        ),
        (
            {'test_images': np.zeros([2, 1], np.uint8)},
            'pets: test_images has shape (2, 1), not [n, height, width, channels]',
        ),
        (
            {'test_images': np.zeros([2, 1, 2, 1], np.uint8)},
            'pets: train_images are (1, 1, 1) each, test_images (1, 2, 1).',
        ),
        ({'max_value': 16}, 'pets: train_images holds 255, more than max_value 16.'),
        ({'max_value': 0}, 'pets: max_value is 0, not within 1 to 255.'),
        ({'class_names': ()}, 'pets: class_names is empty.'),
    ],
)
def test_bad_arrays_name_the_field_and_the_value(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        _arrays(**changes)


def test_unit_interval_is_the_exact_quotient():
    values = np.arange(17, dtype=np.uint8)
    scaled = images.unit_interval(values, 16)
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [value / 16 for value in range(17)]  # exact in binary
    assert images.unit_interval(np.array([51, 255], np.uint8), 255).tolist() == [np.float32(0.2), 1]
