"""Training, evaluation and export of a Keras model with `fit`."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from official.core import (
    callbacks,
    checkpoints,
    checks,
    compiled,
    distribution,
    history,
    model_experiment,
)
from official.core import model as core_model


class _Progress(tf.Module):
    """State of the training loop in a checkpoint, beside model and optimizer."""

    def __init__(self):
        super().__init__()
        self.best_value = tf.Variable(float('inf'), trainable=False, name='best_value')
        self.best_step = tf.Variable(-1, trainable=False, dtype=tf.int64, name='best_step')


class KerasExperiment(model_experiment.ModelExperiment):
    """Drives `fit` of an `official.core.model.Model`, or of any other compiled Keras model.

    A run that is stopped at any moment and started again ends with the same weights: a checkpoint
    holds model, optimizer, averaged weights and progress, and noise and data of a step are
    functions of (seed, step).

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`.
      data_dir: see `Experiment`.
      strategy: see `Experiment`.
      model: called as model(seed=seed), gives an `official.core.model.Model`, or a `tf.keras.Model`
        that is built and compiled with its loss and metrics; see `official.core.compiled`.
      optimizer: called without arguments; of a model with two players the generator's.
      discriminator_optimizer: called without arguments; of a model with two players.
      data: called as data(seed=seed, data_dir=data_dir); gives
        train(start_step, input_context), evaluation(split, input_context=...) and
        calibration(input_context), `tf.data.Dataset`s, and `class_names`.
      train_steps: steps in all.
      save_every_steps: steps between checkpoints, rows of the history and evaluations.
      steps_per_execution: training steps in one call of the compiled function.
      jit_compile: compile the training step with XLA, where the strategy can.
      bfloat16: compute products in bfloat16; weights and statistics stay float32.
      average_decay: evaluate and export an exponential average of the weights with this decay.
      average_start_step: see `official.core.averaging.WeightAverage`.
      calibrate: recompute normalization statistics before the reported number.
      evaluator: called as evaluator(model=, data=, strategy=, split=, final=), gives metrics by
        name: numbers or arrays, and what is told beside them: 'measured_on', a text, and dicts
        of anything that JSON holds. `final` is False at the checkpoints. By default Keras'
        `evaluate`. Where it has a method use_data(data, splits), that is called before the
        training and raises what would end the evaluation.
      check: called as check(rows) with the rows of the history at every checkpoint, before it is
        written; what it raises ends the training.
      split: what the reported number is measured on, 'test' or 'validation'.
      monitor_split: what is evaluated at every checkpoint, or None.
      monitor: the metric of `monitor_split` whose lowest value makes the best checkpoint; None
        keeps the last checkpoint only.
      patience_steps: stop when the monitor has not improved for so many steps; None never stops.
      report_best: report and export the best checkpoint instead of the last one.
      signatures: see `ModelExperiment`.
      reporter: see `ModelExperiment`.
      baseline: another experiment, trained in `<run_dir>/baseline` and reported beside this one.
      reference: see `ModelExperiment`.
      title: see `ModelExperiment`.

    Raises:
      ValueError: if a number or an argument of another kind cannot be right, `report_best` or
        `patience_steps` is asked without a monitor, or model and data do not fit.
    """

    # Noise and data of a step are functions of seed and step, whatever the number of steps.
    changeable = (
        *model_experiment.ModelExperiment.changeable,
        'train_steps',
        'evaluator',
        'split',
        'monitor_split',
    )

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        model: Callable,
        optimizer: Callable,
        discriminator_optimizer: Callable | None = None,
        data: Callable,
        train_steps: int,
        save_every_steps: int,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
        bfloat16: bool = False,
        average_decay: float | None = None,
        average_start_step: int = 0,
        calibrate: bool = False,
        evaluator: Callable | None = None,
        check: Callable | None = None,
        split: str = 'test',
        monitor_split: str | None = None,
        monitor: str | None = None,
        patience_steps: int | None = None,
        report_best: bool = False,
        signatures: Callable | None = None,
        reporter: Callable | None = None,
        baseline: Callable | None = None,
        reference: dict | None = None,
        title: str = '',
    ):
        super().__init__(
            run_dir,
            seed,
            data_dir,
            strategy,
            signatures=signatures,
            reporter=reporter,
            reference=reference,
            title=title,
        )
        name = 'KerasExperiment'
        checks.positive(
            name,
            train_steps=train_steps,
            save_every_steps=save_every_steps,
            steps_per_execution=steps_per_execution,
        )
        checks.at_least(name, 0, average_start_step=average_start_step)
        if average_decay is not None:
            checks.share(name, average_decay=average_decay)
        if patience_steps is not None:
            checks.positive(name, patience_steps=patience_steps)
        checks.switch(
            name,
            jit_compile=jit_compile,
            bfloat16=bfloat16,
            calibrate=calibrate,
            report_best=report_best,
        )
        checks.called(name, model=model, optimizer=optimizer, data=data)
        checks.called(
            name,
            optional=True,
            discriminator_optimizer=discriminator_optimizer,
            evaluator=evaluator,
            check=check,
            baseline=baseline,
        )
        if isinstance(model, tf.Module):
            raise ValueError(
                f'{name}.model is a {type(model).__name__} already, and must be what makes one: in '
                f'gin @module.{type(model).__name__} without ().'
            )
        if monitor is None and (report_best or patience_steps):
            raise ValueError('report_best and patience_steps need a monitor, which is None.')
        if monitor is not None and monitor_split is None:
            raise ValueError(f'monitor = {monitor!r} needs a monitor_split, which is None.')
        self.train_steps = train_steps
        self.save_every_steps = save_every_steps
        self.average_decay = average_decay
        self.average_start_step = average_start_step
        self.use_calibration = calibrate
        self.evaluator = evaluator
        self.check = check
        self.split = split
        self.monitor_split = monitor_split
        self.monitor = monitor
        self.patience_steps = patience_steps
        self.report_best = report_best
        if jit_compile and not distribution.supports_jit_compile(self.strategy):
            jit_compile = False
        previous = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if bfloat16 else 'float32')
        try:
            with self.strategy.scope():
                optimizers = {'optimizer': optimizer()}
                if discriminator_optimizer is not None:
                    optimizers['discriminator_optimizer'] = discriminator_optimizer()
                for made in optimizers.values():
                    _check_rate(made)
                made = model(seed=seed)
                if not isinstance(made, core_model.Model):
                    made = compiled.Compiled(made, seed)
                self._create(made, optimizers, steps_per_execution, jit_compile)
        finally:
            tf.keras.mixed_precision.set_global_policy(previous)
        # After the model, which takes seconds to tell what is wrong, and data may take minutes.
        self.data = data(seed=seed, data_dir=data_dir)
        with self.strategy.scope():
            self.model.use_data(self.data)
        if evaluator is not None and hasattr(evaluator, 'use_data'):
            evaluator.use_data(self.data, {split, monitor_split} - {None})
        self.baseline = baseline and baseline(
            run_dir=os.path.join(run_dir, 'baseline'),
            seed=seed,
            data_dir=data_dir,
            strategy=self.strategy,
        )

    def _create(self, model, optimizers, steps_per_execution, jit_compile):
        self.model = model
        model.compile(
            **optimizers, steps_per_execution=steps_per_execution, jit_compile=jit_compile
        )
        # All variables exist now, so that a checkpoint restores into them before the first step.
        model.build_optimizers()
        if self.average_decay is not None:
            model.average_weights(self.average_decay, self.average_start_step)
        self._progress = _Progress()
        self._checkpoints = checkpoints.Checkpoints(
            os.path.join(self.run_dir, 'checkpoints'),
            {'model': model, 'progress': self._progress},
            write=self.is_chief,
        )

    # Training.

    def train(self) -> None:
        self._restore(best=False)
        if self._step > self.train_steps:
            raise ValueError(
                f'{self.run_dir} is at step {self._step} already, beyond '
                f'KerasExperiment.train_steps = {self.train_steps}.'
            )
        if self.is_chief:
            tf.io.gfile.makedirs(self.run_dir)
        rows = history.History(self.run_dir, self._step, write=self.is_chief)
        self.model.stop_training = self._out_of_patience()
        if self._step < self.train_steps and not self.model.stop_training:
            self._fit(rows)
        if self.baseline:
            self.baseline.train()

    @property
    def _step(self) -> int:
        return int(self.model.global_step.numpy())

    def _fit(self, rows: history.History) -> None:
        progress = callbacks.Progress(
            self._step, self.train_steps, os.path.basename(os.path.normpath(self.run_dir))
        )
        guard = callbacks.NanGuard(self._last_checkpoint)
        interval = _AtInterval(lambda logs: self._end_interval(logs, rows, guard, progress))
        interval.seconds = rows.rows[-1].get('train_seconds', 0.0) if rows.rows else 0.0
        try:
            with callbacks.Preemption(self._save) as preemption:
                while self._step < self.train_steps and not self.model.stop_training:
                    first = self._step
                    every = self.save_every_steps
                    if first % every or self.train_steps - first < every:
                        # To the next boundary, or from the last one to the end.
                        steps = min(every - first % every, self.train_steps - first)
                        epochs = 1
                    else:
                        steps, epochs = every, (self.train_steps - first) // every
                    self.model.fit(
                        self._distributed(self.data.train, start_step=first),
                        steps_per_epoch=steps,
                        epochs=epochs,
                        verbose=0,
                        callbacks=[guard, progress, interval, preemption],
                    )
        finally:
            progress.close()

    def _end_interval(self, logs, rows, guard, progress) -> None:
        guard.check()
        values = {name: float(value) for name, value in logs.items()}
        values['learning_rate'] = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
        step = self._step
        if self.monitor_split is not None:
            with self._averaged():
                logs = self._logs(self.monitor_split, final=False)
            values.update(
                {
                    f'{self.monitor_split}_{name}': float(value)
                    for name, value in logs.items()
                    if not isinstance(value, (str, dict)) and not getattr(value, 'ndim', 0)
                }
            )
        if self.monitor is not None:
            if self.monitor not in values:
                raise ValueError(
                    f'monitor = {self.monitor!r} is none of the metrics: {sorted(values)}.'
                )
            if values[self.monitor] < self._progress.best_value.numpy():
                self._progress.best_value.assign(values[self.monitor])
                self._progress.best_step.assign(step)
            self.model.stop_training = self._out_of_patience()
        rows.add(step, values)
        if self.check is not None:
            self.check(rows.rows)
        self._save()
        progress.show(
            {
                name: values[name]
                for name in values
                if name in ('loss', f'{self.monitor_split}_error_percent')
            }
        )

    def _out_of_patience(self) -> bool:
        best = int(self._progress.best_step.numpy())
        return (
            self.patience_steps is not None
            and best >= 0
            and self._step - best >= self.patience_steps
        )

    # Checkpoints.

    def _save(self) -> str:
        if not checkpoints.all_finite(self.model.trainable_variables):
            raise FloatingPointError(
                f'A weight is not finite after step {self._step - 1}; the last good checkpoint is '
                f'{self._last_checkpoint() or "none"}.'
            )
        return self._checkpoints.save(self._step, keep={int(self._progress.best_step.numpy())})

    def _last_checkpoint(self) -> str | None:
        steps = self._checkpoints.steps()
        return self._checkpoints.path(steps[-1]) if steps else None

    def _restore(self, best: bool) -> bool:
        # The chief may be writing and removing checkpoints that the other workers look for.
        distribution.from_all_workers(self.strategy, 0)
        steps = self._checkpoints.steps()
        if steps:
            self._checkpoints.restore(steps[-1])
            best_step = int(self._progress.best_step.numpy())
            if best and best_step < 0:
                raise ValueError(
                    f'{self._checkpoints.directory} has no best checkpoint yet: no interval has '
                    f'been evaluated.'
                )
            if best and best_step != steps[-1]:
                self._checkpoints.restore(best_step)
        restored = distribution.from_all_workers(self.strategy, self._step)
        if len(set(restored)) > 1:
            raise ValueError(
                f'The workers are at steps {restored}: {self.run_dir} must be one folder that all '
                f'of them see.'
            )
        return bool(steps)

    # Results.

    def _distributed(self, pipeline: Callable, *args, **kwargs):
        return self.strategy.distribute_datasets_from_function(
            lambda context: pipeline(*args, input_context=context, **kwargs)
        )

    @contextlib.contextmanager
    def _averaged(self):
        if self.model.average is None:
            yield
        else:
            with self.model.average.swapped_in(self.model.averaged_variables):
                yield

    def _logs(self, split: str, final: bool = True) -> dict:
        if self.evaluator is not None:
            return self.evaluator(
                model=self.model, data=self.data, strategy=self.strategy, split=split, final=final
            )
        # Keras cannot count the batches of a distributed dataset; there are as many globally.
        steps = int(self.data.evaluation(split).cardinality())
        return self.model.evaluate(
            self._distributed(self.data.evaluation, split), steps=steps, verbose=0, return_dict=True
        )

    @contextlib.contextmanager
    def reported_model(self) -> Iterator[tf.keras.Model]:
        """The trained model as it is reported: best or last, averaged, calibrated."""
        if not self._restore(self.report_best):
            raise FileNotFoundError(
                f'{self._checkpoints.directory} has no checkpoint: train first.'
            )
        with self._averaged():
            if self.use_calibration:
                self.model.calibrate(self._distributed(self.data.calibration))
            yield self.model

    def evaluate(self) -> dict:
        """Evaluates the reported checkpoint and writes `result.json`.

        Returns:
          Its contents: 'step', 'seed', the metrics of `split` as '<split>_<metric>',
          'confusion_matrix' if there is one, 'class_names', 'train_seconds', and, where the
          experiment has them, 'reference' and 'baseline', the result of the baseline.
        """
        with self.reported_model():
            logs = self._logs(self.split)
        result: dict[str, Any] = {'step': self._step, 'seed': self.seed}
        for name, value in logs.items():
            if isinstance(value, (str, dict)):
                result[name] = value
            elif getattr(value, 'ndim', 0):
                result[name] = value.tolist()
            else:
                result[f'{self.split}_{name}'] = float(value)
        rows = history.read(self.run_dir)
        if rows:
            result['train_seconds'] = rows[-1].get('train_seconds')
        if self.baseline:
            result['baseline'] = self.baseline.evaluate()
        return self.write_result(result)


def _check_rate(optimizer: tf.keras.optimizers.Optimizer) -> None:
    """Raises ValueError if the first learning rate of an optimizer, Keras' own too, is none."""
    rate = float(tf.convert_to_tensor(optimizer.learning_rate))
    warms_up = isinstance(optimizer.get_config().get('learning_rate'), dict)  # A schedule.
    if not math.isfinite(rate) or rate < 0 or (rate == 0 and not warms_up):
        raise ValueError(
            f'{type(optimizer).__name__}.learning_rate = {rate:g} must be a finite number above 0.'
        )


class _AtInterval(tf.keras.callbacks.Callback):
    """Calls back at the end of every Keras epoch, with the seconds of training so far."""

    def __init__(self, function: Callable):
        super().__init__()
        self._function = function
        self.seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.monotonic() - self._start
        self._function({**logs, 'train_seconds': self.seconds})
