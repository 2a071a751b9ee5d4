"""Tests of official.data.encoded_images: damaged images, order, and the random square."""

import io
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import encoded_images, tfds_stream
from official.vision import image_reader

SIDE = 4


def file(pixels, kind):
    # By Pillow, as TensorFlow must not start while tests are collected.
    contents = io.BytesIO()
    Image.fromarray(pixels).save(contents, kind)
    return contents.getvalue()


def encoded(number):
    """A PNG of one colour, which is its number."""
    return file(np.full([SIDE, SIDE, 3], number, np.uint8), 'PNG')


def truncated_jpeg():
    noise = np.random.RandomState(0).randint(0, 256, [64, 64, 3]).astype(np.uint8)
    return file(noise, 'JPEG')[:-200]


DAMAGED = {
    'truncated JPEG': truncated_jpeg(),
    'truncated PNG': encoded(1)[:-20],
    'text': b'not an image',
    'empty': b'',
}
READ = 'is not read as an image; JPEG, PNG, GIF and BMP are'
REASONS = {
    'truncated JPEG': 'jpeg::Uncompress failed. Invalid JPEG data',
    'truncated PNG': 'Invalid PNG data',
    'text': f'A file of an unknown format {READ}',
    'empty': f'An empty file {READ}',
}


def png(data):
    return tf.io.decode_png(data, channels=3)


def decode(data, position, reader=png):
    """The picture, its upper left pixel replaced by the position.

    The reader of all formats takes each pipeline a second to begin with.
    """
    image = tf.ensure_shape(reader(data), [SIDE, SIDE, 3])
    corner = tf.reshape(tf.one_hot(0, SIDE * SIDE, True, False), [SIDE, SIDE, 1])
    return tf.where(corner, tf.cast(position, tf.uint8), image)


def batches(numbers, size, first=0):
    """(positions, numbers) in batches; an example's position is its place in `numbers`."""
    numbers = np.array(numbers, np.int64)
    return tf.data.Dataset.from_tensor_slices(
        (np.arange(first, first + len(numbers)), numbers)
    ).batch(size, drop_remainder=True)


def read_all(files, dataset, skipped=None, reader=png):
    """Positions, colours and numbers of what comes out."""
    files = tf.constant(files)
    skipped = skipped or encoded_images.Skipped(str)
    result = encoded_images.decoded(
        dataset,
        lambda numbers: tf.gather(files, numbers),
        lambda data, position: decode(data, position, reader),
        files.shape[0],
        skipped,
    )
    assert result.element_spec[0].shape == (*dataset.element_spec[0].shape, SIDE, SIDE, 3)
    images, numbers = (np.concatenate(x) for x in zip(*result.as_numpy_iterator(), strict=True))
    for image, number in zip(images, numbers, strict=True):
        assert (image.reshape(-1, 3)[1:] == number).all()  # An image comes with its own number.
    return images[:, 0, 0, 0].tolist(), numbers.tolist(), sorted(skipped.indices)


@pytest.mark.parametrize('size', [60, 59, 7, 1])
def test_images_come_in_order(size):
    order = np.random.RandomState(1).permutation(120)
    positions, numbers, skipped = read_all(
        [encoded(number) for number in range(120)], batches(order, size)
    )
    assert numbers == order[: 120 // size * size].tolist()
    assert positions == list(range(len(numbers))) and not skipped


def test_slow_images_are_waited_for(monkeypatch):
    monkeypatch.setattr(tf.data, 'AUTOTUNE', 8)  # Which may begin with 1, on any machine.
    files = np.array([encoded(number) for number in range(80)], object)

    def read(numbers):
        def slowly(numbers):
            time.sleep(0.2 if numbers[0] in (0, 32) else 0)
            return files[numbers]

        return tf.ensure_shape(tf.numpy_function(slowly, [numbers], tf.string), numbers.shape)

    result = encoded_images.decoded(
        batches(range(80), 80), read, decode, 80, encoded_images.Skipped(str)
    )
    assert next(iter(result))[1].numpy().tolist() == list(range(80))


def test_the_next_image_stands_in_for_a_damaged_one(capfd):
    files = [encoded(number) for number in range(100)]
    kinds = dict(zip((7, 8, 50, 99), DAMAGED, strict=True))
    for number, kind in kinds.items():
        files[number] = DAMAGED[kind]
    order = np.concatenate([np.arange(100), np.random.RandomState(1).permutation(100)])
    found = encoded_images.Skipped(lambda index: f'<{index}>')
    positions, numbers, skipped = read_all(files, batches(order, 50), found, image_reader.decode)
    instead = {7: 9, 8: 9, 50: 51, 99: 0}  # After the last the first is next.
    assert numbers == [instead.get(number, number) for number in order]
    assert positions == list(range(200))
    assert skipped == [7, 8, 50, 99]
    lines = [line for line in capfd.readouterr().err.splitlines() if 'is skipped' in line]
    told = {}
    for count, line in enumerate(lines, 1):
        name, reason = line.split(f' cannot be read as an image and is skipped ({count} so far): ')
        assert reason.endswith('.')
        told[name] = reason
    assert len(lines) == 4 and set(told) == {f'<{number}>' for number in kinds}
    for number, kind in kinds.items():
        assert told[f'<{number}>'].startswith(REASONS[kind])


def test_damage_everywhere_but_in_one_image():
    files = [DAMAGED['text']] * 20
    files[13] = encoded(13)
    positions, numbers, skipped = read_all(files, batches(range(20), 10))
    assert numbers == [13] * 20 and positions == list(range(20))
    assert skipped == [number for number in range(20) if number != 13]


def test_the_batches_do_not_depend_on_what_was_found_before():
    files = [DAMAGED['empty'] if number % 5 == 3 else encoded(number) for number in range(30)]
    order = np.random.RandomState(2).randint(0, 30, 64)
    positions, numbers, _ = read_all(files, batches(order, 32))
    later = read_all(files, batches(order[32:], 32, first=32))
    assert later[0] == positions[32:] and later[1] == numbers[32:]


def test_an_error_while_reading_is_like_a_damaged_image(tmp_path):
    for number in range(8):
        (tmp_path / str(number)).write_bytes(encoded(number))
    (tmp_path / '3').unlink()
    paths = tf.constant([str(tmp_path / str(number)) for number in range(8)])
    skipped = encoded_images.Skipped(str)
    result = encoded_images.decoded(
        batches(range(8), 4),
        lambda numbers: tf.map_fn(tf.io.read_file, tf.gather(paths, numbers)),
        decode,
        8,
        skipped,
    )
    numbers = np.concatenate([numbers for _, numbers in result.as_numpy_iterator()])
    assert numbers.tolist() == [0, 1, 2, 4, 4, 5, 6, 7] and skipped.indices == {3}


def test_pairs_of_images_and_several_results():
    files = [[encoded(number), encoded(100 + number)] for number in range(20)]
    files[3][1], files[8][0] = DAMAGED['truncated JPEG'], DAMAGED['text']
    files = tf.constant(files)

    def decode_both(both, position):
        images = [decode(contents, position) for contents in tf.unstack(both)]
        return {'images': tf.stack(images), 'twice': 2 * position}

    order, skipped = np.random.RandomState(3).permutation(20), encoded_images.Skipped(str)
    result = encoded_images.decoded(
        batches(order, 10), lambda numbers: tf.gather(files, numbers), decode_both, 20, skipped
    )
    assert result.element_spec == (
        {
            'images': tf.TensorSpec([10, 2, SIDE, SIDE, 3], tf.uint8),
            'twice': tf.TensorSpec([10], tf.int64),
        },
        tf.TensorSpec([10], tf.int64),
    )
    for first, (columns, numbers) in zip((0, 10), result.as_numpy_iterator(), strict=True):
        expected = [{3: 4, 8: 9}.get(number, number) for number in order[first : first + 10]]
        assert numbers.tolist() == expected
        assert columns['images'][:, 0, 1, 1, 0].tolist() == expected
        assert columns['images'][:, 1, 1, 1, 0].tolist() == [100 + number for number in expected]
        assert columns['images'][:, 0, 0, 0, 0].tolist() == list(range(first, first + 10))
        assert columns['twice'].tolist() == list(range(2 * first, 2 * first + 20, 2))
    assert skipped.indices == {3, 8}


@pytest.mark.parametrize('number', [1, 5])
def test_nothing_left_to_read_is_an_error_and_no_wait(number):
    skipped = encoded_images.Skipped(lambda index: f'<{index}>')
    with pytest.raises(tf.errors.OpError, match=f'None of {number} images can be read any more'):
        read_all([DAMAGED['text']] * number, batches([0] * 8, 4).repeat(), skipped)
    assert skipped.indices == set(range(number))


def test_a_set_without_readable_images_is_refused():
    files, tried = tf.constant([b'', b'text'] * 400 + [encoded(0)]), []

    def check(indices):
        def read(numbers):
            tried.append(int(numbers[0]))
            return tf.gather(files, numbers)

        encoded_images.check_readable(
            read,
            lambda data, position: decode(data, position, image_reader.decode),
            np.array(indices, np.int64),
            'the set',
            encoded_images.Skipped(lambda index: f'<{index}>'),
        )

    with pytest.raises(ValueError) as error:
        check([4, 6])
    assert str(error.value) == (
        f'the set: of 2 images 2 were tried and none can be read; the first is <4> '
        f'({REASONS["empty"]}).'
    )
    with pytest.raises(ValueError, match='of 800 images 100 were tried .* the first is <0>'):
        check(range(800))
    assert len(tried) == 102 and tried[-1] == 799  # Not all, but from all parts.
    check([4, 5, 800])
    with pytest.raises(ValueError, match='the set: no image is used.'):
        check([])


# The random square.


def coordinates(height, width):
    """An image whose pixels say where they are: channels are row, column and 0."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing='ij')
    return np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)


def boxes(height, width, number):
    """(top, left, height, width) of random squares."""
    image = tf.constant(coordinates(height, width))
    found = []
    for position in range(number):
        part = encoded_images.distorted_square(
            image,
            8,
            encoded_images.crop_key(1, tf.constant(position, tf.int64)),
            lambda image, size: image,
        ).numpy()
        top, left = part[0, 0, :2].astype(int)
        # A piece of the image as it is, not mirrored, turned or scaled.
        np.testing.assert_array_equal(
            part, coordinates(height, width)[top : top + part.shape[0], left : left + part.shape[1]]
        )
        found.append((top, left, *part.shape[:2]))
    return np.array(found)


@pytest.mark.parametrize('height, width', [(60, 60), (60, 80), (96, 60)])
def test_squares_of_half_the_area_or_more_anywhere(height, width):
    top, left, high, wide = boxes(height, width, 150).T
    np.testing.assert_array_equal(high, wide)
    areas, largest = high * wide / (height * width), min(height, width)
    # Sides are uniform from the one that has half of the area to the largest there is.
    smallest = np.sqrt(height * width / 2)
    assert areas.min() >= 0.5 and high.min() <= smallest + 2 and high.max() >= largest - 1
    spread = (largest - smallest) / np.sqrt(12)
    assert high.mean() == pytest.approx(
        (largest + smallest) / 2, abs=4 * spread / np.sqrt(150) + 0.5
    )
    # Places are uniform, from one end to the other, but that TensorFlow leaves out the last.
    for start, free in ((top, height - high), (left, width - wide)):
        assert start.min() >= 0 and (start <= free).all()
        where = (start / np.maximum(free - 1, 1))[free >= 5]
        assert where.min() < 0.1 and where.max() > 0.9
        assert where.mean() == pytest.approx(0.5, abs=4 * 0.35 / np.sqrt(len(where)))


@pytest.mark.parametrize('height, width', [(20, 90), (200, 30), (20, 41)])
def test_of_a_long_image_the_central_square(height, width):
    image = tf.constant(coordinates(height, width))
    for position in range(3):
        key = encoded_images.crop_key(1, tf.constant(position, tf.int64))
        np.testing.assert_array_equal(
            encoded_images.distorted_square(image, 16, key), tfds_stream.square(image, 16)
        )


def test_the_square_is_resized_with_antialiasing():
    noise = tf.constant(np.random.RandomState(0).randint(0, 256, [70, 90, 3]).astype(np.uint8))
    for position in range(5):
        key = encoded_images.crop_key(1, tf.constant(position, tf.int64))
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            [70, 90, 3],
            tf.zeros([0, 0, 4]),
            key,
            aspect_ratio_range=(1.0, 1.0),
            area_range=(0.5, 1.0),
            use_image_if_no_bounding_boxes=True,
        )
        (top, left, _), side = begin.numpy(), int(extent[0])
        part = noise[top : top + side, left : left + side]
        expected = tfds_stream.square(part, 16)  # Of a square: the whole of it.
        result = encoded_images.distorted_square(noise, 16, key)
        np.testing.assert_array_equal(result, expected)
        assert np.std(result) < np.std(tf.image.resize(part, [16, 16])) / 2  # Aliased noise.


def test_crops_follow_from_seed_and_position():
    keys = {
        tuple(encoded_images.crop_key(seed, tf.constant(position, tf.int64)).numpy())
        for seed in range(3)
        for position in (0, 1, 2**40)
    }
    assert len(keys) == 9
    image = tf.constant(coordinates(60, 80))

    def crop(seed, position):
        return encoded_images.distorted_square(
            image, 16, encoded_images.crop_key(seed, tf.constant(position, tf.int64))
        ).numpy()

    np.testing.assert_array_equal(crop(1, 5), crop(1, 5))
    assert (crop(1, 5) != crop(1, 6)).any() and (crop(1, 5) != crop(2, 5)).any()
    in_graph = tf.data.Dataset.range(5, 6).map(
        lambda position: encoded_images.distorted_square(
            image, 16, encoded_images.crop_key(1, position)
        )
    )
    np.testing.assert_array_equal(next(iter(in_graph)), crop(1, 5))
