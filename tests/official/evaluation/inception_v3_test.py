"""Inception V3 from each kind of place, with random weights."""

import tarfile

import numpy as np
import pytest
import tensorflow as tf

from official.evaluation import inception_v3


@pytest.fixture(name='weights', scope='module')
def fixture_weights(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    path = str(tmp_path_factory.mktemp('weights') / 'inception.weights.h5')
    whole = tf.keras.applications.InceptionV3(weights=None)
    whole.save_weights(path)
    return path, whole


class Network(tf.Module):
    """As TF-GAN's: 'pool_3' and 'logits' of images of 299 pixels in [-1, 1]."""

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        means = tf.reduce_mean(images, [1, 2])
        corner = tf.reshape(images[:, 0, 0], [-1, 3])
        return {
            'pool_3': tf.concat([means, corner], 1)[:, tf.newaxis, tf.newaxis],
            'logits': 10 * means,
        }


@pytest.fixture(name='hub', scope='module')
def fixture_hub(tmp_path_factory):
    path = str(tmp_path_factory.mktemp('hub') / 'model')
    tf.saved_model.save(Network(), path)
    return path


def images(channels=3, size=40):
    return tf.constant(np.random.RandomState(0).rand(2, size, size, channels).astype(np.float32))


def test_keras_weights(weights):
    path, whole = weights
    model = inception_v3.load(weights=path)
    features, probabilities = model(images())
    assert features.shape == (2, 2048) and probabilities.shape == (2, 1000)
    resized = tf.compat.v1.image.resize_bilinear(images(), [299, 299]) * 2 - 1
    np.testing.assert_allclose(probabilities, whole(resized, training=False), atol=1e-5)
    assert 'do not compare with published ones' in model.about


def test_a_saved_model(hub):
    model = inception_v3.load(weights=hub)
    features, probabilities = model(images())
    assert features.shape == (2, 6)
    # The corner is a pixel of the image: scaled to [-1, 1], not averaged with others.
    np.testing.assert_allclose(features[:, 3:], images()[:, 0, 0] * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(10 * features[:, :3]), atol=1e-6)
    grey = model(images(channels=1))[0]
    np.testing.assert_allclose(grey[:, 3], grey[:, 5], atol=1e-6)


def test_an_address_is_fetched_once(hub, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    archive = tmp_path / 'archive.tar.gz'
    with tarfile.open(archive, 'w:gz') as file:
        file.add(hub, arcname='.')
    address = f'file://{archive}'
    first = inception_v3.load(weights=address)(images())[0]
    archive.unlink()
    np.testing.assert_array_equal(inception_v3.load(weights=address)(images())[0], first)


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='nowhere.h5: no such weights of Inception V3'):
        inception_v3.load(weights=f'{tmp_path}/nowhere.h5')
    with pytest.raises(FileNotFoundError, match='nothing.tar.gz cannot be fetched'):
        inception_v3.load(weights=f'file://{tmp_path}/nothing.tar.gz')


def test_something_else_is_named(tmp_path):
    path = tmp_path / 'weights.h5'
    path.write_text('no weights')
    with pytest.raises(ValueError, match='weights.h5 holds no Keras weights of InceptionV3'):
        inception_v3.load(weights=str(path))
    with pytest.raises(ValueError, match='is no SavedModel of Inception V3'):
        inception_v3.load(weights=str(tmp_path))
