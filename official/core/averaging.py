"""Exponential averages of weights, as variables that checkpoints hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from official.core import checks


class WeightAverage(tf.Module):
    """Averages of some variables: average <- decay * average + (1 - decay) * variable.

    Args:
      variables: what is averaged; the averages start at their present values.
      decay: weight of the past, in [0, 1).
      start_step: before the update of this step the averages follow the variables.

    Raises:
      ValueError: if `decay` is outside [0, 1), or `start_step` is negative.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float, start_step: int = 0):
        super().__init__()
        checks.share('WeightAverage', decay=decay)
        checks.at_least('WeightAverage', 0, start_step=start_step)
        self.decay = decay
        self.start_step = start_step
        self.averages = [
            tf.Variable(
                variable,
                trainable=False,
                name='average',
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for variable in variables
        ]

    def update(self, variables: Sequence[tf.Variable], step: tf.Tensor | int = 0) -> None:
        """One step of the average, inside `train_step`.

        Args:
          variables: as given to the constructor.
          step: the step whose update the variables have just had, counted from 0.
        """
        rate = 1 - self.decay
        if self.start_step:
            rate = tf.where(step < self.start_step, 1.0, rate)
        for average, variable in zip(self.averages, variables, strict=True):
            average.assign_add(tf.cast(rate, variable.dtype) * (variable - average))

    @contextlib.contextmanager
    def swapped_in(self, variables: Sequence[tf.Variable]) -> Iterator[None]:
        """Puts the averages in the place of `variables` while the context lasts."""
        originals = [variable.numpy() for variable in variables]
        for average, variable in zip(self.averages, variables, strict=True):
            variable.assign(average.numpy())
        try:
            yield
        finally:
            for original, variable in zip(originals, variables, strict=True):
                variable.assign(original)
