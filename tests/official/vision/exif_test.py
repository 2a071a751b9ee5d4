import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from official.vision import exif

# Grey, of a few flat squares that tell all eight turns apart and that JPEG keeps.
PIXELS = np.kron(np.uint8([[10, 80, 150], [220, 40, 120]]), np.ones([16, 16], np.uint8))


def jpeg(segments=b''):
    """A JPEG file whose segments start with some of ours."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, 'jpeg', quality=95)
    return file.getvalue()[:2] + segments + file.getvalue()[2:]


def segment(kind, data):
    return struct.pack('>BBH', 0xFF, kind, len(data) + 2) + data


def tiff(value, order='<', entries=(), kind=3, count=1, tag=0x0112, first=8):
    """Exif data with some entries before the orientation."""
    mark = {'<': b'II', '>': b'MM'}[order]
    directory = [struct.pack(order + 'HHIHH', *entry) for entry in entries]
    directory.append(struct.pack(order + 'HHIHH', tag, kind, count, value, 0))
    return (
        mark
        + struct.pack(order + 'HI', 42, first)
        + bytes(first - 8)
        + struct.pack(order + 'H', len(directory))
        + b''.join(directory)
        + bytes(4)
    )


def app1(*args, **kwargs):
    return segment(0xE1, b'Exif\0\0' + tiff(*args, **kwargs))


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('value', range(1, 9))
def test_all_orientations_as_pillow_turns_them(value, order):
    data = jpeg(app1(value, order))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    image = tf.io.decode_jpeg(data, dct_method='INTEGER_ACCURATE')
    assert int(exif.orientation(data)) == value
    turned = exif.upright(image, exif.orientation(data))
    np.testing.assert_allclose(turned[..., 0], expected, atol=3)
    assert (np.asarray(turned[..., 0]).shape == PIXELS.shape) == (value < 5)


@pytest.mark.parametrize('place', ['before', 'after'])
def test_png_before_its_pixels(place):
    file, data = io.BytesIO(), Image.Exif()
    data[0x0112] = 6
    Image.fromarray(PIXELS).save(file, 'png', exif=data)
    contents = file.getvalue()
    assert contents.index(b'eXIf') < contents.index(b'IDAT')
    assert int(exif.orientation(contents)) == 6
    if place == 'after':  # Where a decoder has the pixels before it knows.
        begin, end = contents.index(b'eXIf') - 4, contents.index(b'IDAT') - 4
        contents = contents[:begin] + contents[end:-12] + contents[begin:end] + contents[-12:]
        assert int(exif.orientation(contents)) == 1


@pytest.mark.parametrize('order', ['<', '>'])
def test_an_orientation_of_four_bytes(order):
    high, low = (0, 5) if order == '>' else (5, 0)
    data = jpeg(app1(1, order, [(0x0112, 4, 1, high, low)], tag=0x0132))
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == int(exif.orientation(data)) == 5


def test_colours_stay_with_their_pixels():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    # Orientation 6: the camera was turned, and the picture is to be turned clockwise.
    np.testing.assert_array_equal(exif.upright(tf.constant(image), 6), np.rot90(image, -1))
    np.testing.assert_array_equal(exif.upright(tf.constant(image), 1), image)


@pytest.mark.parametrize(
    'before',
    [
        segment(0xE0, b'JFIF\0' + bytes(9)),
        segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x/>'),
        segment(0xE2, b'ICC_PROFILE\0' + b'\xff\xe1\0\x22Exif\0\0' * 1000),
        b'\xff\xff',
    ],
)
def test_the_exif_segment_need_not_be_the_first(before):
    assert int(exif.orientation(jpeg(before + app1(7)))) == 7


def test_other_entries_and_a_directory_elsewhere():
    others = [(0x010F, 2, 4, 3, 0), (0x0112, 1, 1, 3, 0), (0x0100, 3, 1, 3, 0)]
    for order in '<>':
        assert int(exif.orientation(jpeg(app1(6, order, others, first=30)))) == 6


def test_as_pillow_writes_it():
    for value in (1, 3, 8):
        tags = Image.Exif()
        tags[0x010F], tags[0x0112], tags[0x0132] = 'maker', value, '2020:01:02 03:04:05'
        file = io.BytesIO()
        Image.fromarray(PIXELS).save(file, 'jpeg', exif=tags)
        assert int(exif.orientation(file.getvalue())) == value


def malformed():
    good = app1(6)
    png = io.BytesIO()
    Image.fromarray(PIXELS).save(png, 'png')
    yield 'no Exif data', jpeg()
    yield 'PNG', png.getvalue()
    yield 'PNG with a JPEG inside', png.getvalue() + jpeg(good)
    yield 'empty', b''
    yield 'one byte', b'\xff'
    yield 'start alone', b'\xff\xd8'
    yield 'text', b'no image at all'
    # The value comes after the file's start, the segment's, the mark, 8 bytes of TIFF's head, the
    # number of entries and 8 bytes of its own entry.
    for length in range(2, 2 + 4 + 6 + 8 + 2 + 8 + 1):
        yield f'cut off after {length} bytes', jpeg(good)[:length]
    yield 'value 0', jpeg(app1(0))
    yield 'value 9', jpeg(app1(9))
    yield 'another tag', jpeg(app1(6, tag=0x0113))
    yield 'another type', jpeg(app1(6, kind=2))
    yield 'two values', jpeg(app1(6, count=2))
    yield 'another byte order', jpeg(segment(0xE1, b'Exif\0\0XX' + tiff(6)[2:]))
    yield 'not 42', jpeg(segment(0xE1, b'Exif\0\0II\x2b' + tiff(6)[3:]))
    far = b'II\x2a\0\xff\xff\xff\xff' + tiff(6)[8:]
    yield 'directory far outside', jpeg(segment(0xE1, b'Exif\0\0' + far))
    yield 'no Exif mark', jpeg(segment(0xE1, b'Exit\0\0' + tiff(6)))
    yield 'empty Exif data', jpeg(segment(0xE1, b'Exif\0\0'))
    yield 'length 0', jpeg(b'\xff\xe0\0\0' + good)
    yield 'length beyond the end', jpeg()[:2] + b'\xff\xe0\xff\xff' + good
    yield 'after the scan', jpeg() + good
    yield 'in the scan', jpeg(segment(0xDA, b'123') + good)


def test_what_makes_no_sense_is_upright():
    orientation = tf.function(exif.orientation, input_signature=[tf.TensorSpec([], tf.string)])
    for name, data in malformed():
        assert int(orientation(data)) == 1, name


def test_random_bytes_do_not_raise():
    rng = np.random.default_rng(0)
    orientation = tf.function(exif.orientation, input_signature=[tf.TensorSpec([], tf.string)])
    good = bytearray(jpeg(app1(6, entries=[(0x010F, 2, 4, 3, 0)])))
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(0, 60, 3):
            data[place] = rng.integers(256)
        assert 1 <= int(orientation(bytes(data[: rng.integers(1, 200)]))) <= 8


def test_in_a_pipeline_and_a_saved_model(tmp_path):
    files = [jpeg(app1(value)) for value in (6, 1, 3)]

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def load(data):
        return exif.upright(tf.io.decode_jpeg(data, channels=3), exif.orientation(data))

    images = list(tf.data.Dataset.from_tensor_slices(files).map(load))
    assert [tuple(image.shape) for image in images] == [(48, 32, 3), (32, 48, 3), (32, 48, 3)]
    module = tf.Module()
    module.load = load
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for data, image in zip(files, images, strict=True):
        np.testing.assert_array_equal(loaded.load(data), image)
