"""Labels for all training images from a trained feature extractor (Lucic et al. 2019, Sec. 3.1)."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from official.core import checks, files
from official.core import experiment as experiment_lib
from research.s3gan import label_file

LABELS = 'labels.npz'
CLUSTERS = 'clusters_{}.npz'


class FeatureExperiment(experiment_lib.Experiment):
    """Trains a feature extractor and labels the training images with it.

    What `evaluate` leaves in the run folder, for `label_file.inferred_labels`:

    - labels.npz, if there is a classifier c_S2L: the most probable class of every training image,
      and the probabilities;
    - clusters_<k>.npz: the cluster of every training image among k, by mini-batch k-means (Sculley
      2010) on the features.

    All is inferred from the upright image, the labels of labelled images too ("we label the real
    images as c_S2L(F(x))").

    - k-means takes the features as they are, and scikit-learn's defaults: batches of 1024, three
      starts by k-means++.
    - While it works the features lie in a file of the run folder: 4 bytes times their size an
      image, 42 GB for ImageNet at widening factor 16.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`; of k-means too.
      data_dir: see `Experiment`.
      strategy: see `Experiment`.
      experiment: called as experiment(run_dir=, seed=, data_dir=, strategy=), gives the
        `KerasExperiment` that trains a `FeatureExtractor` on `FeatureData`.
      clusters: numbers of clusters, each of which gives a file.

    Raises:
      ValueError: if a number of clusters is less than 2 or more than there are images.
    """

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        experiment: Callable,
        clusters: Sequence[int] = (),
    ):
        checks.at_least(
            'FeatureExperiment',
            2,
            **{f'clusters[{index}]': number for index, number in enumerate(clusters)},
        )
        self.experiment = experiment(
            run_dir=run_dir, seed=seed, data_dir=data_dir, strategy=strategy
        )
        super().__init__(run_dir, seed, data_dir, self.experiment.strategy)
        self.clusters = tuple(clusters)
        self._labels = self.experiment.data.source.labels('train')
        if max(self.clusters, default=0) > len(self._labels):
            raise ValueError(
                f'FeatureExperiment.clusters = {self.clusters} are more than the '
                f'{len(self._labels)} training images.'
            )

    def train(self) -> None:
        self.experiment.train()

    def export(self) -> str:
        return self.experiment.export()

    def report(self) -> str:
        return self.experiment.report()

    def evaluate(self) -> dict:
        """Evaluates, writes the files of labels, and returns what is in `result.json`.

        Beside what `KerasExperiment.evaluate` returns there are, in percent and by the true labels
        of the training images: 'inferred_error_percent', and 'unlabelled_error_percent' without
        those whose labels were trained on, of labels.npz; 'purity_<k>_percent' of clusters_<k>.npz,
        the share of images that have the commonest class of their cluster.
        """
        result = self.experiment.evaluate()
        with self.experiment.reported_model() as model, contextlib.ExitStack() as stack:
            features = stack.enter_context(self._feature_file(model)) if self.clusters else None
            probabilities = self._infer(model, features)
            about = f'step {int(model.global_step.numpy())}, seed {self.seed}'
            if self.experiment.is_chief:
                if probabilities is not None:
                    result.update(self._write_labels(probabilities, about))
                for number in self.clusters:
                    result.update(self._write_clusters(features, number, about))
        return self.experiment.write_result(result)

    @contextlib.contextmanager
    def _feature_file(self, model):
        """An array [images, features] in a file of its own; None on workers that need none."""
        if not self.experiment.is_chief:
            yield None
            return
        path = os.path.join(self.run_dir, 'features.partial')
        shape = len(self._labels), model.network.num_features
        try:
            with open(path, 'wb') as file:
                files.reserve(file, 4 * math.prod(shape), 'the file of features')
            yield np.memmap(path, np.float32, 'r+', shape=shape)
        finally:
            os.remove(path)

    def _infer(self, model, features: np.ndarray | None) -> np.ndarray | None:
        """Fills `features`; returns the probabilities of c_S2L, float32 [images, classes]."""
        data, strategy, total = self.experiment.data, self.strategy, len(self._labels)
        classes = model.num_classes
        probabilities = None if classes is None else np.empty((total, classes), np.float32)

        @tf.function
        def step(images, labels, weights):
            del labels, weights
            outputs = model(images)
            return (
                outputs['features'] if self.clusters else None,
                None if classes is None else tf.nn.softmax(outputs['label_logits']),
            )

        first = 0
        for batch in strategy.distribute_datasets_from_function(data.in_order):
            for result, into in zip(
                strategy.run(step, args=batch), (features, probabilities), strict=True
            ):
                if result is None:
                    continue
                rows = strategy.gather(result, axis=0).numpy()[: total - first]
                if into is not None:
                    into[first : first + len(rows)] = rows
            first += data.evaluation_batch
        return probabilities

    def _write_labels(self, probabilities, about) -> dict:
        data = self.experiment.data
        hard = probabilities.argmax(1)
        label_file.write(
            os.path.join(self.run_dir, LABELS),
            self._labels,
            hard=hard,
            num_labels=probabilities.shape[1],
            probabilities=probabilities,
            source=f'classifier on features, {data.percent:g} % of the labels, {about}',
        )
        wrong = 100.0 * (hard != self._labels)
        errors = {'inferred_error_percent': float(wrong.mean())}
        unlabelled = np.delete(wrong, data.labelled_indices)
        if len(unlabelled):
            errors['unlabelled_error_percent'] = float(unlabelled.mean())
        return errors

    def _write_clusters(self, features, number, about) -> dict:
        assigned = cluster(features, number, self.seed)
        label_file.write(
            os.path.join(self.run_dir, CLUSTERS.format(number)),
            self._labels,
            hard=assigned,
            num_labels=number,
            source=f'{number} clusters of features, {about}',
        )
        return {f'purity_{number}_percent': purity_percent(assigned, self._labels)}


def cluster(features: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Clusters by mini-batch k-means (Sculley 2010).

    Args:
      features: float32 [n, size]; may be in a file (`numpy.memmap`).
      number: of clusters.
      seed: of the starts and batches.

    Returns:
      The cluster of each row, int32 [n].
    """
    from sklearn import cluster as sklearn_cluster  # Slow.

    return (
        sklearn_cluster.MiniBatchKMeans(number, random_state=seed, n_init=3)
        .fit_predict(features)
        .astype(np.int32)
    )


def purity_percent(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose label is the commonest of their cluster.

    Args:
      clusters: int [n].
      labels: int [n].
    """
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return 100.0 * float(counts.max(1).sum() / len(labels))
