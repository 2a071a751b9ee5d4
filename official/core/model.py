"""The base class of all models: one clock, one source of randomness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.compat import tensorflow_private
from official.core import averaging
from official.modeling import batch_statistics, random


class Model(tf.keras.Model):
    """A Keras model whose training steps are functions of (seed, global step, data) alone.

    Subclasses write `update(data, key)`; `train_step` makes the key, counts the step and looks
    for losses that are not finite. `global_step` is the only clock for noise and summaries; it
    is a variable, so it is in every checkpoint.

    Args:
      seed: source of all randomness: initial weights and the noise of every step.
      noise_shards: shards of the global batch that draw noise apart; by default one per replica.
        Set it to 2 and one device draws what two devices draw.
      name: name of the model.
    """

    def __init__(self, seed: int = 0, noise_shards: int | None = None, name: str | None = None):
        super().__init__(name=name, autocast=False)  # Models cast where a product gains from it.
        self.seed = seed
        self.noise_shards = noise_shards
        once = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.global_step = tf.Variable(
            0, trainable=False, dtype=tf.int64, aggregation=once, name='global_step'
        )
        self.first_bad_step = tf.Variable(
            -1, trainable=False, dtype=tf.int64, aggregation=once, name='first_bad_step'
        )
        self.average: averaging.WeightAverage | None = None
        self._set_metrics([])

    @tensorflow_private.untracked
    def _set_metrics(self, metrics: list) -> None:
        # Not tracked: the state of a metric is no part of a checkpoint.
        self._own_metrics = metrics

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return self._own_metrics

    @property
    def averaged_variables(self) -> list[tf.Variable]:
        """Weights that `average_weights` averages: all trainable ones, or a subclass's choice."""
        return self.trainable_variables

    def average_weights(self, decay: float, start_step: int = 0) -> None:
        """Keeps an exponential average of `averaged_variables` from now on.

        Args:
          decay: see `official.core.averaging.WeightAverage`.
          start_step: see `official.core.averaging.WeightAverage`.
        """
        self.average = averaging.WeightAverage(self.averaged_variables, decay, start_step)

    def compile(
        self,
        optimizer: Any,
        *,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
        run_eagerly: bool | None = None,
    ) -> None:
        """Names the optimizer; the loss is the paper's and part of the model.

        Args:
          optimizer: a Keras optimizer.
          steps_per_execution: training steps in one call of the compiled function.
          jit_compile: compile the training step with XLA.
          run_eagerly: run Python step by step, to debug.
        """
        super().compile(
            optimizer=optimizer,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            weighted_metrics=[],
        )  # Named, or Keras warns of every evaluation.
        # Keras would add up over the replicas what a metric has reduced already.
        self.distribute_reduction_method = 'first'

    def build_optimizers(self) -> None:
        """Creates the optimizers' variables; models with several optimizers override it."""
        self.optimizer.build(self.trainable_variables)

    def use_data(self, data: Any) -> None:
        """Checks the data of an experiment and takes what it needs; called once, before training.

        A model with `num_classes` needs data of so many `class_names`, one with `example_shape`
        data whose `input_shape` is the same, where the data have these.

        Args:
          data: what the experiment trains on.

        Raises:
          ValueError: if they do not fit this model.
        """
        name = type(self).__name__
        outputs, classes = getattr(self, 'num_classes', None), getattr(data, 'class_names', None)
        if outputs is not None and classes is not None and outputs != len(classes):
            raise ValueError(
                f'{name} has {outputs} outputs, one per class, and the data have {len(classes)} '
                f'classes.'
            )
        takes, given = getattr(self, 'example_shape', None), getattr(data, 'input_shape', None)
        if takes is not None and given is not None and tuple(takes) != tuple(given):
            raise ValueError(
                f'{name} takes examples of shape {tuple(takes)}, and the data have {tuple(given)}.'
            )

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One update of the weights.

        Args:
          data: this replica's part of the batch, as `train_step` of Keras gets it.
          key: int32 [local shards, 2], the only randomness to use.

        Returns:
          The loss (a scalar, watched for NaN and infinity) and the logs.
        """
        raise NotImplementedError(f'{type(self).__name__} has no update().')

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        key = random.step_key(self.seed, self.global_step, self.noise_shards)
        loss, logs = self.update(data, key)
        # On whichever replica: the mean of a number that is not finite is not finite either.
        bad = tf.logical_and(
            self.first_bad_step < 0, ~tf.math.is_finite(batch_statistics.global_mean(loss))
        )
        self.first_bad_step.assign(tf.where(bad, self.global_step, self.first_bad_step))
        if self.average is not None:
            self.average.update(self.averaged_variables, self.global_step)
        with tf.control_dependencies([loss]):  # Not at the end of the data, where there is none.
            self.global_step.assign_add(1)
        return logs

    def apply_gradients(
        self,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        variables: Sequence[tf.Variable] | None = None,
        optimizer: Any = None,
    ) -> None:
        """One step of an optimizer down the mean over replicas of `loss`.

        Args:
          tape: has recorded the loss.
          loss: this replica's.
          variables: what is updated; by default all trainable weights.
          optimizer: by default `self.optimizer`.
        """
        variables = self.trainable_variables if variables is None else variables
        optimizer = optimizer or self.optimizer
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1:  # Keras adds the replicas' gradients up.
            with tape:
                loss = loss / replicas
        # Keras wraps the optimizer so under mixed_float16, whose small gradients would be 0.
        scaled = isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
        if scaled:
            with tape:
                loss = optimizer.get_scaled_loss(loss)
        gradients = tape.gradient(loss, variables)
        if scaled:
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
