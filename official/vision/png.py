"""Chunks of PNG files (ISO/IEC 15948, section 5.3), found by TensorFlow's operations alone."""

from __future__ import annotations

import tensorflow as tf

SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Bytes of a chunk before its data (length and kind) and after them (a sum).
_HEAD, _SUM = 8, 4


def chunk(encoded: tf.Tensor, kind: bytes) -> tf.Tensor:
    """Returns the data of the first chunk of a kind that stands before the pixels.

    Args:
      encoded: string [], a file that begins with `SIGNATURE`.
      kind: four letters.

    Returns:
      string []; empty where there is no such chunk, or it is empty.
    """
    size = tf.strings.length(encoded)

    def head(position):
        """Length and kind of the chunk at a position; a length of 0 and no kind at the end."""
        known = position <= size - _HEAD
        start = tf.where(known, position, 0)  # Where the signature is, which is as long.
        length = tf.io.decode_raw(
            tf.strings.substr(encoded, start, 4), tf.int32, little_endian=False
        )[0]
        name = tf.strings.substr(encoded, start + 4, 4)
        # A length beyond the file, which may be negative here, leads to its end.
        length = tf.where((length < 0) | (length > size), size, length)
        return tf.where(known, length, 0), tf.where(known, name, '')

    def another(position):
        name = head(position)[1]
        return (name != '') & (name != kind) & (name != b'IDAT')

    def following(position):
        return (tf.minimum(position + _HEAD + _SUM + head(position)[0], size),)

    position = tf.while_loop(
        another, following, (tf.constant(len(SIGNATURE)),), parallel_iterations=1
    )[0]
    length, name = head(position)
    start = tf.minimum(position + _HEAD, size)
    return tf.strings.substr(encoded, start, tf.where(name == kind, length, 0))


def is_transparent(encoded: tf.Tensor) -> tf.Tensor:
    """Returns True if a PNG file says how opaque its pixels are.

    Its kind of pixels has a channel for it (bit 2 of the colour type), or a chunk tRNS names
    transparent colours.

    Args:
      encoded: string [], a file that begins with `SIGNATURE`.
    """
    header = tf.io.decode_raw(tf.strings.join([chunk(encoded, b'IHDR'), bytes(13)]), tf.uint8)
    with_channel = tf.bitwise.bitwise_and(header[9], tf.constant(4, tf.uint8)) > 0
    return with_channel | (tf.strings.length(chunk(encoded, b'tRNS')) > 0)
