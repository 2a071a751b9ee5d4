"""Annotations of what is visible, on hand-made masks and stages."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from research.match_rcnn.garments import (
    annotation,
    body,
    cloth,
    cuts,
    identities,
    outfits,
    people,
    prints,
    shape,
)
from research.match_rcnn.garments import camera as camera_lib
from research.match_rcnn.garments import stage as stage_lib


def _shoelace(polygon):
    total = 0.0
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        total += float(x1) * float(y2) - float(x2) * float(y1)
    return abs(total) / 2


def test_polygon_of_a_rectangle_is_its_edge():
    mask = np.zeros([20, 30], np.uint8)
    mask[4:14, 6:26] = 1
    (polygon,) = annotation.polygons(mask, 2)
    assert {tuple(point) for point in polygon.tolist()} == {(3, 2), (13, 2), (13, 7), (3, 7)}
    mask[:] = 1
    (polygon,) = annotation.polygons(mask, 1)
    assert {tuple(point) for point in polygon.tolist()} == {(0, 0), (30, 0), (30, 20), (0, 20)}


def test_parts_and_specks():
    mask = np.zeros([40, 40], np.uint8)
    mask[2:12, 2:12] = mask[20:38, 25:39] = 1
    mask[30:32, 2] = 1
    areas = sorted(_shoelace(polygon) for polygon in annotation.polygons(mask, 1))
    assert areas == [100, 252]
    assert annotation.polygons(np.zeros([4, 4], np.uint8), 1) == []


def test_holes_are_cut_open():
    mask = np.ones([40, 60], np.uint8)
    mask[10:20, 12:24] = mask[15:30, 40:50] = 0
    polygons = annotation.polygons(mask, 1)
    assert len(polygons) == 3
    # Half a pixel more at each of the holes' corners: outlines go straight there.
    assert sum(map(_shoelace, polygons)) == 40 * 60 - 10 * 12 - 15 * 10 + 8 / 2
    for polygon in polygons:
        assert cv2.pointPolygonTest(polygon, (15.5, 15.5), False) < 0


def _stage(matrix, supersampling=2, size=(100, 80)):
    """A skirt, 0.26 to 0.34 to each side, y 0.8 to 1.8, on a stage, and the view."""
    cut = cuts.LowerCut(cuts.SKIRT, rise=0.8, waist=0.26, hip=0.34, length=1.8, cuff=0.34, sag=0.0)
    style = prints.Pattern(), prints.Palette((10, 20, 200), (220, 210, 30), (40, 240, 60))
    worn = outfits.Worn(identities.Design(cut, (style,)), 0, 4, outfits.LOWER)
    stage = stage_lib.Stage(*size, supersampling)
    view = cloth.View(stage.canvas, camera_lib.Camera(matrix, supersampling=supersampling))
    shown = stage.hang(view, worn, body.Pose(), stage_lib.FRONTAL)
    stage.paint(view, shown, lambda part: True)
    return stage, view


def _box(view, x1, y1, x2, y2):
    thing = shape.Piece('thing', np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float))
    view.paint(thing, people.plain((0, 0, 0)), view.canvas.new_layer())


def test_whole_item():
    # 50 pixels a unit, x 0 at pixel 40, y 0.8 at pixel 20.
    stage, _ = _stage(camera_lib.placing((0, 0.8), (40, 20), 50))
    ((worn, item),) = annotation.items(stage)
    assert worn.number == item.style == 4 and item.category == 9 and item.viewpoint == 2
    np.testing.assert_allclose(item.box, [23, 20, 57, 70], atol=1)
    np.testing.assert_allclose(
        item.landmarks,
        [
            [27, 20, 2],
            [40, 20.75, 2],
            [53, 20, 2],
            [23, 45, 2],
            [23, 70, 2],
            [40, 70, 2],
            [57, 70, 2],
            [57, 45, 2],
        ],
        atol=0.01,
    )
    # 34 x 50 of 100 x 80 pixels is 21 %.
    assert (item.scale, item.occlusion, item.zoom_in) == (2, 1, 1)
    assert len(item.segmentation) == 1
    # 13 to 17 pixels half wide over the first 13 rows, 17 below.
    assert _shoelace(item.segmentation[0]) == pytest.approx(13 * 30 + 37 * 34, rel=0.03)


def test_covered_landmarks():
    stage, view = _stage(camera_lib.placing((0, 0.8), (40, 20), 50))
    _box(view, -0.5, 1.5, 0.5, 2.0)  # The hem: 3 of 8.
    ((_, item),) = annotation.items(stage)
    assert item.landmarks[:, 2].tolist() == [2, 2, 2, 2, 1, 1, 1, 2]
    assert (item.occlusion, item.zoom_in) == (2, 1)
    assert item.box[3] == pytest.approx(55, abs=1)  # y 1.5.
    _box(view, -0.5, 0.6, -0.05, 2.0)  # The left side: 5 of 8.
    ((_, item),) = annotation.items(stage)
    assert item.landmarks[:, 2].tolist() == [1, 2, 2, 1, 1, 1, 1, 2]
    assert item.occlusion == 3


def test_landmarks_outside_the_image():
    # Twice as large: the hem is at pixel 120 of 100.
    stage, _ = _stage(camera_lib.placing((0, 0.8), (40, 20), 100))
    ((_, item),) = annotation.items(stage)
    assert item.landmarks[:, 2].tolist() == [2, 2, 2, 2, 0, 0, 0, 2]
    np.testing.assert_array_equal(item.landmarks[4:7], 0)
    np.testing.assert_allclose(item.box, [6, 20, 74, 100], atol=1)
    assert (item.scale, item.occlusion, item.zoom_in) == (3, 1, 3)


def test_hidden_items_are_left_out():
    stage, view = _stage(camera_lib.placing((0, 0.8), (40, 20), 50))
    _box(view, -0.5, 0.6, 0.335, 2.0)
    assert annotation.items(stage) == []
