"""Encoded images of any size, decoded, cut and resized inside a pipeline; damaged ones are passed over.

ImageNet-sized sets have files that no decoder reads. In the place of one the next that can be read
is taken, so every step still has its batch and is still a function of (seed, step); each is named
once and counted.
"""

from __future__ import annotations

import re
import sys
import threading
from typing import Callable

import numpy as np
import tensorflow as tf

from official.data import tfds_stream

_CROP_STREAM = 2
# Images that one thread decodes one after another.
_TOGETHER = 16
# Images that are tried before a set is refused.
_TRIED = 100


class Skipped:
    """Which images could not be read.

    Args:
      name: called as name(index), says which file it is.

    Attributes:
      indices: of those that were found so far.
    """

    def __init__(self, name: Callable[[int], str]):
        self.name = name
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
        print(f'{self.name(index)} cannot be read as an image and is skipped ({number} so far).',
              file=sys.stderr, flush=True)


def check_readable(read: Callable, decode: Callable, indices: np.ndarray, name: str,
                   skipped: Skipped) -> None:
    """Looks for an image that can be read, so that a set without one is refused at once.

    Args:
      read: see `decoded`; here of indices.
      decode: see `decoded`.
      indices: of the images that are used, int64 [n]; of many some are tried, evenly spread.
      name: of the set.
      skipped: names images for the message.

    Raises:
      ValueError: none of those that were tried can be read, or there are none.
    """
    if not len(indices):
        raise ValueError(f'{name}: no image is used.')
    tried = indices[np.linspace(0, len(indices) - 1, min(len(indices), _TRIED)).astype(np.int64)]
    zero = tf.constant(0, tf.int64)
    why = ''
    with tf.device('CPU:0'):
        for index in tried:
            try:
                decode(read(tf.constant([index], tf.int64))[0], zero)
                return
            except tf.errors.OpError as error:
                why = why or _reason(error)
    raise ValueError(
        f'{name}: of {len(indices)} images {len(tried)} were tried and none can be read; the first '
        f'is {skipped.name(int(tried[0]))} ({why}).')


def decoded(batches: tf.data.Dataset, read: Callable, decode: Callable, num_images: int,
            skipped: Skipped, index: Callable = lambda number: number) -> tf.data.Dataset:
    """Reads and decodes the images of batches, on all cores, in order.

    Args:
      batches: dataset of (positions, numbers): of the examples in the stream and of their images,
        int64 [b].
      read: called as read(numbers), int64 [n], gives the encoded images, strings [n].
      decode: called as decode(encoded, position) with one of each, gives the image; all images have
        one shape.
      num_images: images in all; after the last one the first is next.
      skipped: is told of images that raise an error in `read` or `decode`.
      index: called as index(number), gives what `skipped` is told.

    Returns:
      Dataset of (images, numbers of the images that they are) of the same batches. A batch for
      which no image can be read at all, as all files have gone since `check_readable`, is an error.
    """
    size = batches.element_spec[0].shape[0]
    # What forgives errors, a nested dataset, costs half as much as to decode a small image: several
    # share one. Only if one of them is damaged each gets its own.
    few = max(count for count in range(1, _TOGETHER + 1) if size % count == 0)

    def attempt(positions, numbers):
        return tf.data.Dataset.from_tensors((positions, numbers)).map(
            lambda positions, numbers: (read(numbers), positions, numbers)).unbatch().map(
                lambda encoded, position, number: (decode(encoded, position), number))

    def note(number):
        skipped.note(index(int(number)))

    def give_up(number):
        note((number - 1) % num_images)
        raise ValueError(f'None of {num_images} images can be read any more, among them '
                         f'{skipped.name(int(index(int(number))))}.')

    def first_readable(position, number):
        def another(offset):
            with tf.control_dependencies(
                    [tf.numpy_function(note, [(number + offset - 1) % num_images], [])]):
                here = (number + offset) % num_images
                return decode(read(here[tf.newaxis])[0], position), here

        def none(number):
            image = one.element_spec[0]
            nothing = tf.numpy_function(give_up, [number], image.dtype)
            return tf.ensure_shape(nothing, image.shape), number

        one = attempt(position[tf.newaxis], number[tf.newaxis])
        others = tf.data.Dataset.range(1, num_images).map(another)
        no_one = tf.data.Dataset.from_tensors(number).map(none)
        return one.ignore_errors().concatenate(
            others.ignore_errors()).concatenate(no_one).take(1)

    def together(positions, numbers):
        whole = attempt(positions, numbers).batch(few, drop_remainder=True).ignore_errors()
        apart = tf.data.Dataset.from_tensor_slices((positions, numbers)).flat_map(
            first_readable).batch(few, drop_remainder=True)
        return whole.concatenate(apart).take(1).get_single_element()

    def in_parts(*batch):
        return tuple(tf.reshape(column, [size // few, few]) for column in batch)

    def whole_batch(images, numbers):
        return tf.reshape(images, [size, *images.shape[2:]]), tf.reshape(numbers, [size])

    parts = batches.map(in_parts).unbatch().map(
        together, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return parts.batch(size // few, drop_remainder=True).map(whole_batch)


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


def _reason(error: tf.errors.OpError) -> str:
    """What TensorFlow says of an error, without the names of operations."""
    message = re.sub(r'\{\{.*?\}\} ?| ?\[Op:.*', '', error.message.strip())
    return message.splitlines()[0].rstrip('. ')


def crop_key(seed: int, position: tf.Tensor) -> tf.Tensor:
    """The key of the crop of the example at `position` of a run's stream."""
    return tf.random.fold_in(
        tf.constant([seed, _CROP_STREAM], tf.int64), position, alg='philox')
