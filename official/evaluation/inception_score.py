"""The Inception Score (Salimans et al. 2016, Sec. 4), over the predictions of any classifier."""

from __future__ import annotations

import numpy as np


def inception_score(probabilities: np.ndarray, splits: int = 1) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))), from 1 to the number of classes, higher is better.

    Args:
      probabilities: p(y|x), [n, classes], rows that sum to 1.
      splits: the score is computed of so many equal parts, in order, and averaged: 10 in the
        original, 1 (the whole set) in the code of Lucic et al. 2019. What does not fill a part is
        left out.

    Returns:
      Mean and standard deviation over the parts.

    Raises:
      ValueError: if there are fewer rows than splits, or rows are no probabilities.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if splits < 1 or len(probabilities) < splits:
        raise ValueError(f'{len(probabilities)} predictions cannot be split into {splits} parts.')
    if (probabilities < 0).any() or not np.allclose(probabilities.sum(1), 1, atol=1e-4):
        raise ValueError('probabilities has rows that are negative or do not sum to 1.')
    size = len(probabilities) // splits
    scores = []
    for part in range(splits):
        rows = probabilities[part * size : (part + 1) * size]
        marginal = rows.mean(0)
        # 0 log 0 is 0; where a marginal is 0, all its rows are.
        ratios = np.where(rows > 0, rows, 1) / np.where(marginal > 0, marginal, 1)
        scores.append(np.exp(np.mean(np.sum(rows * np.log(np.where(rows > 0, ratios, 1)), 1))))
    return float(np.mean(scores)), float(np.std(scores))
