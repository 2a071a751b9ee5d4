"""Signatures of an exported classifier of point clouds: plain arrays of points in, logits out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from research.geometric import point_data


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """'predict' takes points, float32 [clouds, points, 3], of any unit and place.

    Clouds are brought to mean 0 and greatest coordinate 1 as in training. There may be any number
    of points from `points_needed` of the network on; the model has seen `num_points`.

    The answers are 'logits' and 'probabilities', float32 [clouds, classes], 'labels', int32
    [clouds], and 'names', strings [clouds].

    Args:
      model: `PointClassifier`.
      data: `PointData`.
    """
    names = tf.constant([str(name) for name in data.class_names])
    needed = model.network.points_needed

    def predict(points):
        checks = [
            tf.debugging.assert_greater_equal(
                tf.shape(points)[1],
                needed,
                message=f'clouds must have at least {needed} points each.',
            ),
            tf.debugging.assert_all_finite(points, 'points have a coordinate that is not finite.'),
        ]
        with tf.control_dependencies(checks):
            points = tf.identity(points)
        logits = model(point_data.normalized(points))
        labels = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {
            'logits': logits,
            'probabilities': tf.nn.softmax(logits),
            'labels': labels,
            'names': tf.gather(names, labels),
        }

    return {'predict': (predict, [tf.TensorSpec([None, None, 3], tf.float32, 'points')])}
