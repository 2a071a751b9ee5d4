"""Many trainings of a `NodeClassifier`, each one call of one compiled function (Table 1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from research.geometric import trials
from research.geometric.models import node_classifier


class NodeTrials(trials.Trials):
    """Table 1: the same training from other weights and, with random splits, on other nodes.

    A trial is one call of a compiled function whose loop over the epochs is in the graph. An epoch
    is one update on the training nodes and one pass without dropout for the losses of the other
    nodes. The accuracy that counts is the test accuracy of the epoch with the least validation
    loss. Early stopping looks from the second half of the epochs on: the run ends when the
    validation loss exceeds the mean of the `patience` losses before it.

    Args:
      run_dir: see `Experiment`.
      seed: trial i has the weights, the dropout and the split of seed + i.
      data_dir: see `Experiment`.
      strategy: one device; a graph is not divided.
      model: called as model(seed=seed), gives a `NodeClassifier`.
      optimizer: called without arguments.
      data: called as data(seed=seed, data_dir=data_dir), gives `NodeData`.
      epochs: the most updates of a trial.
      patience: see above; None never stops.
      jit_compile: compile the loop with XLA, which needs dense features and an edge list.
      num_trials: see `Trials`.
      signatures: see `Trials`.
      reporter: see `Trials`.
      reference: see `Trials`.
      title: see `Trials`.

    Raises:
      ValueError: if numbers are not positive, the network has not one logit a class, or the
        strategy has several replicas.
    """

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
        epochs: int,
        patience: int | None = None,
        jit_compile: bool = False,
        num_trials: int = 100,
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
            num_trials=num_trials,
            signatures=signatures,
            reporter=reporter,
            reference=reference,
            title=title,
        )
        if epochs < 1 or (patience is not None and patience < 1):
            raise ValueError(f'epochs = {epochs} and patience = {patience} must be positive.')
        if self.strategy.num_replicas_in_sync > 1:
            raise ValueError(
                f'NodeTrials trains on one graph, which is not divided among the '
                f'{self.strategy.num_replicas_in_sync} replicas of --strategy: use one device.'
            )
        self.epochs = epochs
        self.patience = patience
        self.data = data(seed=seed, data_dir=data_dir)
        self._digest = self.data.graph.digest()
        self._make_model = model
        with self.strategy.scope():
            made = self._built(seed)
            self._check(made, signatures)
            made.compile(optimizer())
            made.build_optimizers()
            self.use_model(made)
            self._best = [tf.Variable(w, trainable=False) for w in made.weights_of_network()]
        self._run = tf.function(self._train_and_measure, jit_compile=jit_compile)

    def settings(self) -> dict:
        return {
            **super().settings(),
            'epochs': self.epochs,
            'patience': self.patience,
            'data': self._digest,
        }

    def _built(self, seed):
        tf.keras.utils.set_random_seed(seed)
        made = self._make_model(seed=seed)
        made(self.data.inputs)
        return made

    def _check(self, made, signatures):
        """Raises now what would else be found when all trials have ended."""
        classes = made(self.data.inputs).shape[-1]
        if classes != self.data.num_classes:
            raise ValueError(
                f'the network gives {classes} logits a node, but '
                f'{self.data.graph.name} has {self.data.num_classes} classes.'
            )
        if signatures is not None:
            for function, specs in signatures(made, self.data).values():
                tf.function(function, input_signature=specs).get_concrete_function()

    def run_trial(self, index: int) -> dict:
        self.reset(self._built(self.seed + index), self.seed + index)
        nodes = {name: tf.constant(value) for name, value in self.data.nodes(index).items()}
        curves, epochs, best, confusion = self._run(
            self.data.inputs, self.data.labels, nodes['train'], nodes['validation'], nodes['test']
        )
        epochs, best = int(epochs), int(best)
        curves = {name: values.numpy()[:epochs] for name, values in curves.items()}
        wrong = np.flatnonzero(~np.isfinite(curves['loss']))
        if wrong.size:
            raise FloatingPointError(
                f'The loss of epoch {wrong[0] + 1} of trial {index} is not finite.'
            )
        self.save_model(
            index,
            [
                {
                    'step': epoch + 1,
                    **{name: float(values[epoch]) for name, values in curves.items()},
                }
                for epoch in range(epochs)
            ],
        )
        return {
            'test_accuracy_percent': float(curves['test_accuracy_percent'][best]),
            'validation_accuracy_percent': float(curves['validation_accuracy_percent'][best]),
            'epochs': epochs,
            'best_epoch': best + 1,
            'confusion_matrix': confusion.numpy().astype(int).tolist(),
        }

    def _train_and_measure(self, inputs, labels, train, validation, test):
        names = ('loss', 'validation_loss', 'validation_accuracy_percent', 'test_accuracy_percent')
        curves = {name: tf.TensorArray(tf.float32, self.epochs) for name in names}
        losses = tf.fill([self.patience or 1], float('inf'))  # The last ones, a ring.
        epoch, best = tf.constant(0), tf.constant(0)
        least, stop = tf.constant(float('inf')), tf.constant(False)
        while epoch < self.epochs and not stop:
            logs = self.model.step((inputs, labels, train))
            logits = self.model(inputs)
            loss, accuracy = node_classifier.scores(logits, labels, validation)
            _, test_accuracy = node_classifier.scores(logits, labels, test)
            row = (logs['loss'], loss, 100 * accuracy, 100 * test_accuracy)
            curves = {
                name: curves[name].write(epoch, value)
                for name, value in zip(names, row, strict=True)
            }
            if loss < least:
                least, best = loss, epoch
                for kept, weight in zip(self._best, self.model.weights_of_network(), strict=True):
                    kept.assign(weight)
            if self.patience is not None:
                if epoch + 1 > self.epochs // 2:
                    stop = loss > tf.reduce_mean(losses)
                losses = tf.tensor_scatter_nd_update(losses, [[epoch % self.patience]], [loss])
            epoch += 1
        for kept, weight in zip(self._best, self.model.weights_of_network(), strict=True):
            weight.assign(kept)
        predictions = tf.argmax(tf.gather(self.model(inputs), test), axis=1)
        confusion = tf.math.confusion_matrix(
            tf.gather(labels, test), predictions, self.data.num_classes
        )
        return {name: curves[name].stack() for name in names}, epoch, best, confusion
