import math

import numpy as np
import pytest
import tensorflow as tf
from pycocotools import mask as coco

from official.vision import masks


def interpolated(mask, x, y, box):
    """A mask's value at (x, y), from a plain formula; None outside the box."""
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (x1 <= x < x2 and y1 <= y < y2):
        return None
    cells = len(mask)
    u = min(max((x - x1) / (x2 - x1) * cells - 0.5, 0), cells - 1)
    v = min(max((y - y1) / (y2 - y1) * cells - 0.5, 0), cells - 1)
    left, top = min(int(u), cells - 2), min(int(v), cells - 2)
    right, down = u - left, v - top
    return (1 - down) * ((1 - right) * mask[top, left] + right * mask[top, left + 1]) + down * (
        (1 - right) * mask[top + 1, left] + right * mask[top + 1, left + 1]
    )


def blobs(shape, size, seed=0):
    """Random masks of 0 and 1 with parts of several cells."""
    coarse = np.random.default_rng(seed).integers(0, 2, (*shape, size // 4, size // 4))
    return np.kron(coarse, np.ones([4, 4], int)).astype(np.uint8)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_targets_against_plain_loops(jit_compile):
    mini = blobs((2, 4), 16)
    boxes = np.float32(
        [
            [[10, 20, 90, 61], [0, 0, 16, 16], [5, 5, 5.5, 6], [0, 0, 0, 0]],
            [[33.3, 7.1, 88.8, 99.9]] * 4,
        ]
    )
    rois = np.float32(
        [
            [[0, 13, 120, 51], [0, 0, 16, 16], [4, 4, 7, 7], [0, 0, 0, 0]],
            [[33.3, 7.1, 88.8, 99.9], [0, 0, 50, 50], [60, 60, 62, 70], [200, 200, 210, 210]],
        ]
    )
    targets = tf.function(masks.mask_targets, jit_compile=jit_compile)(mini, boxes, rois, 7).numpy()
    assert targets.shape == (2, 4, 7, 7) and targets.dtype == np.float32
    for b, n, i, j in np.ndindex(2, 4, 7, 7):
        x1, y1, x2, y2 = (float(value) for value in rois[b, n])
        value = interpolated(
            mini[b, n], x1 + (j + 0.5) / 7 * (x2 - x1), y1 + (i + 0.5) / 7 * (y2 - y1), boxes[b, n]
        )
        if value is None:
            assert targets[b, n, i, j] == 0
        elif abs(value - 0.5) > 1e-3:
            assert targets[b, n, i, j] == (value > 0.5)
    assert 0.1 < targets.mean() < 0.9


def test_targets_by_hand():
    # The left half of a box of 8 x 8 pixels at (4, 4), seen in regions.
    mini = np.zeros([16, 16], np.uint8)
    mini[:, :8] = 1
    box = np.float32([4, 4, 12, 12])
    # The same region at the same size, and at a fourth of it.
    np.testing.assert_array_equal(masks.mask_targets(mini, box, box, 16), mini)
    np.testing.assert_array_equal(masks.mask_targets(mini, box, box, 4), [[1, 1, 0, 0]] * 4)
    # Cells of 2 pixels from (0, 0): the box begins with the third row and column.
    expected = np.zeros([8, 8])
    expected[2:6, 2:4] = 1
    np.testing.assert_array_equal(
        masks.mask_targets(mini, box, np.float32([0, 0, 16, 16]), 8), expected
    )
    # One that lies inside, and its centres exactly between 1 and 0: half is in.
    np.testing.assert_array_equal(masks.mask_targets(mini, box, np.float32([7, 7, 9, 9]), 1), [[1]])
    np.testing.assert_array_equal(
        masks.mask_targets(mini, box, np.float32([12, 4, 20, 12]), 4), np.zeros([4, 4])
    )


BOXES = np.float32(
    [
        [10, 20, 38, 48],
        [3.3, 4.4, 60.6, 30.2],
        [-20, -10, 30, 25],
        [50, 40, 90, 80],
        [20, 20, 21, 20.6],
        [5, 5, 5.3, 40],
        [0, 0, 0, 0],
        [100, 100, 120, 120],
        [0, 0, 70, 50],
    ]
)


def test_pasting_against_plain_loops_and_tensorflow():
    height, width = 50, 70
    probabilities = np.random.default_rng(2).uniform(size=(len(BOXES), 6, 6)).astype(np.float32)
    for threshold in (0.5, 0.3):
        pasted = masks.paste(probabilities, BOXES, height, width, threshold)
        assert pasted.shape == (len(BOXES), height, width) and pasted.dtype == bool
        for n, y, x in np.ndindex(*pasted.shape):
            value = interpolated(probabilities[n], x + 0.5, y + 0.5, BOXES[n])
            if value is None:
                assert not pasted[n, y, x]
            elif abs(value - threshold) > 1e-5:
                assert pasted[n, y, x] == (value > threshold)
    assert not pasted[6].any() and not pasted[7].any() and pasted[0].any()


def test_pasting_by_hand():
    mask = np.zeros([1, 2, 2], np.float32)
    mask[0, :, 0] = 1
    # 1 up to a fourth of the width, 0 from three fourths, half in the middle: at 4 + 4.
    pasted = masks.paste(mask, np.float32([[4, 2, 12, 6]]), 8, 14)[0]
    expected = np.zeros([8, 14], bool)
    expected[2:6, 4:8] = True
    np.testing.assert_array_equal(pasted, expected)
    # A pixel belongs where its centre is: from 2.5 on, up to but not at 6.5.
    pasted = masks.paste(np.ones([1, 2, 2]), np.float32([[2.5, 2.6, 6.5, 6.4]]), 8, 8)[0]
    expected = np.zeros([8, 8], bool)
    expected[3:6, 2:6] = True
    np.testing.assert_array_equal(pasted, expected)
    assert masks.paste(np.zeros([0, 28, 28]), np.zeros([0, 4]), 5, 6).shape == (0, 5, 6)


def circle(x, y, radius, stretch=1.0):
    angles = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    return np.stack([x + radius * stretch * np.cos(angles), y + radius * np.sin(angles)], -1)


def overlap(a, b):
    return np.sum(a & b) / np.sum(a | b)


@pytest.mark.parametrize('kind', ['polygons', 'runs', 'compressed'])
def test_round_trip_from_a_polygon_to_the_image(kind):
    height, width = 200, 260
    polygons = [circle(100, 90, 61.3, 1.4), circle(170, 120, 40)]
    ys, xs = np.mgrid[:height, :width] + 0.5
    # By formula, not by any drawing.
    true = (((xs - 100) / 1.4) ** 2 + (ys - 90) ** 2 < 61.3**2) | (
        (xs - 170) ** 2 + (ys - 120) ** 2 < 40**2
    )
    points = np.concatenate(polygons)
    box = np.float32([*points.min(0), *points.max(0)])
    if kind == 'polygons':
        segmentation = polygons
    else:
        segmentation = coco.encode(np.asfortranarray(true.astype(np.uint8)))
        if kind == 'runs':
            changes = np.flatnonzero(np.diff(true.ravel('F'), prepend=False))
            counts = np.diff([0, *changes, true.size])
            segmentation = {'size': [height, width], 'counts': counts.tolist()}
    mini = masks.rasterize(segmentation, box, 112)
    assert mini.dtype == np.uint8 and mini.shape == (112, 112)
    places = (np.arange(112) + 0.5) / 112
    mx, my = box[0] + (box[2] - box[0]) * places, (box[1] + (box[3] - box[1]) * places)[:, None]
    inside = (((mx - 100) / 1.4) ** 2 + (my - 90) ** 2 < 61.3**2) | (
        (mx - 170) ** 2 + (my - 120) ** 2 < 40**2
    )
    assert overlap(mini > 0, inside) > 0.98
    # The mask of a region around it, as a perfect network would predict it, back on the image.
    roi = box + np.float32([-7, -3, 12, 5])
    target = masks.mask_targets(mini, box, roi, 28)
    pasted = masks.paste(target[np.newaxis].numpy(), roi[np.newaxis], height, width)[0]
    assert overlap(pasted, true) > 0.96
    # A mini mask itself loses less.
    assert overlap(masks.paste(mini[np.newaxis], box[np.newaxis], height, width)[0], true) > 0.98


def test_rasterizing_by_hand():
    # Two boxes of whole cells, of which one reaches out of the item's box.
    box = [10, 20, 18, 28]
    polygons = [
        np.array([[10, 20], [14, 20], [14, 22], [10, 22]]),
        np.array([[16, 24], [30, 24], [30, 40], [16, 40]]),
    ]
    expected = np.zeros([8, 8], np.uint8)
    expected[:2, :4] = 1
    expected[4:, 6:] = 1
    np.testing.assert_array_equal(masks.rasterize(polygons, box, 8), expected)
    pixels = np.zeros([30, 20], np.uint8)
    pixels[20:22, 10:14] = 1
    pixels[24:, 16:] = 1
    runs = coco.encode(np.asfortranarray(pixels))
    np.testing.assert_array_equal(masks.rasterize(runs, box, 8), expected)
    with pytest.raises(ValueError, match='polygon 2 has 2 points'):
        masks.rasterize([polygons[0], polygons[1][:2]], box, 8)


def test_far_polygons_are_clipped_before_they_are_drawn():
    """pycocotools alone would ask for the memory of all pixels on the way, and die."""
    box = [10.0, 20, 18, 28]
    quarter = np.zeros([8, 8], np.uint8)
    quarter[4:, 4:] = 1
    for far in (1e3, 1e9, 3e38):
        polygon = np.array([[14, 24], [far, 24], [far, far], [14, far]])
        np.testing.assert_array_equal(masks.rasterize([polygon], box, 8), quarter)
        # On the image the same, by its run lengths.
        drawn = coco.decode(masks.run_lengths([polygon], (30, 20)))
        assert drawn[24:, 14:].all() and drawn.sum() == 6 * 6
    # A box of next to no width inside a polygon is all polygon.
    around = np.array([[0, 0], [30, 0], [30, 40], [0, 40.0]])
    assert masks.rasterize([around], [10, 20, 10 + 1e-7, 28], 8).all()
    assert not masks.rasterize([around + 1e8], box, 8).any()
    with pytest.raises(ValueError, match=r'box \[10.0, 20.0, 10.0, 28.0\] .* has no area'):
        masks.rasterize([around], [10, 20, 10, 28], 8)
    with pytest.raises(ValueError, match='polygon 1 is not made of finite x and y'):
        masks.rasterize([around * [np.nan, 1]], box, 8)


def test_clipping():
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    assert masks.clip_polygon(square, (4, 4)) is square
    # A triangle whose tip, at (100, 0), is cut at 2 * 10: its edges are at y = -4 and 4 there.
    tip = np.array([[0.0, -5], [100, 0], [0, 5]])
    np.testing.assert_allclose(
        masks.clip_polygon(tip, (10, 10)), [[0, -5], [20, -4], [20, 4], [0, 5]]
    )
    assert masks.clip_polygon(tip + 1000, (10, 10)).shape == (0, 2)


@pytest.mark.parametrize(
    'segmentation, message',
    [
        ({'size': [80, 100], 'counts': []}, 'counts sum to 0, not 8000'),
        ({'size': [80, 100], 'counts': [7999]}, 'counts sum to 7999, not 8000'),
        ({'size': [80, 100], 'counts': [8001]}, 'counts sum to 8001, not 8000'),
        ({'size': [80, 100], 'counts': [8001, -1]}, 'neither whole numbers from 0 nor'),
        ({'size': [80, 100], 'counts': [7999.5, 0.5]}, 'neither whole numbers'),
        ({'size': [80, 100], 'counts': [True, 7999]}, 'neither whole numbers'),
        ({'size': [80, 100], 'counts': None}, 'neither whole numbers'),
        ({'size': [80, 100], 'counts': ''}, 'counts sum to 0, not 8000'),
        ({'size': [80, 100], 'counts': 'PPPPPPPPPPPPPPPPPPPP'}, 'neither whole numbers'),
        ({'size': [80, 100], 'counts': '\u00e9'}, 'neither whole numbers'),
        ({'size': None, 'counts': [8000]}, 'RLE of size None does not fit'),
        (
            {'size': [100, 80], 'counts': [8000]},
            r'RLE of size \[100, 80\] does not fit .*\[80, 100\]',
        ),
        ({}, 'RLE of size None'),
        ([[0, 0, 5, 5]], 'polygon 1 has 2 points'),
        ([[0, 0, 5, 5, 1]], 'polygon 1 is not made of'),
    ],
)
def test_run_lengths_that_are_none(segmentation, message):
    with pytest.raises(ValueError, match=message):
        masks.run_lengths(segmentation, (80, 100))


def test_run_lengths():
    """Of random masks of all densities, the counts by definition and pycocotools' text."""
    generator = np.random.default_rng(4)
    for _ in range(60):
        height, width = generator.integers(1, 90, 2).tolist()
        pixels = generator.random((height, width)) < generator.choice([0, 0.01, 0.5, 0.99, 1])
        column_by_column = pixels.ravel('F').astype(int)
        changes = np.flatnonzero(np.diff(column_by_column, prepend=0))
        counts = np.diff([0, *changes, pixels.size]).tolist()
        compressed = coco.encode(np.asfortranarray(pixels, np.uint8))
        assert masks._runs(compressed['counts']).tolist() == counts
        for given in compressed['counts'], compressed['counts'].decode(), counts:
            assert (
                masks.run_lengths({'size': [height, width], 'counts': given}, (height, width))
                == compressed
            )
    assert not coco.decode(masks.run_lengths([], (3, 4))).any()
    with pytest.raises(ValueError, match=r'an image of size \[3, 70000\]'):
        masks.run_lengths([], (3, 70000))


def test_pasting_nothing_that_is_a_number():
    with pytest.raises(ValueError, match=r'paste: box 1, \[0.0, nan, 4.0, 4.0\] .* not finite'):
        masks.paste(np.ones([2, 4, 4]), [[0, 0, 4, 4], [0, np.nan, 4, 4]], 8, 8)


def test_packing():
    mini = np.zeros([2, 4, 4], np.uint8)
    mini[0, 0, 0] = mini[0, 1, 3] = mini[1, 3, 2] = 1
    packed = masks.pack(mini)
    np.testing.assert_array_equal(packed, [[0b10000001, 0], [0, 0b00000010]])
    for jit_compile in (False, True):
        unpacked = tf.function(masks.unpack, jit_compile=jit_compile)(packed, 4)
        assert unpacked.dtype == tf.uint8
        np.testing.assert_array_equal(unpacked, mini)
    many = blobs((3, 5), 112)
    np.testing.assert_array_equal(masks.unpack(masks.pack(many > 0), 112), many)
    with pytest.raises(ValueError, match='fill no whole bytes'):
        masks.pack(mini[:, :3, :3])
