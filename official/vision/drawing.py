"""Boxes, masks, landmarks with their skeletons and names drawn on images.

OpenCV is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Six of Okabe and Ito's colours, which colour-blind readers tell apart too, and two more.
PALETTE = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (122, 81, 149),
    (180, 160, 0),
)
RIGHT, WRONG = (0, 140, 70), (200, 30, 30)
_OPACITY = 0.4
_FINE = 4  # Bits behind the point in OpenCV's coordinates.
_LEAST_SIDE = 320  # Pixels; smaller images are enlarged, so that names can be read.


class Canvas:
    """A copy of an image to draw on, enlarged by a whole number where it is small.

    All coordinates are those of the image as given.

    Args:
      image: uint8 [height, width, 3], RGB.

    Attributes:
      pixels: uint8 [scale height, scale width, 3].
    """

    def __init__(self, image: np.ndarray):
        self.scale = max(1, round(_LEAST_SIDE / max(image.shape[:2])))
        self.pixels = np.ascontiguousarray(image.repeat(self.scale, 0).repeat(self.scale, 1))
        self._width = max(1, round(max(self.pixels.shape[:2]) / 300))

    def _point(self, x: float, y: float) -> tuple[int, int]:
        """A place in OpenCV's numbers, for which the centre of pixel 0 is 0."""
        return tuple(round((self.scale * value - 0.5) * 2**_FINE) for value in (x, y))

    def mask(self, mask: np.ndarray, color: Sequence[int]) -> None:
        """Tints the pixels of a mask, bool [height, width], and outlines it."""
        import cv2

        large = mask.astype(np.uint8).repeat(self.scale, 0).repeat(self.scale, 1)
        inside = large > 0
        self.pixels[inside] = (
            (1 - _OPACITY) * self.pixels[inside] + _OPACITY * np.array(color)
        ).astype(np.uint8)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(self.pixels, outlines, -1, tuple(color), self._width)

    def box(self, box: Sequence[float], color: Sequence[int], text: str = '') -> None:
        """Draws a box (x1, y1, x2, y2) with a text at its upper left corner."""
        import cv2

        x1, y1, x2, y2 = box
        cv2.rectangle(
            self.pixels,
            self._point(x1, y1),
            self._point(x2, y2),
            tuple(color),
            self._width,
            cv2.LINE_AA,
            _FINE,
        )
        if text:
            self.text(text, x1, y1, color)

    def lines(self, points: np.ndarray, color: Sequence[int], closed: bool = False) -> None:
        """Draws lines from point to point, [n, 2] (x, y), and back to the first if `closed`."""
        import cv2

        points = np.array([self._point(x, y) for x, y in points.tolist()], np.int32)
        cv2.polylines(self.pixels, [points], closed, tuple(color), self._width, cv2.LINE_AA, _FINE)

    def text(self, text: str, x: float, y: float, color: Sequence[int]) -> None:
        """Writes white on `color`, with the upper left corner at a place, inside the image."""
        import cv2

        size = max(0.35, max(self.pixels.shape[:2]) / 1400)
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        left = int(np.clip(self.scale * x, 0, max(self.pixels.shape[1] - width - 4, 0)))
        top = int(np.clip(self.scale * y, 0, max(self.pixels.shape[0] - height - below - 4, 0)))
        cv2.rectangle(
            self.pixels,
            (left, top),
            (left + width + 4, top + height + below + 2),
            tuple(color),
            cv2.FILLED,
        )
        cv2.putText(
            self.pixels,
            text,
            (left + 2, top + height + 1),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )

    def landmarks(
        self,
        landmarks: np.ndarray,
        color: Sequence[int],
        edges: Sequence[tuple[int, int]] = (),
        least: float = 0.0,
    ) -> None:
        """Draws landmarks and the edges between them.

        Args:
          landmarks: [n, 3] (x, y, visibility or score); those not above `least` are left out.
          color: of the landmarks; edges have it lighter.
          edges: pairs of landmarks.
          least: see `landmarks`.
        """
        import cv2

        light = tuple(int(value + (255 - value) * 0.4) for value in color)
        there = landmarks[:, 2] > least
        points = [self._point(x, y) for x, y, _ in landmarks.tolist()]
        for a, b in edges:
            if there[a] and there[b]:
                cv2.line(self.pixels, points[a], points[b], light, self._width, cv2.LINE_AA, _FINE)
        radius = int(1.5 * self._width * 2**_FINE)
        for point, drawn in zip(points, there, strict=True):
            if drawn:
                cv2.circle(
                    self.pixels, point, radius, (255, 255, 255), cv2.FILLED, cv2.LINE_AA, _FINE
                )
                cv2.circle(
                    self.pixels,
                    point,
                    radius * 2 // 3,
                    tuple(color),
                    cv2.FILLED,
                    cv2.LINE_AA,
                    _FINE,
                )


def objects(
    image: np.ndarray,
    boxes: np.ndarray,
    classes: Sequence[int],
    names: Sequence[str],
    scores: Sequence[float] | None = None,
    masks: Sequence[np.ndarray] | None = None,
    landmarks: np.ndarray | None = None,
    skeletons: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    least_landmark: float = 0.0,
) -> np.ndarray:
    """An image with its objects drawn on it.

    Args:
      image: uint8 [height, width, 3].
      boxes: [n, 4] (x1, y1, x2, y2).
      classes: n classes, from 1.
      names: of classes 1, 2, ...
      scores: n scores; written behind the names.
      masks: n masks bool [height, width].
      landmarks: [n, K, 3].
      skeletons: edges by class.
      least_landmark: landmarks whose visibility or score is not above are left out.

    Returns:
      uint8 [height, width, 3], several times as large where the image is small.
    """
    canvas = Canvas(image)
    colors = [PALETTE[number % len(PALETTE)] for number in range(len(boxes))]
    for mask, color in zip(masks, colors, strict=True) if masks is not None else ():
        canvas.mask(mask, color)
    for points, color, class_ in (
        zip(landmarks, colors, classes, strict=True) if landmarks is not None else ()
    ):
        edges = (skeletons or {}).get(int(class_), ())
        canvas.landmarks(points, color, edges, least_landmark)
    for number, (box, class_) in enumerate(zip(boxes, classes, strict=True)):
        text = names[int(class_) - 1]
        if scores is not None:
            text += f' {scores[number]:.2f}'
        canvas.box(box, colors[number], text)
    return canvas.pixels


def fitted(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image as large as fits into height x width, in the middle of white: uint8."""
    import cv2

    scale = min(height / image.shape[0], width / image.shape[1])
    size = [max(1, round(edge * scale)) for edge in image.shape[:2]]
    resized = cv2.resize(
        image, size[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    canvas = np.full([height, width, 3], 255, np.uint8)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    canvas[top : top + size[0], left : left + size[1]] = resized
    return canvas
