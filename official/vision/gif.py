"""The first picture of a GIF file on white, by TensorFlow's operations alone.

TensorFlow's decoder makes transparent pixels black and takes the largest frame for the screen. So
it is given the file with the transparent colour turned white and the first frame in the corner.
"""

from __future__ import annotations

import tensorflow as tf

from official.vision import file_checks

SIGNATURE = b'GIF8'
# Where the palette of the whole file starts; what blocks begin with; the extension that names a
# frame's transparent colour.
_PALETTE = 13
_EXTENSION, _FRAME, _CONTROL = 0x21, 0x2C, 0xF9
_FRAME_SIZE = 10
_MAX_PIXELS = 2**27  # A few damaged bytes may ask for 13 GB.
_BYTES = [bytes([value]) for value in range(256)]


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the first frame, in its place on the file's screen.

    White shines through transparent pixels, and lies around a frame smaller than the screen.

    Args:
      encoded: string [], a file that begins with `SIGNATURE`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      InvalidArgumentError: the file is damaged.
    """
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros([1], tf.uint8)], 0)
    end = tf.size(data) - 1

    def byte(position):
        """The number at a position, 0 outside the file."""
        known = (position >= 0) & (position < end)
        return tf.cast(tf.gather(data, tf.where(known, position, end)), tf.int32)

    def short(position):
        return byte(position) + 256 * byte(position + 1)

    def palette_size(flags):
        """Bytes of a palette that these flags announce."""
        size = 3 * tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
        return tf.where(flags >= 128, size, 0)

    # From block to block up to a frame. An extension has a kind, then blocks of up to 255 bytes,
    # each after its length; the last has none.
    def another(position, inside, control):
        del control
        return (position < end) & (inside | (byte(position) == _EXTENSION))

    def following(position, inside, control):
        starts = ~inside & (byte(position + 1) == _CONTROL)
        return (
            tf.where(inside, position + 1 + byte(position), position + 2),
            tf.where(inside, byte(position) > 0, True),
            tf.where(starts, position, control),
        )

    frame, _, control = tf.while_loop(
        another,
        following,
        (_PALETTE + palette_size(byte(10)), tf.constant(False), tf.constant(-1)),
        parallel_iterations=1,
    )
    encoded = file_checks.checked(
        encoded, byte(frame) == _FRAME, 'The GIF has no frame, or is damaged.'
    )
    left, top, width, height = (short(frame + place) for place in (1, 3, 5, 7))
    bottom, right = tf.maximum(short(8), top + height), tf.maximum(short(6), left + width)
    encoded = file_checks.checked(
        encoded,
        tf.cast(bottom, tf.int64) * tf.cast(right, tf.int64) <= _MAX_PIXELS,
        'The GIF has a screen of ',
        bottom,
        ' x ',
        right,
        f' pixels, more than {_MAX_PIXELS}.',
    )
    own = byte(frame + _FRAME_SIZE - 1)
    palette = tf.where(own >= 128, frame + _FRAME_SIZE, _PALETTE)
    # Beyond the palette, as some programs say that nothing is transparent, it changes no pixel.
    transparent = (
        (control >= 0)
        & (tf.bitwise.bitwise_and(byte(control + 3), 1) > 0)
        & (3 * byte(control + 6) < palette_size(tf.where(own >= 128, own, byte(10))))
    )

    def with_white():
        opaque = tf.gather(_BYTES, byte(control + 3) - 1)
        return _replaced(
            _replaced(encoded, control + 3, opaque),
            palette + 3 * byte(control + 6),
            tf.constant(b'\xff\xff\xff'),
        )

    encoded = tf.cond(transparent, with_white, lambda: encoded)
    encoded = _replaced(encoded, frame + 1, tf.constant(bytes(4)))
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.ensure_shape(image, [None, None, 3])[:height, :width]
    return tf.pad(
        image,
        [[top, bottom - top - height], [left, right - left - width], [0, 0]],
        constant_values=tf.constant(255, tf.uint8),
    )


def _replaced(text: tf.Tensor, position: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """A string with some of its bytes exchanged."""
    after = position + tf.strings.length(new)
    length = tf.strings.length(text)
    return tf.strings.join(
        [
            tf.strings.substr(text, 0, position),
            new,
            tf.strings.substr(text, tf.minimum(after, length), length),
        ]
    )
