"""Inferred labels as a file: what pre-training writes and the GAN reads (Lucic et al. 2019, Sec. 3.1).

A file belongs to one set of training images: it holds their number and a fingerprint of their true
labels in order, so that a file of another set, or of the same one in another order, is refused.
"""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np

from official.core import run_folder
from official.data import labelling

_VERSION = 1


def fingerprint(labels: np.ndarray) -> str:
    """What tells sets of images apart: SHA-256 of their labels, int32 [n], in order."""
    return hashlib.sha256(np.ascontiguousarray(labels, '<i4').tobytes()).hexdigest()


def write(path: str, true_labels: np.ndarray, *, hard: np.ndarray, num_labels: int,
          source: str, probabilities: np.ndarray | None = None) -> None:
    """Writes inferred labels.

    Args:
      path: of the .npz file; written whole or not at all.
      true_labels: int [n], only for the fingerprint.
      hard: inferred labels, int [n].
      num_labels: labels there are: classes, or clusters.
      source: how they were inferred, in words.
      probabilities: float32 [n, num_labels], for soft labels.
    """
    about = {'version': _VERSION, 'num_images': len(hard), 'num_labels': int(num_labels),
             'source': source, 'fingerprint': fingerprint(true_labels)}
    arrays = {'hard': hard.astype(np.int32)}
    if probabilities is not None:
        arrays['probabilities'] = probabilities.astype(np.float32)
    partial = f'{path}.partial'
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(partial, 'wb') as file:
        np.savez(file, about=json.dumps(about), **arrays)
    os.replace(partial, path)
