"""The preprocessing map phi of Mnih et al. 2015 (Methods, "Preprocessing"), one frame at a time.

- The paper says neither how luminance is rounded nor how the frame is rescaled. Here luminance is
  ITU-R BT.601's Y = 0.299 R + 0.587 G + 0.114 B, and rescaling is bilinear, without antialiasing;
  both are computed in fixed point, so that every machine, and the exported TensorFlow function in
  `tensor`, give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

# OpenCV's weights of luminance in units of 2^-15, of R, G and B.
_LUMINANCE = (9798, 19235, 3735)


def encode(frame: np.ndarray, previous: np.ndarray, size: int = 84) -> np.ndarray:
    """Encodes one frame: maximum over two frames, luminance, `size` x `size`.

    Args:
      frame: the frame being encoded, RGB uint8 [height, width, 3].
      previous: the frame before it; the maximum of each pixel's colour values over both undoes the
        flickering of sprites that are drawn on every other frame.
      size: height and width of the result.

    Returns:
      uint8 [size, size].
    """
    luminance = cv2.cvtColor(np.maximum(frame, previous), cv2.COLOR_RGB2GRAY)
    return cv2.resize(luminance, (size, size), interpolation=cv2.INTER_LINEAR_EXACT)


def tensor(frames: tf.Tensor, size: int = 84) -> tf.Tensor:
    """`encode` in TensorFlow, bit for bit, for a SavedModel.

    Args:
      frames: uint8 tensor [batch, history, 2, height, width, 3], for each of the `history` encoded
        frames the frame before it and the frame itself, RGB.
      size: height and width of the result.

    Returns:
      uint8 tensor [batch, size, size, history], oldest frame first: the Q-network's input.
    """
    import tensorflow as tf

    rgb = tf.cast(tf.reduce_max(frames, axis=2), tf.int32)
    weighted = tf.reduce_sum(rgb * tf.constant(_LUMINANCE), axis=-1)
    luminance = tf.bitwise.right_shift(weighted + (1 << 14), 15)
    # Products of weights in units of 2^-8 and bytes: sums of them are exact in float64.
    rows = tf.constant(_interpolation(int(frames.shape[3]), size), tf.float64)
    columns = tf.constant(_interpolation(int(frames.shape[4]), size), tf.float64)
    scaled = tf.einsum('yh,bmhw,xw->byxm', rows, tf.cast(luminance, tf.float64), columns)
    return tf.cast(tf.floor(scaled + 0.5), tf.uint8)


def _interpolation(source: int, target: int) -> np.ndarray:
    """Weights of bilinear interpolation [target, source], multiples of 2^-8."""
    matrix = np.zeros((target, source))
    centre = (np.arange(target) + 0.5) * (source / target) - 0.5
    below = np.floor(centre).astype(int)
    share = np.floor((centre - below) * 256 + 0.5) / 256
    index = np.arange(target)
    np.add.at(matrix, (index, np.clip(below, 0, source - 1)), 1 - share)
    np.add.at(matrix, (index, np.clip(below + 1, 0, source - 1)), share)
    return matrix
