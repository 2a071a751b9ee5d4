"""Which images of a training set are used, and with which labels.

Every function takes the true labels and gives a `Labelling`; gin binds the rest.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from official.core import checks

_DRAW, _RANDOM, _ANEW = range(3)


@dataclasses.dataclass(frozen=True)
class Labelling:
    """Labels for some of the images of a set.

    Attributes:
      indices: int64 [n], the images that are used, ascending.
      labels: of those, int32 [n], -1 for none, or probabilities, float32 [n, num_labels].
      num_labels: labels there are.
      drawn_anew: An image gets another label, uniform, each time it is read; `labels` is one draw.
    """

    indices: np.ndarray
    labels: np.ndarray
    num_labels: int
    drawn_anew: bool = False

    def __post_init__(self):
        """Raises ValueError if a label is none of those there are."""
        if self.labels.ndim == 1 and len(self.labels):
            for label in (self.labels.min(), self.labels.max()):
                if not -1 <= label < self.num_labels:
                    raise ValueError(
                        f'label {label} is outside -1, for none, to {self.num_labels - 1}.'
                    )

    def distribution(self) -> np.ndarray:
        """The empirical distribution of the labels, float64 [num_labels], of those there are.

        Raises:
          ValueError: no image has a label.
        """
        if self.labels.ndim == 2:
            return self.labels.mean(0, dtype=np.float64)
        counts = np.bincount(self.labels[self.labels >= 0], minlength=self.num_labels)
        if not counts.sum():
            raise ValueError('No image has a label.')
        return counts / counts.sum()


def true_labels(labels: np.ndarray, num_classes: int, seed: int) -> Labelling:
    """Every image with its own label."""
    del seed
    return Labelling(np.arange(len(labels)), labels.astype(np.int32), num_classes)


def single_label(labels: np.ndarray, num_classes: int, seed: int) -> Labelling:
    """Every image with the same label."""
    del num_classes, seed
    return Labelling(np.arange(len(labels)), np.zeros(len(labels), np.int32), 1)


def random_labels(
    labels: np.ndarray, num_classes: int, seed: int, num_labels: int | None = None
) -> Labelling:
    """Every image with a label drawn uniformly, another one each time the image is read.

    So does the code of Lucic et al. 2019, whose RANDOM LABEL this is.

    Args:
      labels: int [n].
      num_classes: number of classes.
      seed: the run's seed.
      num_labels: labels to draw from; by default as many as there are classes.
    """
    number = num_classes if num_labels is None else num_labels
    checks.positive('random_labels', num_labels=number)
    drawn = _random(seed, _RANDOM).randint(0, number, len(labels))
    return Labelling(np.arange(len(labels)), drawn.astype(np.int32), number, drawn_anew=True)


def uniform_labels(positions: tf.Tensor, num_labels: int, seed: int) -> tf.Tensor:
    """Labels for places in a stream of examples, as functions of (seed, place).

    Args:
      positions: int64 [n].
      num_labels: Labels to draw from.
      seed: The run's seed.

    Returns:
      int32 [n].
    """
    # SplitMix64 (Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators"): one hash of
    # a place, in a few operations for a whole batch.
    start = _random(seed, _ANEW).randint(0, 2**64, dtype=np.uint64)
    bits = start + tf.cast(positions, tf.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = tf.bitwise.bitwise_xor(
            bits, tf.bitwise.right_shift(bits, np.uint64(shift))
        ) * np.uint64(factor)
    bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, np.uint64(31)))
    # The upper half, as a share of the labels: of 1 000 none is likelier by more than 1e-6.
    upper = tf.cast(tf.bitwise.right_shift(bits, np.uint64(32)), tf.int64)
    return tf.cast(tf.bitwise.right_shift(upper * num_labels, tf.constant(32, tf.int64)), tf.int32)


def partial_labels(
    labels: np.ndarray, num_classes: int, seed: int, percent: float, drop_unlabelled: bool = False
) -> Labelling:
    """The labels of so many percent of each class, drawn without replacement with the seed.

    Args:
      labels: int [n].
      num_classes: number of classes.
      seed: the run's seed.
      percent: of each class, rounded to whole images.
      drop_unlabelled: leave the others out instead of giving them -1.

    Raises:
      ValueError: a class would be left without a label.
    """
    checks.within('partial_labels', 0, 100, percent=percent)
    chosen = draw_percent(labels, num_classes, percent, seed)
    if drop_unlabelled:
        return Labelling(chosen, labels[chosen].astype(np.int32), num_classes)
    partial = np.full(len(labels), -1, np.int32)
    partial[chosen] = labels[chosen]
    return Labelling(np.arange(len(labels)), partial, num_classes)


def draw_percent(labels: np.ndarray, num_classes: int, percent: float, seed: int) -> np.ndarray:
    """Indices of `percent` of each class, int64, ascending; see `partial_labels`."""
    random, chosen = _random(seed, _DRAW), []
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        number = round(len(members) * percent / 100)
        if not number:
            raise ValueError(
                f'percent = {percent} of the {len(members)} images of class {label} is none: every '
                f'class needs at least one label.'
            )
        chosen.append(random.permutation(members)[:number])
    return np.sort(np.concatenate(chosen))


def _random(seed: int, stream: int) -> np.random.RandomState:
    # RandomState's methods are frozen by NumPy, those of the newer Generator are not.
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, stream))))
