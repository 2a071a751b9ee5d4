"""What a camera and a light do to a picture."""

from __future__ import annotations

import cv2
import numpy as np


def shop(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slight differences of exposure: uint8 [h, w, 3]."""
    gain = rng.uniform(0.94, 1.06) * rng.uniform(0.98, 1.02, 3)
    return _gains(picture, gain, rng.uniform(-4, 6))


def consumer(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour cast, uneven light, blur, noise: uint8 [h, w, 3]."""
    height, width = picture.shape[:2]
    picture = _gains(
        picture, rng.uniform(0.72, 1.25) * rng.uniform(0.86, 1.14, 3), rng.uniform(-18, 22)
    )
    if rng.uniform() < 0.6:
        corners = rng.uniform(0.7, 1.2, [2, 2]).astype(np.float32)
        light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        picture = cv2.multiply(picture, cv2.merge([light] * 3), dtype=cv2.CV_8U)
    kind = rng.uniform()
    size = min(height, width)
    if kind < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.006 * size + 0.3))
    elif kind < 0.42:
        length = max(int(rng.uniform(0.008, 0.025) * size), 2)
        kernel = np.zeros([2 * length + 1, 2 * length + 1], np.float32)
        angle = rng.uniform(0, np.pi)
        dx, dy = length * np.cos(angle) / 2, length * np.sin(angle) / 2
        cv2.line(
            kernel, (int(length - dx), int(length - dy)), (int(length + dx), int(length + dy)), 1.0
        )
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    strength = rng.uniform(0, 9)
    noise = rng.standard_normal(picture.shape[:2], np.float32) * strength
    picture = cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    return picture


def _gains(picture, gain, offset):
    levels = np.arange(256)[:, np.newaxis] * gain + offset
    table = np.clip(levels, 0, 255).astype(np.uint8)[np.newaxis]
    return cv2.LUT(picture, table)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """The picture as a JPEG file."""
    done, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'A picture of shape {picture.shape} could not be encoded as JPEG.')
    return data.tobytes()
