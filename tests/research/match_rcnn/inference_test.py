"""Tests of research.match_rcnn.inference; what it finds is checked by experiment_test."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from research.match_rcnn import inference
from tests.research.match_rcnn import tiny


class _Copies(tf.keras.Model):
    """Finds the boxes that are annotated, each with the score of a weight."""

    def __init__(self, score):
        super().__init__()
        self.score = tf.keras.layers.Dense(1, bias_initializer=tf.constant_initializer(score))
        self.score.build([None, 4])  # A trace that makes variables is followed by a second one.
        self.traces = []

    def examine(self, images, sizes, boxes, classes):
        self.traces.append(1)
        scores = self.score(tf.zeros_like(boxes))[..., 0]
        return {
            'boxes': boxes,
            'classes': classes,
            'scores': tf.where(classes > 0, scores, 0),
        }


def _scores(model, data, **arguments):
    found = inference.detections(
        model, data, tf.distribute.get_strategy(), 'validation', **arguments
    )
    assert len(found) == data.table('validation').num_images
    return {float(score) for image in found for score in image['scores']}


def test_a_model_is_traced_once_and_freed_when_nobody_uses_it():
    data = tiny.make_data()
    model, other = _Copies(0.25), _Copies(0.5)
    assert [_scores(model, data), _scores(other, data), _scores(model, data)] == [
        {0.25},
        {0.5},
        {0.25},
    ]
    assert _scores(model, data, raw_pixels=True) == {0.25}
    assert [len(model.traces), len(other.traces)] == [2, 1]
    freed = weakref.ref(model)
    del model
    gc.collect()
    assert freed() is None
    assert _scores(other, data) == {0.5}


def test_crops_are_what_is_in_the_boxes():
    image = np.zeros([1, 32, 32, 3], np.uint8)
    image[0, 8:24, 4:20] = [255, 0, 51]
    crops = inference._crops(tf.constant(image), tf.constant([[[4.0, 8, 20, 24], [20, 0, 32, 8]]]))
    assert crops.shape == (1, 2, 768)
    np.testing.assert_allclose(
        tf.reshape(crops[0, 0], [16, 16, 3])[2:-2, 2:-2],
        np.full([12, 12, 3], [1, 0, 0.2]),
        atol=1e-5,
    )
    assert not np.any(tf.reshape(crops[0, 1], [16, 16, 3])[2:-2, 2:-2])
