"""Learning-rate schedules."""

from __future__ import annotations

import tensorflow as tf


class ConstantThenLinear(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate, then a straight line to zero at the last step.

    Used by the Ladder network (Rasmus et al. 2015, Sec. 4: 0.002 for the first part of training,
    then annealed linearly to zero).

    Args:
      learning_rate: rate of the constant part.
      decay_start: step at which the rate begins to fall.
      decay_end: step at which it reaches zero; it stays zero after.

    Raises:
      ValueError: if 0 <= decay_start < decay_end does not hold.
    """

    def __init__(self, learning_rate: float, decay_start: int, decay_end: int):
        if not 0 <= decay_start < decay_end:
            raise ValueError(
                f'decay_start = {decay_start} must lie in [0, decay_end = {decay_end}).')
        self.learning_rate = learning_rate
        self.decay_start = decay_start
        self.decay_end = decay_end

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        left = (self.decay_end - step) / (self.decay_end - self.decay_start)
        return self.learning_rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self):
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
      ValueError: if `every_steps` or `factor` is not positive.
    """

    def __init__(self, learning_rate: float, every_steps: int, factor: float = 0.5):
        if every_steps < 1:
            raise ValueError(f'every_steps = {every_steps} must be at least 1.')
        if factor <= 0:
            raise ValueError(f'factor = {factor} must be positive.')
        self.learning_rate = learning_rate
        self.every_steps = every_steps
        self.factor = factor

    def __call__(self, step):
        times = tf.cast(step, tf.int64) // self.every_steps
        return self.learning_rate * tf.pow(float(self.factor), tf.cast(times, tf.float32))

    def get_config(self):
        return {
            'learning_rate': self.learning_rate,
            'every_steps': self.every_steps,
            'factor': self.factor,
        }
