"""Classification of clouds of points (Fey & Lenssen 2019, Sec. 3 and Table 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.core import model
from official.evaluation import classification
from official.modeling import random
from research.geometric.models import initial_weights

# Added to the index of an augmentation: its key is none of the network's.
_AUGMENTATION = 1 << 20


class PointClassifier(model.Model):
    """A network over clouds of points, trained on their classes.

    `fit` takes (points [B, P, 3], labels [B]), see `point_data.PointData`. Call: points to logits
    [B, classes].

    Args:
      network: a `PointNetwork`.
      seed: source of all randomness: initial weights of a network that has none yet, dropout.
      noise_shards: see `official.core.model.Model`.
      augment: functions points, key -> points, applied in turn to what is trained on, such as those
        of `transforms.augment_tf`; none in Table 3.
      name: name of the model.
    """

    def __init__(
        self,
        network: tf.keras.layers.Layer,
        seed: int = 0,
        noise_shards: int | None = None,
        augment: Sequence[Callable] = (),
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        self.network = network
        self.augment = tuple(augment)
        # All variables exist from now on.
        with initial_weights.drawn_from(seed):
            logits = network(tf.zeros([1, network.points_needed, 3]))
        self.num_classes = logits.shape[-1]
        # Accuracy in percent, the mean over the steps of an interval.
        self._set_metrics(
            [
                tf.keras.metrics.Mean('loss'),
                tf.keras.metrics.Mean('accuracy_percent'),
                classification.ConfusionMatrix(self.num_classes),
                classification.ConfusionMatrix(self.num_classes, 'distinct_confusion_matrix'),
            ]
        )
        self.built = True

    def call(self, points: tf.Tensor, key: tf.Tensor | None = None) -> tf.Tensor:
        return self.network(points, key=key)

    def embed(self, points: tf.Tensor) -> tf.Tensor:
        """The global features of each cloud, [B, F]."""
        return self.network.embed(points)

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        points, labels = data
        for index, augment in enumerate(self.augment):
            points = augment(points, random.fold_in(key, _AUGMENTATION + index))
        with tf.GradientTape() as tape:
            logits = self(points, key=key)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        self.apply_gradients(tape, loss)
        right = tf.equal(tf.argmax(logits, axis=1, output_type=labels.dtype), labels)
        means = self.metrics[:2]
        means[0].update_state(loss)
        means[1].update_state(100 * tf.reduce_mean(tf.cast(right, tf.float32)))
        return loss, {mean.name: mean.result() for mean in means}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Measures (points, labels, weights), or with a fourth part the distinct ones apart.

        The fourth are weights, too, and give `distinct_accuracy_percent`, the accuracy over those
        clouds alone.
        """
        points, labels, weights, *distinct = data
        logits = self(points)
        answers = tf.argmax(logits, axis=1)
        mean, _, every, some = self.metrics
        mean.update_state(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), weights)
        every.update_state(labels, answers, weights)
        matrix = every.result()
        error = classification.error_percent(matrix)
        logs = {'loss': mean.result(), 'accuracy_percent': 100 - error, 'error_percent': error}
        if distinct:
            some.update_state(labels, answers, distinct[0])
            logs['distinct_accuracy_percent'] = 100 - classification.error_percent(some.result())
        return {**logs, 'confusion_matrix': matrix}
