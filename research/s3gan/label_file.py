"""Inferred labels in a file: pre-training writes it, the GAN reads it (Lucic et al. 2019).

A file belongs to one set of training images: it holds their number and a fingerprint of their true
labels in order, so that a file of another set, or of the same one in another order, is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile

import numpy as np

from official.data import labelling

_VERSION = 1


def fingerprint(labels: np.ndarray) -> str:
    """What tells sets of images apart: SHA-256 of their labels, int32 [n], in order."""
    return hashlib.sha256(np.ascontiguousarray(labels, '<i4').tobytes()).hexdigest()


def write(
    path: str,
    true_labels: np.ndarray,
    *,
    hard: np.ndarray,
    num_labels: int,
    source: str,
    probabilities: np.ndarray | None = None,
) -> None:
    """Writes inferred labels.

    Args:
      path: of the .npz file; written whole or not at all.
      true_labels: int [n], only for the fingerprint.
      hard: inferred labels, int [n].
      num_labels: labels there are: classes, or clusters.
      source: how they were inferred, in words.
      probabilities: float32 [n, num_labels], for soft labels.
    """
    about = {
        'version': _VERSION,
        'num_images': len(hard),
        'num_labels': int(num_labels),
        'source': source,
        'fingerprint': fingerprint(true_labels),
    }
    arrays = {'hard': hard.astype(np.int32)}
    if probabilities is not None:
        arrays['probabilities'] = probabilities.astype(np.float32)
    partial = f'{path}.partial'
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(partial, 'wb') as file:
        np.savez(file, about=json.dumps(about), **arrays)
    os.replace(partial, path)


def inferred_labels(
    labels: np.ndarray,
    num_classes: int,
    seed: int,
    path: str,
    soft: bool = False,
    folder: str = '',
) -> labelling.Labelling:
    """Every image with the label that a file holds for it; for `GanData.labelling`.

    Args:
      labels: true labels, int [n], of which only the fingerprint is compared.
      num_classes: not used: the number of labels is the file's.
      seed: not used.
      path: path of the file below `folder`. If `runs/<name>/...` does not exist, the message names
        the command that makes it, the training of `gin_configs/<name>.gin`.
      soft: probabilities in place of the most probable label (Table 5).
      folder: folder of the data set's runs.

    Raises:
      FileNotFoundError: if there is no such file.
      PermissionError: if it may not be read.
      ValueError: if it is damaged, belongs to other images, or has no probabilities.
    """
    del num_classes, seed
    path = os.path.join(folder, path)
    if not os.path.exists(path):
        raise FileNotFoundError(f'{path}: no such file of inferred labels.{_how_to_make(path)}')
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file['about']))
            version, num_images, number, of = (
                about[name] for name in ('version', 'num_images', 'num_labels', 'fingerprint')
            )
            hard = file['hard']
            probabilities = file['probabilities'] if soft and 'probabilities' in file else None
    except PermissionError:
        raise PermissionError(f'{path} cannot be read: permission denied.') from None
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f'{path} is damaged: no file of inferred labels ({error}).') from None
    if version != _VERSION:
        raise ValueError(f'{path} has version {version}; this code reads {_VERSION}.')
    if num_images != len(labels):
        raise ValueError(
            f'{path} has labels of {num_images} images, and the data set has '
            f'{len(labels)}: it belongs to another one.'
        )
    if of != fingerprint(labels):
        raise ValueError(f'{path} belongs to another data set than this one of as many images.')
    if soft and probabilities is None:
        raise ValueError(f'{path} has hard labels only, and soft = True asks for probabilities.')
    fit = hard.shape == labels.shape and np.all((hard >= 0) & (hard < number))
    if not fit or (soft and probabilities.shape != (len(labels), number)):
        raise ValueError(f'{path} is damaged: its labels are not {len(labels)} of {number}.')
    if soft and not (
        np.isfinite(probabilities).all()
        and (probabilities >= 0).all()
        and np.allclose(probabilities.sum(1), 1, atol=1e-3)
    ):
        raise ValueError(
            f'{path} is damaged: some of its probabilities are negative or not finite, '
            'or do not sum to 1.'
        )
    return labelling.Labelling(np.arange(len(hard)), probabilities if soft else hard, number)


def _how_to_make(path: str) -> str:
    parts = os.path.normpath(path).split(os.sep)
    if parts[0] != 'runs' or len(parts) < 3:
        return ''
    gin_file = os.path.join('gin_configs', *parts[1:-1]) + '.gin'
    return f' Make it by ./garden train --gin_file={gin_file}, with the same --data_dir.'
