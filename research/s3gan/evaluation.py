"""FID, Inception Score, precision and recall of a generator (Lucic et al. 2019, Sec. 4)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks, distribution
from official.data import image_sources
from official.evaluation import fid, inception_score, precision_recall
from research.s3gan import layers

_NEIGHBOURS = 3  # Of precision and recall: Kynkaanniemi et al. 2019, Sec. 3.
_SAMPLE = 7  # What is drawn here with a run's seed.


class GanEvaluation:
    """Scores of a generator, for `KerasExperiment.evaluator`.

    "All metrics are computed for 5 different randomly sampled sets of fake images and we report
    the mean." Real images are those of the split that is asked for, 'test' as in the paper.

    Normalization uses the means of the statistics of many batches of the weights that are measured;
    afterwards the model is as it was.

    Beside the paper's scores there is `diversity`: the variance of generated features with the same
    label, over that of all real features. It falls to 0 when every label has one image.

    Args:
      features: called as features(source=), under the strategy, gives a model: images in [0, 1] to
        features [n, size] and probabilities [n, classes], with a text `about`; such as
        `small_classifier.trained` or `inception_v3.load`.
      num_samples: generated images of a set: 50 000 for ImageNet, 10 000 for small data sets.
      num_sets: sets.
      splits: see `official.evaluation.inception_score`.
      checkpoint_samples: images of the only set at a checkpoint.
      neighbour_samples: images, real and generated, for precision and recall; they take the square
        of this number in time. The real ones are drawn from the split with the run's seed. 0:
        neither is computed.
    """

    def __init__(
        self,
        features: Callable,
        num_samples: int = 50000,
        num_sets: int = 5,
        splits: int = 1,
        checkpoint_samples: int = 5000,
        neighbour_samples: int = 10000,
    ):
        checks.positive('GanEvaluation', num_sets=num_sets, splits=splits)
        checks.at_least(
            'GanEvaluation', 2, num_samples=num_samples, checkpoint_samples=checkpoint_samples
        )
        checks.at_least('GanEvaluation', 0, neighbour_samples=neighbour_samples)
        self._make_features = features
        self.num_samples, self.num_sets, self.splits = num_samples, num_sets, splits
        self.checkpoint_samples = checkpoint_samples
        self.neighbour_samples = neighbour_samples
        self._features = None
        self._sampled = None  # The model and the function of its last call.
        self._real: dict[str, _Real] = {}

    def use_data(self, data: Any, splits: Iterable[str]) -> None:
        """Called before the training: looks whether there will be scores at its end.

        Args:
          data: a `GanData`.
          splits: names of the splits that will be measured on.

        Raises:
          ValueError: There is no such split; it has too few real images, or only equal ones.
        """
        for split in splits:
            if split not in image_sources.SPLITS:
                raise ValueError(
                    f'split = {split!r} is neither of {" and ".join(image_sources.SPLITS)}.'
                )
            number = len(data.source.labels(split))
            least = _NEIGHBOURS + 1 if self.neighbour_samples else 2
            few = min(self.neighbour_samples or self.num_samples, self.num_samples)
            if number < least:
                raise ValueError(
                    f'{data.source.name} has {number} {split} images; the scores of '
                    f'GanEvaluation need at least {least}.'
                )
            if few < least:
                raise ValueError(
                    f'GanEvaluation measures precision and recall on {few} images of '
                    f'num_samples = {self.num_samples} and neighbour_samples = '
                    f'{self.neighbour_samples}; they need at least {least}.'
                )
            if not _differ(data.evaluation(split)):
                raise ValueError(
                    f'{data.source.name}: the {number} {split} images are all equal: '
                    'there is no variety to compare with.'
                )

    def __call__(
        self,
        model: tf.keras.Model,
        data: Any,
        strategy: tf.distribute.Strategy,
        split: str,
        final: bool,
    ) -> dict:
        """Scores of `model`, an `S3GAN`, against the real images of `data`, a `GanData`.

        Returns:
          fid, inception_score, diversity; if `final` also precision, recall, fid_of_sets and
          inception_score_of_sets, float64 [num_sets], and measured_on, which says on how many
          samples and over which features.
        """
        if self._features is None:
            with strategy.scope():
                self._features = self._make_features(source=data.source)
        if split not in self._real:
            self._real[split] = self._of_real(data, strategy, split)
        real = self._real[split]
        number = self.num_samples if final else self.checkpoint_samples
        moving = [
            (variable, variable.numpy()) for variable in model.generator.non_trainable_variables
        ]
        try:
            model.calibrate(strategy.distribute_datasets_from_function(data.calibration))
            scores = [
                self._of_set(model, data, strategy, real, number, index, final)
                for index in range(self.num_sets if final else 1)
            ]
        finally:
            for variable, value in moving:
                variable.assign(value)
        means = {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
        if not final:
            return means
        for name in ('fid', 'inception_score'):
            means[f'{name}_of_sets'] = np.array([score[name] for score in scores])
        return {**means, 'measured_on': self._measured_on(real)}

    def _measured_on(self, real: _Real) -> str:
        def count(number, what):
            return f'{number} {what}' + ('' if number == 1 else 's')

        text = (
            f'{count(self.num_sets, "set")} of {self.num_samples} samples, of which the mean '
            f'is told, against {len(real.features)} real images; Inception Score with '
            f'{count(self.splits, "split")}; '
        )
        if self.neighbour_samples:
            few = min(self.neighbour_samples, self.num_samples, len(real.features))
            text += f'precision and recall of {few} each; '
        text += f'features of {self._features.about}'
        warning = getattr(self._features, 'warning', '')
        return f'{text}. {warning}' if warning else text

    def _of_real(self, data, strategy, split) -> _Real:
        @tf.function
        def step(images, weights):
            return self._features(layers.unit_images(images))[0], weights

        features, weights = _run(
            step,
            strategy.distribute_datasets_from_function(
                lambda context: data.evaluation(split, context).map(
                    lambda x, y, weight: (x, weight)
                )
            ),
            strategy,
        )
        return _Real(features[weights > 0], data.seed)

    def _of_set(self, model, data, strategy, real, number, index, final) -> dict:
        features, probabilities, y = _run(
            self._step(model),
            strategy.distribute_datasets_from_function(
                lambda context: data.samples(number, index, context).map(lambda x: (x,))
            ),
            strategy,
        )
        features, probabilities, y = features[:number], probabilities[:number], y[:number]
        fake = fid.FeatureStatistics()
        fake.add(features)
        score = {
            'fid': fid.fid(real.statistics, fake),
            'inception_score': inception_score.inception_score(probabilities, self.splits)[0],
            'diversity': _variance_within(features, y) / real.variance if real.variance else 0.0,
        }
        if final and self.neighbour_samples:
            few = min(self.neighbour_samples, number, len(real.features))
            score['precision'] = real.manifold(few).share_inside(features[:few])
            score['recall'] = precision_recall.Manifold(features[:few], _NEIGHBOURS).share_inside(
                real.some(few)
            )
        return score

    def _step(self, model):
        if self._sampled is None or self._sampled[0] is not model:

            @tf.function
            def step(positions):
                images, _, y = model.sample(positions)
                return (*self._features(images), y)

            self._sampled = (model, step)
        return self._sampled[1]


class _Real:
    """Features of real images [n, size] and what is computed of them once."""

    def __init__(self, features: np.ndarray, seed: int):
        self.features = features
        random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, _SAMPLE))))
        self._order = random.permutation(len(features))
        self.statistics = fid.FeatureStatistics()
        self.statistics.add(features)
        self.variance = float(np.trace(self.statistics.covariance))
        self._manifolds: dict[int, precision_recall.Manifold] = {}

    def some(self, number: int) -> np.ndarray:
        """A random sample: as files lie in folders, the first are of the first classes."""
        return self.features[np.sort(self._order[:number])]

    def manifold(self, number: int) -> precision_recall.Manifold:
        """Manifold of `some` features."""
        if number not in self._manifolds:
            self._manifolds[number] = precision_recall.Manifold(self.some(number), _NEIGHBOURS)
        return self._manifolds[number]


def _differ(batches: tf.data.Dataset) -> bool:
    """Returns True if two images are different; reads no further."""
    first = None
    for images, _, weights in batches.as_numpy_iterator():
        images = images[weights > 0]
        first = images[:1] if first is None else first
        if (images != first).any():
            return True
    return False


def _variance_within(features: np.ndarray, y: np.ndarray) -> float:
    """Summed variance of features around the mean of their label, of labels with two or more."""
    total, degrees = 0.0, 0
    for label in np.unique(y):
        group = features[y == label].astype(np.float64)
        total += float(np.square(group - group.mean(0)).sum())
        degrees += len(group) - 1
    return total / degrees if degrees else 0.0


def _run(step, dataset, strategy) -> list[np.ndarray]:
    """step(*elements) of each replica's elements, all results one after another."""
    results = zip(*distribution.results_of(step, dataset, strategy), strict=True)
    return [np.concatenate(column) for column in results]


class CollapseCheck:
    """Ends a training whose samples have collapsed, for `KerasExperiment.check`.

    Collapsed is a generator whose `diversity` falls below a hundredth after it was above, or whose
    FID is many times the lowest so far, at `patience` checkpoints in sequence. (BIGGAN-k% "collapse
    after 60k to 120k iterations", Lucic et al. 2019, Sec. 5.2.)

    Args:
      metric_prefix: of the rows' names: 'test_fid' with 'test_'.
      least_diversity: see above.
      fid_factor: see above.
      patience: checkpoints in sequence.
    """

    def __init__(
        self,
        metric_prefix: str = 'test_',
        least_diversity: float = 0.01,
        fid_factor: float = 5.0,
        patience: int = 2,
    ):
        checks.positive('CollapseCheck', patience=patience)
        checks.within('CollapseCheck', 0, 1, least_diversity=least_diversity)
        checks.within('CollapseCheck', 1, sys.float_info.max, fid_factor=fid_factor)
        self._fid, self._diversity = f'{metric_prefix}fid', f'{metric_prefix}diversity'
        self.least_diversity, self.fid_factor = least_diversity, fid_factor
        self.patience = patience

    def __call__(self, rows: list[dict]) -> None:
        """Raises FloatingPointError if the last rows are of a collapsed generator."""
        rows = [row for row in rows if self._fid in row]
        if len(rows) <= self.patience:
            return
        before, last = rows[: -self.patience], rows[-self.patience :]
        best = min(before, key=lambda row: row[self._fid])
        if all(row[self._diversity] < self.least_diversity for row in last) and any(
            row[self._diversity] >= self.least_diversity for row in before
        ):
            what = (
                f'samples of the same label hardly differ: diversity '
                f'{last[-1][self._diversity]:.4f}'
            )
        elif all(row[self._fid] > self.fid_factor * best[self._fid] for row in last):
            what = f'FID {last[-1][self._fid]:.1f}'
        else:
            return
        raise FloatingPointError(
            f'The generator has collapsed at step {last[-1]["step"]}: {what}; the lowest FID was '
            f'{best[self._fid]:.1f} at step {best["step"]}. The checkpoint before this one is '
            'kept; --mode=evaluate measures it.'
        )
