"""Cross validation: which graphs train, validate and test in each fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Fold(NamedTuple):
    """Graphs of one fold, int64, ascending."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def stratified_folds(
    labels: np.ndarray, num_folds: int = 10, seed: int = 12345, name: str = 'graphs'
) -> list[Fold]:
    """Parts with equal shares of the classes: one to test, one to validate, the others to train.

    - Fold i is validated on the part that fold i - 1 is tested on, as in the published runs of
      Table 2 of Fey & Lenssen 2019; the paper says that a part is drawn.

    Args:
      labels: class of each graph, integers [n].
      num_folds: number of parts.
      seed: of the shuffling, which is the same in all runs.
      name: what an error message calls the data set.

    Raises:
      ValueError: fewer than 3 folds, or a class with fewer graphs than folds.
    """
    from sklearn import model_selection

    labels = np.asarray(labels)
    if num_folds < 3:
        raise ValueError(f'num_folds = {num_folds}: to test, validate and train takes 3.')
    classes, counts = np.unique(labels, return_counts=True)
    few = np.flatnonzero(counts < num_folds)
    if few.size:
        raise ValueError(
            f'{name}: class {classes[few[0]]} has {counts[few[0]]} graphs, too few '
            f'for {num_folds} folds.'
        )
    divided = model_selection.StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    tests = [test for _, test in divided.split(np.zeros(len(labels)), labels)]
    everything = np.arange(len(labels))
    folds = []
    for number, test in enumerate(tests):
        validation = tests[number - 1]
        train = np.setdiff1d(everything, np.concatenate([validation, test]))
        folds.append(Fold(*(part.astype(np.int64) for part in (train, validation, test))))
    return folds
