"""What a client of an exported Ladder network can call."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from official.vision import image_reader


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """Signatures of a classifier of images.

    - predict (and serving_default): x float32 [batch, *input_shape], as the model was trained on
      (pixels in [0, 1]; with a preprocessing, its output).
    - pixels: uint8 [batch, height, width, channels], values as in the data set's arrays.
    - image_bytes: string [batch], encoded files (JPEG, PNG, BMP, GIF; see
      `official.vision.image_reader`) of any size, scaled to the data's.

    Each gives probabilities [batch, classes], labels int64 [batch] and names string [batch], and
    refuses another shape. `predict` and `pixels` also convert to TFLite, with its built-in
    operations; `image_bytes` does not, as TFLite reads no image files.

    Args:
      model: a trained `LadderNetwork`, or another classifier with a `call`.
      data: the `SemiSupervisedData` it was trained on.
    """
    names = tf.constant(data.class_names)
    height, width, channels = data.arrays.image_shape

    def predict(x):
        # A signature checks only types. A reshape would make more examples of larger images.
        probabilities = model(tf.ensure_shape(x, [None, *model.example_shape]))
        labels = tf.argmax(probabilities, axis=1)
        return {'probabilities': probabilities, 'labels': labels, 'names': tf.gather(names, labels)}

    def pixels(images):
        images = tf.ensure_shape(images, [None, height, width, channels])
        return predict(data.input_tensor(images))

    def image_bytes(files):
        def decode(file):
            image = image_reader.decode(file, channels)
            image = tf.image.resize(image, (height, width), antialias=True)
            # The data's scale, in whole steps as its own pixels have it.
            return tf.cast(tf.round(image * (data.arrays.max_value / 255)), tf.uint8)

        return pixels(
            tf.map_fn(
                decode,
                files,
                fn_output_signature=tf.TensorSpec((height, width, channels), tf.uint8),
            )
        )

    return {
        'predict': (predict, [tf.TensorSpec([None, *model.example_shape], tf.float32, 'x')]),
        'pixels': (pixels, [tf.TensorSpec([None, height, width, channels], tf.uint8, 'images')]),
        'image_bytes': (image_bytes, [tf.TensorSpec([None], tf.string, 'files')]),
    }
