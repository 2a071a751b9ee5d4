"""Augmentation of batches of point clouds in a training step, drawn from the step's key.

Each function takes points [B, P, 3] and a key, int32 [local shards, 2]
(`official/modeling/random.py`), and draws for each cloud anew. Shapes are static; all compile with
XLA. Fold a number of its own into the key of each.
"""

from __future__ import annotations

import math

import tensorflow as tf

from official.modeling import random


def rotate(points: tf.Tensor, key: tf.Tensor, degrees: float = 180.0, axis: int = 2) -> tf.Tensor:
    """Turns each cloud about an axis by an angle uniform on [-degrees, degrees].

    Args:
      points: [B, P, 3].
      key: the key.
      degrees: the largest angle.
      axis: 0, 1 or 2, the axis that stays; 2 points up in ModelNet.

    Raises:
      ValueError: another axis.
    """
    if axis not in (0, 1, 2):
        raise ValueError(f'axis = {axis} is not 0, 1 or 2.')
    limit = degrees * math.pi / 180
    angle = random.uniform(key, [points.shape[0], 1], -limit, limit)
    cos, sin = tf.cos(angle), tf.sin(angle)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turned = [None] * 3
    turned[first] = cos * points[..., first] - sin * points[..., second]
    turned[second] = sin * points[..., first] + cos * points[..., second]
    turned[axis] = points[..., axis]
    return tf.stack(turned, axis=-1)


def scale(points: tf.Tensor, key: tf.Tensor, low: float = 0.8, high: float = 1.25) -> tf.Tensor:
    """Multiplies each cloud by one factor, uniform on [low, high].

    Raises:
      ValueError: not 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f'low = {low} and high = {high} are not 0 < low <= high.')
    return points * random.uniform(key, [points.shape[0], 1, 1], low, high)


def flip(points: tf.Tensor, key: tf.Tensor, axis: int = 0, probability: float = 0.5) -> tf.Tensor:
    """Changes the sign of one coordinate of each cloud, with a probability.

    Raises:
      ValueError: an axis that is not 0, 1 or 2.
    """
    if axis not in (0, 1, 2):
        raise ValueError(f'axis = {axis} is not 0, 1 or 2.')
    flipped = random.uniform(key, [points.shape[0], 1]) < probability
    sign = tf.where(flipped, -1.0, 1.0)[..., tf.newaxis]
    return points * tf.where(tf.one_hot(axis, 3, on_value=True, off_value=False), sign, 1.0)


def jitter(
    points: tf.Tensor, key: tf.Tensor, deviation: float = 0.01, clip: float = 0.05
) -> tf.Tensor:
    """Adds normal noise, cut at [-clip, clip], to each coordinate of each point.

    Raises:
      ValueError: a negative deviation or clip.
    """
    if deviation < 0 or clip < 0:
        raise ValueError(f'deviation = {deviation} or clip = {clip} is negative.')
    noise = random.normal(key, points.shape, deviation)
    return points + tf.clip_by_value(noise, -clip, clip)
