"""The protocol of Extended Data Tables 3 and 4: the best of several learning rates."""

from __future__ import annotations

import functools
import json
import math
import numbers
import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from official.core import experiment, history, page, run_folder


class LearningRates(experiment.Experiment):
    """Trains an agent with each learning rate; the highest average score of all evaluations counts.

    "DQN agents were trained for 10 million frames using standard hyperparameters [...] and three
    different learning rates. Each agent was evaluated every 250,000 training frames for 135,000
    validation frames and the highest average episode score is reported" (Extended Data Table 3).

    - The paper does not say which rates; the files have the standard one, its half and its double.

    Args:
      run_dir: see `Experiment`; each rate has a folder in it.
      seed: see `Experiment`; the same for all.
      data_dir: see `Experiment`.
      strategy: see `Experiment`.
      experiment: makes a `DqnExperiment`, called with optimizer= and what `Experiment` has.
      optimizer: makes an optimizer, called with learning_rate=.
      rates: the learning rates.
      reference: {'cell': ..., 'score': the paper's}.

    Raises:
      ValueError: there is no rate, one twice, or one that is not a number above 0.
    """

    changeable = ('reference',)

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        experiment: Callable,
        optimizer: Callable,
        rates: Sequence[float],
        reference: dict | None = None,
    ):
        super().__init__(run_dir, seed, data_dir, strategy or tf.distribute.get_strategy())
        if not rates or len(set(rates)) < len(rates):
            raise ValueError(f'LearningRates.rates = {tuple(rates)} must be different numbers.')
        for rate in rates:
            if not isinstance(rate, numbers.Real) or not 0 < rate < math.inf:
                raise ValueError(
                    f'LearningRates.rates has {rate!r}, which is not a number above 0.'
                )
        self._experiment = experiment
        self._optimizer = optimizer
        self.rates = tuple(rates)
        self.reference = reference

    def folder(self, rate: float) -> str:
        """Where the agent of a learning rate is."""
        return os.path.join(self.run_dir, f'learning_rate_{rate:g}')

    def _agent(self, rate: float):
        return self._experiment(
            run_dir=self.folder(rate),
            seed=self.seed,
            data_dir=self.data_dir,
            strategy=self.strategy,
            optimizer=functools.partial(self._optimizer, learning_rate=rate),
        )

    def train(self) -> None:
        for rate in self.rates:
            self._agent(rate).train()
            tf.keras.backend.clear_session()

    def _scores(self) -> dict[float, float]:
        """The highest average score of each rate."""
        scores = {}
        for rate in self.rates:
            found = [row['score'] for row in history.read(self.folder(rate)) if 'score' in row]
            if not found:
                raise FileNotFoundError(f'{self.folder(rate)} has no evaluation: train first.')
            scores[rate] = max(found)
        return scores

    def evaluate(self) -> dict:
        """Reads the evaluations and writes `result.json`.

        Returns:
          'score', the highest average, 'learning_rate', that of 'score', and 'learning_rates': the
          highest of each.
        """
        scores = self._scores()
        best = max(scores, key=scores.get)
        result = {
            'seed': self.seed,
            'score': scores[best],
            'learning_rate': best,
            'learning_rates': {f'{rate:g}': score for rate, score in scores.items()},
        }
        if self.reference:
            result['reference'] = dict(self.reference)
        run_folder.write_text(
            os.path.join(self.run_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
        )
        return result

    def export(self) -> str:
        """The SavedModel of the best learning rate, in its folder."""
        scores = self._scores()
        return self._agent(max(scores, key=scores.get)).export()

    def report(self) -> str:
        """Writes a page with the scores of all rates and the report of the best one beside it."""
        scores = self._scores()
        best = max(scores, key=scores.get)
        agent = self._agent(best)
        agent.evaluate()
        page_of_best = os.path.relpath(agent.report(), self.run_dir)
        rows = [
            (page.Link(page_of_best, f'{rate:g}') if rate == best else f'{rate:g}', score)
            for rate, score in scores.items()
        ]
        text = page.table(rows, ('learning rate', 'highest average score')) + page.paragraph(
            'The highest average score of all evaluations during the training with each rate; the '
            'report of the best rate is linked.',
            note=True,
        )
        if self.reference:
            text += page.paragraph(
                f'{self.reference["cell"]}: {self.reference["score"]:g}; here {scores[best]:g}.'
            )
        return page.write_report(os.path.join(self.run_dir, 'report.html'), agent.title, text, [])
