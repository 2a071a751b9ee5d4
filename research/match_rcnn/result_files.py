"""The benchmark's result files: boxes, landmarks, masks and what was retrieved, as JSON.

A file is a list of dictionaries, one a detection. Boxes are (x, y, width, height) in the first
file and (x1, y1, x2, y2) in the last, as its evaluation wants them. Coordinates are rounded to 6
decimals, as in its examples, and scores to 9, so that equal ones stay rare.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import numpy as np

from official.data import detection_table
from research.match_rcnn import retrieval_protocol

BOXES, LANDMARKS, MASKS, RETRIEVAL = FILES = (
    'bbox_results.json',
    'keys_results.json',
    'segm_results.json',
    'retrieval_results.json',
)
_FIELDS = {
    BOXES: ('image_id', 'category_id', 'bbox', 'score'),
    LANDMARKS: ('image_id', 'category_id', 'keypoints', 'score'),
    MASKS: ('image_id', 'segmentation', 'category_id', 'score'),
    RETRIEVAL: (
        'query_image_id',
        'query_bbox',
        'query_cls',
        'query_score',
        'gallery_image_id',
        'gallery_bbox',
    ),
}


def boxes(table: detection_table.DetectionTable, detections: Sequence[dict]) -> list[dict]:
    """Results of clothes detection.

    Args:
      table: of the images: gives the files' numbers of classes.
      detections: a dictionary an image; see `evaluation.evaluate`.
    """
    return [
        {**head, 'bbox': rounded(corner_and_size(image['boxes'][row])), 'score': score}
        for image, row, head, score in _each(table, detections)
    ]


def landmarks(
    table: detection_table.DetectionTable, detections: Sequence[dict], all_landmarks: bool = True
) -> list[dict]:
    """Results of landmark estimation: x, y and 1 of each landmark of the class.

    Args:
      table: see `boxes`.
      detections: see `boxes`; with landmarks.
      all_landmarks: those of all classes end to end (294 in DeepFashion2), zeros but for the
        class's, as the benchmark has it; else only the class's, and nothing of classes without
        landmarks.
    """
    return list(_landmarks(table, detections, all_landmarks))


def _landmarks(table, detections, all_landmarks=True) -> Iterator[dict]:
    """One by one: nearly 900 numbers each, they do not fit into memory together."""
    offsets = table.landmark_offsets
    for image, row, head, score in _each(table, detections):
        category = image['classes'][row]
        begin, end = offsets[category - 1], offsets[category]
        own = rounded(image['landmarks'][row, : end - begin, :2])
        own = [value for x, y in own for value in (x, y, 1)]
        if all_landmarks:
            own = [0] * (3 * begin) + own + [0] * (3 * (offsets[-1] - end))
        if own:
            yield {**head, 'keypoints': own, 'score': score}


def masks(table: detection_table.DetectionTable, detections: Sequence[dict]) -> list[dict]:
    """Results of segmentation, as run lengths. Arguments as of `boxes`."""
    results = []
    for image, row, head, score in _each(table, detections):
        mask = image['masks'][row]
        counts = mask['counts'].decode() if isinstance(mask['counts'], bytes) else mask['counts']
        results.append(
            {
                **head,
                'segmentation': {'size': [int(size) for size in mask['size']], 'counts': counts},
                'score': score,
            }
        )
    return results


def retrieval(
    table: detection_table.DetectionTable, retrieved: retrieval_protocol.Retrieved
) -> list[dict]:
    """Results of consumer-to-shop retrieval.

    Args:
      table: see `boxes`.
      retrieved: what was found for each detection in users' images, see `evaluation.search`.
    """
    return [
        {
            'query_image_id': int(retrieved.image_ids[row]),
            'query_bbox': rounded(retrieved.boxes[row]),
            'query_cls': int(table.category_ids[retrieved.classes[row] - 1]),
            'query_score': _score(retrieved.scores[row]),
            'gallery_image_id': retrieved.gallery_image_ids[row].tolist(),
            'gallery_bbox': [rounded(box) for box in retrieved.gallery_boxes[row]],
        }
        for row in range(len(retrieved.image_ids))
    ]


def write(
    folder: str,
    table: detection_table.DetectionTable,
    detections: Sequence[dict],
    retrieved: retrieval_protocol.Retrieved | None = None,
) -> list[str]:
    """Writes those of the files that there is something for.

    Args:
      folder: made if it is not there.
      table: see `boxes`.
      detections: see `boxes`; landmarks and masks may be missing.
      retrieved: see `retrieval`; None: that file is not written.

    Returns:
      The paths.
    """
    os.makedirs(folder, exist_ok=True)
    results = {BOXES: boxes(table, detections)}
    if detections and all('landmarks' in image for image in detections):
        results[LANDMARKS] = _landmarks(table, detections)
    if detections and all('masks' in image for image in detections):
        results[MASKS] = masks(table, detections)
    if retrieved is not None:
        results[RETRIEVAL] = retrieval(table, retrieved)
    paths = []
    for name, rows in results.items():
        paths.append(os.path.join(folder, name))
        with open(paths[-1], 'w', encoding='utf-8') as file:
            # Many times as fast as json.dump, whose encoder of streams is in Python.
            file.write('[')
            for number, row in enumerate(rows):
                file.write((',\n' if number else '') + json.dumps(row))
            file.write(']\n')
    return paths


def read(path: str, kind: str) -> list[dict]:
    """Reads a result file.

    Args:
      path: the file.
      kind: which of FILES it is like.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is not a JSON list, or an entry lacks a field.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'There is no result file {path}.')
    rows = read_list(path)
    fields = set(_FIELDS[kind])
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not fields <= set(row):
            found = ', '.join(sorted(row)) if isinstance(row, dict) else repr(row)
            raise ValueError(
                f'{path}: entry {number} has {found} instead of {", ".join(sorted(fields))}.'
            )
    return rows


def read_list(path: str) -> list:
    """The list of a JSON file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it cannot be read, or is not a JSON list.
    """
    try:
        with open(path, encoding='utf-8-sig') as file:
            rows = json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: there is no such file.') from None
    except OSError as error:
        raise ValueError(f'{path} cannot be read ({error.strerror}).') from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not valid JSON: {error}.') from None
    if not isinstance(rows, list):
        raise ValueError(f'{path} holds no list of results.')
    return rows


def own_landmarks(path: str, table: detection_table.DetectionTable) -> list[dict]:
    """Reads a result file of landmarks, of each row those of its own class.

    Args:
      path: the file, with the landmarks of all classes end to end or with a class's own.
      table: of the images.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: see `read`; or a row has another number of landmarks, or an unknown class.
    """
    offsets, rows = table.landmark_offsets, []
    numbers = {identity: number for number, identity in enumerate(table.category_ids)}
    for index, row in enumerate(read(path, LANDMARKS)):
        number, keypoints = _known(numbers, row, 'category_id', path, index), row['keypoints']
        begin, end = offsets[number : number + 2]
        if not isinstance(keypoints, list) or len(keypoints) not in (
            3 * offsets[-1],
            3 * (end - begin),
        ):
            raise ValueError(
                f'{path}: entry {index} has keypoints {str(keypoints)[:40]}, not 3 '
                f'times {offsets[-1]} or {end - begin} numbers.'
            )
        if len(keypoints) == 3 * offsets[-1]:
            keypoints = keypoints[3 * begin : 3 * end]
        if keypoints:
            rows.append({**row, 'keypoints': keypoints})
    return rows


def _known(numbers, row, field, path, index) -> int:
    category = row[field]
    if not isinstance(category, int) or category not in numbers:
        raise ValueError(f'{path}: entry {index} has the unknown {field} {category!r}.')
    return numbers[category]


def read_retrieval(
    path: str, table: detection_table.DetectionTable
) -> retrieval_protocol.Retrieved:
    """Reads a result file of retrieval, to be judged.

    Args:
      path: the file.
      table: of the images.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: see `read`; or entries have not all as many gallery items, each with an image and
        a box, a class is unknown, or a value is not made of numbers.
    """
    rows = read(path, RETRIEVAL)
    classes = {category: number for number, category in enumerate(table.category_ids, 1)}
    numbers = [_known(classes, row, 'query_cls', path, index) for index, row in enumerate(rows)]
    most = 0
    for number, row in enumerate(rows):
        ids, found = row['gallery_image_id'], row['gallery_bbox']
        if not isinstance(ids, list) or not isinstance(found, list):
            raise ValueError(
                f'{path}: entry {number} has gallery_image_id {str(ids)[:40]} and '
                f'gallery_bbox {str(found)[:40]}, which are no lists.'
            )
        most = len(ids) if not number else most
        if not len(ids) == len(found) == most:
            raise ValueError(
                f'{path}: entry {number} has {len(ids)} gallery_image_id and '
                f'{len(found)} gallery_bbox; the first has {most}.'
            )

    def column(name, dtype, *shape):
        values = np.zeros((len(rows), *shape), dtype)
        for number, row in enumerate(rows):
            try:
                given = np.asarray(row[name], np.float64 if dtype is np.float32 else None)
                if given.size and not np.can_cast(given.dtype, dtype, 'same_kind'):
                    raise ValueError
                if not np.isfinite(given).all() or given.size != values[number].size:
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                raise ValueError(
                    f'{path}: entry {number} has {name} {str(row[name])[:60]}.'
                ) from None
            values[number] = given.reshape(shape)
        return values

    return retrieval_protocol.Retrieved(
        column('query_image_id', np.int64),
        column('query_bbox', np.float32, 4),
        np.array(numbers, np.int32),
        column('query_score', np.float32),
        column('gallery_image_id', np.int64, most),
        column('gallery_bbox', np.float32, most, 4),
    )


def corner_and_size(box: np.ndarray) -> np.ndarray:
    """(x1, y1, x2, y2) to (x, y, width, height), float64 [..., 4]."""
    box = np.asarray(box, np.float64)
    return np.concatenate([box[..., :2], box[..., 2:] - box[..., :2]], -1)


def rounded(values: np.ndarray) -> list[float]:
    """Coordinates to 6 decimals."""
    return np.round(np.asarray(values, np.float64), 6).tolist()


def _score(value) -> float:
    return round(float(value), 9)


def _each(table, detections) -> Iterator[tuple]:
    """Of each detection its image's dictionary, its row there, the fields of all, its score."""
    for image in detections:
        for row, category in enumerate(image['classes']):
            head = {
                'image_id': int(image['image_id']),
                'category_id': int(table.category_ids[category - 1]),
            }
            yield image, row, head, _score(image['scores'][row])
