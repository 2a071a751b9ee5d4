"""What is measured of a Match R-CNN (Ge et al. 2019, Secs. 2.2 and 4): Tables 2 to 5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from official.data import detection_table
from official.evaluation import coco_ap
from research.match_rcnn import levels
from research.match_rcnn import result_files
from research.match_rcnn import retrieval_protocol

MAX_DETECTIONS = 20  # Of an image, in the benchmark.


def evaluate(table: detection_table.DetectionTable, detections: Sequence[dict],
             sigmas: np.ndarray | None = None, weight: np.ndarray | None = None,
             max_detections: int = MAX_DETECTIONS, min_gallery_score: float = 0.) -> dict:
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
      max_detections: of an image, the most certain ones.
      min_gallery_score: detections in shops' images that are less certain are not in the gallery.

    Returns:
      'box', 'mask', 'landmarks_visible' and 'landmarks' (visible and occluded): by name of
      `levels.COLUMNS` what `coco_ap.average_precision` returns. 'retrieval_detected' and
      'retrieval_truth' (ground truth boxes on both sides): what `retrieval_protocol.accuracies`
      returns. What the detections or the table leave out is missing.

    Raises:
      ValueError: an image is not in the table or comes twice; or what `coco_ap` raises.
    """
    table = covered(table, detections)
    subsets = levels.of_items(table)
    metrics = {'box': coco_ap.subset_average_precision(
        ground_truth(table), _results(detections, 'bbox'), 'bbox', subsets,
        max_detections=max_detections)}
    if _all_have(detections, 'masks'):
        drawn = np.array([one is not None for one in table.segmentations], bool)
        metrics['mask'] = coco_ap.subset_average_precision(
            ground_truth(table), _results(detections, 'segm'), 'segm',
            {name: mask & drawn for name, mask in subsets.items()},
            max_detections=max_detections)
    if _all_have(detections, 'landmarks') and sigmas is not None:
        metrics.update(_landmarks(table, detections, subsets, sigmas, max_detections))
    if _all_have(detections, 'embeddings'):
        found = retrieve(table, detections, weight, min_gallery_score)
        for name, (_, judgement) in found.items():
            metrics[f'retrieval_{name}'] = retrieval_protocol.accuracies(table, judgement)
    return metrics


def _landmarks(table, detections, subsets, sigmas, max_detections) -> dict:
    offsets, counts = table.landmark_offsets, np.array((0, *table.landmark_counts))
    if len(sigmas) != offsets[-1]:
        raise ValueError(f'{len(sigmas)} sigmas for {offsets[-1]} landmarks of {table.name}.')
    of_class = {number: np.asarray(sigmas[begin:end]) for number, (begin, end) in enumerate(
        zip(offsets, offsets[1:]), 1) if begin < end}
    found = _results(detections, 'keypoints', counts)
    kept = counts[table.classes] > 0
    metrics = {}
    for name, least in ('landmarks_visible', 2), ('landmarks', 1):
        truth = ground_truth(table, least)
        truth['categories'] = [one for one in truth['categories'] if one['id'] in of_class]
        truth['annotations'] = [one for one in truth['annotations']
                                if one['category_id'] in of_class]
        metrics[name] = coco_ap.subset_average_precision(
            truth, found, 'keypoints', {name: mask[kept] for name, mask in subsets.items()},
            of_class, max_detections)
    return metrics


def retrieve(table: detection_table.DetectionTable, detections: Sequence[dict],
             weight: np.ndarray | None = None, min_gallery_score: float = 0.
             ) -> dict[str, tuple[retrieval_protocol.Retrieved, retrieval_protocol.Judgement]]:
    """Searches for every query with the detected boxes and with those of the ground truth.

    Args:
      table: see `evaluate`; of these images alone, in this order: see `covered`.
      detections: see `evaluate`.
      weight: see `evaluate`.
      min_gallery_score: see `evaluate`.

    Returns:
      'detected' and, if there are truth_embeddings, 'truth': what was retrieved for the boxes that
      stand for a query, and the judgement of it. Nothing if there are no queries.
    """
    items, _ = retrieval_protocol.queries(table)
    if not len(items):
        return {}
    users = retrieval_protocol.of_detections(table, detections, detection_table.USER)
    gallery = retrieval_protocol.of_detections(
        table, detections, detection_table.SHOP, min_gallery_score)
    chosen = retrieval_protocol.select(
        table, items, users.image_ids, users.boxes, users.classes, users.scores)
    chosen = np.unique(chosen[chosen >= 0])
    retrieved = retrieval_protocol.retrieve(users.take(chosen), gallery, weight)
    found = {'detected': (retrieved, retrieval_protocol.judge(table, retrieved))}
    if _all_have(detections, 'truth_embeddings'):
        of_shops = table.sources[table.images_of_items()] == detection_table.SHOP
        retrieved = retrieval_protocol.retrieve(
            retrieval_protocol.of_truth(table, detections, items),
            retrieval_protocol.of_truth(table, detections, np.flatnonzero(of_shops)), weight)
        found['truth'] = retrieved, retrieval_protocol.judge(
            table, retrieved, items, np.arange(len(items)))
    return found


def covered(table: detection_table.DetectionTable,
            detections: Sequence[dict]) -> detection_table.DetectionTable:
    """The table of the detections' images, in their order.

    Raises:
      ValueError: an image is not in the table or comes twice.
    """
    row_of, rows = {int(image): row for row, image in enumerate(table.image_ids)}, []
    for image in detections:
        rows.append(row_of.pop(int(image['image_id']), None))
        if rows[-1] is None:
            again = image['image_id'] in table.image_ids
            raise ValueError(f'detections: image_id {image["image_id"]} '
                             + ('comes twice.' if again else f'is not in {table.name}.'))
    return table.subset(rows)


def ground_truth(table: detection_table.DetectionTable, least_v: int = 1) -> dict:
    """The table as COCO's dictionary, an annotation for each item, in order.

    Keypoints are those of an item's own class alone. Items without a segmentation have their box.

    Args:
      table: of the images.
      least_v: landmarks of a smaller v count as not labelled; 2: only visible ones are labelled.
    """
    annotations = []
    for item, image in enumerate(table.images_of_items()):
        category, box = int(table.classes[item]), table.boxes[item]
        points = table.landmarks[item, :table.landmark_counts[category - 1]].astype(np.float64)
        points[points[:, 2] < least_v] = 0
        annotations.append({
            'id': item + 1, 'image_id': int(table.image_ids[image]), 'category_id': category,
            'bbox': result_files.corner_and_size(box).tolist(), 'area': float(table.areas[item]),
            'iscrowd': int(table.crowd[item]), 'keypoints': points.reshape(-1),
            'segmentation': _segmentation(table.segmentations[item], box)})
    return {
        'images': [{'id': int(image), 'height': int(height), 'width': int(width)}
                   for image, (height, width) in zip(table.image_ids, table.sizes)],
        'categories': [{'id': number, 'name': name}
                       for number, name in enumerate(table.class_names, 1)],
        'annotations': annotations}


def summary(metrics: dict) -> dict[str, float]:
    """The overall figures of `evaluate` as one flat dictionary, by names as 'box_ap50'."""
    flat = {}
    for name, result in metrics.items():
        if name.startswith('retrieval'):
            of_all = {f'{name}_{k}': rate for k, rate in result['overall'].items()}
        else:
            of_all = {f'{name}_{key.lower()}': result[levels.OVERALL][key]
                      for key in ('AP', 'AP50', 'AP75', 'AR')}
        flat.update({key: value for key, value in of_all.items() if value is not None})
    return flat


def _all_have(detections, field) -> bool:
    return bool(detections) and all(field in image for image in detections)


def _segmentation(given, box):
    if given is None:
        x1, y1, x2, y2 = box.tolist()
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]
    if isinstance(given, dict):
        return given
    return [np.asarray(polygon, np.float64).reshape(-1).tolist() for polygon in given]


def _results(detections, kind, landmark_counts=None) -> list[dict]:
    """COCO's results, with arrays for lists and classes for the files' categories.

    Landmarks are the class's own, `landmark_counts[class]`; classes without any are left out.
    """
    results = []
    for image in detections:
        for row, category in enumerate(image['classes'].tolist()):
            one = {'image_id': int(image['image_id']), 'category_id': category,
                   'score': float(image['scores'][row])}
            if kind == 'bbox':
                one['bbox'] = result_files.corner_and_size(image['boxes'][row])
            elif kind == 'segm':
                one['segmentation'] = image['masks'][row]
            elif landmark_counts[category]:
                one['keypoints'] = image['landmarks'][row, :landmark_counts[category]]
            else:
                continue
            results.append(one)
    return results
