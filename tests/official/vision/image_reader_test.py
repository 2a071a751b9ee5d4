"""Tests of official.vision.image_reader: all kinds of files against Pillow and their making."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from official.vision import file_checks, image_reader
from tests.official.vision import image_formats

FILES = {file.name: file for file in image_formats.files()}
REFUSED = image_formats.refused()


def decode(contents, channels=3):
    return image_reader.decode(tf.constant(contents), channels).numpy()


def by_pillow(contents):
    with Image.open(io.BytesIO(contents)) as image:
        upright = ImageOps.exif_transpose(image).convert('RGBA')
    white = Image.new('RGBA', upright.size, 'white')
    return np.asarray(Image.alpha_composite(white, upright).convert('RGB'))


@pytest.mark.parametrize('name', FILES)
def test_pixels(name):
    file = FILES[name]
    result = decode(file.contents)
    assert file.pillow or file.pixels is not None
    if file.pillow:
        np.testing.assert_array_equal(result, by_pillow(file.contents))
    if file.pixels is not None:
        np.testing.assert_array_equal(result, file.pixels)


def test_the_table_is_whole():
    # 5 + 2 + 4 kinds of pixels, twice with a transparent colour, and 4 with a channel, both
    # interlaced or not; 5 others; 12 and 16 of JPEG and EXIF; 14 of BMP; 9 of GIF.
    assert len(FILES) == 2 * (2 * 11 + 4) + 5 + 12 + 16 + 14 + 9


@pytest.mark.parametrize('name', REFUSED)
def test_what_is_refused(name):
    contents, sentence = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        decode(contents)
    told = file_checks.sentence(error.value)
    assert re.search(sentence, told) and '{{' not in told, told


def test_what_is_refused_in_a_pipeline():
    for name in ('WebP', 'truncated PNG'):
        contents, sentence = REFUSED[name]
        dataset = tf.data.Dataset.from_tensors(contents).map(image_reader.decode)
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            next(iter(dataset))
        told = file_checks.sentence(error.value)
        assert re.search(sentence, told) and '{{' not in told, told


def test_grey():
    for name in ('PNG, RGB, 8 bits', 'PNG, grey, 2 bits', 'JPEG, RGB', 'GIF, palette'):
        contents = FILES[name].contents
        with Image.open(io.BytesIO(contents)) as image:
            expected = np.asarray(image.convert('RGB').convert('L'))
        np.testing.assert_array_equal(decode(contents, 1)[..., 0], expected)
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    contents = image_formats.by_pillow(Image.fromarray(levels), 'PNG')
    np.testing.assert_array_equal(decode(contents, 1)[..., 0], levels)
    with pytest.raises(ValueError, match='channels = 4 is neither 1 nor 3.'):
        image_reader.decode(contents, 4)


def test_operations_of_tensorflow_alone():
    decode = tf.function(image_reader.decode).get_concrete_function(tf.TensorSpec([], tf.string))
    definition = decode.graph.as_graph_def()
    parts = (definition.node, *(part.node_def for part in definition.library.function))
    found = {node.op for part in parts for node in part}
    assert {'DecodeJpeg', 'DecodePng'} < found
    assert not [name for name in found if 'PyFunc' in name]


def test_chunks_that_break_off():
    """A length beyond the file, and one that is negative, end the search."""
    image = np.zeros([4, 4, 1], int)
    for length in (b'\x7f\xff\xff\xff', b'\xff\xff\xff\xff', b'\x00\x00\xff\xff'):
        contents = image_formats.png(image, 8, 0)
        place = contents.index(b'pHYs') - 4
        with pytest.raises(tf.errors.OpError):
            decode(contents[:place] + length + contents[place + 4 :])
