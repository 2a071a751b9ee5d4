"""Images from TensorFlow Datasets: small sets whole in memory, prepared data only unless asked.

TFDS is imported at the first use, as it takes seconds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from official.core import errors
from official.data import images

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def cifar10(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """CIFAR-10: 50 000 training and 10 000 test images, uint8 [n, 32, 32, 3]. See `load`."""
    return load('cifar10', data_dir, download)


def svhn_cropped(data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """SVHN: 73 257 training and 26 032 test images, uint8 [n, 32, 32, 3]. See `load`."""
    return load('svhn_cropped', data_dir, download)


def load(name: str, data_dir: str | None = None, download: bool = False) -> images.ImageArrays:
    """The `train` and `test` split of an image classification data set, in TFDS' order.

    Args:
      name: TFDS name, for example 'mnist', 'cifar10', 'svhn_cropped' or 'sklearn_digits'. The
        images must all have one size, and fit into memory.
      data_dir: folder of TFDS data; None: TFDS' own.
      download: download and prepare the data if they are not there. Without a network this takes
        minutes to fail.

    Returns:
      The arrays. `max_value` is the data set's own metadata if it says so (`sklearn_digits`: 16),
      else 255.

    Raises:
      FileNotFoundError: the data are not prepared; the message says how to prepare them.
      ValueError: TFDS knows no such name, or its images or labels are not as `ImageArrays` wants.
    """
    builder = prepared_builder(name, data_dir, download)
    arrays = {}
    for split in ('train', 'test'):
        batches = list(builder.as_dataset(split=split).batch(1000).as_numpy_iterator())
        arrays[f'{split}_images'] = np.concatenate([batch['image'] for batch in batches])
        labels = np.concatenate([batch['label'] for batch in batches])
        arrays[f'{split}_labels'] = labels.astype(np.int32)
    return images.ImageArrays(
        **arrays,
        class_names=tuple(builder.info.features['label'].names),
        max_value=(builder.info.metadata or {}).get('max_value', 255),
        name=f'{name} in {builder.data_dir}',
    )


def prepared_builder(
    name: str, data_dir: str | None = None, download: bool = False
) -> tfds.core.DatasetBuilder:
    """The `tfds.core.DatasetBuilder` of data that are prepared, or of none.

    Args:
      name: TFDS name, with a configuration where it has several ('lsun/bedroom').
      data_dir: folder of TFDS data; None: TFDS' own.
      download: download and prepare the data if they are not there.

    Raises:
      FileNotFoundError: the data are not prepared; the message says how to prepare them.
      ValueError: TFDS knows no such name.
    """
    builder = make_builder(name, data_dir)
    if download:
        builder.download_and_prepare()
    elif not builder.data_path.exists():
        folder = data_dir or '~/tensorflow_datasets'
        raise FileNotFoundError(
            f'{builder.data_path}: no prepared data set {name}. Where there is a network, prepare '
            f'it by: ./garden python -m official.data.prepare {name} --data_dir={folder}.'
        )
    return builder


def make_builder(
    name: str, data_dir: str | None = None, file_format: str | None = None
) -> tfds.core.DatasetBuilder:
    """The `tfds.core.DatasetBuilder` of that name, TFDS' or this project's, prepared or not.

    Raises:
      ValueError: TFDS knows no such name.
    """
    # Without it TFDS asks a metadata server of Google's cloud, and waits for an answer.
    os.environ.setdefault('NO_GCE_CHECK', 'true')
    import tensorflow_datasets as tfds  # Takes seconds.

    from official.data import digits_builder  # noqa: F401  TFDS knows what is imported.

    options = {} if file_format is None else {'file_format': file_format}
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False, **options)
    except ValueError:  # Includes DatasetNotFoundError.
        known = _known_names(tfds, name)
        if name in known:
            raise
        raise ValueError(
            f'TensorFlow Datasets has no data set {name!r}{errors.did_you_mean(name, known)}'
        ) from None


def _known_names(tfds, name: str) -> list[str]:
    """All names, or, where only the configuration is unknown, all configurations of the name."""
    names = tfds.list_builders(with_community_datasets=False)
    base = name.partition('/')[0]
    if base not in names:
        return names
    return [base, *(f'{base}/{config}' for config in tfds.builder_cls(base).builder_configs)]
