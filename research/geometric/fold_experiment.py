"""Cross validation of a `GraphClassifier`: ten trainings, one traced step (Table 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.evaluation import classification
from research.geometric import batching, trials


class FoldExperiment(trials.Trials):
    """Table 2: one training on every fold; the test accuracy is that of the best epoch.

    An epoch is one call of a compiled function: the batches are gathered, trained on, and the
    validation graphs evaluated, all in the graph. The best epoch has the least validation loss, of
    equal ones the first.

    Args:
      run_dir: see `Experiment`.
      seed: fold i has the weights, the order of its graphs and the dropout of seed + i.
      data_dir: see `Experiment`.
      strategy: one device.
      model: called as model(seed=seed, num_features=, num_classes=, num_edge_features=), gives a
        `GraphClassifier`.
      optimizer: called without arguments; its learning rate is a number.
      data: called as data(seed=seed, data_dir=data_dir), gives `GraphData`.
      epochs: passes over the training graphs.
      halve_every_epochs: epochs after which the learning rate is halved, again and again.
      jit_compile: compile the training step with XLA, which needs padded batches.
      num_trials: folds to train, the first ones; by default all.
      signatures: see `Trials`.
      reporter: see `Trials`.
      reference: see `Trials`.
      title: see `Trials`.

    Raises:
      ValueError: if numbers are not positive, there are fewer folds than trials, XLA is to compile
        batches that are not padded, or the strategy has several replicas.
    """

    unit = 'fold'

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        model: Callable,
        optimizer: Callable,
        data: Callable,
        epochs: int = 100,
        halve_every_epochs: int = 50,
        jit_compile: bool = False,
        num_trials: int | None = None,
        signatures: Callable | None = None,
        reporter: Callable | None = None,
        reference: dict | None = None,
        title: str = '',
    ):
        data = data(seed=seed, data_dir=data_dir)
        super().__init__(
            run_dir,
            seed,
            data_dir,
            strategy,
            num_trials=len(data.folds) if num_trials is None else num_trials,
            signatures=signatures,
            reporter=reporter,
            reference=reference,
            title=title,
        )
        if epochs < 1 or halve_every_epochs < 1:
            raise ValueError(
                f'epochs = {epochs} and halve_every_epochs = {halve_every_epochs} must be positive.'
            )
        if self.num_trials > len(data.folds):
            raise ValueError(
                f'num_trials = {self.num_trials}, but there are {len(data.folds)} folds.'
            )
        if jit_compile and data.padding is None:
            raise ValueError(
                'jit_compile needs batches of one size, and the padding of the data '
                'is None: give it one, such as batching.largest.'
            )
        if self.strategy.num_replicas_in_sync > 1:
            raise ValueError(
                'FoldExperiment trains on one device, not on the '
                f'{self.strategy.num_replicas_in_sync} replicas of --strategy; KerasExperiment '
                'trains one fold on several.'
            )
        self.data = data
        self._digest = hashlib.sha256(
            ''.join(graph.digest() for graph in data.dataset.graphs).encode()
        ).hexdigest()[:16]
        self.epochs = epochs
        self.halve_every_epochs = halve_every_epochs
        self._make_model = model
        with self.strategy.scope():
            made = self._fresh(seed)
            made.compile(optimizer())
            made.build_optimizers()
            self.use_model(made)
            self._best = [tf.Variable(w, trainable=False) for w in made.weights_of_network()]
        self._first_rate = float(made.optimizer.learning_rate)
        # Nothing in these is Python to convert, and looking for it takes longer than the rest.
        self._example = tf.autograph.experimental.do_not_convert(
            data.graphs.example(data.padding, data.batch_size)
        )
        self._step = tf.function(made.train_step, autograph=False, jit_compile=jit_compile)
        self._test = tf.function(made.test_step, autograph=False)
        self._epoch = tf.function(self._train_and_validate, reduce_retracing=True)
        self._measure = tf.function(self._evaluate)

    def settings(self) -> dict:
        return {
            **super().settings(),
            'data': self._digest,
            'graphs': len(self.data.dataset),
            'nodes': int(self.data.graphs.node_counts.sum()),
            'edges': int(self.data.graphs.edge_counts.sum()),
            'folds': len(self.data.folds),
            'batch_size': self.data.batch_size,
            'parameters': self.model.count_params(),
            'first_learning_rate': self._first_rate,
            'epochs': self.epochs,
            'halve_every_epochs': self.halve_every_epochs,
        }

    def run_trial(self, index: int) -> dict:
        seed, fold, model = self.seed + index, self.data.folds[index], self.model
        self.reset(self._fresh(seed), seed)
        steps = batching.steps_per_epoch(len(fold.train), self.data.batch_size)
        batches = iter(batching.train_indices(fold.train, self.data.batch_size, seed))
        validation = self._chunks(fold.validation)
        rows, least, best = [], float('inf'), 0
        for epoch in range(1, self.epochs + 1):
            model.optimizer.learning_rate.assign(
                self._first_rate * 0.5 ** ((epoch - 1) // self.halve_every_epochs)
            )
            indices = tf.stack([next(batches) for _ in range(steps)])
            values = self._epoch(indices, validation)
            rows.append(
                {'step': epoch * steps, **{name: float(value) for name, value in values.items()}}
            )
            self._check_finite(rows[-1], index)
            if rows[-1]['validation_loss'] < least:
                least, best = rows[-1]['validation_loss'], epoch
                for kept, weight in zip(self._best, model.weights_of_network(), strict=True):
                    kept.assign(weight)
            self.show(epoch=epoch, validation_loss=rows[-1]['validation_loss'])
        for kept, weight in zip(self._best, model.weights_of_network(), strict=True):
            weight.assign(kept)
        loss, confusion = self._measure(self._chunks(fold.test))
        self.save_model(index, rows)
        return {
            'test_accuracy_percent': 100 - float(classification.error_percent(confusion)),
            'test_loss': float(loss),
            'validation_accuracy_percent': rows[best - 1]['validation_accuracy_percent'],
            'best_epoch': best,
            'confusion_matrix': confusion.numpy().astype(int).tolist(),
        }

    def _fresh(self, seed):
        tf.keras.utils.set_random_seed(seed)
        return self._make_model(
            seed=seed,
            num_features=self.data.num_features,
            num_classes=self.data.num_classes,
            num_edge_features=self.data.num_edge_features,
        )

    def _check_finite(self, row, index):
        step = int(self.model.first_bad_step)
        if step >= 0:
            raise FloatingPointError(f'The loss of step {step} of fold {index} is not finite.')
        if not np.isfinite(row['validation_loss']):
            raise FloatingPointError(
                f'The validation loss after step {row["step"]} of fold {index} is not finite.'
            )

    def _chunks(self, members) -> tf.Tensor:
        """Graphs to evaluate as int64 [batches, batch_size], -1 where there is none."""
        size = self.data.batch_size
        places = np.full(batching.steps_per_epoch(len(members), size) * size, -1)
        places[: len(members)] = members
        return tf.constant(places.reshape(-1, size))

    def _train_and_validate(self, batches, validation):
        loss = 0.0
        for metric in self.model.metrics:
            metric.reset_state()
        for indices in batches:
            loss = self._step(self._example(indices))['loss']
        validation_loss, confusion = self._evaluate(validation)
        return {
            'loss': loss,
            'validation_loss': validation_loss,
            'validation_accuracy_percent': 100 - classification.error_percent(confusion),
        }

    def _evaluate(self, batches):
        for metric in self.model.metrics:
            metric.reset_state()
        for indices in batches:
            self._test(self._example(indices))
        loss, confusion = self.model.metrics
        return loss.result(), confusion.result()
