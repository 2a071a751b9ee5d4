"""Any compiled Keras model as one that `KerasExperiment` drives."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import model as core_model


class Compiled(core_model.Model):
    """A `tf.keras.Model` with the loss and the metrics that its own `compile` was given.

    The optimizer is the experiment's. What Keras' own layers draw, as dropout does, is no function
    of the step: a run of such a network that is stopped goes on with other noise.

    Args:
      network: a built model, compiled with a loss; its examples are one tensor.
      seed: see `Model`.

    Raises:
      ValueError: the network is not built or was not compiled with a loss.
    """

    def __init__(self, network: tf.keras.Model, seed: int = 0):
        super().__init__(seed=seed, name=network.name)
        name = type(network).__name__
        if not network.built:
            raise ValueError(f'The {name} {network.name!r} is not built; call build(input_shape).')
        if getattr(network, 'compiled_loss', None) is None or network.loss is None:
            raise ValueError(
                f'The {name} {network.name!r} has no loss; compile it with one, as in '
                f"compile(loss='mse')."
            )
        self.network = network
        if isinstance(getattr(network, 'input_shape', None), tuple):
            self.example_shape = network.input_shape[1:]
        self.built = True

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return self.network.metrics

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.network(x, training=training)

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del key
        x, y, weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            predicted = self.network(x, training=True)
            loss = self.network.compiled_loss(
                y, predicted, weight, regularization_losses=self.network.losses
            )
        # Keras has divided its loss by the replicas already, whose gradients the optimizer adds up.
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self.network.compiled_metrics.update_state(y, predicted, weight)
        return loss, self._results()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y, weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        predicted = self.network(x, training=False)
        self.network.compiled_loss(y, predicted, weight, regularization_losses=self.network.losses)
        self.network.compiled_metrics.update_state(y, predicted, weight)
        return self._results()

    def _results(self) -> dict[str, tf.Tensor]:
        return {metric.name: metric.result() for metric in self.metrics}
