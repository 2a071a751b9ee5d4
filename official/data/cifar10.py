"""CIFAR-10: 50 000 training and 10 000 test images of ten classes, 32 x 32 pixels, RGB.

Krizhevsky: Learning multiple layers of features from tiny images, 2009. Read from the binary files
of the original archive or from a data set that TFDS has prepared.
"""

from __future__ import annotations

import os

import numpy as np

from official.data import images, tfds_images

CLASS_NAMES = (
    'airplane',
    'automobile',
    'bird',
    'cat',
    'deer',
    'dog',
    'frog',
    'horse',
    'ship',
    'truck',
)
_TRAIN = tuple(f'data_batch_{number}.bin' for number in range(1, 6))
_TEST = 'test_batch.bin'
_SIZE = 32
_RECORD = 1 + 3 * _SIZE**2  # The class, then the red, the green and the blue plane.


def load(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """CIFAR-10 from the binary files in `data_dir` if it has any of them, otherwise from TFDS.

    Args:
      data_dir: folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or a TFDS data
        folder; None: TFDS' own.
      download: let TFDS download the data when neither is there.

    Returns:
      The arrays; images are uint8 [n, 32, 32, 3].

    Raises:
      FileNotFoundError: some but not all of the six files, or no data at all.
      ValueError: a file is damaged.
    """
    files = (*_TRAIN, _TEST)
    if data_dir is not None and any(os.path.exists(os.path.join(data_dir, name)) for name in files):
        train = [_read(os.path.join(data_dir, name)) for name in _TRAIN]
        test_images, test_labels = _read(os.path.join(data_dir, _TEST))
        return images.ImageArrays(
            train_images=np.concatenate([pixels for pixels, _ in train]),
            train_labels=np.concatenate([labels for _, labels in train]),
            test_images=test_images,
            test_labels=test_labels,
            class_names=CLASS_NAMES,
            name=f'CIFAR-10 in {data_dir}',
        )
    try:
        return tfds_images.cifar10(data_dir, download)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error} Or give with --data_dir the folder that holds the files of the binary '
            f'version, {_TRAIN[0]} and others.'
        ) from None


def _read(path: str) -> tuple[np.ndarray, np.ndarray]:
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path}: no such file, while others of the six CIFAR-10 files are there.'
        )
    records = np.fromfile(path, np.uint8)
    if not len(records) or len(records) % _RECORD:
        raise ValueError(
            f'{path} has {len(records)} bytes, no multiple of {_RECORD}: it is cut '
            'short or of another version.'
        )
    records = records.reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int32)
    images.check_labels(labels, len(CLASS_NAMES), len(records), path)
    planes = records[:, 1:].reshape(-1, 3, _SIZE, _SIZE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
