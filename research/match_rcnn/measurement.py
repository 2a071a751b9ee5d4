"""Measures a trained Match R-CNN on a split, for `KerasExperiment.evaluator`."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import detection_table
from research.match_rcnn import categories
from research.match_rcnn import evaluation
from research.match_rcnn import inference
from research.match_rcnn import retrieval_protocol


class MatchEvaluation:
    """Average precision of boxes, masks and landmarks, and top-k retrieval accuracy.

    All images of the split count at the end; at checkpoints some, at equal distances in the table,
    among which hardly two show one garment: retrieval is left out there.

    Args:
      checkpoint_images: images that are looked at at a checkpoint.
      max_detections: of an image, the most certain ones.
      raw_pixels: also retrieve by the pixels inside the boxes, 16 x 16, which learns nothing.
      min_gallery_score: detections in shops' images that are less certain are not in the gallery.
      level_shop_items: the retrieval levels are of queries with at least so many shop items of
        their identity; the paper's have over 5.
    """

    def __init__(self, checkpoint_images: int = 200,
                 max_detections: int = evaluation.MAX_DETECTIONS, raw_pixels: bool = True,
                 min_gallery_score: float = 0.,
                 level_shop_items: int = retrieval_protocol.LEVELS_MIN_SHOP_ITEMS):
        checks.positive('MatchEvaluation', checkpoint_images=checkpoint_images,
                        max_detections=max_detections, level_shop_items=level_shop_items)
        checks.within('MatchEvaluation', 0, 1, min_gallery_score=min_gallery_score)
        self.checkpoint_images = checkpoint_images
        self.max_detections = max_detections
        self.raw_pixels = raw_pixels
        self.min_gallery_score = min_gallery_score
        self.level_shop_items = level_shop_items

    def __call__(self, model, data, strategy: tf.distribute.Strategy, split: str,
                 final: bool = True) -> dict:
        """Measures the model.

        Returns:
          'box_ap', 'box_ap50', ..., 'mask_...', 'landmarks_visible_...', 'landmarks_...',
          'retrieval_detected_top1', ..., 'retrieval_truth_...'; at the end also 'pixels_...' of the
          baseline, and 'tables', everything by subset as `evaluation.evaluate` gives it.
        """
        rows = None
        if not final:
            rows = some_rows(data.table(split), self.checkpoint_images)
        found = inference.detections(model, data, strategy, split, rows,
                                     self.raw_pixels and final and bool(model.matching_network))
        return self.measure(model, data.table(split), found, final)

    def measure(self, model, table: detection_table.DetectionTable, found: Sequence[dict],
                final: bool = True, retrieved: dict | None = None) -> dict:
        """What a call gives, of detections, and what they retrieve, that are there already."""
        weight = None
        if not final:
            found = [{name: value for name, value in image.items() if 'embeddings' not in name}
                     for image in found]
        if model.matching_network:
            weight = model.matching_network.distance_weights.numpy()
        metrics = evaluation.evaluate(
            table, found, sigmas_of(table), weight, max_detections=self.max_detections,
            min_gallery_score=self.min_gallery_score, retrieved=retrieved,
            level_shop_items=self.level_shop_items)
        if found and 'pixels' in found[0]:
            crops = [image | {'embeddings': image['pixels'],
                              'truth_embeddings': image['truth_pixels']} for image in found]
            covered = evaluation.covered(table, crops)
            for name, (_, judgement) in evaluation.retrieve(
                    covered, crops, min_gallery_score=self.min_gallery_score).items():
                metrics[f'pixels_{name}'] = retrieval_protocol.accuracies(
                    covered, judgement, self.level_shop_items)
        flat = evaluation.summary(metrics)
        return flat | {'tables': metrics} if final else flat


def some_rows(table: detection_table.DetectionTable, number: int) -> np.ndarray:
    """Rows of at most `number` images of a table at equal distances, ascending."""
    number = min(number, table.num_images)
    return np.unique(np.linspace(0, table.num_images - 1, number).round().astype(np.int64))


def sigmas_of(table: detection_table.DetectionTable) -> np.ndarray | None:
    """The sigmas of OKS: DeepFashion2's 294, or COCO's 17 of people; None for other landmarks."""
    if tuple(table.landmark_counts) == tuple(categories.LANDMARK_COUNTS):
        return categories.sigmas()
    if sum(table.landmark_counts) == 17:
        from pycocotools import cocoeval

        return cocoeval.Params('keypoints').kpt_oks_sigmas
    return None
