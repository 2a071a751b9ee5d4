"""Anchors: the boxes, one set a cell of a feature map, that proposals are coded relative to.

Ren et al. 2015, Sec. 3.1.1; on a pyramid each level has anchors of one area (Lin et al. 2017, FPN,
Sec. 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRIDES = (4, 8, 16, 32, 64)
SIZES = (32, 64, 128, 256, 512)
ASPECT_RATIOS = (0.5, 1.0, 2.0)


def level_shape(canvas: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the feature map with this stride, of a canvas (height, width) of pixels.

    That of convolutions with padding: the cells at the border may reach beyond the canvas.
    """
    height, width = canvas
    return -(-height // stride), -(-width // stride)


def pyramid_anchors(
    canvas: tuple[int, int],
    strides: Sequence[int] = STRIDES,
    sizes: Sequence[float] = SIZES,
    aspect_ratios: Sequence[float] = ASPECT_RATIOS,
) -> list[np.ndarray]:
    """The anchors of all levels.

    Args:
      canvas: height and width of the images, pixels.
      strides: of the levels, pixels a cell.
      sizes: of the levels, square root of the area of an anchor, pixels.
      aspect_ratios: height / width of the anchors of a cell.

    Returns:
      For each level float32 [rows * columns * aspect ratios, 4] (x1, y1, x2, y2), in the order of a
      feature map [rows, columns, aspect ratios]. The anchors of cell (row, column) are centred at
      ((column + 0.5) stride, (row + 0.5) stride), the middle of the pixels that the cell stands
      for. They are not clipped at the borders.

    Raises:
      ValueError: if there are not as many sizes as strides, or a number is not positive.
    """
    if len(strides) != len(sizes):
        raise ValueError(
            f'pyramid_anchors has {len(strides)} strides and {len(sizes)} sizes; each level'
            ' needs one of both.'
        )
    for name, values in (
        ('canvas', canvas),
        ('strides', strides),
        ('sizes', sizes),
        ('aspect_ratios', aspect_ratios),
    ):
        if not all(value > 0 for value in values):
            raise ValueError(f'pyramid_anchors needs positive numbers, {name} is {tuple(values)}.')
    root = np.sqrt(np.asarray(aspect_ratios, np.float64))
    levels = []
    for stride, size in zip(strides, sizes, strict=True):
        rows, columns = level_shape(canvas, stride)
        half = 0.5 * size * np.stack([1 / root, root], axis=-1)  # [aspect ratios, (x, y)]
        y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij')
        centre = (np.stack([x, y], axis=-1)[:, :, np.newaxis] + 0.5) * stride
        anchors = np.concatenate([centre - half, centre + half], axis=-1)
        levels.append(anchors.reshape(-1, 4).astype(np.float32))
    return levels
