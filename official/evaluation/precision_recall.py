"""Precision and recall of generated images (Kynkaanniemi et al. 2019, Eqs. 1-3)."""

from __future__ import annotations

import numpy as np
from sklearn import neighbors

_BLOCK = 1000  # Points at a time: bounds the memory of the distances.


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """How many generated images look real, and how many real ones could have been generated.

    The manifold of a set is the union of the balls around its features that reach to each one's
    k-th nearest neighbour in the set. Precision is the share of the generated features inside the
    manifold of the real ones, recall the share of the real ones inside that of the generated.

    Args:
      real: features [n, size].
      fake: features [m, size]; the paper wants m = n.
      k: neighbours, 3 in the paper.

    Returns:
      Precision and recall, in [0, 1].

    Raises:
      ValueError: if a set has no more than `k` features.
    """
    return Manifold(real, k).share_inside(fake), Manifold(fake, k).share_inside(real)


class Manifold:
    """The union of balls around features, each reaching to its k-th nearest neighbour.

    Args:
      features: [n, size].
      k: neighbours.

    A point counts as inside within the rounding of the distances, relative to the squared norms.

    Raises:
      ValueError: if there are no more than `k` features.
    """

    def __init__(self, features: np.ndarray, k: int = 3):
        if len(features) <= k:
            raise ValueError(f'{len(features)} features have no {k}-th nearest neighbour.')
        self._features = np.asarray(features, np.float64)
        self._squares = np.square(self._features).sum(1)
        # Of a point of the set itself the nearest is that point.
        distances, _ = (
            neighbors.NearestNeighbors(n_neighbors=k + 1, algorithm='brute')
            .fit(self._features)
            .kneighbors(self._features)
        )
        self._limits = distances[:, -1] ** 2
        # A point on the border counts as inside: a squared distance, |a|^2 - 2 ab + |b|^2, is off
        # by up to so much of |a|^2 + |b|^2.
        self._slack = 4 * (self._features.shape[1] + 10) * np.finfo(np.float64).eps

    def share_inside(self, points: np.ndarray) -> float:
        """The share of points, [m, size], that lie in one of the balls."""
        inside = 0
        for start in range(0, len(points), _BLOCK):
            block = np.asarray(points[start : start + _BLOCK], np.float64)
            squares = block @ self._features.T
            squares *= -2
            squares += np.square(block).sum(1)[:, np.newaxis] * (1 - self._slack)
            squares += self._squares * (1 - self._slack)
            inside += int(np.any(squares <= self._limits, axis=1).sum())
        return inside / len(points)
