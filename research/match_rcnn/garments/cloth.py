"""Paints a garment: its pieces with print, light, creases and marks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np

from research.match_rcnn.garments import camera as camera_lib
from research.match_rcnn.garments import canvas as canvas_lib
from research.match_rcnn.garments import prints, shape

_LOW = 4  # Light varies slowly; it is computed on every fourth pixel.


@dataclasses.dataclass
class Fabric:
    """A style of an identity, ready to be laid on."""

    pattern: prints.Pattern
    palette: prints.Palette
    tile: np.ndarray
    second_tile: np.ndarray

    @classmethod
    @functools.lru_cache(64)
    def of(cls, pattern: prints.Pattern, palette: prints.Palette) -> Fabric:
        other = prints.Palette(palette.second, palette.first, palette.third)
        plain = dataclasses.replace(pattern, kind='plain')
        return cls(pattern, palette, prints.tile(pattern, palette), prints.tile(plain, other))


class View:
    """A canvas and the camera that it is painted through.

    Args:
      canvas: what is painted.
      camera: its map, of the canvas's pixels.
      light: direction the light comes from, x and y; length below 1.
    """

    def __init__(
        self,
        canvas: canvas_lib.Canvas,
        camera: camera_lib.Camera,
        light: tuple[float, float] = (-0.5, -0.4),
    ):
        self.canvas, self.camera, self.light = canvas, camera, light
        self.grid = camera.grid(*canvas.top.shape)
        self.scale = camera.scale()

    def paint(
        self,
        piece: shape.Piece,
        fabric: Fabric,
        layer: int,
        marks: Sequence[shape.Mark] = (),
        folds: Sequence[shape.Fold] = (),
    ) -> None:
        """Paints a piece of a garment with the marks and folds that are on it."""
        # All in one go: a projection costs by the call.
        lines = [
            piece.outline,
            *(mark.points for mark in marks),
            *((fold.start, fold.end) for fold in folds),
        ]
        pixels = self.camera.project(np.concatenate(lines))
        outline, *lines = np.split(pixels, np.cumsum([len(line) for line in lines])[:-1])
        window = self.canvas.window(outline)
        if window is None:
            return
        rows, columns = window
        corner = np.array([columns.start, rows.start], float)
        size = rows.stop - rows.start, columns.stop - columns.start
        mask = np.zeros(size, np.uint8)
        canvas_lib.fill(mask, [outline - corner], 255)
        colour = self._print(piece, fabric, self.grid[window])
        of_marks, of_folds = lines[: len(marks)], lines[len(marks) :]
        for mark, line in zip(marks, of_marks, strict=True):
            self._draw_mark(colour, mark, line - corner, fabric)
        canvas_lib.line(
            colour,
            outline - corner,
            _times(fabric.palette.first, 0.45),
            max(0.012 * self.scale, 1),
            closed=True,
        )
        light = self._light(
            mask,
            [(fold, line - corner) for fold, line in zip(folds, of_folds, strict=True)],
        )
        colour = cv2.multiply(colour, cv2.merge([light] * 3), scale=piece.tone / 128)
        self.canvas.paint(window, mask, colour, layer)

    def _print(self, piece, fabric, grid):
        pattern = fabric.pattern
        contrast = piece.second or (pattern.extra == 'sleeves' and piece.part.endswith('sleeve'))
        tile = fabric.second_tile if contrast else fabric.tile
        if pattern.kind == 'plain' and not pattern.extra:  # The weave need not follow the cloth.
            height, width = grid.shape[:2]
            return cv2.repeat(tile, -(-height // prints.TILE), -(-width // prints.TILE))[
                :height, :width
            ].copy()
        factor = prints.TILE / pattern.size
        # Little of a big tile is seen from afar: a small one does not glitter.
        while factor > 1.6 * self.scale and tile.shape[0] > 32:
            tile = cv2.resize(tile, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            factor /= 2
        cos, sin = np.cos(piece.angle) * factor, np.sin(piece.angle) * factor
        turn = np.array([[cos, sin, 0], [-sin, cos, 0]])
        turn[:, 2] = -turn[:, :2] @ piece.origin
        uv = cv2.transform(grid, turn)
        colour = cv2.remap(tile, uv, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        if pattern.extra in ('two_tone', 'gradient') and not piece.part.endswith('sleeve'):
            soft = 0.008 if pattern.extra == 'two_tone' else 0.35
            weight = np.clip((grid[..., 1] - pattern.line) / soft + 0.5, 0, 1)
            weight = cv2.merge([weight] * 3)
            other = np.float32(fabric.palette.second)
            colour = (colour + (other - colour) * weight).astype(np.uint8)
        if pattern.extra in ('graphic', 'logo') and piece.part == 'body':
            self._decal(colour, fabric, grid)
        return colour

    def _decal(self, colour, fabric, grid):
        picture, cover = prints.decal(fabric.pattern, fabric.palette)
        size, y = (0.36, 0.50) if fabric.pattern.extra == 'graphic' else (0.30, 0.46)
        place = ((grid - np.float32([0, y])) * (96 / size) + np.float32(48)).astype(np.float32)
        cover = cv2.remap(cover, place, None, cv2.INTER_LINEAR)
        cv2.copyTo(cv2.remap(picture, place, None, cv2.INTER_NEAREST), cover & 128, colour)

    def _draw_mark(self, colour, mark, points, fabric):
        base = fabric.palette.second if mark.second else fabric.palette.first
        width = mark.width * self.scale
        if mark.kind == 'line':
            canvas_lib.line(colour, points, _times(base, mark.tone), width)
        elif mark.kind == 'discs':
            canvas_lib.discs(colour, points, _times(base, mark.tone), width)
        elif mark.second:
            canvas_lib.fill(colour, [points], _times(base, mark.tone))
        else:  # The print shows through.
            shade = np.full(colour.shape[:2], 128, np.uint8)
            canvas_lib.fill(shade, [points], min(int(128 * mark.tone), 255))
            colour[:] = cv2.multiply(colour, cv2.merge([shade] * 3), scale=1 / 128)

    def _light(self, mask, folds):
        """Brightness, 128 as the cloth is: uint8 of the mask's size."""
        height, width = mask.shape
        small = (max(width // _LOW, 2), max(height // _LOW, 2))
        ratio = np.array(small) / (width, height)
        bump = cv2.resize(mask, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        reach = 0.075 * self.scale / _LOW
        inside = cv2.GaussianBlur(bump, (0, 0), max(reach, 0.6), borderType=cv2.BORDER_CONSTANT)
        x, y = self.light
        slope = x * cv2.Sobel(inside, cv2.CV_32F, 1, 0) + y * cv2.Sobel(inside, cv2.CV_32F, 0, 1)
        light = 90 + 0.18 * inside + slope * (0.09 * reach)
        crease = np.zeros(small[::-1], np.float32)
        for fold, ends in folds:
            canvas_lib.line(
                crease, ends * ratio, 190 * fold.strength, fold.width * self.scale / _LOW
            )
        if folds:
            light += cv2.GaussianBlur(crease, (0, 0), max(0.022 * self.scale / _LOW, 0.6))
        light = np.clip(light, 40, 200).astype(np.uint8)
        return cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)


def _times(colour, factor):
    return tuple(int(min(c * factor + (25 if factor > 1 else 0), 255)) for c in colour)
