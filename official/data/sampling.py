"""Choices among examples, made once before training."""

from __future__ import annotations

import numpy as np


def balanced_indices(
    labels: np.ndarray,
    count: int,
    num_classes: int,
    seed: int | tuple[int, ...],
    what: str = 'count',
) -> np.ndarray:
    """Draws `count` examples without replacement, `count / num_classes` of every class.

    Args:
      labels: int [n], values 0 to num_classes - 1.
      count: examples to draw, a multiple of `num_classes`.
      num_classes: number of classes.
      seed: one or several non-negative integers; the same seed draws the same examples with every
        NumPy version.
      what: how an error message calls `count`.

    Returns:
      int64 [count], indices into `labels` in ascending order.

    Raises:
      ValueError: `count` is not a positive multiple of `num_classes`, or a class has too few.
    """
    if count < 1 or count % num_classes:
        raise ValueError(
            f'{what} {count} is not a positive multiple of the {num_classes} classes: '
            'every class gives the same number of examples.'
        )
    each = count // num_classes
    # RandomState's methods are frozen by NumPy, those of the newer Generator are not.
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    drawn = []
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        if len(members) < each:
            raise ValueError(
                f'{what} {count} asks for {each} examples of class {label}, which has '
                f'{len(members)}.'
            )
        drawn.append(random.permutation(members)[:each])
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def evenly_spread(total: int, count: int | None) -> np.ndarray:
    """Returns `count` of the indices 0 to total - 1, evenly spread, int64, ascending.

    Data sets are ordered by class, by size or by source; their first examples are like no others.

    Args:
      total: number of examples.
      count: number of indices; None, or more than there are: all.
    """
    if count is None or count >= total:
        return np.arange(total)
    return np.arange(count) * total // count
