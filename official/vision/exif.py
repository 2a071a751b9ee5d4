"""Orientation of a photograph, from the Exif data of a JPEG or PNG file.

In TensorFlow's operations alone, so that it is part of a `tf.data` pipeline or a SavedModel:
TensorFlow's own decoder gives the pixels as they are stored.
"""

from __future__ import annotations

import tensorflow as tf

from official.vision import png

_JPEG = b'\xff\xd8'
_EXIF = b'Exif\0\0'
_START_OF_SCAN, _APP1, _FILL = 0xFFDA, 0xFFE1, 0xFFFF
_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4  # Types; the standard's is the first, some writers take the other.


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the orientation of an encoded image.

    Args:
      encoded: string scalar, the bytes of an image file.

    Returns:
      int32 scalar from 1 (upright) to 8, tag 0x0112 of the first Exif data of a JPEG file, or of a
      PNG file before its pixels; 1 where there is none, for data that break off or make no sense,
      and for all other files.
    """
    encoded = tf.reshape(encoded, [])

    def begins(signature):
        return tf.strings.substr(encoded, 0, len(signature)) == signature

    data = tf.case(
        [
            (begins(_JPEG), lambda: _in_jpeg(encoded)),
            (begins(png.SIGNATURE), lambda: png.chunk(encoded, b'eXIf')),
        ],
        default=lambda: tf.constant(b''),
    )
    # Behind the case, and so in the graph once: each pipeline takes its time for each operation.
    return tf.cond(
        data == b'',
        lambda: tf.constant(1),
        lambda: _of_tiff(tf.io.decode_raw(data, tf.uint8)),
    )


def _in_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """The data of the first Exif segment of a JPEG file, a string; empty where there is none."""
    size = tf.strings.length(encoded)
    padded = tf.strings.join([encoded, bytes(4)])

    def head(position):
        """The marker at a position and the length after it; zeros at the end of the file."""
        words = tf.io.decode_raw(
            tf.strings.substr(padded, position, 4), tf.uint16, little_endian=False
        )
        return tuple(tf.unstack(tf.cast(words, tf.int32), 2))

    def is_exif(position, marker):
        start = tf.strings.substr(padded, tf.minimum(position + 4, size), len(_EXIF))
        return (marker == _APP1) & (start == _EXIF)

    # From segment to segment: FF, a type, and a length that counts itself; more FFs may precede a
    # type. A length below 2 is invalid, and the data of a scan have no segments.
    def another(position, marker, length):
        segment = (marker >= 0xFF00) & (marker != _START_OF_SCAN) & (length >= 2)
        return (marker == _FILL) | (segment & ~is_exif(position, marker))

    def following(position, marker, length):
        position = tf.minimum(position + tf.where(marker == _FILL, 1, 2 + length), size)
        return (position, *head(position))

    start = tf.constant(len(_JPEG))
    position, marker, length = tf.while_loop(
        another, following, (start, *head(start)), parallel_iterations=1
    )
    data = tf.strings.substr(encoded, tf.minimum(position + 10, size), tf.maximum(length - 8, 0))
    return tf.where(is_exif(position, marker), data, b'')


def _of_tiff(data: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of Exif data, uint8 [n], from the byte order on."""
    size = tf.size(data, tf.int64)
    data = tf.cast(tf.concat([data, tf.zeros([1], tf.uint8)], 0), tf.int64)

    def number(positions, count, backwards):
        """The number of `count` bytes at each position; bytes beyond the end are 0."""
        order = tf.range(count, dtype=tf.int64)
        places = positions[..., tf.newaxis] + order
        values = tf.gather(data, tf.where(places < size, places, size))
        order = tf.where(backwards, order, count - 1 - order)
        return tf.reduce_sum(tf.bitwise.left_shift(values, 8 * order), -1)

    mark = number(tf.constant(0, tf.int64), 4, False)
    little = mark == 0x49492A00  # II, 42
    big = mark == 0x4D4D002A  # MM, 42
    directory = number(tf.constant(4, tf.int64), 4, little)
    count = tf.minimum(number(directory, 2, little), size // 12)
    entries = directory + 2 + 12 * tf.range(count)
    kinds = number(entries + 2, 2, little)
    is_orientation = (
        (number(entries, 2, little) == _ORIENTATION)
        & ((kinds == _SHORT) | (kinds == _LONG))
        & (number(entries + 4, 4, little) == 1)
    )
    values = tf.boolean_mask(
        tf.where(kinds == _SHORT, *(number(entries + 8, count, little) for count in (2, 4))),
        is_orientation,
    )
    value = tf.concat([values, [1]], 0)[0]
    known = (little | big) & (value >= 1) & (value <= 8)
    return tf.where(known, tf.cast(value, tf.int32), 1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns the pixels as they are stored into the picture as it is meant to be seen.

    Args:
      image: [h, w, c].
      orientation: int32 scalar from 1 to 8.

    Returns:
      [h, w, c], or [w, h, c] where the orientation is above 4.
    """
    channels = image.shape[-1]
    image = tf.cond(orientation > 4, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    # What mirrors left to right, and what top to bottom, after that.
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        image = tf.cond(
            tf.reduce_any(orientation == tf.constant(mirrored)),
            lambda axis=axis, image=image: tf.reverse(image, [axis]),
            lambda image=image: image,
        )
    return tf.ensure_shape(image, [None, None, channels])
