"""Tests of official.data.whitening."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from official.data import whitening


def _images(n=500, seed=0):
    """Correlated uint8 images [n, 2, 3, 2] with unequal variances."""
    random = np.random.RandomState(seed)
    values = random.normal(size=[n, 12]) @ random.normal(size=[12, 12]) * 20 + 120
    return np.clip(values, 0, 255).astype(np.uint8).reshape(n, 2, 3, 2)


def test_contrast_by_hand():
    # Mean 5; deviations -3, -1, 1, 3; norm sqrt(20).
    images = np.array([[2, 4, 6, 8], [7, 7, 7, 7]], np.uint8).reshape(2, 2, 2, 1)
    result = whitening.normalize_contrast(images)
    assert result.shape == (2, 2, 2, 1)
    expected = 55 / np.sqrt(20) * np.array([-3, -1, 1, 3])
    np.testing.assert_allclose(result[0].reshape(4), expected, rtol=1e-12)
    np.testing.assert_array_equal(result[1], 0)  # a blank image is not divided by 0
    small = whitening.normalize_contrast(np.array([[3.0, -3.0]]) * 1e-9)
    np.testing.assert_allclose(small, [[3e-9, -3e-9]])  # norm / 55 below epsilon
    # Ten times the norm is above epsilon, 1e-8, and is divided; ten times less is not.
    for norm, expected in ((1e-7, 55), (1e-9, 55e-9)):
        one = whitening.normalize_contrast(55 * norm / np.sqrt(2) * np.array([[1.0, -1.0]]))
        np.testing.assert_allclose(np.linalg.norm(one), expected, rtol=1e-9)
    halved = whitening.normalize_contrast(np.array([[3.0, -3.0]]), scale=2)
    np.testing.assert_allclose(halved, np.sqrt([[2, 2]]) * [[1, -1]])


def test_against_scipys_matrix_square_root():
    images = _images()
    normalized = whitening.normalize_contrast(images).reshape(500, 12)
    covariance = np.cov(normalized, rowvar=False, bias=True) + 0.1 * np.eye(12)
    root = scipy.linalg.inv(scipy.linalg.sqrtm(covariance).real)
    expected = (normalized - normalized.mean(axis=0)) @ root

    fitted = whitening.fit(images)
    assert (fitted.scale, fitted.epsilon) == (55.0, 1e-8)  # As Rasmus et al.'s runs had them.
    np.testing.assert_allclose(fitted.matrix, root, rtol=1e-7, atol=1e-10)
    result = fitted(images)
    assert result.dtype == np.float32
    assert result.shape == images.shape
    np.testing.assert_allclose(result.reshape(500, 12), expected, atol=2e-5)


def test_the_result_is_white_but_for_the_diagonal():
    images = _images()
    normalized = whitening.normalize_contrast(images).reshape(500, 12)
    eigenvalues, vectors = scipy.linalg.eigh(np.cov(normalized, rowvar=False, bias=True))
    # An eigenvalue e of the covariance becomes e / (e + diagonal), its direction stays.
    expected = (vectors * (eigenvalues / (eigenvalues + 2.5))) @ vectors.T
    fitted = whitening.fit(images, diagonal=2.5)
    whitened = fitted(images).reshape(500, 12).astype(np.float64)
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False, bias=True), expected, atol=1e-5)
    np.testing.assert_array_equal(fitted.matrix, fitted.matrix.T)


def test_other_images_get_the_training_images_statistics():
    train, test = _images(), _images(40, seed=1)
    fitted = whitening.fit(train)
    together = fitted(np.concatenate([test, train]))
    np.testing.assert_allclose(together[:40], fitted(test), atol=1e-5)
    assert np.abs(fitted(test).mean(axis=0)).max() > 0.01


def test_chunks_do_not_show(monkeypatch):
    images = _images()
    whole = whitening.fit(images)
    result = whole(images)
    monkeypatch.setattr(whitening, '_CHUNK', 77)
    chunked = whitening.fit(images)
    np.testing.assert_allclose(chunked.matrix, whole.matrix, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(chunked(images), result, atol=1e-5)


def test_tensors_give_the_same():
    images = _images()
    images[3] = 9  # a blank image
    fitted = whitening.fit(images)
    tensor = tf.function(fitted.tensor)(tf.constant(images))
    np.testing.assert_allclose(tensor, fitted(images), atol=1e-4)


def test_bad_input():
    with pytest.raises(ValueError, match='^diagonal 0 must be positive'):
        whitening.fit(_images(), diagonal=0)
    with pytest.raises(ValueError, match=r'\(0, 2, 3, 2\): nothing to fit'):
        whitening.fit(_images()[:0])
    with pytest.raises(ValueError, match=r'\(2, 2, 1\) each; the whitening was fitted to 12 '):
        whitening.fit(_images())(np.zeros([5, 2, 2, 1], np.uint8))
