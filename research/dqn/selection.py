"""What the report's pictures show: where a state lies, which states, and which moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_COMPONENTS = 50


def flat(hidden: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE in two dimensions of the first 50 principal components.

    Args:
      hidden: finite, at least 3 rows that are not all alike, [N, units].
      seed: of t-SNE.

    Returns:
      Float [N, 2].
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    hidden = np.asarray(hidden, np.float64)
    # On one thread: t-SNE's threads meet a thousand times, which takes ten times as long where
    # they share their cores with others.
    with threadpool_limits(1):
        if min(hidden.shape) > _COMPONENTS:
            hidden = PCA(_COMPONENTS, random_state=seed).fit_transform(hidden)
        start = 'pca' if hidden.shape[1] > 1 else 'random'
        perplexity = min(30.0, (len(hidden) - 1) / 3)
        return TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(hidden)


def spread(
    points: np.ndarray, first: Sequence[int], count: int, among: np.ndarray | None = None
) -> np.ndarray:
    """Up to `count` points far from each other, the dimensions' ranges taken as equal.

    Args:
      points: [N, dimensions].
      first: numbers of the points to begin with; each further one is the farthest from all
        before it.
      count: how many in all.
      among: whether a point may be chosen beside `first`, bool [N]; None: any.

    Returns:
      Numbers of the points; fewer than `count` where all others lie on those chosen.
    """
    points = np.asarray(points, np.float64)
    points = points / np.maximum(np.ptp(points, axis=0), 1e-12)
    chosen = list(dict.fromkeys(first))[:count]
    while len(chosen) < count:
        distance = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(1)
        if among is not None:
            distance[~among] = 0
        if distance.max() == 0:
            break
        chosen.append(int(distance.argmax()))
    return np.array(chosen, int)


def largest_rises(values: np.ndarray, count: int, rise_agent_steps: int) -> np.ndarray:
    """When the value has risen most within `rise_agent_steps`, moments apart from each other.

    Args:
      values: V of each state of an episode, [T].
      count: moments, at most; fewer where the episode is too short to keep them apart.
      rise_agent_steps: how far back to look; moments are at least two of these apart.

    Returns:
      Numbers of the states at the end of the rises, ascending.
    """
    values = np.asarray(values, np.float64)
    steps = np.arange(len(values))
    rise = values - values[np.maximum(steps - rise_agent_steps, 0)]
    apart = max(2 * rise_agent_steps, len(values) // (4 * count))
    chosen = []
    while len(chosen) < count and np.isfinite(rise).any():
        chosen.append(int(rise.argmax()))
        rise[np.abs(steps - chosen[-1]) < apart] = -np.inf
    return np.sort(np.array(chosen, int))
