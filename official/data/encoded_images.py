"""Encoded images of any size, decoded, cut and resized inside a pipeline; damaged ones are passed over.

ImageNet-sized sets have files that no decoder reads. In the place of one the next that can be read
is taken, so every step still has its batch and is still a function of (seed, step); each is named
once and counted.
"""

from __future__ import annotations

import sys
import threading
from typing import Callable

import numpy as np
import tensorflow as tf

from official.data import tfds_stream

_CROP_STREAM = 2


class Skipped:
    """Which images could not be read.

    Args:
      name: called as name(index), says which file it is.
    """

    def __init__(self, name: Callable[[int], str]):
        self._name = name
        self._lock = threading.Lock()
        self.indices: set[int] = set()

    def note(self, index: np.ndarray) -> None:
        """Counts an image and names it on standard error the first time."""
        index = int(index)
        with self._lock:
            if index in self.indices:
                return
            self.indices.add(index)
            number = len(self.indices)
        print(f'{self._name(index)} cannot be read as an image and is skipped ({number} so far).',
              file=sys.stderr, flush=True)


def decoded(examples: tf.data.Dataset, read: Callable, decode: Callable, num_images: int,
            skipped: Skipped, index: Callable = lambda number: number) -> tf.data.Dataset:
    """Reads and decodes images one by one, on all cores, in order.

    Args:
      examples: dataset of (position, number): of the example in the stream and of its image, int64.
      read: called as read(number), gives the encoded image, a string tensor.
      decode: called as decode(encoded, position), gives the image.
      num_images: images in all; after the last one the first is next.
      skipped: is told of images that raise an error in `read` or `decode`.
      index: called as index(number), gives what `skipped` is told.

    Returns:
      Dataset of (image, number of the image that it is).
    """
    def attempt(position, number):
        return decode(read(number), position), number

    def note(number):
        skipped.note(index(number))

    def first_readable(position, number):
        def another(offset):
            with tf.control_dependencies(
                    [tf.numpy_function(note, [(number + offset - 1) % num_images], [])]):
                return attempt(position, (number + offset) % num_images)

        one = tf.data.Dataset.from_tensors((position, number)).map(attempt).ignore_errors()
        return one.concatenate(
            tf.data.Dataset.range(1, num_images).map(another).ignore_errors()).take(1)

    return examples.interleave(
        first_readable, cycle_length=16, block_length=1, num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True)


def distorted_square(image: tf.Tensor, size: int, key: tf.Tensor) -> tf.Tensor:
    """A random square of 50 to 100 % of an image's area, resized with antialiasing, not mirrored.

    Where no such square is found, as in a very long image, the largest central one is taken.

    Args:
      image: uint8 [height, width, channels].
      size: height and width of the result.
      key: int64 [2].

    Returns:
      uint8 [size, size, channels].
    """
    whole = tf.shape(image)
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        whole, tf.zeros([0, 0, 4]), key, aspect_ratio_range=(1.0, 1.0), area_range=(0.5, 1.0),
        max_attempts=100, use_image_if_no_bounding_boxes=True)
    # Sides are rounded apart: 1 pixel of difference is a square, the whole image is not one.
    square = tf.abs(extent[0] - extent[1]) <= 1
    part = tf.cond(square, lambda: tf.slice(image, begin, extent), lambda: image)
    part = tf.ensure_shape(part, image.shape)
    return tf.cond(square, lambda: tfds_stream.resized(part, size),
                   lambda: tfds_stream.square(image, size))


def crop_key(seed: int, position: tf.Tensor) -> tf.Tensor:
    """The key of the crop of the example at `position` of a run's stream."""
    return tf.random.fold_in(
        tf.constant([seed, _CROP_STREAM], tf.int64), position, alg='philox')
