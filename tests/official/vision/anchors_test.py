"""Anchors against values by hand and a plain loop."""

import numpy as np
import pytest

from official.vision import anchors


def test_the_first_cell_by_hand():
    levels = anchors.pyramid_anchors((64, 64), aspect_ratios=(0.25, 1, 4))
    # Of stride 4 and area 32^2: 64 x 16, 32 x 32 and 16 x 64 pixels around (2, 2).
    np.testing.assert_array_equal(
        levels[0][:3], [[-30, -6, 34, 10], [-14, -14, 18, 18], [-6, -30, 10, 34]]
    )
    # The next cell lies to the right, the next row of 16 cells below.
    np.testing.assert_array_equal(levels[0][3:6], levels[0][:3] + [4, 0, 4, 0])
    np.testing.assert_array_equal(levels[0][48:51], levels[0][:3] + [0, 4, 0, 4])
    # Of stride 64 there is one cell, around (32, 32), of area 512^2.
    np.testing.assert_array_equal(
        levels[4],
        [
            [32 - 512, 32 - 128, 32 + 512, 32 + 128],
            [32 - 256, 32 - 256, 32 + 256, 32 + 256],
            [32 - 128, 32 - 512, 32 + 128, 32 + 512],
        ],
    )


def test_a_plain_loop_over_a_canvas_that_no_stride_divides():
    canvas, strides, sizes, ratios = (50, 75), (8, 32), (20, 90), (0.5, 1, 2)
    levels = anchors.pyramid_anchors(canvas, strides, sizes, ratios)
    assert [anchors.level_shape(canvas, stride) for stride in strides] == [(7, 10), (2, 3)]
    for level, stride, size, (rows, columns) in zip(
        levels, strides, sizes, [(7, 10), (2, 3)], strict=True
    ):
        expected = []
        for row in range(rows):
            for column in range(columns):
                for ratio in ratios:
                    width = (size**2 / ratio) ** 0.5
                    height = width * ratio
                    x, y = (column + 0.5) * stride, (row + 0.5) * stride
                    expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        assert level.dtype == np.float32
        np.testing.assert_allclose(level, expected, rtol=1e-6)


def test_how_many_there_are_at_the_size_of_the_paper():
    levels = anchors.pyramid_anchors((800, 1344))
    cells = [200 * 336, 100 * 168, 50 * 84, 25 * 42, 13 * 21]
    assert [len(level) for level in levels] == [3 * n for n in cells]
    assert sum(len(level) for level in levels) == 268_569


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(strides=(4, 8), sizes=(32,)), '2 strides and 1 sizes'),
        (dict(canvas=(0, 64)), r'canvas is \(0, 64\)'),
        (dict(aspect_ratios=(1, -1)), r'aspect_ratios is \(1, -1\)'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        anchors.pyramid_anchors(**{'canvas': (64, 64), **arguments})
