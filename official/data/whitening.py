"""Global contrast normalization and ZCA whitening of images.

As Goodfellow et al. (2013), "Maxout networks", prepared CIFAR-10, and after them Rasmus et al.
(2015), section 4.2. Contrast: each image less its own mean, divided by its Euclidean norm, times
55. Whitening: x -> (x - mean) C^(-1/2) with C the covariance of the training images (divided by
their number) plus 0.1 on the diagonal; the symmetric root ("ZCA") of all components keeps a
whitened image an image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

_CHUNK = 4096  # images; bounds the memory beside the result


def normalize_contrast(
    images: np.ndarray, scale: float = 55.0, epsilon: float = 1e-8
) -> np.ndarray:
    """Global contrast normalization.

    Args:
      images: [n, ...], any number type; all but the first dimension is one image.
      scale: the Euclidean norm of the result.
      epsilon: an image whose norm / scale is less (a blank one) is not divided.

    Returns:
      float64 [n, ...].
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    divisor = np.linalg.norm(flat, axis=1, keepdims=True) / scale
    divisor[divisor < epsilon] = 1
    return (flat / divisor).reshape(images.shape)


@dataclasses.dataclass(frozen=True)
class Whitening:
    """Contrast normalization and whitening with fitted statistics; called on images.

    Attributes:
      mean: float64 [pixels], of the contrast-normalized training images.
      matrix: float64 [pixels, pixels], C^(-1/2), symmetric.
      scale, epsilon: see `normalize_contrast`.
    """

    mean: np.ndarray
    matrix: np.ndarray
    scale: float
    epsilon: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Whitens images [n, ...] of the training images' shape and range, to float32 [n, ...]."""
        self._check(images)
        result = np.empty((len(images), len(self.mean)), np.float32)
        matrix = self.matrix.astype(np.float32)
        for rows, centred in _centred_chunks(images, self.mean, self.scale, self.epsilon):
            np.matmul(centred.astype(np.float32), matrix, out=result[rows])
        return result.reshape(images.shape)

    def tensor(self, images: tf.Tensor) -> tf.Tensor:
        """The same in TensorFlow operations, for an exported model that takes pixels."""
        self._check(images)
        flat = tf.cast(tf.reshape(images, [-1, len(self.mean)]), tf.float32)
        flat -= tf.reduce_mean(flat, axis=1, keepdims=True)
        divisor = tf.norm(flat, axis=1, keepdims=True) / self.scale
        flat /= tf.where(divisor < self.epsilon, 1.0, divisor)
        whitened = (flat - self.mean.astype(np.float32)) @ self.matrix.astype(np.float32)
        return tf.reshape(whitened, tf.shape(images))

    def _check(self, images):
        if np.prod(images.shape[1:]) != len(self.mean):
            raise ValueError(
                f'images of shape {tuple(images.shape[1:])} each; the whitening was fitted to '
                f'{len(self.mean)} values an image.'
            )


def fit(
    train_images: np.ndarray,
    scale: float = 55.0,
    epsilon: float = 1e-8,
    diagonal: float = 0.1,
) -> Whitening:
    """Fits the whitening to training images, in float64.

    3072 values an image and 50 000 images take about a minute on two cores.

    Args:
      train_images: [n, ...], any number type.
      scale: see `normalize_contrast`.
      epsilon: see `normalize_contrast`.
      diagonal: added to the covariance's diagonal: directions of less variance are not blown up.

    Raises:
      ValueError: `diagonal` is not positive (the covariance alone cannot be inverted: every
        normalized image has mean 0), or there is no image.
    """
    if diagonal <= 0:
        raise ValueError(f'diagonal {diagonal} must be positive.')
    if not train_images.size:
        raise ValueError(f'train_images of shape {train_images.shape}: nothing to fit.')
    pixels = int(np.prod(train_images.shape[1:]))
    total = np.zeros(pixels)
    for _, chunk in _centred_chunks(train_images, 0, scale, epsilon):
        total += chunk.sum(axis=0)
    mean = total / len(train_images)
    covariance = np.zeros((pixels, pixels))
    for _, chunk in _centred_chunks(train_images, mean, scale, epsilon):
        covariance += chunk.T @ chunk
    covariance /= len(train_images)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    # Rounding may leave an eigenvalue of a direction without variance a little below 0.
    matrix = (vectors / np.sqrt(np.maximum(eigenvalues, 0) + diagonal)) @ vectors.T
    return Whitening(mean, (matrix + matrix.T) / 2, scale, epsilon)


def _centred_chunks(images, mean, scale, epsilon) -> Iterator[tuple[slice, np.ndarray]]:
    """Contrast-normalized images less `mean`, float64 [rows, pixels], some rows at a time."""
    for start in range(0, len(images), _CHUNK):
        rows = slice(start, start + _CHUNK)
        normalized = normalize_contrast(images[rows], scale, epsilon)
        yield rows, normalized.reshape(len(normalized), -1) - mean
