"""A picture in the making: its pixels, and which layer is uppermost at each."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

_SHIFT = 4  # Bits of fractions of a pixel in OpenCV's drawing.


class Canvas:
    """An image into which layers are painted one over the other.

    Attributes:
      image: uint8 [height, width, 3], blue, green, red.
      top: uint8 [height, width], number of the uppermost layer, 0: none.
      supersampling: pixels of the canvas a pixel of the picture.
    """

    def __init__(self, height: int, width: int, supersampling: int):
        self.supersampling = supersampling
        self.image = np.zeros([height * supersampling, width * supersampling, 3], np.uint8)
        self.top = np.zeros(self.image.shape[:2], np.uint8)
        self.layers = 0

    def window(self, points: np.ndarray, margin: int = 1) -> tuple[slice, slice] | None:
        """Rows and columns that points span on the canvas; None: they are outside."""
        height, width = self.top.shape
        low = np.floor(points.min(0)).astype(int) - margin
        high = np.ceil(points.max(0)).astype(int) + margin
        x1, y1 = max(low[0], 0), max(low[1], 0)
        x2, y2 = min(high[0], width), min(high[1], height)
        if x1 >= x2 or y1 >= y2:
            return None
        return slice(y1, y2), slice(x1, x2)

    def new_layer(self) -> int:
        """The number of a layer above all others."""
        self.layers += 1
        if self.layers > 255:
            raise ValueError('A canvas has at most 255 layers.')
        return self.layers

    def paint(
        self, window: tuple[slice, slice], mask: np.ndarray, colour: np.ndarray, layer: int
    ) -> None:
        """Covers a window where the mask is not 0.

        Args:
          window: rows and columns.
          mask: uint8 [h, w].
          colour: uint8 [h, w, 3].
          layer: a number of `new_layer`.
        """
        cv2.copyTo(colour, mask, self.image[window])
        np.putmask(self.top[window], mask, layer)

    def shadow(
        self, points: np.ndarray, offset: tuple[float, float], spread: float, strength: float
    ) -> None:
        """Darkens what is there softly below an outline.

        Args:
          points: float [n, 2], the outline in pixels.
          offset: of the shadow, in pixels.
          spread: its softness, in pixels.
          strength: 0 to 1.
        """
        points = points + np.asarray(offset)
        window = self.window(points, int(2 * spread) + 2)
        if window is None:
            return
        rows, columns = window
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = 4
        small = np.zeros([-(-height // step), -(-width // step)], np.uint8)
        fill(small, [(points - [columns.start, rows.start]) / step], int(255 * strength))
        small = cv2.GaussianBlur(small, (0, 0), max(spread / step, 0.5))
        shade = 255 - cv2.resize(small, (width, height))
        part = self.image[window]
        part[:] = cv2.multiply(part, cv2.merge([shade, shade, shade]), scale=1 / 255)

    def picture(self) -> np.ndarray:
        """The image without supersampling: uint8 [height, width, 3]."""
        if self.supersampling == 1:
            return self.image.copy()
        height, width = self.top.shape
        return cv2.resize(
            self.image,
            (width // self.supersampling, height // self.supersampling),
            interpolation=cv2.INTER_AREA,
        )


def fixed(points: np.ndarray) -> np.ndarray:
    """Continuous pixel coordinates as OpenCV's drawing takes them, with `shift=_SHIFT`."""
    points = np.clip(points, -30000, 30000)  # int32 would overflow in its arithmetic.
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)


def fill(image: np.ndarray, outlines: list[np.ndarray], value: Any) -> None:
    """Fills each outline (float [n, 2], pixels) of its own, also where they overlap."""
    for outline in outlines:
        cv2.fillPoly(image, [fixed(outline)], value, cv2.LINE_8, _SHIFT)


def line(
    image: np.ndarray, points: np.ndarray, value: Any, width: float, closed: bool = False
) -> None:
    """Draws a line of a width in pixels through points."""
    cv2.polylines(image, [fixed(points)], closed, value, max(1, round(width)), cv2.LINE_8, _SHIFT)


def discs(image: np.ndarray, centres: np.ndarray, value: Any, radius: float) -> None:
    """Draws filled circles."""
    for centre in fixed(centres):
        cv2.circle(
            image,
            (int(centre[0]), int(centre[1])),
            int(max(radius, 0.5) * (1 << _SHIFT)),
            value,
            -1,
            cv2.LINE_8,
            _SHIFT,
        )
