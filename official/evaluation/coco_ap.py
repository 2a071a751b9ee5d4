"""Average precision as COCO measures it (Lin et al. 2014), of boxes, masks or landmarks.

Matching, precision and recall are those of pycocotools; around them are landmarks that differ from
category to category, subsets of the objects, and readable errors.

A subset's objects are those that count. The others are ignored as COCO ignores objects outside a
range of areas: not finding one is no miss, and a detection of one is neither right nor wrong. A
detection that fits no object at all belongs to no subset, so it is wrong in every one.
"""

from __future__ import annotations

import contextlib
import io
import math
import numbers
from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import cocoeval

from official.data import coco_classes
from official.evaluation import oks
from official.vision import masks

KINDS = {'bbox': 'bbox', 'segm': 'segmentation', 'keypoints': 'keypoints'}  # And their fields.


def average_precision(
    ground_truth: Mapping,
    detections: Sequence[Mapping],
    kind: str,
    sigmas: np.ndarray | Mapping[int, np.ndarray] | None = None,
    max_detections: int = 100,
    ignore: Sequence[bool] | None = None,
) -> dict:
    """Average precision and recall over the thresholds .5, .55, ..., .95.

    Args:
      ground_truth: COCO's dictionary with 'images', 'categories' and 'annotations'. Annotations
        with `iscrowd`, and those without labelled landmarks if `kind` is 'keypoints', are ignored.
        Only 'keypoints' need 'area'.
      detections: COCO's results: dictionaries with 'image_id', 'category_id', 'score' and the
        field of `kind`: 'bbox' (x, y, width, height), 'segmentation' (run lengths) or 'keypoints'
        (x, y, v of each).
      kind: 'bbox', 'segm' or 'keypoints'.
      sigmas: of 'keypoints', for each landmark; if categories have landmarks of their own, by id
        of the category, and 'keypoints' hold a category's own alone. None: COCO's 17 of people.
      max_detections: of each category in an image, those with the highest scores; pycocotools has
        100 for boxes and masks, and 20 for keypoints.
      ignore: of each annotation, whether it is ignored.

    Returns:
      'AP', the mean over thresholds and categories, 'AP50' and 'AP75' at the thresholds .5 and
      .75, 'AR', the recall, and 'per_class': AP by name of the category, with its id where
      several have one name. What has no objects that count is None.

    Raises:
      ValueError: if `kind` is none, a detection is of an unknown image or category, a score is
        not a number, a field is missing, or boxes, landmarks or masks do not fit.
    """
    counts = (
        np.ones(len(ground_truth['annotations']), bool)
        if ignore is None
        else ~np.asarray(ignore, bool)
    )
    return subset_average_precision(
        ground_truth, detections, kind, {'all': counts}, sigmas, max_detections
    )['all']


def subset_average_precision(
    ground_truth: Mapping,
    detections: Sequence[Mapping],
    kind: str,
    subsets: Mapping[str, Sequence[bool] | np.ndarray],
    sigmas: np.ndarray | Mapping[int, np.ndarray] | None = None,
    max_detections: int = 100,
) -> dict[str, dict]:
    """`average_precision` of several subsets of the annotations, for little more than that of one.

    Args:
      ground_truth: see `average_precision`.
      detections: see `average_precision`.
      kind: see `average_precision`.
      subsets: by name, of each annotation whether it counts.
      sigmas: see `average_precision`.
      max_detections: see `average_precision`.

    Returns:
      By name of the subset what `average_precision` returns.

    Raises:
      ValueError: see `average_precision`; or if a subset is not of as many annotations.
    """
    if kind not in KINDS:
        raise ValueError(f'kind = {kind!r} is none of {", ".join(map(repr, KINDS))}.')
    annotations = ground_truth['annotations']
    for name, counts in subsets.items():
        if len(counts) != len(annotations):
            raise ValueError(
                f'subset {name!r} is of {len(counts)} annotations; there are {len(annotations)}.'
            )
    if kind == 'keypoints' and sigmas is None:
        sigmas = cocoeval.Params('keypoints').kpt_oks_sigmas
    cells = _Cells(ground_truth, kind, sigmas)
    counted = np.array([np.asarray(counts, bool) for counts in subsets.values()])
    for index, annotation in enumerate(annotations):
        cells.add_truth(index, annotation, counted[:, index])
    for index, detection in enumerate(detections):
        cells.add_detection(index, detection)
    evaluation = _Evaluation(cells, ground_truth, kind, len(subsets), max_detections)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    by_id = coco_classes.unique_names(
        {category['id']: category['name'] for category in ground_truth['categories']}
    )
    names = [by_id[identity] for identity in evaluation.params.catIds]
    precision, recall = evaluation.eval['precision'][..., 0], evaluation.eval['recall'][..., 0]
    return {
        name: _summary(precision[..., index], recall[..., index], names)
        for index, name in enumerate(subsets)
    }


def _summary(precision, recall, names) -> dict:
    """Of precision [threshold, recall, category] and recall [threshold, category]."""
    return {
        'AP': _mean(precision),
        'AP50': _mean(precision[0]),
        'AP75': _mean(precision[5]),
        'AR': _mean(recall),
        'per_class': {name: _mean(precision[..., k]) for k, name in enumerate(names)},
    }


def _mean(values) -> float | None:
    known = values[values > -1]  # pycocotools' mark of what has no objects.
    return float(known.mean()) if known.size else None


class _Empty(dict):
    """A dictionary of sequences, where what is missing is empty and stays missing."""

    def __missing__(self, key):
        return ()


class _Cells:
    """The objects and the detections of each image and category, as pycocotools wants them."""

    def __init__(self, ground_truth, kind, sigmas):
        self.truths, self.found = _Empty(), _Empty()
        self._kind, self._sigmas = kind, sigmas
        self._sizes = {image['id']: image for image in ground_truth['images']}
        self._categories = {category['id'] for category in ground_truth['categories']}

    def sigmas(self, category):
        """float64 [landmarks]."""
        of_all = self._sigmas[category] if isinstance(self._sigmas, Mapping) else self._sigmas
        return np.asarray(of_all, np.float64)

    def add_truth(self, index, annotation, counted):
        cell, what = self._add(self.truths, 'annotation', index, annotation)
        crowd = int(annotation.get('iscrowd', 0))
        cell.update(iscrowd=crowd, area=0.0)
        if self._kind == 'keypoints':
            cell['area'] = _number(annotation, 'area', what)
            x, y, width, height = _box(annotation, what)
            cell['box'] = (x, y, x + width, y + height)
            crowd = crowd or not (cell['keypoints'][:, 2] > 0).any()
        cell['ignored'] = [bool(crowd or not counts) for counts in counted]

    def add_detection(self, index, detection):
        cell, what = self._add(self.found, 'detection', index, detection)
        cell.update(score=_number(detection, 'score', what), area=0.0)

    def _add(self, cells, word, index, one) -> tuple[dict, str]:
        what = f'{word} {index}'
        image, category = _field(one, 'image_id', what), _field(one, 'category_id', what)
        if image not in self._sizes:
            raise ValueError(f'{what}: image_id {image!r} is not in the ground truth.')
        if category not in self._categories:
            raise ValueError(f'{what}: category_id {category!r} is not in the ground truth.')
        field = KINDS[self._kind]
        value = _field(one, field, what)
        if self._kind == 'segm':
            value = _run_lengths(what, value, self._sizes[image])
        elif self._kind == 'bbox':
            value = _box(one, what)
        else:
            value = _floats(value, field, what)
            if value.size != 3 * len(self.sigmas(category)):
                raise ValueError(
                    f'{what}: keypoints has {value.size} numbers; category '
                    f'{category} has {len(self.sigmas(category))} landmarks.'
                )
            value = value.reshape(-1, 3)
        cell = cells.setdefault((image, category), [])
        # pycocotools takes an id of 0 for "not matched", so its ids are not the file's.
        cell.append({'id': index + 1, field: value})
        return cell[-1], what


def _field(one, name, what):
    if name not in one:
        raise ValueError(f'{what}: {name} is missing.')
    return one[name]


def _number(one, name, what) -> float:
    value = _field(one, name, what)
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f'{what}: {name} {value!r} is not a number.')
    return float(value)


def _floats(value, name, what) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if not np.isfinite(array).all():
        raise ValueError(f'{what}: {name} {str(value)[:60]} is not made of finite numbers.')
    return array


def _box(one, what) -> np.ndarray:
    box = _floats(_field(one, 'bbox', what), 'bbox', what)
    if box.shape != (4,):
        raise ValueError(f'{what}: bbox {one["bbox"]!r} is not four numbers.')
    return box


def _run_lengths(what, segmentation, image) -> dict:
    """Compressed run lengths of polygons (none: no pixel) or of run lengths of either kind."""
    if not isinstance(segmentation, (list, dict)):
        raise ValueError(
            f'{what}: segmentation {str(segmentation)[:60]} is neither polygons nor an RLE.'
        )
    try:
        return masks.run_lengths(segmentation, (image['height'], image['width']))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{what}: {error}') from None


class _Evaluation(cocoeval.COCOeval):
    """pycocotools' evaluation, whose ranges of areas are numbers of subsets instead."""

    _EVERY_AREA = (-np.inf, np.inf)

    def __init__(self, cells, ground_truth, kind, subsets, max_detections):
        super().__init__(iouType=kind)
        self._cells = cells
        self._done = {}
        self.params.imgIds = [image['id'] for image in ground_truth['images']]
        self.params.catIds = [category['id'] for category in ground_truth['categories']]
        self.params.maxDets = [max_detections]
        self.params.areaRng = [(index,) for index in range(subsets)]

    def _prepare(self):
        self._gts, self._dts = self._cells.truths, self._cells.found

    def computeOks(self, imgId, catId):
        """OKS [detections from the highest score, objects], all detections of a cell at once."""
        truths, found = self._gts[imgId, catId], self._dts[imgId, catId]
        if not truths or not found:
            return []
        found = sorted(found, key=lambda one: -one['score'])[: self.params.maxDets[-1]]
        points = np.stack([one['keypoints'][:, :2] for one in found])
        sigmas = self._cells.sigmas(catId)
        return np.stack(
            [
                oks.oks(points, truth['keypoints'], sigmas, truth['area'], truth['box'])
                for truth in truths
            ],
            1,
        )

    def evaluateImg(self, imgId, catId, aRng, maxDet):
        """pycocotools' matching for the subset `aRng`, done once for subsets that agree here."""
        truths = self._gts[imgId, catId]
        if not truths and not self._dts[imgId, catId]:
            return None
        ignored = tuple(truth['ignored'][aRng[0]] for truth in truths)
        key = imgId, catId, ignored
        if key not in self._done:
            for truth, ignore in zip(truths, ignored, strict=True):
                truth['ignore'] = ignore
            self._done[key] = super().evaluateImg(imgId, catId, self._EVERY_AREA, maxDet)
        return self._done[key]
