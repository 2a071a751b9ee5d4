"""What is measured of a Match R-CNN (Ge et al. 2019, Secs. 2.2 and 4): Tables 2 to 5."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from official.data import coco, detection_table
from official.evaluation import coco_ap
from research.match_rcnn import result_files, retrieval_protocol, subsets

# Of each class in an image: COCO's limits, which the benchmark's evaluation has, too.
MAX_DETECTIONS, MAX_LANDMARK_DETECTIONS = 100, 20
_OCCLUDED, _VISIBLE = 1, 2  # The v of landmarks.


def evaluate(
    table: detection_table.DetectionTable,
    detections: Sequence[dict],
    sigmas: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    max_detections: int = MAX_DETECTIONS,
    max_landmark_detections: int = MAX_LANDMARK_DETECTIONS,
    min_gallery_score: float = 0.0,
    retrieved: dict | None = None,
    level_shop_items: int = retrieval_protocol.LEVELS_MIN_SHOP_ITEMS,
    must_overlap: bool = False,
) -> dict:
    """Average precision of boxes, masks and landmarks, and retrieval, with all subsets.

    A subset's AP is that of the items of one level; the others are ignored, as COCO ignores those
    outside a range of areas. A detection that fits no item is wrong in every subset.

    Args:
      table: of the images, and maybe of more.
      detections: a dictionary for each image that is evaluated, in pixels of the upright file:
        image_id; of its n detections boxes float [n, 4], classes int [n] from 1, scores float [n];
        and if there are some landmarks float [n, K, 3] (x, y, anything), masks (n RLEs),
        embeddings float [n, d] and, of the image's items, truth_embeddings float [items, d].
      sigmas: float [sum of the table's landmark_counts], of OKS; None: landmarks are not
        evaluated.
      weight: float [d], see `retrieval_protocol.retrieve`.
      max_detections: boxes and masks of each class in an image, the most certain ones.
      max_landmark_detections: the same of landmarks.
      min_gallery_score: detections in shops' images that are less certain are not in the gallery.
      retrieved: what `retrieve` gave, where it was called already.
      level_shop_items: see `retrieval_protocol.accuracies`.
      must_overlap: see `retrieval_protocol.select`.

    Returns:
      'box', 'mask', 'landmarks_visible' and 'landmarks' (visible and occluded): by name of
      `subsets.COLUMNS` what `coco_ap.average_precision` returns. 'retrieval_detected' and
      'retrieval_truth' (ground truth boxes on both sides): what `retrieval_protocol.accuracies`
      returns. What the detections or the table leave out is missing.

    Raises:
      ValueError: an image is not in the table or comes twice; or what `coco_ap` raises.
    """
    table = covered(table, detections)
    metrics = {'box': of_boxes(table, result_files.boxes(table, detections), max_detections)}
    if _all_have(detections, 'masks'):
        metrics['mask'] = of_masks(table, result_files.masks(table, detections), max_detections)
    if _all_have(detections, 'landmarks') and sigmas is not None:
        metrics |= of_landmarks(
            table, result_files.landmarks(table, detections, False), sigmas, max_landmark_detections
        )
    if _all_have(detections, 'embeddings'):
        if retrieved is None:
            retrieved = retrieve(table, detections, weight, min_gallery_score, must_overlap)
        for name, (_, judgement) in retrieved.items():
            metrics[f'retrieval_{name}'] = retrieval_protocol.accuracies(
                table, judgement, level_shop_items
            )
    return metrics


def of_boxes(
    table: detection_table.DetectionTable,
    rows: Sequence[dict],
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, dict]:
    """'box' of `evaluate`, from rows as `result_files.boxes` makes them; raises as `coco_ap`."""
    return coco_ap.subset_average_precision(
        ground_truth(table), rows, 'bbox', subsets.of_items(table), max_detections=max_detections
    )


def of_masks(
    table: detection_table.DetectionTable,
    rows: Sequence[dict],
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, dict]:
    """'mask' of `evaluate`, from rows as `result_files.masks` makes them; raises as `coco_ap`.

    Items without a segmentation are ignored.
    """
    drawn = np.array([one is not None for one in table.segmentations], bool)
    return coco_ap.subset_average_precision(
        ground_truth(table),
        rows,
        'segm',
        {name: mask & drawn for name, mask in subsets.of_items(table).items()},
        max_detections=max_detections,
    )


def of_landmarks(
    table: detection_table.DetectionTable,
    rows: Sequence[dict],
    sigmas: np.ndarray,
    max_detections: int = MAX_LANDMARK_DETECTIONS,
) -> dict[str, dict]:
    """'landmarks_visible' and 'landmarks' of `evaluate`.

    Args:
      table: see `evaluate`.
      rows: as `result_files.landmarks` makes them with only the landmarks of a row's own class.
      sigmas: see `evaluate`.
      max_detections: see `evaluate`.

    Raises:
      ValueError: there are not as many sigmas as landmarks; see `coco_ap`.
    """
    offsets = table.landmark_offsets
    if len(sigmas) != offsets[-1]:
        raise ValueError(f'{len(sigmas)} sigmas for {offsets[-1]} landmarks of {table.name}.')
    of_category = {
        category: np.asarray(sigmas[begin:end])
        for category, (begin, end) in zip(
            table.category_ids, itertools.pairwise(offsets), strict=True
        )
        if begin < end
    }
    kept = np.isin(np.array(table.category_ids)[table.classes - 1], list(of_category))
    parts = {name: mask[kept] for name, mask in subsets.of_items(table).items()}
    metrics = {}
    for name, least in ('landmarks_visible', _VISIBLE), ('landmarks', _OCCLUDED):
        truth = ground_truth(table, least)
        truth['categories'] = [one for one in truth['categories'] if one['id'] in of_category]
        truth['annotations'] = [
            one for one in truth['annotations'] if one['category_id'] in of_category
        ]
        metrics[name] = coco_ap.subset_average_precision(
            truth, rows, 'keypoints', parts, of_category, max_detections
        )
    return metrics


def search(
    table: detection_table.DetectionTable,
    detections: Sequence[dict],
    weight: np.ndarray | None = None,
    min_gallery_score: float = 0.0,
) -> retrieval_protocol.Retrieved | None:
    """Searches for every detection in users' images, as the benchmark's file has it.

    Nothing is asked of the ground truth but which images are whose, so that a test split will do.

    Args:
      table: see `evaluate`; of these images only, in this order: see `covered`.
      detections: see `evaluate`; with embeddings.
      weight: see `evaluate`.
      min_gallery_score: see `evaluate`.

    Returns:
      What was retrieved; None where no image is known to be a user's, or none a shop's.
    """
    if not {detection_table.USER, detection_table.SHOP} <= set(table.sources.tolist()):
        return None
    return retrieval_protocol.retrieve(
        retrieval_protocol.of_detections(table, detections, detection_table.USER),
        retrieval_protocol.of_detections(
            table, detections, detection_table.SHOP, min_gallery_score
        ),
        weight,
    )


def retrieve(
    table: detection_table.DetectionTable,
    detections: Sequence[dict],
    weight: np.ndarray | None = None,
    min_gallery_score: float = 0.0,
    must_overlap: bool = False,
    searched: retrieval_protocol.Retrieved | None = None,
) -> dict[str, tuple[retrieval_protocol.Retrieved, retrieval_protocol.Judgement]]:
    """Searches for every query with the detected boxes and with those of the ground truth.

    Args:
      table: see `evaluate`; of these images only, in this order: see `covered`.
      detections: see `evaluate`.
      weight: see `evaluate`.
      min_gallery_score: see `evaluate`.
      must_overlap: see `retrieval_protocol.select`.
      searched: what `search` gave of the same; None: only the boxes that stand for a query are
        searched for.

    Returns:
      'detected' and, if there are truth_embeddings, 'truth': what was retrieved for the boxes, and
      the judgement of it. Nothing if there are no queries.
    """
    items, _ = retrieval_protocol.queries(table)
    if not len(items):
        return {}
    if searched is None:
        users = retrieval_protocol.of_detections(table, detections, detection_table.USER)
        gallery = retrieval_protocol.of_detections(
            table, detections, detection_table.SHOP, min_gallery_score
        )
        chosen = retrieval_protocol.select(
            table, items, users.image_ids, users.boxes, users.classes, users.scores, must_overlap
        )
        chosen = np.unique(chosen[chosen >= 0])
        searched = retrieval_protocol.retrieve(users.take(chosen), gallery, weight)
    found = {
        'detected': (searched, retrieval_protocol.judge(table, searched, must_overlap=must_overlap))
    }
    if _all_have(detections, 'truth_embeddings'):
        of_shops = table.sources[table.images_of_items()] == detection_table.SHOP
        retrieved = retrieval_protocol.retrieve(
            retrieval_protocol.of_truth(table, detections, items),
            retrieval_protocol.of_truth(table, detections, np.flatnonzero(of_shops)),
            weight,
        )
        found['truth'] = (
            retrieved,
            retrieval_protocol.judge(table, retrieved, items, np.arange(len(items))),
        )
    return found


def covered(
    table: detection_table.DetectionTable, detections: Sequence[dict]
) -> detection_table.DetectionTable:
    """The table of the detections' images, in their order.

    Raises:
      ValueError: an image is not in the table or comes twice.
    """
    row_of, rows = {int(image): row for row, image in enumerate(table.image_ids)}, []
    for image in detections:
        rows.append(row_of.pop(int(image['image_id']), None))
        if rows[-1] is None:
            again = image['image_id'] in table.image_ids
            raise ValueError(
                f'detections: image_id {image["image_id"]} '
                + ('comes twice.' if again else f'is not in {table.name}.')
            )
    return table.subset(rows)


def ground_truth(table: detection_table.DetectionTable, least_v: int = _OCCLUDED) -> dict:
    """The table as COCO's dictionary, with an annotation for each item, in order.

    Keypoints are only those of an item's own class. Items without a segmentation have their box.

    Args:
      table: of the images.
      least_v: landmarks of a smaller v count as not labelled; 2: only visible ones are labelled.
    """
    labelled = table.landmarks[..., 2:] >= least_v
    truth = coco.to_coco(
        dataclasses.replace(table, landmarks=np.where(labelled, table.landmarks, 0)), landmarks=True
    )
    for annotation in truth['annotations']:
        if not annotation['segmentation']:
            x, y, width, height = annotation['bbox']
            annotation['segmentation'] = [
                [x, y, x + width, y, x + width, y + height, x, y + height]
            ]
    return truth


def summary(metrics: dict) -> dict[str, float]:
    """The overall figures of `evaluate` as one flat dictionary, by names as 'box_ap50'."""
    flat = {}
    for name, result in metrics.items():
        if 'queries' in result:
            of_all = {f'{name}_{k}': rate for k, rate in result['overall'].items()}
        else:
            of_all = {
                f'{name}_{key.lower()}': result[subsets.OVERALL][key]
                for key in ('AP', 'AP50', 'AP75', 'AR')
            }
        flat.update({key: value for key, value in of_all.items() if value is not None})
    return flat


def _all_have(detections, field) -> bool:
    return bool(detections) and all(field in image for image in detections)
