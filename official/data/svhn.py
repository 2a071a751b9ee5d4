"""SVHN: 73 257 training and 26 032 test images of house numbers' digits, 32 x 32 pixels, RGB.

Netzer et al.: Reading digits in natural images with unsupervised feature learning, 2011, format 2.
Read from the original .mat files or from a data set that TFDS has prepared.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from official.data import images, tfds_images

CLASS_NAMES = tuple('0123456789')
_FILES = {'train': 'train_32x32.mat', 'test': 'test_32x32.mat'}


def load(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """SVHN from the .mat files in `data_dir` if it has any of them, otherwise from TFDS.

    Args:
      data_dir: folder with train_32x32.mat and test_32x32.mat, or a TFDS data folder; None: TFDS'
        own.
      download: let TFDS download the data when neither is there.

    Returns:
      The arrays; images are uint8 [n, 32, 32, 3].

    Raises:
      FileNotFoundError: one of the two files, or no data at all.
      ValueError: a file is damaged.
    """
    paths = {part: os.path.join(data_dir or '', name) for part, name in _FILES.items()}
    if data_dir is not None and any(os.path.exists(path) for path in paths.values()):
        arrays: dict[str, Any] = {}
        for part, path in paths.items():
            arrays[f'{part}_images'], arrays[f'{part}_labels'] = _read(path)
        return images.ImageArrays(**arrays, class_names=CLASS_NAMES, name=f'SVHN in {data_dir}')
    try:
        return tfds_images.svhn_cropped(data_dir, download)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error} Or give with --data_dir the folder that holds '
            f'{" and ".join(_FILES.values())}.'
        ) from None


def _read(path: str) -> tuple[np.ndarray, np.ndarray]:
    from scipy import io  # Only this source needs it.

    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path}: no such file, while the other of the two SVHN files is there.'
        )
    try:
        contents = io.loadmat(path)
        pixels, labels = contents['X'], contents['y']
    except Exception as error:  # Whatever scipy raises of a file that is cut short.
        raise ValueError(f'{path} is damaged: no .mat file with X and y ({error}).') from None
    if pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3) or labels.size != pixels.shape[3]:
        raise ValueError(
            f'{path}: X has shape {pixels.shape} and y {labels.shape}, not '
            '(32, 32, 3, n) and (n, 1).'
        )
    labels = labels.reshape(-1).astype(np.int32) % 10  # The digit 0 is class 10 there.
    images.check_labels(labels, len(CLASS_NAMES), len(labels), path)
    return np.ascontiguousarray(pixels.transpose(3, 0, 1, 2)), labels
