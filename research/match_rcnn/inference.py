"""Runs a trained model over images and brings its answers back to the pixels of the files."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import distribution
from official.data import detection_table
from official.vision import masks as mask_ops
from official.vision import roi_align

_PIXELS = 16  # Height and width of the crops of raw-pixel retrieval.
# Neither key nor value keeps a model alive.
_steps: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def detections(
    model: tf.keras.Model,
    data: Any,
    strategy: tf.distribute.Strategy,
    split: str,
    rows: np.ndarray | None = None,
    raw_pixels: bool = False,
) -> list[dict]:
    """The detections of every image of a split, in order.

    Args:
      model: a `MatchRCNN`.
      data: a `MatchData`.
      strategy: what to run under.
      split: of `data`.
      rows: which images; None: all.
      raw_pixels: also give what is inside the boxes as 16 x 16 pixels, for comparison.

    Returns:
      A dict an image: 'image_id', 'row' of the table; of its n detections, in the pixels of the
      upright file, boxes float32 [n, 4], classes int32 [n], scores float32 [n], landmarks float32
      [n, K, 3], masks (n RLEs of pycocotools), embeddings float32 [n, units]; and of its ground
      truth truth_embeddings float32 [items, units], in the order of the table. What the model
      leaves out is missing. With `raw_pixels` also 'pixels' and 'truth_pixels', float32
      [n or items, 768].
    """
    table = data.table(split)
    results = distribution.results_of(
        _step(model, raw_pixels),
        strategy.distribute_datasets_from_function(
            lambda context: data.evaluation(split, input_context=context, rows=rows)
        ),
        strategy,
    )
    return [image for batch in results for image in _images(batch, table)]


def _step(model, raw_pixels):
    """Kept with the model, so that the checkpoints of a training share one traced function."""
    steps = _steps.setdefault(model, {})
    if raw_pixels not in steps:
        steps[raw_pixels] = _traced_step(weakref.proxy(model), raw_pixels)
    return steps[raw_pixels]


def _traced_step(model, raw_pixels):
    @tf.function
    def step(batch):
        found = model.examine(batch['images'], batch['sizes'], batch['boxes'], batch['classes'])
        if raw_pixels:
            found['pixels'] = _crops(batch['images'], found['boxes'])
            found['truth_pixels'] = _crops(batch['images'], batch['boxes'])
        return (
            found
            | {name: batch[name] for name in ('index', 'weights', 'scales')}
            | {'truth_classes': batch['classes']}
        )

    return step


def _crops(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """What is inside boxes, small and flat: float32 [b, n, 16 * 16 * 3] in [0, 1]."""
    crops = roi_align.roi_align([tf.cast(images, tf.float32) / 255], boxes, (1,), _PIXELS, 2)
    return tf.reshape(crops, [-1, boxes.shape[1], _PIXELS * _PIXELS * images.shape[-1]])


def _images(batch: dict[str, np.ndarray], table: detection_table.DetectionTable) -> Iterator[dict]:
    for number, (row, weight) in enumerate(zip(batch['index'], batch['weights'], strict=True)):
        if weight:
            one = {name: values[number] for name, values in batch.items()}
            yield _image(one, int(row), table)


def _image(one: dict[str, np.ndarray], row: int, table) -> dict:
    """The detections of one image in the pixels of its file."""
    real = one['scores'] > 0
    scale_y, scale_x = one['scales']
    height, width = (int(size) for size in table.sizes[row])
    corners = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
    boxes = one['boxes'][real] / corners
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    image = {
        'image_id': int(table.image_ids[row]),
        'row': row,
        'boxes': boxes,
        'classes': one['classes'][real],
        'scores': one['scores'][real],
    }
    if 'landmarks' in one:
        image['landmarks'] = one['landmarks'][real] / np.array([scale_x, scale_y, 1], np.float32)
    if 'masks' in one:
        image['masks'] = encoded(one['masks'][real], boxes, height, width)
    known = one['truth_classes'] > 0
    for name in ('embeddings', 'pixels'):
        if name in one:
            image[name] = one[name][real]
            image[f'truth_{name}'] = one[f'truth_{name}'][known]
    return image


def encoded(masks: np.ndarray, boxes: np.ndarray, height: int, width: int) -> list[dict]:
    """Masks inside boxes, [n, m, m] probabilities, as RLEs of whole images."""
    from pycocotools import mask as rle

    if not len(masks):
        return []
    whole = mask_ops.paste(masks, boxes, height, width)
    return rle.encode(np.asfortranarray(whole.transpose(1, 2, 0).astype(np.uint8)))
