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
