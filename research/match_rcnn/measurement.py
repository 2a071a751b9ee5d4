"""Measures a trained Match R-CNN on a split, for `KerasExperiment.evaluator`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import detection_table
from research.match_rcnn import categories, evaluation, inference, retrieval_protocol

SIGMA = 0.05  # Of landmarks of which nothing is known: between DeepFashion2's mean and COCO's.


class MatchEvaluation:
    """Average precision of boxes, masks and landmarks, and top-k retrieval accuracy.

    All images of the split count at the end; at checkpoints some, at equal distances in the table,
    among which hardly two show one garment: retrieval is left out there.

    Args:
      checkpoint_images: images that are looked at at a checkpoint.
      max_detections: boxes and masks of each class in an image that are measured, the most certain
        ones; COCO's and the benchmark's limit. How many a model gives is its own
        (`detection.Selection`).
      max_landmark_detections: the same of landmarks.
      raw_pixels: also retrieve by the pixels inside the boxes, 16 x 16, which learns nothing.
      min_gallery_score: detections in shops' images that are less certain are not in the gallery.
      level_shop_items: the retrieval levels are of queries with at least so many shop items of
        their identity; the paper's have over 5.
      must_overlap: a detection that overlaps no labelled item stands for no query; in the
        benchmark's script it stands for the image's first item.
      sigmas: of OKS, one for all landmarks or one of each, of all classes end to end; None:
        DeepFashion2's for its 294 landmarks, COCO's for 17, else `SIGMA`.

    Raises:
      ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        checkpoint_images: int = 200,
        max_detections: int = evaluation.MAX_DETECTIONS,
        max_landmark_detections: int = evaluation.MAX_LANDMARK_DETECTIONS,
        raw_pixels: bool = True,
        min_gallery_score: float = 0.0,
        level_shop_items: int = retrieval_protocol.LEVELS_MIN_SHOP_ITEMS,
        must_overlap: bool = False,
        sigmas: float | Sequence[float] | None = None,
    ):
        checks.positive(
            'MatchEvaluation',
            checkpoint_images=checkpoint_images,
            max_detections=max_detections,
            max_landmark_detections=max_landmark_detections,
            level_shop_items=level_shop_items,
        )
        checks.within('MatchEvaluation', 0, 1, min_gallery_score=min_gallery_score)
        if sigmas is not None and not (np.asarray(sigmas, np.float64) > 0).all():
            raise ValueError(f'MatchEvaluation.sigmas = {sigmas!r} must be above 0.')
        self.checkpoint_images = checkpoint_images
        self.max_detections = max_detections
        self.max_landmark_detections = max_landmark_detections
        self.raw_pixels = raw_pixels
        self.min_gallery_score = min_gallery_score
        self.level_shop_items = level_shop_items
        self.must_overlap = must_overlap
        self.sigmas = sigmas

    def __call__(
        self,
        model: tf.keras.Model,
        data: Any,
        strategy: tf.distribute.Strategy,
        split: str,
        final: bool = True,
    ) -> dict:
        """Measures the model.

        Returns:
          'box_ap', 'box_ap50', ..., 'mask_...', 'landmarks_visible_...', 'landmarks_...',
          'retrieval_detected_top1', ..., 'retrieval_truth_...'; at the end also 'pixels_...' of the
          baseline, 'tables', everything by subset as `evaluation.evaluate` gives it, and
          'landmark_sigmas', whose sigmas the OKS of the landmarks has.
        """
        rows = None
        if not final:
            rows = some_rows(data.table(split), self.checkpoint_images)
        found = inference.detections(
            model,
            data,
            strategy,
            split,
            rows,
            self.raw_pixels and final and bool(model.matching_network),
        )
        return self.measure(model, data.table(split), found, final)

    def measure(
        self,
        model: tf.keras.Model,
        table: detection_table.DetectionTable,
        found: Sequence[dict],
        final: bool = True,
        retrieved: dict | None = None,
    ) -> dict:
        """What a call gives, of detections, and what they retrieve, that are there already."""
        weight = None
        if not final:
            found = [
                {name: value for name, value in image.items() if 'embeddings' not in name}
                for image in found
            ]
        if model.matching_network:
            weight = model.matching_network.distance_weights.numpy()
        sigmas, whose = sigmas_of(table, self.sigmas)
        metrics = evaluation.evaluate(
            table,
            found,
            sigmas,
            weight,
            max_detections=self.max_detections,
            max_landmark_detections=self.max_landmark_detections,
            min_gallery_score=self.min_gallery_score,
            retrieved=retrieved,
            level_shop_items=self.level_shop_items,
            must_overlap=self.must_overlap,
        )
        if found and 'pixels' in found[0]:
            crops = [
                image | {'embeddings': image['pixels'], 'truth_embeddings': image['truth_pixels']}
                for image in found
            ]
            covered = evaluation.covered(table, crops)
            for name, (_, judgement) in evaluation.retrieve(
                covered,
                crops,
                min_gallery_score=self.min_gallery_score,
                must_overlap=self.must_overlap,
            ).items():
                metrics[f'pixels_{name}'] = retrieval_protocol.accuracies(
                    covered, judgement, self.level_shop_items
                )
        flat = evaluation.summary(metrics)
        if not final:
            return flat
        named = {'landmark_sigmas': whose} if 'landmarks' in metrics else {}
        return flat | {'tables': metrics} | named


def some_rows(table: detection_table.DetectionTable, number: int) -> np.ndarray:
    """Rows of at most `number` images of a table at equal distances, ascending."""
    number = min(number, table.num_images)
    return np.unique(np.linspace(0, table.num_images - 1, number).round().astype(np.int64))


def sigmas_of(
    table: detection_table.DetectionTable, given: float | Sequence[float] | None = None
) -> tuple[np.ndarray | None, str]:
    """The sigmas of OKS for all landmarks of a table, and whose they are.

    Args:
      table: whose landmarks they are for.
      given: one for all landmarks or one of each; None: DeepFashion2's 294, COCO's 17 of people,
        or `SIGMA` for other landmarks.

    Returns:
      float64 [landmarks of all classes], None if there are no landmarks; and a text for a report.

    Raises:
      ValueError: there are not as many given as landmarks.
    """
    count = table.landmark_offsets[-1]
    if not count:
        return None, 'no landmarks'
    if given is not None:
        sigmas = np.asarray(given, np.float64)
        if sigmas.ndim and sigmas.shape != (count,):
            raise ValueError(
                f'MatchEvaluation.sigmas has {sigmas.size} numbers; {table.name} has '
                f'{count} landmarks.'
            )
        return np.broadcast_to(sigmas, [count]), 'as given'
    if tuple(table.landmark_counts) == tuple(categories.LANDMARK_COUNTS):
        return categories.sigmas(), "DeepFashion2's"
    if count == 17:
        from pycocotools import cocoeval

        return cocoeval.Params('keypoints').kpt_oks_sigmas, "COCO's of people"
    return np.full(count, SIGMA), f'{SIGMA} for each landmark, as none are given'
