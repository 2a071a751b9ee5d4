"""Tests of official.data.image_files."""

import pathlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from official.data import image_files, problems

HEIGHT, WIDTH = 6, 9


def pixels(channels=3):
    return np.random.default_rng(0).integers(0, 256, [HEIGHT, WIDTH, channels]).astype(np.uint8)


def save(path, array=None, orientation=None, mode=None, **options):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image = Image.fromarray(pixels() if array is None else array)
    (image.convert(mode) if mode else image).save(path, exif=exif, **options)
    return str(path)


def test_headers(tmp_path):
    (tmp_path / 'text.jpg').write_text('not an image')
    (tmp_path / 'cut.jpg').write_bytes(pathlib.Path(save(tmp_path / 'a.jpg')).read_bytes()[:40])
    save(tmp_path / 'png.png', orientation=6)
    paths = [
        str(tmp_path / 'text.jpg'),
        str(tmp_path / 'none.jpg'),
        str(tmp_path / 'cut.jpg'),
        save(tmp_path / 'a.jpg'),
        save(tmp_path / 'turned.jpg', orientation=6),
        save(tmp_path / 'upside.jpg', orientation=3),
        save(tmp_path / 'odd.jpg', orientation=9),
        save(tmp_path / 'grey.jpg', mode='L'),
        save(tmp_path / 'rgba.png', pixels(4)),
        save(tmp_path / '16.png', pixels(1)[..., 0].astype(np.uint16)),
        str(tmp_path / 'png.png'),
    ]
    found = image_files.headers(paths)
    size = (HEIGHT, WIDTH)
    assert found[:3] == [None] * 3
    assert found[3:] == [
        (size, 1, 'RGB'),
        (size, 6, 'RGB'),
        (size, 3, 'RGB'),
        (size, 1, 'RGB'),
        (size, 1, 'L'),
        (size, 1, 'RGBA'),
        (size, 1, 'I;16'),
        (size, 6, 'RGB'),
    ]
    assert [header.upright for header in found[3:6]] == [size, (WIDTH, HEIGHT), size]
    counts = problems.Problems()
    usable = [
        image_files.note(header, path, 'x.json', counts)
        for header, path in zip(found, paths, strict=True)
    ]
    assert usable == [False] * 3 + [True] * 8
    assert counts.counts == {
        problems.DAMAGED: 2,
        problems.NO_IMAGE: 1,
        problems.TURNED: 3,
        problems.CONVERTED: 3,
    }
    assert counts.files(problems.NO_IMAGE) == [f'{tmp_path}/none.jpg (in x.json)']


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turned_as_pillow_turns(orientation, tmp_path):
    stored = pixels()
    with Image.open(save(tmp_path / 'a.png', stored, orientation)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(image_files.turned_pixels(stored, orientation), upright)
    for y, x in ((0, 0), (2, 7), (5, 1)):
        place = image_files.turned_points([x + 0.5, y + 0.5], orientation, (HEIGHT, WIDTH))
        column, row = (place - 0.5).astype(int)
        assert (upright[row, column] == stored[y, x]).all() and (place % 1 == 0.5).all()


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
@pytest.mark.parametrize('compressed', [False, True])
def test_items_are_turned_with_their_image(orientation, compressed):
    from pycocotools import mask as coco_mask

    inside = np.zeros([HEIGHT, WIDTH], np.uint8)
    inside[1:3, 2:7] = inside[3:5, 2:4] = 1
    rle = coco_mask.encode(np.asfortranarray(inside))
    if not compressed:
        runs = np.diff(np.flatnonzero(np.diff(np.pad(inside.T.reshape(-1), 1, constant_values=2))))
        rle = {'size': [HEIGHT, WIDTH], 'counts': runs.tolist()}
    box, turned, landmarks = image_files.turned_item_arrays(
        [2, 1, 7, 5], rle, [2.5, 1.5, 2, 0, 0, 0], orientation, (HEIGHT, WIDTH)
    )
    expected = image_files.turned_pixels(inside, orientation)
    assert turned['size'] == [WIDTH, HEIGHT] and isinstance(turned['counts'], str)
    np.testing.assert_array_equal(coco_mask.decode(turned), expected)
    rows, columns = np.nonzero(expected)
    np.testing.assert_array_equal(
        box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    )
    marked = np.zeros([HEIGHT, WIDTH], int)
    marked[1, 2] = 1
    row, column = np.argwhere(image_files.turned_pixels(marked, orientation))[0]
    np.testing.assert_array_equal(landmarks[0], [column + 0.5, row + 0.5, 2])
    assert landmarks[1, 2] == 0
    _, polygons, nothing = image_files.turned_item_arrays(
        [2, 1, 7, 5], [[2, 1, 7, 1, 7, 5]], None, orientation, (HEIGHT, WIDTH)
    )
    assert nothing is None and polygons[0].shape == (3, 2)
    np.testing.assert_array_equal([*polygons[0].min(0), *polygons[0].max(0)], box)
