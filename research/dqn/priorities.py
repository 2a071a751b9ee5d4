"""Proportional prioritization (Schaul et al. 2016, Sec. 3.3 and Algorithm 1); off in Mnih et al."""

from __future__ import annotations

import numpy as np

from official.core import checks


class SumTree:
    """Numbers of which one is drawn with a probability proportional to its size.

    A binary tree whose inner nodes hold the sums below them (Schaul et al. 2016, Appendix B.2.1);
    all operations take arrays, one level of the tree at a time.

    Args:
      size: how many numbers; all are 0 at first.
    """

    def __init__(self, size: int):
        self.size = size
        self._levels = max(1, (size - 1).bit_length())
        self._first_leaf = 1 << self._levels
        self._nodes = np.zeros(2 * self._first_leaf)

    @property
    def total(self) -> float:
        """The sum of all numbers."""
        return float(self._nodes[1])

    @property
    def values(self) -> np.ndarray:
        """All numbers, float64 [size]; a view."""
        return self._nodes[self._first_leaf : self._first_leaf + self.size]

    def set(self, index: np.ndarray, value: np.ndarray) -> None:
        """Sets the numbers at `index`; of one that is there twice the last counts."""
        node = np.asarray(index) + self._first_leaf
        self._nodes[node] = value
        while node[0] > 1:
            node = np.unique(node >> 1)
            # Sums are made anew, not changed by differences, so that no rounding builds up.
            self._nodes[node] = self._nodes[2 * node] + self._nodes[2 * node + 1]

    def set_all(self, values: np.ndarray) -> None:
        """Sets all numbers, float64 [size]."""
        self.values[:] = values
        for level in range(self._levels - 1, -1, -1):
            node = np.arange(1 << level, 2 << level)
            self._nodes[node] = self._nodes[2 * node] + self._nodes[2 * node + 1]

    def find(self, mass: np.ndarray) -> np.ndarray:
        """Where the running sum of the numbers first exceeds `mass`, in [0, total): int64."""
        node = np.ones(len(mass), np.int64)
        mass = np.array(mass, np.float64)
        for _ in range(self._levels):
            node *= 2
            left = self._nodes[node]
            # Rounding may leave a mass that no leaf covers; an empty right side is never entered.
            right = (mass >= left) & (self._nodes[node + 1] > 0)
            mass -= np.where(right, left, 0)
            node += right
        return node - self._first_leaf


class Prioritization:
    """How transitions are preferred (Schaul et al. 2016, Eq. 1 and Sec. 3.4).

    P(i) = p_i^alpha / sum_k p_k^alpha with p_i = |TD error| + epsilon; the loss of transition i is
    weighted by w_i = (N P(i))^-beta / max_j w_j, and beta rises linearly to 1.

    - The maximum of the weights is that of the minibatch.

    Args:
      exponent: alpha.
      importance_exponent: beta at the first update.
      annealing_updates: parameter updates after which beta is 1; None keeps it.
      epsilon: keeps transitions without error alive.

    Raises:
      ValueError: an exponent is outside [0, 1].
    """

    def __init__(
        self,
        exponent: float = 0.6,
        importance_exponent: float = 0.4,
        annealing_updates: int | None = None,
        epsilon: float = 1e-6,
    ):
        checks.within(
            'Prioritization', 0, 1, exponent=exponent, importance_exponent=importance_exponent
        )
        self.exponent = exponent
        self.importance_exponent = importance_exponent
        self.annealing_updates = annealing_updates
        self.epsilon = epsilon

    def priority(self, td_error: np.ndarray) -> np.ndarray:
        """p_i^alpha of some TD errors."""
        return (np.abs(np.asarray(td_error, np.float64)) + self.epsilon) ** self.exponent

    def weights(self, probability: np.ndarray, number: int, update: int) -> np.ndarray:
        """w_i, float32, of transitions drawn with `probability` from `number` at an update."""
        beta = self.importance_exponent
        if self.annealing_updates:
            beta += (1 - beta) * min(1.0, update / self.annealing_updates)
        weights = (number * probability) ** -beta
        return (weights / weights.max()).astype(np.float32)
