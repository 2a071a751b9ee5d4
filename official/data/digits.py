"""The 1 797 handwritten digits that scikit-learn ships: 8 x 8 pixels with values 0 to 16.

Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI, 1998 (its test set). No download,
no data folder. scikit-learn has no train/test split, so this file fixes one: 50 digits of each
class, drawn with seed 0, are the 500 test digits, the other 1 297 train; each part keeps
scikit-learn's order.
"""

from __future__ import annotations

import numpy as np

from official.core import checks
from official.data import images, sampling

CLASS_NAMES = tuple('0123456789')
MAX_VALUE = 16
NUM_TEST = 500
_SPLIT_SEED = 0


def load(data_dir: str | None = None) -> images.ImageArrays:
    """The digits; images are uint8 [n, 8, 8, 1], values 0 to 16 (`max_value` 16).

    Args:
      data_dir: None; every data source takes one.

    Raises:
      ValueError: if there is a `data_dir`.
    """
    checks.no_data_dir('digits.load', data_dir)
    from sklearn import datasets  # Takes 1.7 s.

    bunch = datasets.load_digits()
    pixels = bunch.images.astype(np.uint8)[..., np.newaxis]
    labels = bunch.target.astype(np.int32)
    test = np.zeros(len(labels), bool)
    test[sampling.balanced_indices(labels, NUM_TEST, len(CLASS_NAMES), _SPLIT_SEED)] = True
    return images.ImageArrays(
        train_images=pixels[~test],
        train_labels=labels[~test],
        test_images=pixels[test],
        test_labels=labels[test],
        class_names=CLASS_NAMES,
        max_value=MAX_VALUE,
        name="scikit-learn's digits",
    )
