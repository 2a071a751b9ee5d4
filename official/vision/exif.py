"""Which way up a photograph is: the orientation in the Exif data of a JPEG or PNG file.

In TensorFlow's operations alone, so that it is part of a `tf.data` pipeline or a SavedModel:
TensorFlow's own decoder gives the pixels as they are stored.
"""

from __future__ import annotations

import tensorflow as tf

from official.vision import png

_JPEG = b'\xff\xd8'
_START_OF_SCAN = 0xda
_APP1 = 0xe1
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

    return tf.case([
        (begins(_JPEG), lambda: _of_jpeg(encoded)),
        (begins(png.SIGNATURE), lambda: _of_tiff(
            tf.io.decode_raw(png.chunk(encoded, b'eXIf'), tf.uint8)))],
        default=lambda: tf.constant(1))


def _of_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """The orientation in the first Exif segment of a JPEG file."""
    data = tf.io.decode_raw(encoded, tf.uint8)
    data = tf.concat([data, tf.zeros([1], tf.uint8)], 0)
    end = tf.size(data) - 1

    def byte(position):
        """What lies at `position`, and 0 outside the file."""
        known = (position >= 0) & (position < end)
        return tf.cast(tf.gather(data, tf.where(known, position, end)), tf.int32)

    def short(position):
        return byte(position) * 256 + byte(position + 1)

    def is_exif(position):
        return ((short(position) == 0xff00 + _APP1) & (short(position + 4) == 0x4578)  # Ex
                & (short(position + 6) == 0x6966) & (short(position + 8) == 0))  # if

    # From segment to segment: FF, a type, and a length that counts itself; more FFs may precede a
    # type. A length below 2 is none, and the data of a scan are no segments.
    def fills(position):
        return byte(position + 1) == 0xff

    def another(position):
        segment = (byte(position + 1) != _START_OF_SCAN) & (short(position + 2) >= 2)
        return (byte(position) == 0xff) & (fills(position) | (segment & ~is_exif(position)))

    def following(position):
        return (position + tf.where(fills(position), 1, 2 + short(position + 2)),)

    position = tf.while_loop(another, following, (tf.constant(2),))[0]
    return tf.cond(
        is_exif(position),
        lambda: _of_tiff(data[position + 10:tf.minimum(end, position + 2 + short(position + 2))]),
        lambda: tf.constant(1))


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
    little = mark == 0x49492a00  # II, 42
    big = mark == 0x4d4d002a  # MM, 42
    directory = number(tf.constant(4, tf.int64), 4, little)
    count = tf.minimum(number(directory, 2, little), size // 12)
    entries = directory + 2 + 12 * tf.range(count)
    kinds = number(entries + 2, 2, little)
    is_orientation = ((number(entries, 2, little) == _ORIENTATION)
                      & ((kinds == _SHORT) | (kinds == _LONG))
                      & (number(entries + 4, 4, little) == 1))
    values = tf.boolean_mask(
        tf.where(kinds == _SHORT, *(number(entries + 8, count, little) for count in (2, 4))),
        is_orientation)
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
        image = tf.cond(tf.reduce_any(orientation == tf.constant(mirrored)),
                        lambda axis=axis, image=image: tf.reverse(image, [axis]),
                        lambda image=image: image)
    return tf.ensure_shape(image, [None, None, channels])
