"""The four rotations of an image, and which images are rotated (Lucic et al. 2019, Sec. 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

NUM_ROTATIONS = 4


class Chosen(NamedTuple):
    """Images of each replica that are rotated.

    Attributes:
      indices: Images of a replica's part of the batch, int64 [replicas, m].
      counted: 1.0, or 0.0 where a replica has fewer than m of them, float32 [replicas, m].
    """

    indices: np.ndarray
    counted: np.ndarray

    def of(self, x: tf.Tensor, replica: int | tf.Tensor = 0) -> tf.Tensor:
        """Rows of `x`, [n, ...], that are chosen on a replica: [m, ...]."""
        stride = x.shape[0] // self.indices.shape[1]
        if (self.indices == np.arange(0, x.shape[0], stride)[: self.indices.shape[1]]).all():
            return x[::stride][: self.indices.shape[1]]  # Whose gradient is no scatter.
        return tf.gather(x, tf.gather(tf.constant(self.indices), replica))


def chosen(number: int, share: float, replicas: int = 1) -> Chosen:
    """Images at equal distances in the global batch, the same ones however many replicas share it.

    Args:
      number: Images of the global batch, a multiple of `replicas`.
      share: Share of them that is chosen.
      replicas: Replicas, each with a contiguous part of the batch.

    Raises:
      ValueError: The share is not a whole number of images.
    """
    count = round(number * share)
    if count < 1 or abs(number * share - count) > 1e-6 * number:
        raise ValueError(
            f'S3GAN.rotated_share = {share:g} of the {number} images of an update is '
            f'{number * share:g} images; it must be a whole number of at least 1.'
        )
    places = -(-np.arange(count) * number // count)  # Rounded up.
    size = number // replicas
    parts = [places[places // size == replica] % size for replica in range(replicas)]
    most = max(map(len, parts))
    pad = lambda values: np.pad(values, (0, most - len(values)))
    return Chosen(
        np.array([pad(part) for part in parts], np.int64),
        np.array([pad(np.ones(len(part), np.float32)) for part in parts]),
    )


def rotated(images: tf.Tensor, quarters: int) -> tf.Tensor:
    """Images turned counterclockwise by quarter turns.

    Args:
      images: [n, size, size, channels].
      quarters: 0 to 3.
    """
    if quarters == 2:
        return tf.reverse(images, [1, 2])
    if quarters == 0:
        return images
    return tf.reverse(tf.transpose(images, [0, 2, 1, 3]), [1 if quarters == 1 else 2])


def turned(images: tf.Tensor) -> tf.Tensor:
    """All images by one quarter turn, then all by two, then all by three: [3 n, ...]."""
    return tf.concat([rotated(images, quarter) for quarter in range(1, NUM_ROTATIONS)], 0)


def quarters(number: int) -> tf.Tensor:
    """The labels of `number` upright images and of what `turned` makes of them: int32 [4 n]."""
    return tf.repeat(tf.range(NUM_ROTATIONS), number)
