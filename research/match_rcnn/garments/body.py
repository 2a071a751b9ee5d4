"""The figure that wears the garments: joints, poses, limbs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from research.match_rcnn.garments import shape

# Joints in the figure's coordinates; y unless said.
SHOULDER = np.array([0.35, 0.13])  # Of the right arm.
ELBOW_LENGTH, WRIST_LENGTH = 0.60, 0.52
WAIST, HIP, CROTCH, KNEE, ANKLE = 0.76, 1.06, 1.20, 1.95, 2.68
LEG = np.array([0.17, 1.10])  # Where the right leg begins.
HEAD = np.array([0.0, -0.40])
HEAD_RADII = np.array([0.155, 0.21])


@dataclasses.dataclass(frozen=True)
class Pose:
    """How the figure stands.

    Attributes:
      arms: of each side (left, right) the angles of upper and lower arm from straight down, in
        degrees, outwards positive.
      legs: of each side the angle of the leg, likewise, and of the lower leg.
      back: seen from behind.
      far: the side that is turned away, whose arm is behind the body; 0: none.
    """

    arms: tuple[tuple[float, float], tuple[float, float]] = ((14.0, 10.0), (14.0, 10.0))
    legs: tuple[tuple[float, float], tuple[float, float]] = ((3.0, 2.0), (3.0, 2.0))
    back: bool = False
    far: int = 0


def _limb(start, side, angles, lengths, count):
    points = [np.asarray(start, float) * [side, 1]]
    for angle, length in zip(np.radians(angles), lengths, strict=True):
        points.append(points[-1] + length * np.array([side * np.sin(angle), np.cos(angle)]))
    t = np.linspace(0, sum(lengths), count)
    stops = np.cumsum([0, *lengths])
    axis = np.stack([np.interp(t, stops, [p[i] for p in points]) for i in (0, 1)], 1)
    # Rounds the joint.
    reach = count // 7
    padded = np.concatenate(
        [2 * axis[:1] - axis[reach:0:-1], axis, 2 * axis[-1:] - axis[-2 : -reach - 2 : -1]]
    )
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(padded[:, i], kernel, 'valid') for i in (0, 1)], 1)


def arm(pose: Pose, side: int, count: int = 41) -> np.ndarray:
    """Points from the shoulder to the wrist, evenly: float [count, 2]."""
    return _limb(SHOULDER, side, pose.arms[side > 0], (ELBOW_LENGTH, WRIST_LENGTH), count)


def leg(pose: Pose, side: int, count: int = 41) -> np.ndarray:
    """Points from the hip to the ankle, evenly: float [count, 2]."""
    return _limb(LEG, side, pose.legs[side > 0], (KNEE - LEG[1], ANKLE - KNEE), count)


def along(axis: np.ndarray, fraction: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """Points at fractions of an axis; beyond 1 it goes straight on."""
    position = np.atleast_1d(np.asarray(fraction, float)) * (len(axis) - 1)
    i = np.clip(position.astype(int), 0, len(axis) - 2)
    t = (position - i)[:, np.newaxis]
    return axis[i] * (1 - t) + axis[i + 1] * t


def limb_outline(axis: np.ndarray, start_width: float, end_width: float, side: int) -> np.ndarray:
    """The outline of a bare arm or leg, tapered; half widths."""
    t = np.linspace(0, 1, len(axis))
    widths = start_width + (end_width - start_width) * t + 0.012 * np.sin(2 * np.pi * t)
    outer, inner = shape.tube(axis, widths, side)
    return np.concatenate([outer, inner[::-1]])


def torso_outline() -> np.ndarray:
    """Of a bare torso with the neck."""
    left = np.array(
        [
            [-0.075, -0.22],
            [-0.08, -0.06],
            [-0.14, 0.0],
            [-0.30, 0.055],
            [-0.36, 0.11],
            [-0.36, 0.22],
            [-0.30, 0.36],
            [-0.27, 0.55],
            [-0.245, WAIST],
            [-0.28, 0.92],
            [-0.315, HIP],
            [-0.30, 1.18],
            [-0.06, 1.25],
        ]
    )
    return np.concatenate([left, shape.mirrored(left)])
