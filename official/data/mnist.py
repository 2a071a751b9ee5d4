"""MNIST: 60 000 training and 10 000 test images of handwritten digits, 28 x 28 grey pixels.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998.
Read from the four original IDX files or from a data set that TFDS has prepared; and Fashion-MNIST
(Xiao, Rasul, Vollgraf 2017), whose files have the same names and form.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from official.data import idx, images, tfds_images

CLASS_NAMES = tuple('0123456789')
FASHION_CLASS_NAMES = (
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
)

_STEMS = {
    'train_images': 'train-images-idx3-ubyte',
    'train_labels': 'train-labels-idx1-ubyte',
    'test_images': 't10k-images-idx3-ubyte',
    'test_labels': 't10k-labels-idx1-ubyte',
}


def load(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """MNIST from the IDX files in `data_dir` if it has any of them, otherwise from TFDS.

    Args:
      data_dir: folder with the four files (each plain or .gz), or a TFDS data folder; None: TFDS'
        own data folder.
      download: let TFDS download the data when neither is there. Without a network this takes
        minutes to fail.

    Returns:
      The arrays; images are uint8 [n, 28, 28, 1].

    Raises:
      FileNotFoundError: no such folder, some but not all of the four files, or no data at all.
      ValueError: a file is damaged, or images and labels do not fit together.
    """
    return _load('mnist', 'MNIST', CLASS_NAMES, data_dir, download)


def load_fashion(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """Fashion-MNIST, as `load` loads MNIST: from a folder of its own, or from TFDS."""
    return _load('fashion_mnist', 'Fashion-MNIST', FASHION_CLASS_NAMES, data_dir, download)


def _load(
    tfds_name: str, name: str, class_names: tuple[str, ...], data_dir: str | None, download: bool
) -> images.ImageArrays:
    if data_dir is not None:
        if not os.path.isdir(data_dir) and not download:
            raise FileNotFoundError(f'data_dir {data_dir}: no such folder.')
        paths = {field: _find(data_dir, stem) for field, stem in _STEMS.items()}
        if any(paths.values()):
            return _load_idx(data_dir, paths, name, class_names)
    try:
        return tfds_images.load(tfds_name, data_dir, download)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error} Or give with --data_dir the folder that holds the four original files '
            f'{", ".join(stem + ".gz" for stem in _STEMS.values())}.'
        ) from None


def _find(data_dir: str, stem: str) -> str | None:
    for name in (f'{stem}.gz', stem):
        path = os.path.join(data_dir, name)
        if os.path.exists(path):
            return path
    return None


def _load_idx(
    data_dir: str, paths: dict[str, str | None], name: str, class_names: tuple[str, ...]
) -> images.ImageArrays:
    there: dict[str, str] = {}
    for field, path in paths.items():
        if path is None:
            raise FileNotFoundError(
                f'{os.path.join(data_dir, _STEMS[field])}.gz: no such file, '
                f'while others of the four {name} files are there.'
            )
        there[field] = path
    arrays: dict[str, Any] = {}
    for part in ('train', 'test'):
        pixels = idx.read(there[f'{part}_images'], 3)
        labels = idx.read(there[f'{part}_labels'], 1).astype(np.int32)
        images.check_labels(labels, len(class_names), len(pixels), there[f'{part}_labels'])
        arrays[f'{part}_images'] = pixels[..., np.newaxis]
        arrays[f'{part}_labels'] = labels
    return images.ImageArrays(**arrays, class_names=class_names, name=f'{name} in {data_dir}')
