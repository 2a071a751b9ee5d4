"""Consumer-to-shop retrieval as the benchmark judges it (Ge et al. 2019, Secs. 2.2, 4.4).

- A query is an item of a user's image whose style is above 0, and of whose identity (the same
  pair_id and style) some shop's image shows an item.
- Every detection stands for the labelled item with which it has the largest IoU; one that overlaps
  none stands for the image's first item, as the largest of zeros does in the benchmark's script
  (`deepfashion2_retrieval_test.py`). `must_overlap` is the stricter reading: it stands for none.
- Of the detections that stand for a query and have its class the one with the highest score is
  searched for. If there is none, the query is missed, and counts as not found at any k.
- What is retrieved is right if its IoU is at least .5 with an item of the query's identity in the
  same shop's image. Nothing else is asked of it, its class neither.
- Table 5's levels are of "some" queries, which have "over 5 identical" shop items; so
  `min_shop_items` = 6. Its three overall columns are of all: they are below any mean of the
  levels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from official.data import detection_table
from official.evaluation import retrieval
from research.match_rcnn import subsets

KS = (1, 5, 10, 15, 20)
LEVELS_K = 20  # Of Table 5's levels.
LEVELS_MIN_SHOP_ITEMS = 6
_IOU = 0.5
_WHOSE = {detection_table.USER: 'consumer', detection_table.SHOP: 'shop'}


@dataclasses.dataclass(frozen=True)
class Boxes:
    """n boxes with what the matching network makes of them.

    Attributes:
      image_ids: int64 [n].
      boxes: float32 [n, 4], (x1, y1, x2, y2) in pixels.
      classes: int32 [n], from 1.
      scores: float32 [n].
      embeddings: float32 [n, d].
    """

    image_ids: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray

    def __len__(self):
        return len(self.image_ids)

    def take(self, rows: np.ndarray) -> Boxes:
        """Some of the boxes."""
        return Boxes(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Retrieved:
    """n boxes of users' images and what was found for them: what the benchmark's file holds.

    Attributes:
      image_ids: int64 [n].
      boxes: float32 [n, 4].
      classes: int32 [n].
      scores: float32 [n].
      gallery_image_ids: int64 [n, k], the best first.
      gallery_boxes: float32 [n, k, 4].
      similarities: float64 [n, k] or None, what they are ordered by; not in the file.
    """

    image_ids: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    gallery_image_ids: np.ndarray
    gallery_boxes: np.ndarray
    similarities: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Judgement:
    """q queries and whether they were found.

    Attributes:
      items: int64 [q], rows of the table's items.
      rows: int64 [q], of `Retrieved`; -1: missed.
      hits: bool [q, k], whether what was retrieved is right; of missed queries all False.
      shop_items: int64 [q], how many shop items have the query's identity.
    """

    items: np.ndarray
    rows: np.ndarray
    hits: np.ndarray
    shop_items: np.ndarray

    @property
    def missed(self) -> int:
        """How many queries no detection stands for."""
        return int((self.rows < 0).sum())


def of_detections(
    table: detection_table.DetectionTable,
    detections: Sequence[dict],
    source: int,
    min_score: float = 0.0,
) -> Boxes:
    """The detections in all images of one source.

    Args:
      table: of the images.
      detections: of each image of the table, in its order; see `evaluation.evaluate`.
      source: of the images, `detection_table.USER` or `SHOP`.
      min_score: less certain detections are left out.

    Raises:
      ValueError: no image is of that source.
    """
    if not (table.sources == source).any():
        raise ValueError(f'{table.name} has no image of a {_WHOSE[source]}.')
    rows = np.flatnonzero(table.sources == source)
    kept = [detections[row]['scores'] >= min_score for row in rows]
    ids = np.repeat(table.image_ids[rows], [mask.sum() for mask in kept])
    columns = (
        [detections[row][name][mask] for row, mask in zip(rows, kept, strict=True)]
        for name in ('boxes', 'classes', 'scores', 'embeddings')
    )
    return Boxes(ids, *map(np.concatenate, columns))


def of_truth(
    table: detection_table.DetectionTable, detections: Sequence[dict], items: np.ndarray
) -> Boxes:
    """Labelled items, in place of detections, with `truth_embeddings` and a score of 1.

    Args:
      table: of the images.
      detections: see `of_detections`.
      items: rows of the table's items.

    Raises:
      ValueError: an image has not as many `truth_embeddings` as items.
    """
    vectors = [detection['truth_embeddings'] for detection in detections]
    for image_id, rows, count in zip(table.image_ids, vectors, np.diff(table.first), strict=True):
        if len(rows) != count:
            raise ValueError(
                f'image {image_id} has {len(rows)} truth_embeddings and {count} items.'
            )
    vectors = np.concatenate(vectors)
    images = table.images_of_items()[items]
    return Boxes(
        table.image_ids[images],
        table.boxes[items],
        table.classes[items],
        np.ones(len(items), np.float32),
        vectors[items],
    )


def retrieve(
    found: Boxes, gallery: Boxes, weight: np.ndarray | None = None, k: int = max(KS)
) -> Retrieved:
    """Searches a gallery for every box.

    Args:
      found: of users' images.
      gallery: of shops' images.
      weight: float [d], see `retrieval.weighted_distance_top_k`; None: the Euclidean distance.
      k: how many to retrieve.
    """
    if weight is None:
        weight = -np.ones(gallery.embeddings.shape[1:], np.float32)
    indices, similarities = retrieval.weighted_distance_top_k(
        found.embeddings, gallery.embeddings, weight, k
    )
    return Retrieved(
        found.image_ids,
        found.boxes,
        found.classes,
        found.scores,
        gallery.image_ids[indices],
        gallery.boxes[indices],
        similarities,
    )


def queries(
    table: detection_table.DetectionTable, min_shop_items: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The items to search for.

    Args:
      table: of users' and shops' images.
      min_shop_items: how many shop items of its identity a query must have, 1 or more.

    Returns:
      Rows of items, int64 [q], and how many shop items have the identity of each, int64 [q].
    """
    identities, sources = identities_of(table), table.sources[table.images_of_items()]
    of_shops = (sources == detection_table.SHOP) & (identities >= 0)
    counts = np.bincount(identities[of_shops], minlength=identities.max(initial=-1) + 1)
    items = np.flatnonzero((sources == detection_table.USER) & (identities >= 0))
    counts = counts[identities[items]] if len(items) else np.zeros(0, np.int64)
    kept = counts >= max(min_shop_items, 1)
    return items[kept], counts[kept]


def select(
    table: detection_table.DetectionTable,
    items: np.ndarray,
    image_ids: np.ndarray,
    boxes: np.ndarray,
    classes: np.ndarray,
    scores: np.ndarray,
    must_overlap: bool = False,
) -> np.ndarray:
    """The detection that stands for each query.

    Args:
      table: of the images.
      items: int64 [q], rows of items.
      image_ids: int64 [n], of detections.
      boxes: float32 [n, 4].
      classes: int32 [n].
      scores: float32 [n].
      must_overlap: a detection that overlaps no item stands for none, not for the first.

    Returns:
      int64 [q], from 0 to n - 1; -1: none.
    """
    order = np.argsort(image_ids, kind='stable')
    begin = np.searchsorted(image_ids[order], table.image_ids, 'left')
    end = np.searchsorted(image_ids[order], table.image_ids, 'right')
    images, rows = table.images_of_items()[items], np.full(len(items), -1, np.int64)
    for image in np.unique(images):
        found, truths = order[begin[image] : end[image]], table.items_of(image)
        if not len(found):
            continue
        ious = _iou(boxes[found][:, np.newaxis], table.boxes[truths])
        stands_for = truths[ious.argmax(1)]
        if must_overlap:
            stands_for = np.where(ious.max(1) > 0, stands_for, -1)
        for query in np.flatnonzero(images == image):
            item = items[query]
            good = found[(stands_for == item) & (classes[found] == table.classes[item])]
            if len(good):
                rows[query] = good[np.argmax(scores[good])]
    return rows


def judge(
    table: detection_table.DetectionTable,
    retrieved: Retrieved,
    items: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    must_overlap: bool = False,
    all_images: bool = True,
) -> Judgement:
    """Which queries were found.

    Args:
      table: of users' and shops' images.
      retrieved: for some or all boxes of users' images.
      items: int64 [q], the queries; None: all `queries`.
      rows: int64 [q], which box of `retrieved` stands for each query; None: `select`'s choice.
      must_overlap: see `select`.
      all_images: the table has all images; else what it does not have is an image without items.

    Raises:
      ValueError: something was retrieved from an image that the table does not have.
    """
    unknown = np.setdiff1d(retrieved.gallery_image_ids, table.image_ids)
    if len(unknown) and all_images:
        raise ValueError(f'gallery_image_id {unknown[0]} is of no image of {table.name}.')
    all_items, all_counts = queries(table)
    if items is None:
        items = all_items
    counts = all_counts[np.searchsorted(all_items, items)]
    if rows is None:
        rows = select(
            table,
            items,
            retrieved.image_ids,
            retrieved.boxes,
            retrieved.classes,
            retrieved.scores,
            must_overlap,
        )
    right = np.zeros((len(items), retrieved.gallery_image_ids.shape[1]), bool)
    there = rows >= 0
    if there.any():
        right[there] = _right(
            table,
            identities_of(table),
            items[there],
            retrieved.gallery_image_ids[rows[there]],
            retrieved.gallery_boxes[rows[there]],
        )
    return Judgement(items, rows, right, counts)


def accuracies(
    table: detection_table.DetectionTable,
    judgement: Judgement,
    level_shop_items: int = LEVELS_MIN_SHOP_ITEMS,
) -> dict:
    """Top-k accuracy, in the sets of queries that Figure 6(d) and Table 5 have.

    Args:
      table: of the images.
      judgement: of all queries.
      level_shop_items: how many shop items the queries of the levels have at least.

    Returns:
      'overall': {'top1', 'top5', 'top10', 'top15', 'top20'} of all queries; 'levels': by column of
      `subsets.COLUMNS` top-20 accuracy of the queries with `level_shop_items`; 'queries',
      'level_queries' and 'missed': how many there are; 'level_shop_items'. Accuracies of no query
      are None.
    """
    rates = retrieval.hit_rates(judgement.hits, KS)
    many = judgement.shop_items >= level_shop_items
    of_level = {}
    for name, mask in subsets.of_items(table).items():
        chosen = many & mask[judgement.items]
        of_level[name] = retrieval.hit_rates(judgement.hits[chosen], [LEVELS_K])[LEVELS_K]
    return {
        'overall': {f'top{k}': rate for k, rate in rates.items()},
        'levels': of_level,
        'queries': len(judgement.items),
        'level_queries': int(many.sum()),
        'level_shop_items': level_shop_items,
        'missed': judgement.missed,
    }


def _right(table, identities, items, image_ids, boxes) -> np.ndarray:
    """bool [q, k], of boxes [q, k, 4] in the images of `image_ids` [q, k]."""
    order = np.argsort(table.image_ids)
    places = np.searchsorted(table.image_ids, image_ids, sorter=order)
    images = order[np.minimum(places, len(order) - 1)]
    right = np.zeros(image_ids.shape, bool)
    counts = np.where(table.image_ids[images] == image_ids, np.diff(table.first)[images], 0)
    # The n-th item of every image at once: there are few in one.
    for number in range(counts.max(initial=0)):
        there = number < counts
        of_box = np.where(there, table.first[images] + number, 0)
        same = there & (identities[of_box] == identities[items][:, np.newaxis])
        right[same] |= _iou(boxes[same], table.boxes[of_box[same]]) >= _IOU
    return right


def identities_of(table: detection_table.DetectionTable) -> np.ndarray:
    """int64 [I]: equal for items of one pair_id and style; -1 for those that are in no pair."""
    known = (table.styles > 0) & (table.pair_ids > 0) & ~table.crowd
    _, numbers = np.unique(np.stack([table.pair_ids, table.styles], 1), axis=0, return_inverse=True)
    return np.where(known, numbers.reshape(-1), -1)


def _iou(a, b) -> np.ndarray:
    """Intersection over union of boxes [..., 4] with boxes [..., 4]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), -1)
    areas = [np.prod(one[..., 2:] - one[..., :2], -1) for one in (a, b)]
    return shared / (areas[0] + areas[1] - shared)
