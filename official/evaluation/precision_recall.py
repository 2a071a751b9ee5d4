"""Precision and recall of generated images (Kynkaanniemi et al. 2019, Eqs. 1-3)."""

from __future__ import annotations

import numpy as np
from sklearn import neighbors


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
    return _share_inside(fake, real, k), _share_inside(real, fake, k)


def _share_inside(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    if len(manifold) <= k:
        raise ValueError(f'{len(manifold)} features have no {k}-th nearest neighbour.')
    # Of a point of the set itself the nearest is that point.
    distances, _ = neighbors.NearestNeighbors(
        n_neighbors=k + 1, algorithm='brute').fit(manifold).kneighbors(manifold)
    radii = distances[:, -1]
    inside = 0
    for start in range(0, len(points), 1000):  # Bounds the memory of the distances.
        block = np.asarray(points[start:start + 1000], np.float64)
        squares = (np.sum(block ** 2, 1)[:, np.newaxis] + np.sum(
            np.asarray(manifold, np.float64) ** 2, 1) - 2 * block @ np.asarray(
                manifold, np.float64).T)
        inside += int(np.any(squares <= radii ** 2 * (1 + 1e-9) + 1e-12, axis=1).sum())
    return inside / len(points)
