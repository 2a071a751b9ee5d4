"""The common part of experiments around one model: result, export, report."""

from __future__ import annotations

import abc
import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks, distribution, experiment, export, page, report, run_folder
from official.modeling import random


class ModelExperiment(experiment.Experiment):
    """An experiment that ends with a model, which is measured, exported and reported.

    A subclass sets `model` and `data`, trains, evaluates, and says with `reported_model` which
    weights count. Of several workers the chief alone writes.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`.
      data_dir: see `Experiment`.
      strategy: see `Experiment`; by default the current one.
      signatures: called as signatures(model, data), gives `official.core.export.Signatures`; by
        default the model's `call` on float arrays of its `example_shape`.
      reporter: called as reporter(model=, data=, key=), gives sections of the report.
      reference: the paper's figure: {'cell': 'Table 1, ...', '<metric>': value, 'std': value}.
      title: heading of the report; by default the name of the run folder.

    Raises:
      ValueError: if an argument is of another kind.
    """

    changeable: tuple[str, ...] = ('signatures', 'reporter', 'reference', 'title')

    def __init__(
        self,
        run_dir: str,
        seed: int,
        data_dir: str | None,
        strategy: tf.distribute.Strategy | None,
        *,
        signatures: Callable | None,
        reporter: Callable | None,
        reference: dict | None,
        title: str,
    ):
        super().__init__(run_dir, seed, data_dir, strategy or tf.distribute.get_strategy())
        name = type(self).__name__
        checks.called(name, optional=True, signatures=signatures, reporter=reporter)
        checks.mapping(name, reference=reference)
        self.signatures = signatures or _call_signature
        self.reporter = reporter
        self.reference = reference
        self.title = title or os.path.basename(os.path.normpath(run_dir))
        self.is_chief = distribution.is_chief(self.strategy)
        # Made by subclasses, each of its own kind.
        self.data: Any = None
        self.model: Any = None

    @abc.abstractmethod
    def reported_model(self) -> contextlib.AbstractContextManager[tf.keras.Model]:
        """The trained model with the weights that are measured, exported and shown.

        Raises:
          FileNotFoundError: if there is no checkpoint.
        """

    def own_sections(self) -> list[page.Section]:
        """Sections of the report that come before the reporter's."""
        return []

    def write_result(self, result: dict) -> dict:
        """Writes `result.json` and returns what is in it.

        Args:
          result: what was measured; 'class_names', 'reference' and 'run', the name of the run,
            are added where there are any.
        """
        class_names = getattr(self.data, 'class_names', None)
        if class_names is not None:
            result = {**result, 'class_names': list(class_names)}
        if self.reference:
            result['reference'] = dict(self.reference)
        run = run_folder.name_of(self.run_dir)
        if run is not None:
            result['run'] = run
        if self.is_chief:
            run_folder.write_text(
                os.path.join(self.run_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
            )
        return result

    def export(self) -> str:
        path = os.path.join(self.run_dir, 'saved_model')
        with self.reported_model() as model:
            if self.is_chief:
                export.save(model, self.signatures(model, self.data), path)
        return path

    def report(self) -> str:
        sections = report.drawn('The sections of the experiment', self.own_sections)
        reporter = self.reporter
        if reporter is not None:
            with self.reported_model() as model:
                sections += report.drawn(
                    'The pictures of the reporter',
                    lambda: reporter(model=model, data=self.data, key=random.make_key(self.seed)),
                )
        if not self.is_chief:
            return os.path.join(self.run_dir, 'report.html')
        return report.run_report(self.run_dir, self.title, sections)


def _call_signature(model, data):
    del data
    spec = tf.TensorSpec([None, *model.example_shape], tf.float32, name='x')
    return {'predict': (lambda x: {'output': model(x)}, [spec])}
