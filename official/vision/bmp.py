"""BMP files as RGB: with a palette, which TensorFlow's decoder does not look at, or without.

In TensorFlow's operations alone, so that it is part of a `tf.data` pipeline or a SavedModel.
"""

from __future__ import annotations

import tensorflow as tf

from official.vision import file_checks

SIGNATURE = b'BM'
# Bytes of the file's header, and of the oldest header of an image that is read.
_FILE_HEADER, _IMAGE_HEADER = 14, 40
_HEADERS = _FILE_HEADER + _IMAGE_HEADER
# Pixels as they are, and pixels with masks that say where in 32 bits a colour is.
_PLAIN, _MASKED = 0, 3
_MASKS = b'\x00\x00\xff\x00\x00\xff\x00\x00\xff\x00\x00\x00'  # Blue in the first byte.
_COLOURS = 256


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a BMP file of 1, 4 or 8 bits with a palette, or of 24 or 32 bits.

    Args:
      encoded: string [], a file that begins with `SIGNATURE`.

    Returns:
      uint8 [height, width, 4], the fourth channel opacity: 255 unless the file has a mask for it,
      as the fourth byte of a pixel is undefined in all others.

    Raises:
      InvalidArgumentError: the file is damaged, compressed or of another kind of pixels.
    """
    head = tf.strings.substr(tf.strings.join([encoded, bytes(_HEADERS + 16)]), 0, _HEADERS + 16)

    def number(position, kind=tf.int32):
        return tf.cast(
            tf.io.decode_raw(tf.strings.substr(head, position, kind.size), kind)[0], tf.int64
        )

    start, header, width, height = (number(place) for place in (10, 14, 18, 22))
    bits, compression, colours = number(28, tf.int16), number(30), number(46)
    deep = (bits == 24) | (bits == 32)
    flat = (bits == 1) | (bits == 4) | (bits == 8)
    masked = (
        (bits == 32)
        & (compression == _MASKED)
        & (tf.strings.substr(head, _HEADERS, len(_MASKS)) == _MASKS)
    )
    # Rows fill up to four bytes.
    stride = (width * bits + 31) // 32 * 4
    rows = tf.abs(height)
    size = tf.cast(tf.strings.length(encoded), tf.int64)
    # The division keeps the product from growing beyond 64 bits.
    whole = (
        (width > 0)
        & (rows > 0)
        & (start >= _HEADERS)
        & (stride <= tf.maximum(size - start, 0) // tf.maximum(rows, 1))
    )
    for condition, sentence in (
        (
            header >= _IMAGE_HEADER,
            ('A BMP with a header of ', header, ' bytes is not read; from 40 on they are.'),
        ),
        (
            ((deep | flat) & (compression == _PLAIN)) | masked,
            (
                'A BMP of ',
                bits,
                ' bits per pixel and compression ',
                compression,
                ' is not read; 1, 4 and 8 bits with a palette, 24 and 32 bits are, uncompressed.',
            ),
        ),
        (whole, ('The BMP is cut short or damaged.',)),
    ):
        encoded = file_checks.checked(encoded, condition, *sentence)
    opaque = (header >= _IMAGE_HEADER + 16) & masked & (number(_HEADERS + 12) != 0)

    def with_palette():
        palette = tf.strings.substr(
            encoded,
            tf.minimum(_FILE_HEADER + header, size),
            4 * tf.where((colours > 0) & (colours < _COLOURS), colours, 2**bits),
        )
        palette = tf.io.decode_raw(
            tf.strings.substr(tf.strings.join([palette, bytes(4 * _COLOURS)]), 0, 4 * _COLOURS),
            tf.uint8,
        )
        palette = tf.reshape(palette, [_COLOURS, 4])[:, 2::-1]
        pixels = tf.reshape(
            tf.io.decode_raw(tf.strings.substr(encoded, start, stride * rows), tf.uint8),
            [rows, stride, 1],
        )
        # The first pixel of a byte is in its highest bits.
        shifts = tf.cast(tf.range(8 - bits, -1, -bits), tf.uint8)
        indices = tf.bitwise.bitwise_and(
            tf.bitwise.right_shift(pixels, shifts), tf.cast(2**bits - 1, tf.uint8)
        )
        indices = tf.reshape(indices, [rows, -1])[:, :width]
        image = tf.gather(palette, tf.cast(indices, tf.int32))
        # From the lowest row up, unless the height is negative.
        return tf.cond(height > 0, lambda: tf.reverse(image, [0]), lambda: image)

    def of_colours():
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    def with_opacity():
        return tf.ensure_shape(
            tf.io.decode_image(encoded, channels=4, expand_animations=False), [None, None, 4]
        )

    def without_opacity():
        image = tf.ensure_shape(tf.cond(bits <= 8, with_palette, of_colours), [None, None, 3])
        return tf.pad(image, [[0, 0], [0, 0], [0, 1]], constant_values=tf.constant(255, tf.uint8))

    return tf.cond(opaque, with_opacity, without_opacity)
