"""The three streams against plain NumPy, and maps of one class against those of all."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.match_rcnn import categories, streams
from tests.research.match_rcnn import numpy_reference


def _key():
    return random.make_key(3)


def _images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _weights(layer):
    return [variable.numpy().astype(np.float64) for variable in layer.weights]


def _randomise(layer):
    generator = np.random.default_rng(1)
    for variable in layer.weights:
        variable.assign(generator.normal(size=variable.shape, scale=0.3))


def test_box_stream():
    stream = streams.BoxStream(3, 4, _key(), size=2, units=5)
    _randomise(stream)
    x = _images(6, 2, 2, 3)
    hidden = x.reshape(6, 12).astype(np.float64)
    for layer in stream.hidden:
        kernel, bias = _weights(layer)
        hidden = np.maximum(hidden @ kernel + bias, 0)
    logits, deltas = stream(tf.constant(x))
    kernel, bias = _weights(stream.classifier)
    np.testing.assert_allclose(logits, hidden @ kernel + bias, rtol=1e-5, atol=1e-5)
    kernel, bias = _weights(stream.regressor)
    np.testing.assert_allclose(
        deltas, (hidden @ kernel + bias).reshape(6, 4, 4), rtol=1e-5, atol=1e-5
    )


def test_mask_stream():
    stream = streams.MaskStream(3, 4, _key(), size=4, width=5, convs=2)
    _randomise(stream)
    x = _images(3, 4, 4, 3)
    expected = x
    for conv in stream.convs:
        expected = np.maximum(numpy_reference.conv(expected, *_weights(conv)), 0)
    np.testing.assert_allclose(stream.features(tf.constant(x)), expected, rtol=1e-4, atol=1e-4)
    expected = np.maximum(numpy_reference.deconv(expected, *_weights(stream.deconv), begin=0), 0)
    expected = numpy_reference.conv(expected, *_weights(stream.predictor))
    classes = [4, 1, 3]
    logits = stream(tf.constant(x), tf.constant(classes)).numpy()
    for row, class_ in enumerate(classes):
        np.testing.assert_allclose(
            logits[row], expected[row, ..., class_ - 1], rtol=1e-4, atol=1e-3
        )
    np.testing.assert_allclose(
        stream.full(stream.features(tf.constant(x))), expected, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize('bilinear', [False, True])
def test_landmark_stream(bilinear):
    counts = (2, 0, 3)
    stream = streams.LandmarkStream(3, counts, _key(), size=3, width=4, convs=2, bilinear=bilinear)
    _randomise(stream)
    x = _images(4, 3, 3, 3)
    expected = x
    for conv in stream.convs:
        expected = np.maximum(numpy_reference.conv(expected, *_weights(conv)), 0)
    if not bilinear:
        expected = np.maximum(
            numpy_reference.deconv(expected, *_weights(stream.deconv), begin=1), 0
        )
    expected = numpy_reference.deconv(expected, *_weights(stream.predictor), begin=1)
    if bilinear:
        expected = tf.image.resize(expected, [12, 12]).numpy()
    assert expected.shape == (4, 12, 12, 5)
    classes = [3, 1, 2, 0]
    maps = stream(tf.constant(x), tf.constant(classes)).numpy()
    assert maps.shape == (4, 12, 12, 3)
    np.testing.assert_allclose(maps[0], expected[0, ..., 2:], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(maps[1, ..., :2], expected[1, ..., :2], rtol=1e-4, atol=1e-3)
    assert not maps[1, ..., 2].any() and not maps[2].any()
    np.testing.assert_allclose(maps[3, ..., :2], expected[3, ..., :2], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        stream.full(stream.features(tf.constant(x))), expected, rtol=1e-4, atol=1e-3
    )


def test_gradients_are_those_of_all_maps():
    stream = streams.LandmarkStream(3, (2, 3), _key(), size=3, width=4, convs=1)
    _randomise(stream)
    x = tf.constant(_images(3, 3, 3, 3))
    classes = tf.constant([2, 1, 2])
    weights = tf.constant(_images(3, 12, 12, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(stream(x, classes) * weights)
    gradients = tape.gradient(loss, stream.trainable_variables)
    with tf.GradientTape() as tape:
        full = stream.full(stream.features(x))
        loss = tf.reduce_sum(
            tf.gather(full, [0, 2])[..., 2:] * tf.gather(weights, [0, 2])
        ) + tf.reduce_sum(full[1, ..., :2] * weights[1, ..., :2])
    for ours, theirs in zip(
        gradients, tape.gradient(loss, stream.trainable_variables), strict=True
    ):
        np.testing.assert_allclose(
            tf.convert_to_tensor(ours), tf.convert_to_tensor(theirs), rtol=1e-3, atol=1e-3
        )


def test_the_papers_streams():
    """8 convolutions and 2 deconvolutions to 294 maps of 56 x 56; 4, 1 and 1; 2 hidden layers."""
    landmarks = streams.LandmarkStream(256, categories.LANDMARK_COUNTS, _key())
    assert len(landmarks.convs) == 8 and landmarks.map_size == 56
    # 3 x 3 from 256 to 512, seven from 512 to 512; 4 x 4 to 512 and to the 294 landmarks.
    convs = 9 * 256 * 512 + 512 + 7 * (9 * 512 * 512 + 512)
    deconvs = 16 * 512 * 512 + 512 + 16 * 512 * 294 + 294
    assert landmarks.count_params() == convs + deconvs
    masks = streams.MaskStream(256, 13, _key())
    assert masks.count_params() == (4 * (9 * 256 * 256 + 256) + 4 * 256 * 256 + 256 + 256 * 13 + 13)
    boxes = streams.BoxStream(256, 13, _key())
    assert boxes.count_params() == (
        49 * 256 * 1024 + 1024 + 1024**2 + 1024 + 1024 * 14 + 14 + 1024 * 52 + 52
    )


def test_a_stream_without_landmarks_is_refused():
    with pytest.raises(ValueError, match=r'LandmarkStream.landmark_counts = \(0, 0\)'):
        streams.LandmarkStream(3, (0, 0), _key())
