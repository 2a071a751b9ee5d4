"""What a client of an exported Match R-CNN can call."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from official.data import canvas as canvas_lib
from official.vision import image_reader


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """Signatures of a trained `MatchRCNN`.

    - detect (and serving_default): files, string [n], encoded images (JPEG, PNG, BMP, GIF; see
      `official.vision.image_reader`) of any size. Gives of each image at most D detections, the
      most certain first: boxes float32 [n, D, 4], (x1, y1, x2, y2) in pixels of the upright image;
      classes int32 [n, D], from 1, 0
      for padding; names string [n, D]; scores float32 [n, D]; masks float32 [n, D, m, m],
      probabilities at the centres of m x m equal cells of the box; landmarks float32
      [n, D, K, 3], x and y in pixels of the image and the probability of the place; embeddings
      float32 [n, D, units]; sizes int32 [n, 2], height and width of each image.
    - pixels: the same of images uint8 [n, height, width, 3] of one size.
    - similarity: v1 and v2, float32 [n, units], two embeddings each; gives the probability that
      both are of the same garment, float32 [n].

    What the model leaves out is missing.

    Args:
      model: a trained `MatchRCNN`.
      data: its `MatchData`, for how images are resized and for the names of the classes.
    """
    geometry = data.geometry
    canvas = geometry['canvas']
    names = tf.constant(['', *data.class_names])

    def placed(image):
        resized, size = canvas_lib.place(image, **geometry)
        return resized, size, tf.shape(image)[:2]

    def answers(images, sizes, original):
        found = model.detect(images, tf.cast(sizes, tf.float32))
        scale = tf.cast(original, tf.float32) / tf.cast(sizes, tf.float32)
        xy = scale[:, tf.newaxis, ::-1]
        limits = tf.tile(tf.cast(original[:, tf.newaxis, ::-1], tf.float32), [1, 1, 2])
        found['boxes'] = tf.minimum(found['boxes'] * tf.tile(xy, [1, 1, 2]), limits)
        if 'landmarks' in found:
            landmarks = found['landmarks']
            found['landmarks'] = tf.concat(
                [landmarks[..., :2] * xy[:, tf.newaxis], landmarks[..., 2:]], -1
            )
        return found | {'names': tf.gather(names, found['classes']), 'sizes': original}

    def each(function, values):
        return answers(
            *tf.map_fn(
                function,
                values,
                fn_output_signature=(
                    tf.TensorSpec([*canvas, 3], tf.uint8),
                    tf.TensorSpec([2], tf.int32),
                    tf.TensorSpec([2], tf.int32),
                ),
            )
        )

    def detect(files):
        return each(lambda file: placed(image_reader.decode(file)), files)

    def pixels(images):
        return each(placed, images)

    made = {
        'detect': (detect, [tf.TensorSpec([None], tf.string, 'files')]),
        'pixels': (pixels, [tf.TensorSpec([None, None, None, 3], tf.uint8, 'images')]),
    }
    if model.matching_network:
        vectors = [
            tf.TensorSpec([None, model.matching_network.units], tf.float32, name)
            for name in ('v1', 'v2')
        ]
        made['similarity'] = (lambda v1, v2: {'probability': model.similarity(v1, v2)}, vectors)
    return made
