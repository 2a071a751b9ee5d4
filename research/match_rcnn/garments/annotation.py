"""What is visible of the garments on a stage: boxes, landmarks, polygons, levels."""

from __future__ import annotations

import cv2
import numpy as np

from official.data import detection_table
from research.match_rcnn import levels
from research.match_rcnn.garments import stage as stage_lib

_NEAR = 2  # Pixels of the canvas: so far an outline's pixel may be from the landmark on it.
_LEAST_SHARE = 0.04  # Of a garment, to be annotated at all.
_LEAST_PIXELS = 24  # Of the picture.
_SPECK = 3  # Pixels of the picture; smaller parts are passed over.
_COARSENESS = 0.35  # Pixels of the picture that a polygon may be off.


def items(stage: stage_lib.Stage) -> list[tuple]:
    """The garments that can be seen.

    Returns:
      Pairs of `outfits.Worn` and `detection_table.Item`. Landmarks outside the picture are (0, 0,
      0), those that something covers have v = 1. Polygons are of the visible part, cut where they
      would have holes. The box is the visible part's, in whole pixels.
    """
    return [pair for pair in (_item(stage, shown) for shown in stage.shown) if pair is not None]


def _item(stage, shown):
    canvas, supersampling = stage.canvas, stage.canvas.supersampling
    mask = _without_specks(visible(stage, shown), supersampling)
    whole = sum(
        abs(_area(shown.camera.project(piece.outline)))
        for piece in shown.garment.pieces
        if piece.part != 'inside'
    )
    if cv2.countNonZero(mask) < max(_LEAST_PIXELS * supersampling**2, _LEAST_SHARE * whole):
        return None
    landmarks = _landmarks(stage, shown, mask)
    if not landmarks[:, 2].any():
        return None
    x, y, width, height = cv2.boundingRect(mask)
    box = np.array(
        [
            x // supersampling,
            y // supersampling,
            -(-(x + width) // supersampling),
            -(-(y + height) // supersampling),
        ],
        np.float32,
    )
    size = np.array(canvas.top.shape) // supersampling
    worn, count = shown.worn, len(landmarks)
    return worn, detection_table.Item(
        box,
        worn.category_id,
        polygons(mask, supersampling),
        landmarks,
        style=worn.number,
        scale=int(levels.scale(box, size)),
        occlusion=int(levels.occlusion(landmarks, count)),
        zoom_in=int(levels.zoom_in(landmarks, count, size)),
        viewpoint=shown.viewpoint,
    )


def visible(stage: stage_lib.Stage, shown: stage_lib.Shown) -> np.ndarray:
    """Where the garment is uppermost: uint8 of the canvas's size, 0 or 1."""
    table = np.zeros(256, np.uint8)
    table[list(shown.layers)] = 1
    return cv2.LUT(stage.canvas.top, table)


def _area(outline):
    x, y = outline.T
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def _without_specks(mask, supersampling):
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= _SPECK * supersampling**2
    keep[0] = False
    return keep.astype(np.uint8)[labels]


def _landmarks(stage, shown, mask):
    top = stage.canvas.top
    height, width = top.shape
    points = shown.camera.project(shown.garment.landmarks)
    landmarks = np.zeros([len(points), 3], np.float32)
    for j, ((x, y), home) in enumerate(zip(points, shown.garment.homes, strict=True)):
        if not (0 <= x < width and 0 <= y < height):
            continue
        row, column = int(y), int(x)
        around = (
            slice(max(row - _NEAR, 0), row + _NEAR + 1),
            slice(max(column - _NEAR, 0), column + _NEAR + 1),
        )
        own = {layer for layer, part in shown.layers.items() if part in home}
        seen = own.intersection(top[around][mask[around] > 0].tolist())
        landmarks[j] = x, y, 2 if seen else 1
    landmarks[:, :2] = np.round(landmarks[:, :2] / stage.canvas.supersampling, 2)
    return landmarks


def polygons(mask: np.ndarray, supersampling: int) -> list[np.ndarray]:
    """The outlines of a mask.

    Args:
      mask: uint8 [h, w], 0 or 1.
      supersampling: pixels of the mask a pixel of the picture.

    Returns:
      Each float32 [n, 2], in pixels of the picture, along the edges of the mask's pixels. What
      would have a hole is cut in two through it; specks and holes of specks are passed over.
    """
    found: list[np.ndarray] = []
    _outlines(mask, (0, 0), supersampling, found)
    return found


def _outlines(mask, corner, supersampling, found):
    speck = _SPECK * supersampling**2
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        if area < speck:
            continue
        own = (labels[y : y + height, x : x + width] == label).astype(np.uint8)
        # A contour joins centres of pixels; of a mask that is grown by a pixel to the right and
        # down these are the corners of the pixels that were there before.
        grown = cv2.dilate(
            cv2.copyMakeBorder(own, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0),
            np.ones([2, 2], np.uint8),
            anchor=(1, 1),
        )
        contours, tree = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        areas = [cv2.contourArea(contour) for contour in contours]
        holes = [i for i, links in enumerate(tree[0]) if links[3] >= 0 and areas[i] >= speck]
        if holes:
            hole_x, _, hole_width, _ = cv2.boundingRect(contours[max(holes, key=areas.__getitem__)])
            cut = min(max(hole_x - 1 + hole_width // 2, 1), width - 1)
            place = corner[0] + x, corner[1] + y
            _outlines(own[:, :cut], place, supersampling, found)
            _outlines(own[:, cut:], (place[0] + cut, place[1]), supersampling, found)
            continue
        outline = contours[int(np.argmax(areas))]
        smooth = cv2.approxPolyDP(outline, _COARSENESS * supersampling, True)[:, 0]
        if len(smooth) >= 3:
            edge = (smooth + [corner[0] + x - 1, corner[1] + y - 1]) / supersampling
            found.append(np.round(edge, 2).astype(np.float32))
