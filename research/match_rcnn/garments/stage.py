"""Garments on a canvas: who covers whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from research.match_rcnn.garments import body, cloth, cuts, lower, outfits, people, shape, upper
from research.match_rcnn.garments import camera as camera_lib
from research.match_rcnn.garments import canvas as canvas_lib

NO_WEAR, FRONTAL, SIDE_OR_BACK = 1, 2, 3


@dataclasses.dataclass
class Shown:
    """A garment that is painted.

    Attributes:
      worn: which.
      garment: its shape.
      fabric: its style.
      camera: the map it was painted through.
      viewpoint: NO_WEAR, FRONTAL or SIDE_OR_BACK.
      layers: the canvas's layers with the parts that they are.
    """

    worn: outfits.Worn
    garment: shape.Garment
    fabric: cloth.Fabric
    camera: camera_lib.Camera
    viewpoint: int
    layers: dict[int, str] = dataclasses.field(default_factory=dict)


class Stage:
    """A canvas with the garments that are on it.

    Args:
      height: of the picture, in pixels.
      width: of the picture, in pixels.
      supersampling: pixels of the canvas a pixel of the picture, along each axis.

    Attributes:
      canvas: what is painted.
      shown: the garments.
    """

    def __init__(self, height: int, width: int, supersampling: int):
        self.canvas = canvas_lib.Canvas(height, width, supersampling)
        self.shown: list[Shown] = []

    def hang(
        self,
        view: cloth.View,
        worn: outfits.Worn,
        pose: body.Pose,
        viewpoint: int,
        under: bool = False,
    ) -> Shown:
        """Makes a garment ready to be painted."""
        shown = Shown(
            worn,
            shaped(worn, pose, under),
            cloth.Fabric.of(*worn.design.styles[worn.style]),
            view.camera,
            viewpoint,
        )
        self.shown.append(shown)
        return shown

    def paint(self, view: cloth.View, shown: Shown, which: Callable[[str], bool]) -> None:
        """Paints those pieces of a garment whose part `which` takes."""
        for piece in shown.garment.pieces:
            if which(piece.part):
                layer = self.canvas.new_layer()
                shown.layers[layer] = piece.part
                view.paint(
                    piece,
                    shown.fabric,
                    layer,
                    [mark for mark in shown.garment.marks if mark.part == piece.part],
                    [fold for fold in shown.garment.folds if fold.part == piece.part],
                )

    def dress(
        self,
        view: cloth.View,
        person: people.Person,
        pose: body.Pose,
        items: list[outfits.Worn],
        viewpoint: int,
        tucked: bool,
    ) -> None:
        """Paints a figure in its garments.

        Args:
          view: through which.
          person: who.
          pose: how they stand.
          items: from the inside out.
          viewpoint: of all of them.
          tucked: the top is inside what is below the waist.
        """
        outer_worn = any(item.role == outfits.OUTER for item in items)
        shown = [
            self.hang(view, item, pose, viewpoint, outer_worn and item.role == outfits.INNER)
            for item in items
        ]
        people.back_hair(view, person, pose)
        for item in reversed(shown):
            self.paint(view, item, lambda part: part == 'inside')
        if pose.far:
            self._arm(view, person, pose, shown, pose.far)
        people.legs_and_trunk(view, person, pose)
        trunks = [item for item in shown if item.worn.role != outfits.OUTER]
        if tucked:
            trunks.reverse()
        trunks += [item for item in shown if item.worn.role == outfits.OUTER]
        for item in trunks:
            self.paint(view, item, lambda part: part != 'inside' and not part.endswith('sleeve'))
        for side in (shape.LEFT, shape.RIGHT):
            if side != pose.far:
                self._arm(view, person, pose, shown, side)
        people.head(view, person, pose)

    def _arm(self, view, person, pose, shown, side):
        people.arm(view, person, pose, side)
        name = 'left_sleeve' if side == shape.LEFT else 'right_sleeve'
        for item in shown:
            self.paint(view, item, lambda part: part == name)


def shaped(worn: outfits.Worn, pose: body.Pose, under: bool = False) -> shape.Garment:
    """A garment's shape on a figure."""
    if worn.category_id in cuts.LOWER:
        return lower.build(worn.design.cut, pose)
    return upper.build(worn.design.cut, pose, under)


def extent(garments: list[shape.Garment]) -> np.ndarray:
    """All outlines' points: float [n, 2]."""
    return np.concatenate([piece.outline for garment in garments for piece in garment.pieces])
