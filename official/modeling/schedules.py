"""Learning-rate schedules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.core import checks


class ConstantThenLinear(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate, then a straight line to zero at the last step.

    Used by the Ladder network (Rasmus et al. 2015, Sec. 4: 0.002 for the first part of training,
    then annealed linearly to zero).

    Args:
      learning_rate: rate of the constant part.
      decay_start: step at which the rate begins to fall.
      decay_end: step at which it reaches zero; it stays zero after.

    Raises:
      ValueError: if 0 <= decay_start < decay_end does not hold, or the rate is not above 0.
    """

    def __init__(self, learning_rate: float, decay_start: int, decay_end: int):
        checks.above_zero('ConstantThenLinear', learning_rate=learning_rate)
        if not 0 <= decay_start < decay_end:
            raise ValueError(
                f'decay_start = {decay_start} must lie in [0, decay_end = {decay_end}).'
            )
        self.learning_rate = learning_rate
        self.decay_start = decay_start
        self.decay_end = decay_end

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        left = (self.decay_end - step) / (self.decay_end - self.decay_start)
        return self.learning_rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {
            'learning_rate': self.learning_rate,
            'decay_start': self.decay_start,
            'decay_end': self.decay_end,
        }


class StepDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is multiplied by `factor` every so many steps: rate * factor^(step // every).

    Used for graphs and point clouds by Fey & Lenssen 2019 ("Fast Graph Representation Learning with
    PyTorch Geometric"): halved every 50 epochs.

    Args:
      learning_rate: rate of the first steps.
      every_steps: steps at each rate.
      factor: of one rate to the next.

    Raises:
      ValueError: if the rate, `every_steps` or `factor` is not above 0.
    """

    def __init__(self, learning_rate: float, every_steps: int, factor: float = 0.5):
        checks.positive('StepDecay', every_steps=every_steps)
        checks.above_zero('StepDecay', learning_rate=learning_rate, factor=factor)
        self.learning_rate = learning_rate
        self.every_steps = every_steps
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        times = tf.cast(step, tf.int64) // self.every_steps
        return self.learning_rate * tf.pow(float(self.factor), tf.cast(times, tf.float32))

    def get_config(self) -> dict[str, Any]:
        return {
            'learning_rate': self.learning_rate,
            'every_steps': self.every_steps,
            'factor': self.factor,
        }


class WarmupThenSteps(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly from 0, then is multiplied by `factor` at given steps.

    For training with large batches (Goyal et al. 2017, "Accurate, Large Minibatch SGD", Sec. 2.2).

    - The rate starts from 0 (Goyal et al.: from that of a batch of 256), as in Kolesnikov, Zhai &
      Beyer 2019.

    Args:
      learning_rate: rate after the warm-up.
      warmup_steps: steps until it is reached; 0: none.
      decay_steps: steps from which on the rate is multiplied once more, ascending.
      factor: of one rate to the next.

    Raises:
      ValueError: if the steps are not ascending, the warm-up being the first, or the rate or
        `factor` is not above 0.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        decay_steps: Sequence[int],
        factor: float = 0.1,
    ):
        decay_steps = tuple(decay_steps)
        ascending = (-1, warmup_steps, *decay_steps)
        if any(one >= other for one, other in itertools.pairwise(ascending)):
            raise ValueError(
                f'warmup_steps = {warmup_steps} and decay_steps = {decay_steps} must be ascending, '
                'from 0 on.'
            )
        checks.above_zero('WarmupThenSteps', learning_rate=learning_rate, factor=factor)
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.int64)
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(self.decay_steps, tf.int64), tf.float32))
        rate = self.learning_rate * tf.pow(float(self.factor), passed)
        if not self.warmup_steps:
            return rate
        return rate * tf.minimum(1.0, tf.cast(step, tf.float32) / self.warmup_steps)

    def get_config(self) -> dict[str, Any]:
        return {
            'learning_rate': self.learning_rate,
            'warmup_steps': self.warmup_steps,
            'decay_steps': self.decay_steps,
            'factor': self.factor,
        }
