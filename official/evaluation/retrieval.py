"""Retrieval from a gallery of embeddings by products of matrices.

Exact as long as float32 products do not put one of the wanted vectors behind more than 12 others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_SPARE = 12  # More than wanted are taken by float32 products and then compared in float64.
_REFINED = 256  # Queries compared in float64 at once, which bounds the memory.


def top_k(
    queries: np.ndarray, gallery: np.ndarray, k: int, block: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """The gallery's vectors of the largest dot product with each query.

    Args:
      queries: float [q, d].
      gallery: float [g, d].
      k: how many.
      block: queries at once; block x g products are in memory.

    Returns:
      Indices int64 [q, min(k, g)], the best first, of equal ones the one that comes first; and
      the products, float64 of the same shape.

    Raises:
      ValueError: if shapes do not fit, `k` is below 1 or a number is not finite.
    """
    queries, gallery = _checked(queries, gallery, k)

    def exact(rows, found):
        return np.einsum(
            'qd,qkd->qk', queries[rows].astype(np.float64), gallery[found].astype(np.float64)
        )

    return _search(queries, gallery, np.zeros(len(gallery), np.float32), k, block, exact)


def weighted_distance_top_k(
    queries: np.ndarray, gallery: np.ndarray, weight: np.ndarray, k: int, block: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """The gallery's vectors of the largest weight . (query - vector)^2.

    That is the order of a learned similarity softmax(dense((v_1 - v_2)^2)) with `weight` the
    difference of the two outputs' weights, "match" less "no match". With weights of -1 it is the
    order of the Euclidean distance, the nearest first.

    With v_1, v_2 counted from the gallery's mean, which changes no difference,

        weight . (v_1 - v_2)^2 = weight . v_1^2 - 2 (weight v_1) . v_2 + weight . v_2^2,

    a product of matrices; what it finds is ordered by the left side in float64.

    Args:
      queries: float [q, d].
      gallery: float [g, d].
      weight: float [d].
      k: how many.
      block: see `top_k`.

    Returns:
      Indices int64 [q, min(k, g)], the best first, of equal ones the one that comes first; and
      weight . (query - vector)^2, float64 of the same shape.

    Raises:
      ValueError: see `top_k`.
    """
    queries, gallery = _checked(queries, gallery, k)
    weight = np.asarray(weight, np.float32)
    if weight.shape != queries.shape[1:]:
        raise ValueError(
            f'weight has shape {list(weight.shape)}; vectors are of {queries.shape[1]} numbers.'
        )
    mean = gallery.mean(0, dtype=np.float64) if len(gallery) else np.zeros(weight.shape)
    centred = (gallery - mean).astype(np.float32)
    left = ((queries - mean) * (-2 * weight)).astype(np.float32)
    bias = np.square(centred) @ weight

    def exact(rows, found):
        differences = queries[rows].astype(np.float64)[:, np.newaxis] - gallery[found]
        return np.square(differences) @ weight.astype(np.float64)

    return _search(left, centred, bias, k, block, exact)


def hit_rates(hits: np.ndarray, ks: Sequence[int]) -> dict[int, float | None]:
    """The share of the queries with a hit among the first k: top-k accuracy.

    Args:
      hits: bool [q, n], whether what was retrieved is right, the best first; k may be above n.
      ks: which k.

    Returns:
      By k; None if there are no queries.
    """
    hits = np.asarray(hits, bool)
    return {k: float(hits[:, :k].any(1).mean()) if len(hits) else None for k in ks}


def _checked(queries, gallery, k) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32 [n, d]."""
    queries, gallery = np.asarray(queries, np.float32), np.asarray(gallery, np.float32)
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f'queries of shape {list(queries.shape)} and a gallery of shape '
            f'{list(gallery.shape)} are not [q, d] and [g, d].'
        )
    if k < 1:
        raise ValueError(f'k = {k} is below 1.')
    for name, vectors in ('queries', queries), ('gallery', gallery):
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])
            raise ValueError(f'{name} row {row} has a number that is not finite.')
    return queries, gallery


def _search(left, right, bias, k, block, exact):
    """Those of the largest left . right + bias, in the order that `exact` gives."""
    k, some = min(k, len(right)), min(k + _SPARE, len(right))
    indices, values = np.zeros((len(left), k), np.int64), np.zeros((len(left), k))
    if not k:
        return indices, values
    for start in range(0, len(left), block):
        scores = left[start : start + block] @ right.T
        scores += bias
        with tf.device('CPU:0'):  # Several times as fast as NumPy's partition.
            found = np.sort(tf.math.top_k(scores, some, sorted=False).indices.numpy(), 1)
        for first in range(start, start + len(found), _REFINED):
            rows = slice(first, min(first + _REFINED, start + len(found)))
            candidates = found[rows.start - start : rows.stop - start]
            refined = exact(rows, candidates)
            # Candidates rise and the sort is stable, so that of equal ones the first stays first.
            order = np.argsort(-refined, 1, kind='stable')[:, :k]
            indices[rows] = np.take_along_axis(candidates, order, 1)
            values[rows] = np.take_along_axis(refined, order, 1)
    return indices, values
