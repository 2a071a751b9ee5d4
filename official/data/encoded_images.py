"""Encoded images decoded, cut and resized inside a pipeline, which passes over damaged ones.

ImageNet-sized sets have files that no decoder reads. In the place of one the next that can be read
is taken, so every step still has its batch and is still a function of (seed, step); each is named
once and counted.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.data import resizing
from official.vision import file_checks

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

    def note(self, index: np.ndarray, reason: str = '') -> None:
        """Counts an image and names it, with the reason, on standard error the first time."""
        number = int(index)
        with self._lock:
            if number in self.indices:
                return
            self.indices.add(number)
            print(
                f'{self.name(number)} cannot be read as an image and is skipped '
                f'({len(self.indices)} so far){reason and f": {reason}"}.',
                file=sys.stderr,
                flush=True,
            )


def check_readable(
    read: Callable, decode: Callable, indices: np.ndarray, name: str, skipped: Skipped
) -> None:
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
    errors = []
    for index in tried:
        errors.append(_error(read, decode, index))
        if errors[-1] is None:
            return
    raise ValueError(
        f'{name}: of {len(indices)} images {len(tried)} were tried and none can be read; the first '
        f'is {skipped.name(int(tried[0]))} ({file_checks.sentence(errors[0])}).'
    )


def decoded(
    batches: tf.data.Dataset,
    read: Callable,
    decode: Callable,
    num_images: int,
    skipped: Skipped,
    index: Callable = int,
) -> tf.data.Dataset:
    """Reads and decodes the images of batches, on all cores, in order.

    Args:
      batches: dataset of (positions, numbers): of the examples in the stream and of their images,
        int64 [b].
      read: called as read(numbers), int64 [n], gives the encoded images, strings [n]; or several
        a number, strings [n, m], all of which are to be readable.
      decode: called as decode(encoded, position) with one of each, gives the image, or a structure
        of tensors, the same for all; all images have one shape.
      num_images: images in all; after the last one the first is next.
      skipped: is told of images that raise an error in `read` or `decode`.
      index: called as index(number), gives what `skipped` is told.

    Returns:
      Dataset of (images, numbers of the images that they are) of the same batches. A batch for
      which no image can be read at all, as all files have gone since `check_readable`, is an error.
    """
    size = batches.element_spec[0].shape[0]
    # To forgive errors, by a dataset inside the map, costs half as much as to decode a small image:
    # several share one.
    few = max(count for count in range(1, _TOGETHER + 1) if size % count == 0)
    traced = tf.function(decode)  # Once for both of the datasets that have it.

    def readable_from(number):
        for candidate in map(int, np.arange(number, number + num_images) % num_images):
            if index(candidate) in skipped.indices:
                continue
            error = _error(read, decode, candidate)
            if error is None:
                return candidate
            skipped.note(index(candidate), file_checks.sentence(error))
        raise ValueError(
            f'None of {num_images} images can be read any more, among them '
            f'{skipped.name(index(candidate))}.'
        )

    def repaired(positions, numbers):
        instead = tf.numpy_function(
            lambda numbers: np.array([readable_from(number) for number in numbers], np.int64),
            [numbers],
            tf.int64,
        )
        return positions, tf.ensure_shape(instead, numbers.shape)

    def images_of(examples):
        encoded = examples.map(
            lambda positions, numbers: (read(numbers), positions, numbers)
        ).unbatch()
        return encoded.map(
            lambda encoded, position, number: (traced(encoded, position), number)
        ).batch(few, drop_remainder=True)

    def together(positions, numbers):
        examples = tf.data.Dataset.from_tensors((positions, numbers))
        return (
            images_of(examples)
            .ignore_errors()
            .concatenate(images_of(examples.map(repaired)))
            .take(1)
            .get_single_element()
        )

    def in_parts(*batch):
        return tuple(tf.reshape(column, [size // few, few]) for column in batch)

    def whole_batch(*columns):
        return tf.nest.map_structure(
            lambda column: tf.reshape(column, [size, *column.shape[2:]]), columns
        )

    parts = (
        batches.map(in_parts)
        .unbatch()
        .map(together, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    return parts.batch(size // few, drop_remainder=True).map(whole_batch)


def distorted_square(
    image: tf.Tensor, size: int, key: tf.Tensor, resampling: Callable = resizing.antialiased
) -> tf.Tensor:
    """Cuts a random square of 50 to 100 % of an image's area and resizes it, not mirrored.

    Where no such square is found, as in a very long image, the largest central one is taken.

    Args:
      image: uint8 [height, width, channels].
      size: height and width of the result.
      key: int64 [2].
      resampling: from `official.data.resizing`.

    Returns:
      uint8 [size, size, channels].
    """
    shape = tf.shape(image)
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        tf.zeros([0, 0, 4]),
        key,
        aspect_ratio_range=(1.0, 1.0),
        area_range=(0.5, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    # Where it finds no square it gives the whole image.
    found = tf.equal(extent[0], extent[1])
    side = tf.where(found, extent[0], tf.minimum(shape[0], shape[1]))
    top, left = tf.unstack(tf.where(found, begin[:2], (shape[:2] - side) // 2))
    return resampling(image[top : top + side, left : left + side], size)


def readable(read: Callable, decode: Callable, index: int) -> bool:
    """Whether an image can be read and decoded; see `decoded`."""
    return _error(read, decode, index) is None


def _error(read: Callable, decode: Callable, index: int) -> tf.errors.OpError | None:
    """What comes of reading and decoding an image."""
    try:
        with tf.device('CPU:0'):
            decode(read(tf.constant([index], tf.int64))[0], tf.constant(0, tf.int64))
    except tf.errors.OpError as error:
        return error
    return None


def crop_key(seed: int, position: tf.Tensor) -> tf.Tensor:
    """The key of the crop of the example at `position` of a run's stream."""
    return tf.random.fold_in(tf.constant([seed, _CROP_STREAM], tf.int64), position, alg='philox')
