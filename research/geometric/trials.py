"""Many short trainings in one process, one line of `trials.jsonl` each: seeds, splits or folds."""

from __future__ import annotations

import abc
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tqdm

from official.core import (
    callbacks,
    checkpoints,
    distribution,
    figures,
    history,
    model_experiment,
    page,
    results,
    run_folder,
)

_FILE = 'trials.jsonl'
_LARGEST_SEED = 2**32 - 1  # Of NumPy's.


class Trials(model_experiment.ModelExperiment):
    """Trains one model again and again, each time from other weights or on other data.

    A subclass sets `data` and calls `use_model` when it is made, and writes `run_trial`. What a
    trial measured is written, whole or not at all, when it has ended, so a run that was killed goes
    on with the first trial that is missing. The model of trial 0 is kept (`save_model`); it is the
    one that is exported and that the reporter sees.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`; trial i is to draw what it draws with seed + i.
      data_dir: see `Experiment`.
      strategy: see `Experiment`.
      num_trials: how many.
      signatures: see `ModelExperiment`.
      reporter: see `ModelExperiment`.
      reference: see `ModelExperiment`.
      title: see `ModelExperiment`.

    Raises:
      ValueError: if there is no trial to run, or no seed for the last one.
    """

    changeable = (*model_experiment.ModelExperiment.changeable, 'num_trials')

    unit = 'seed'  # What a trial is, for the report.

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        num_trials: int,
        signatures: Callable | None = None,
        reporter: Callable | None = None,
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
        if num_trials < 1:
            raise ValueError(f'num_trials = {num_trials} must be at least 1.')
        if seed + num_trials - 1 > _LARGEST_SEED:
            raise ValueError(
                f'num_trials = {num_trials} is too large for seed {seed}: the last '
                f'seed would be beyond {_LARGEST_SEED}.'
            )
        self.num_trials = num_trials
        self._checkpoints = None

    def use_model(self, model: tf.keras.Model) -> None:
        """The one model of all trials; all its variables, the optimizer's too, exist.

        Its seed becomes a variable, so that one traced step serves them all.
        """
        if not isinstance(model.seed, tf.Variable):
            model.seed = tf.Variable(model.seed, trainable=False, dtype=tf.int64, name='seed')
        self.model = model
        self._checkpoints = checkpoints.Checkpoints(
            os.path.join(self.run_dir, 'checkpoints'), {'model': model}, write=self.is_chief
        )

    @abc.abstractmethod
    def run_trial(self, index: int) -> dict:
        """Trains and measures once.

        Args:
          index: of the trial, 0 to num_trials - 1.

        Returns:
          What it measured, as JSON has it: numbers to average over the trials, such as
          'test_accuracy_percent'; a 'confusion_matrix', to be summed; other things are kept in
          `trials.jsonl` alone.
        """

    def settings(self) -> dict:
        """What all trials of one file share, as JSON has it; a subclass adds to it."""
        return {'seed': self.seed}

    # Training.

    def train(self) -> None:
        if self.is_chief:
            tf.io.gfile.makedirs(self.run_dir)
        # The chief writes what the other workers read.
        distribution.from_all_workers(self.strategy, 0)
        rows = self._read()
        missing = [index for index in range(self.num_trials) if index not in rows]
        distribution.from_all_workers(self.strategy, 0)
        interval = 0.2 if sys.stderr.isatty() else 30
        # At once: a trial that has not ended is lost whether it is waited for or not.
        stop = lambda number, frame: callbacks.end(
            number,
            f'after {len(rows)} of {self.num_trials} trials; the same command goes on '
            f'from {self._path}.',
        )
        with (
            callbacks.handling_signals(stop),
            tqdm.tqdm(
                total=self.num_trials,
                initial=self.num_trials - len(missing),
                unit='trial',
                desc=os.path.basename(os.path.normpath(self.run_dir)),
                mininterval=interval,
                maxinterval=interval,
                dynamic_ncols=True,
                disable=not self.is_chief,
            ) as self._progress,
        ):
            for index in missing:
                start = time.monotonic()
                measured = self.run_trial(index)
                seconds = time.monotonic() - start
                rows[index] = {'trial': index, **measured, 'train_seconds': seconds}
                self._write(rows)
                self._progress.update()

    def show(self, **values: float) -> None:
        """Shows the latest numbers of a trial beside the bar, while it runs."""
        self._progress.set_postfix(
            {name: f'{value:.4g}' for name, value in values.items()}, refresh=False
        )
        self._progress.update(0)

    def reset(self, fresh: tf.keras.Model, seed: int) -> None:
        """Makes the model what it is when newly made.

        Args:
          fresh: a model of the same kind, newly made with `seed`; its `weights_of_network()` are
            taken over.
          seed: of the model from now on.
        """
        for variable, value in zip(
            self.model.weights_of_network(), fresh.weights_of_network(), strict=True
        ):
            variable.assign(value)
        for variable in self.model.optimizer.variables:
            if variable is not self.model.optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        self.model.global_step.assign(0)
        self.model.first_bad_step.assign(-1)
        self.model.seed.assign(seed)

    def save_model(self, index: int, rows: list[dict]) -> None:
        """Keeps the model and the curves of trial 0; of any other it keeps nothing.

        Args:
          index: of the trial.
          rows: a dict of numbers, 'step' among them, for each interval of the training.
        """
        if index:
            return
        self._checkpoints.save(0, keep=set())
        if self.is_chief:
            curves = history.History(self.run_dir, last_step=-1)
            for row in rows:
                curves.add(
                    row['step'], {name: value for name, value in row.items() if name != 'step'}
                )

    # Results.

    def evaluate(self) -> dict:
        """Averages the trials and writes `result.json`.

        Returns:
          Its contents: of one trial what it measured, of several `official.core.results.average`
          of them; 'confusion_matrix', the sum over the trials, 'class_names' and 'reference'.

        Raises:
          FileNotFoundError: if a trial is missing.
        """
        found = self._read()
        rows = [found[index] for index in range(self.num_trials) if index in found]
        if len(rows) < self.num_trials:
            raise FileNotFoundError(
                f'{self._path} has {len(rows)} of {self.num_trials} trials: train first.'
            )
        first = self.seed if self.unit == 'seed' else 0
        rows = [{'seed': first + row.pop('trial'), **row} for row in rows]
        if self.num_trials > 1:
            result = results.average(rows, self.unit)
        else:
            result = {
                name: value for name, value in rows[0].items() if isinstance(value, (int, float))
            }
        if all('confusion_matrix' in row for row in rows):
            result['confusion_matrix'] = np.sum(
                [row['confusion_matrix'] for row in rows], axis=0
            ).tolist()
        return self.write_result(result)

    def own_sections(self) -> list[page.Section]:
        # Of one trial the report draws them by itself.
        return [self._curves()] if self.num_trials > 1 else []

    @contextlib.contextmanager
    def reported_model(self) -> Iterator[tf.keras.Model]:
        """The model of trial 0, as it was measured.

        Raises:
          FileNotFoundError: if there is none.
        """
        if not self._checkpoints.steps():
            raise FileNotFoundError(
                f'{self._checkpoints.directory} has no checkpoint: train first.'
            )
        self._checkpoints.restore(0)
        yield self.model

    def _curves(self) -> page.Section:
        rows = history.read(self.run_dir)
        names = list(dict.fromkeys(name for row in rows for name in row if name != 'step'))
        charts = []
        for kind, unit in (('accuracy', '%'), ('loss', '')):
            keys = [name for name in names if kind in name]
            if keys:
                charts.append(figures.curves(rows, keys, kind.capitalize(), y_label=unit))
        return page.Section(
            'Curves of the first trial',
            (
                f'<div class=figures>{"".join(charts)}</div>'
                if charts
                else page.paragraph('The run recorded no values.')
            ),
        )

    # The file.

    @property
    def _path(self) -> str:
        return os.path.join(self.run_dir, _FILE)

    def _read(self) -> dict[int, dict]:
        """The trials that have ended, by index.

        Raises:
          ValueError: if the file is damaged or of other settings.
        """
        if not tf.io.gfile.exists(self._path):
            return {}
        with tf.io.gfile.GFile(self._path) as f:
            lines = [
                self._object(line, number) for number, line in enumerate(f.read().splitlines(), 1)
            ]
        if not lines or 'settings' not in lines[0]:
            raise ValueError(f'{self._path}, line 1, does not hold the settings of the trials.')
        there, ours = lines[0]['settings'], _as_json(self.settings())
        for name in dict.fromkeys([*ours, *there]):
            if there.get(name) != ours.get(name):
                raise ValueError(
                    f'{self._path} has trials of other settings: {name} is {there.get(name)!r} '
                    f'there and {ours.get(name)!r} here.'
                )
        for number, row in enumerate(lines[1:], 2):
            if not isinstance(row.get('trial'), int):
                raise ValueError(f'{self._path}, line {number}, has no integer "trial".')
        return {row['trial']: row for row in lines[1:]}

    def _object(self, line: str, number: int) -> dict:
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f'{self._path}, line {number}, is not valid JSON: {error}.') from None
        if not isinstance(value, dict):
            raise ValueError(f'{self._path}, line {number}, is no JSON object: {line[:60]!r}.')
        return value

    def _write(self, rows: dict[int, dict]) -> None:
        if self.is_chief:
            lines = [{'settings': self.settings()}, *(rows[index] for index in sorted(rows))]
            run_folder.write_text(self._path, ''.join(json.dumps(line) + '\n' for line in lines))


def _as_json(value: dict) -> dict:
    """What writing `value` and reading it again gives."""
    return json.loads(json.dumps(value))
