"""Bytes of image files to pixels: the one reader of all pipelines, reports and exported models.

TensorFlow operations alone, so that an exported model does with an image what training did. The
pixels are those that Pillow gives, turned by `exif_transpose` and laid on white.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from official.vision import bmp, exif, file_checks, gif, png

_JPEG = b'\xff\xd8\xff'
_READ = 'JPEG, PNG, GIF and BMP are.'


def decode(encoded: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Decodes an image as it is to be looked at: upright, of 8 bits a channel.

    - JPEG: grey, YCbCr, RGB, CMYK and YCCK, progressive or not, by the exact transform. CMYK is
      taken as inverted where the file has Adobe's marker, as Photoshop writes it.
    - PNG: grey, RGB and palettes of every depth; of 16 bits the upper 8 are kept.
    - BMP: 1, 4 and 8 bits with a palette, 24 and 32 bits, uncompressed. The fourth byte of a pixel
      is opacity only where a mask of the file says so; most programs leave it undefined.
    - GIF: the first frame, in its place on the screen.
    - The EXIF orientation of JPEG and PNG is followed.
    - White shines through where an image is transparent, as shops' pictures are made for.
    - Colour profiles and gamma are ignored.

    Args:
      encoded: string [], the bytes of a file.
      channels: 3 for RGB, 1 for grey: ITU-R 601-2, .299 R + .587 G + .114 B.

    Returns:
      uint8 [height, width, channels].

    Raises:
      InvalidArgumentError: when the graph runs, for a file that is damaged or of another format.
      ValueError: another number of channels.
    """
    if channels not in (1, 3):
        raise ValueError(f'channels = {channels} is neither 1 nor 3.')
    return _traced(channels)(tf.reshape(encoded, []))


@functools.cache
def _traced(channels: int) -> tf.types.experimental.GenericFunction:
    """`_decode` as one function: the formats take a second to trace, and each pipeline has them."""
    return tf.function(
        functools.partial(_decode, channels=channels),
        input_signature=[tf.TensorSpec([], tf.string)],
    )


def _decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    def begins(signature):
        return tf.strings.substr(encoded, 0, len(signature)) == signature

    image = tf.case(
        [
            # Exactly what Pillow decodes; TensorFlow's default is off by up to 13 of 255.
            (
                begins(_JPEG),
                lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE'),
            ),
            (begins(png.SIGNATURE), lambda: _png(encoded)),
            (begins(gif.SIGNATURE), lambda: gif.decode(encoded)),
            (begins(bmp.SIGNATURE), lambda: _on_white(bmp.decode(encoded))),
        ],
        default=lambda: _refused(encoded),
    )
    image = tf.ensure_shape(image, [None, None, 3])
    image = exif.upright(image, exif.orientation(encoded))
    return image if channels == 3 else _grey(image)


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """uint8 [height, width, 4], the fourth channel opacity, over white: [height, width, 3]."""
    colours, opacity = image[..., :3], image[..., 3:]

    def mixed():
        part = tf.cast(opacity, tf.float32) / 255
        light = tf.cast(colours, tf.float32) * part + 255 * (1 - part)
        return tf.cast(light + 0.5, tf.uint8)

    return tf.cond(tf.reduce_all(tf.equal(opacity, 255)), lambda: colours, mixed)


def _png(encoded: tf.Tensor) -> tf.Tensor:
    # TensorFlow fills a missing opacity with the largest value of the file's own depth: 1 of 255
    # where a pixel has one bit. So it is asked for an opacity only where there is one.
    return tf.cond(
        png.is_transparent(encoded),
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )


def _grey(image: tf.Tensor) -> tf.Tensor:
    """RGB to grey in Pillow's integers; what is grey already is kept to the bit."""
    weights = tf.constant([19595, 38470, 7471])  # In parts of 2**16.
    light = tf.reduce_sum(tf.cast(image, tf.int32) * weights, -1, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(light + 2**15, 16), tf.uint8)


def _refused(encoded: tf.Tensor) -> tf.Tensor:
    """Fails with a sentence that says what the file is, as far as its first bytes tell."""
    begin = tf.strings.substr(encoded, 0, 12)

    def holds(start, mark):
        padded = tf.strings.join([begin, bytes(12)])
        return tf.strings.substr(padded, start, len(mark)) == mark

    found = tf.constant('A file of an unknown format')
    for known, name in (
        (begin == '', 'An empty file'),
        (holds(0, b'RIFF') & holds(8, b'WEBP'), 'WebP'),
        (holds(0, b'II*\0') | holds(0, b'MM\0*'), 'TIFF'),
        (holds(4, b'ftyp'), 'HEIF (HEIC, AVIF)'),
    ):
        found = tf.where(known, name, found)
    return file_checks.checked(
        tf.zeros([0, 0, 3], tf.uint8),
        tf.constant(False),
        found,
        f' is not read as an image; {_READ}',
    )
