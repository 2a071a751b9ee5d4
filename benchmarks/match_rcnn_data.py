"""The images and ground truth of benchmarks/match_rcnn.py, as a file that every contestant reads.

A file has the numbers of its `Config`, each by its name, and for n images

  images                      uint8 [n, height, width, 3], noise that fills the canvas
  boxes, classes              float32 [n, items, 4] (x1, y1, x2, y2), int32 [n, items], 0 padding
  masks                       uint8 [n, items, 112, 112] in their boxes: ellipses
  landmarks                   float32 [n, items, most, 3] (x, y, visibility)
  pair_ids, styles            int32 [n, items]; images 2 i and 2 i + 1 show the same garments
  candidates, scores          float32 [n, train_candidates, 4] and [n, train_candidates], the
                              highest first: boxes as a trained network proposes them
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MASK_SIZE = 112
# Of each class of DeepFashion2; as in research/match_rcnn/categories.py, which needs TensorFlow.
LANDMARK_COUNTS = 25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19


class Config(NamedTuple):
    """The sizes that both contestants have.

    Attributes:
      height: of the canvas, a multiple of 64.
      width: of the canvas, a multiple of 64.
      number: of images in the file.
      batch: images of a training step; of the operations, too.
      truths: garments of an image. Each is a positive RoI, and an untrained network has no others;
        trained on drawn garments it has some 28, of 1.8 garments.
      items: the same with padding.
      num_classes: without background.
      anchors: drawn of an image for the loss of the proposals.
      train_candidates: proposals of a level before suppression, in training.
      train_proposals: of an image after it.
      test_candidates: the same outside training.
      test_proposals: the same outside training.
      rois: of an image that the streams learn from.
      positives: of which so many at most are positive, and have masks and landmarks.
      detections: of an image.
    """

    height: int = 832
    width: int = 1344
    number: int = 4
    batch: int = 2
    truths: int = 28
    items: int = 28
    num_classes: int = 13
    anchors: int = 256
    train_candidates: int = 2000
    train_proposals: int = 1000
    test_candidates: int = 1000
    test_proposals: int = 1000
    rois: int = 512
    positives: int = 128
    detections: int = 20


def arrays(config: Config, seed: int = 0) -> dict[str, np.ndarray]:
    """What a file holds.

    Args:
      config: the sizes.
      seed: of the generator.
    """
    rng = np.random.default_rng(seed)
    number, items, truths = config.number, config.items, config.truths
    classes = np.zeros([number, items], np.int32)
    shown = rng.integers(1, config.num_classes + 1, size=[(number + 1) // 2, truths])
    classes[:, :truths] = shown.repeat(2, 0)[:number]
    boxes = np.zeros([number, items, 4], np.float32)
    boxes[:, :truths] = _boxes(rng, config, [number, truths], 1 / 6, 2 / 3)
    styles = np.zeros([number, items], np.int32)
    styles[:, :truths] = 1 + np.arange(truths)
    pair_ids = np.where(styles > 0, 1 + np.arange(number)[:, np.newaxis] // 2, 0)
    scores = np.sort(rng.uniform(size=[number, config.train_candidates]), 1)[:, ::-1]
    return {
        'images': rng.integers(256, size=[number, config.height, config.width, 3], dtype=np.uint8),
        'boxes': boxes,
        'classes': classes,
        'masks': _ellipses(classes),
        'landmarks': _landmarks(rng, boxes, classes),
        'pair_ids': pair_ids.astype(np.int32),
        'styles': styles,
        'candidates': _candidates(rng, config, boxes[:, :truths]),
        'scores': scores.astype(np.float32),
        **config._asdict(),
    }


def config_of(found) -> Config:
    """The sizes of what `arrays` gave."""
    return Config(*(int(found[name]) for name in Config._fields))


def _boxes(rng, config, shape, smallest, largest):
    """Boxes inside the canvas, their sides as shares of those of the canvas."""
    canvas = np.array([config.width, config.height])
    sides = rng.uniform(smallest, largest, size=[*shape, 2]) * canvas
    corner = rng.uniform(size=[*shape, 2]) * (canvas - sides)
    return np.concatenate([corner, corner + sides], -1).astype(np.float32)


def _candidates(rng, config, truths):
    """Half are small changes of a ground-truth box, as suppression is for; half are anywhere."""
    number, count, _ = truths.shape
    anywhere = _boxes(rng, config, [number, config.train_candidates], 1 / 40, 1 / 2)
    which = rng.integers(count, size=[number, config.train_candidates, 1])
    truth = np.take_along_axis(truths, which, 1)
    sides = np.tile(truth[..., 2:] - truth[..., :2], 2)
    moved = truth + rng.normal(scale=0.1, size=sides.shape) * sides
    moved[..., :2] = np.minimum(moved[..., :2], moved[..., 2:] - 1)
    boxes = np.where(rng.uniform(size=which.shape) < 0.5, moved, anywhere)
    limits = np.tile([config.width, config.height], 2)
    return np.clip(boxes, 0, limits).astype(np.float32)


def _ellipses(classes):
    """The mask of every garment is the ellipse that touches the sides of its box."""
    middle = (np.arange(MASK_SIZE) + 0.5) / MASK_SIZE - 0.5
    inside = middle[:, np.newaxis] ** 2 + middle**2 < 0.25
    return (inside & (classes > 0)[..., np.newaxis, np.newaxis]).astype(np.uint8)


def _landmarks(rng, boxes, classes):
    """Anywhere in their boxes, two of three visible."""
    counts = np.array([0, *LANDMARK_COUNTS])
    there = np.arange(counts.max()) < counts[classes][..., np.newaxis]
    sides = (boxes[..., 2:] - boxes[..., :2])[..., np.newaxis, :]
    places = boxes[..., np.newaxis, :2] + rng.uniform(size=[*there.shape, 2]) * sides
    visible = np.where(rng.uniform(size=there.shape) < 2 / 3, 2, 1)
    found = np.concatenate([places, visible[..., np.newaxis]], -1)
    return np.where(there[..., np.newaxis], found, 0).astype(np.float32)
