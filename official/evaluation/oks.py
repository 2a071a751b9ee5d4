"""Object keypoint similarity, COCO's measure of how near found landmarks are to the labelled ones.

What the intersection over union is for boxes, this is for landmarks: 1 where every landmark is
found exactly, towards 0 as they are missed by more than people's own spread.
"""

from __future__ import annotations

import numpy as np


def oks(
    found: np.ndarray, truth: np.ndarray, sigmas: np.ndarray, area: float, box: np.ndarray
) -> np.ndarray:
    """The mean over the labelled landmarks of exp(-d^2 / (2 s^2 k^2)).

    Here d is the distance in pixels, s^2 the area of the object, and k = 2 sigma, so that k^2 is
    the variance (2 sigma)^2. An object without any labelled landmark still tells where those found
    may be: d is then the distance to its box made larger on each side by the box's own width or
    height, 0 within it, and the mean is over all landmarks.

    Args:
      found: float [..., k, 2], x and y in pixels.
      truth: float [k, 3], x, y and v; v above 0: labelled.
      sigmas: float [k], the spread of each landmark for an object of area 1.
      area: of the object, in square pixels.
      box: float [4], (x1, y1, x2, y2) of the object.

    Returns:
      float64 [...], in [0, 1].
    """
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    variances = np.square(2 * np.asarray(sigmas, np.float64))
    labelled = truth[:, 2] > 0
    if labelled.any():
        found, variances = found[..., labelled, :], variances[labelled]
        squares = np.square(found - truth[labelled, :2]).sum(-1)
    else:
        low, high = np.asarray(box, np.float64).reshape(2, 2)
        outside = np.maximum(0, np.maximum(2 * low - high - found, found - (2 * high - low)))
        squares = np.square(outside).sum(-1)
    # An area of 0 would be a division by 0 where the distance is 0, too.
    return np.exp(-squares / (2 * variances * (area + np.spacing(1)))).mean(-1)
