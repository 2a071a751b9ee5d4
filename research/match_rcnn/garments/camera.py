"""From the figure's coordinates to pixels, and back: turn, bend, perspective."""

from __future__ import annotations

import cv2
import numpy as np

_WAIST_REACH = 0.42  # Within this distance of the middle the figure is round.
_COARSE = 8  # Pixels between the points at which the way back is computed.


class Camera:
    """A map of the figure's plane to the image.

    First a turn about the vertical axis, which squeezes the figure and moves what is in the middle
    of its front to one side; then a bend, a smooth displacement; then a projective map.

    Args:
      matrix: float [3, 3], of the bent plane to pixels.
      turn: (squeeze, shift): x becomes squeeze x + shift (1 - (x / 0.42)^2), of points less than
        0.42 from the middle; beyond, squeeze x. 2 |shift| / 0.42 < squeeze.
      waves: float [n, 5], (amplitude x, amplitude y, frequency x, frequency y, phase): bent points
        b come from b + sum amplitude sin(2 pi (frequency . b + phase)).
      supersampling: pixels of the canvas a pixel of the image.

    Raises:
      ValueError: the turn folds the plane.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        turn: tuple[float, float] = (1.0, 0.0),
        waves: np.ndarray | None = None,
        supersampling: int = 1,
    ):
        self.matrix = np.diag([supersampling, supersampling, 1.0]) @ matrix
        self.turn = turn
        if 2 * abs(turn[1]) >= turn[0] * _WAIST_REACH:
            raise ValueError(f'turn {turn} folds the figure.')
        self.waves = np.zeros([0, 5]) if waves is None else np.asarray(waves, float)

    def _displacement(self, points):
        """Of bent points, float [..., 2]."""
        waves = np.sin(2 * np.pi * (points @ self.waves[:, 2:4].T + self.waves[:, 4]))
        return waves @ self.waves[:, :2]

    def project(self, points: np.ndarray) -> np.ndarray:
        """The figure's points, float [n, 2], in pixels of the canvas."""
        points = np.asarray(points, float)
        x, y = points[:, 0], points[:, 1]
        squeeze, shift = self.turn
        x = squeeze * x + shift * np.maximum(1 - (x / _WAIST_REACH) ** 2, 0)
        flat = bent = np.stack([x, y], 1)
        for _ in range(8 if len(self.waves) else 0):  # Waves are flat enough for this to converge.
            bent = flat - self._displacement(bent)
        return self._lens(bent, self.matrix)

    @staticmethod
    def _lens(points, matrix):
        mapped = points @ matrix[:, :2].T + matrix[:, 2]
        return mapped[..., :2] / mapped[..., 2:]

    def grid(self, height: int, width: int) -> np.ndarray:
        """Where the canvas's pixels come from.

        Args:
          height: of the canvas, in pixels.
          width: of the canvas, in pixels.

        Returns:
          float32 [height, width, 2]: the figure's coordinates of each pixel's centre.
        """
        rows, columns = -(-height // _COARSE) + 2, -(-width // _COARSE) + 2
        # One coarse cell more all around, so that nothing is extrapolated.
        y, x = np.meshgrid(
            (np.arange(rows) - 0.5) * _COARSE, (np.arange(columns) - 0.5) * _COARSE, indexing='ij'
        )
        bent = self._lens(np.stack([x, y], -1), cv2.invert(self.matrix)[1])
        flat = bent + self._displacement(bent)
        coarse = np.stack([self._unturned(flat[..., 0]), flat[..., 1]], -1).astype(np.float32)
        fine = cv2.resize(
            coarse, (columns * _COARSE, rows * _COARSE), interpolation=cv2.INTER_LINEAR
        )
        return fine[_COARSE : _COARSE + height, _COARSE : _COARSE + width]

    def _unturned(self, turned):
        squeeze, shift = self.turn
        if not shift:
            return turned / squeeze
        # squeeze x + shift - shift / reach^2 x^2 = turned, the root that is x for no shift.
        a = -shift / _WAIST_REACH**2
        root = np.sqrt(np.maximum(squeeze**2 - 4 * a * (shift - turned), 0))
        inner = (root - squeeze) / (2 * a)
        outer = turned / squeeze
        return np.where(np.abs(outer) >= _WAIST_REACH, outer, inner)

    def scale(self) -> float:
        """Pixels of the canvas a unit of the figure's, at its origin."""
        here, along, down = self.project(np.array([[0, 0.5], [0.05, 0.5], [0, 0.55]]))
        a, b = along - here, down - here
        return float(np.sqrt(abs(a[0] * b[1] - a[1] * b[0])) / 0.05)


def placing(
    center: tuple[float, float],
    target: tuple[float, float],
    scale: float,
    degrees: float = 0.0,
    perspective: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """A projective map.

    Args:
      center: point of the figure that goes to `target`.
      target: pixel.
      scale: pixels a unit, at the centre.
      degrees: clockwise turn in the image's plane.
      perspective: how much the scale grows with x and y from the centre, a unit.

    Returns:
      float [3, 3].
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    move = np.array([[1, 0, -center[0]], [0, 1, -center[1]], [0, 0, 1.0]])
    lens = np.array([[1, 0, 0], [0, 1, 0], [-perspective[0], -perspective[1], 1.0]])
    turn = np.array(
        [[scale * cos, -scale * sin, target[0]], [scale * sin, scale * cos, target[1]], [0, 0, 1.0]]
    )
    return turn @ lens @ move
