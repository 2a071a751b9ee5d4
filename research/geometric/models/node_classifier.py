"""Semi-supervised classification of the nodes of one graph (Fey & Lenssen 2019, Table 1)."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from official.core import checks, model
from official.modeling import batch_statistics
from research.geometric import networks, segments
from research.geometric.models import initial_weights


class NodeClassifier(model.Model):
    """A network over a whole graph, trained on the labels of some of its nodes.

    A batch is (inputs, labels, nodes): `inputs` a dict of 'x', 'edge_index' and, where there are
    any, 'edge_attr', as the network takes them; `labels` integers [N]; `nodes` integers [n], whose
    labels count. `fit` it on a data set of one such batch.

    - Under Keras' policies of 16 bits logits and losses are float32.
    - Weight decay is coupled, as in the published runs: weight_decay * w is added to the gradient
      of each weight w, biases too, before the optimizer sees it.

    Args:
      network: called as network(x, edge_index, edge_attr, key=key), gives logits [N, classes].
      weight_decay: see above.
      seed: source of all randomness: initial weights of a network that has none yet, dropout.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.
    """

    def __init__(
        self,
        network: tf.keras.layers.Layer,
        weight_decay: float = 0.0,
        seed: int = 0,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        checks.within('NodeClassifier', 0, float('inf'), weight_decay=weight_decay)
        self.network = networks.get(network)
        # Of the inputs that made the weights; plain numbers, which Keras does not track.
        self._num_features = self._attr_width = self._attr_dtype = None
        self.weight_decay = weight_decay
        self._set_metrics([tf.keras.metrics.Mean('loss'), tf.keras.metrics.Mean('accuracy')])

    def call(self, inputs: tuple, key: tf.Tensor | None = None) -> tf.Tensor:
        """Logits [N, classes] of all nodes."""
        logits = self._of_network(self.network, inputs, key=key)
        return tf.cast(logits, segments.wide(logits.dtype))

    def embed(self, inputs: tuple) -> tf.Tensor:
        """What the last operator of the network gets, [N, F]."""
        return self._of_network(self.network.embed, inputs)

    def _of_network(self, function, inputs, **arguments):
        x, edge_attr = inputs['x'], inputs.get('edge_attr')
        if self._num_features is None:
            # 0 of graphs without features, whose network embeds the nodes.
            self._num_features = 0 if x is None else x.shape[-1]
            if edge_attr is not None:
                self._attr_dtype = edge_attr.dtype.name
                self._attr_width = edge_attr.shape[1] if len(edge_attr.shape) > 1 else 0
        seeded = contextlib.nullcontext()
        if not self.network.built:
            seeded = initial_weights.drawn_from(self.seed)
        with seeded:
            return function(x, inputs['edge_index'], edge_attr, **arguments)

    def weights_of_network(self) -> list[tf.Variable]:
        """What training changes, and what else the network keeps."""
        return self.network.weights

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update, of `fit`; logs are means over the batches of the epoch so far."""
        logs = self.step(data)
        for metric in self.metrics:
            metric.update_state(logs[metric.name])
        return {metric.name: metric.result() for metric in self.metrics}

    def step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update, for a loop in a graph; logs are its own and no metric is kept."""
        return super().train_step(data)

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        inputs, labels, nodes = data
        with tf.GradientTape() as tape:
            loss, accuracy = scores(self(inputs, key=key), labels, nodes)
            total = loss
            if self.weight_decay:
                total += self.weight_decay * tf.add_n(
                    [tf.nn.l2_loss(weight) for weight in self.trainable_variables]
                )
        self.apply_gradients(tape, total)
        return total, {
            'loss': batch_statistics.global_mean(loss),
            'accuracy': batch_statistics.global_mean(accuracy),
        }

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs, labels, nodes = data
        logits = tf.gather(self(inputs), nodes)
        labels = tf.gather(labels, nodes)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss, accuracy = self.metrics
        loss.update_state(losses)
        accuracy.update_state(tf.equal(tf.argmax(logits, axis=1, output_type=labels.dtype), labels))
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self) -> dict[str, Any]:
        return {
            'network': networks.serialize(self.network),
            'weight_decay': self.weight_decay,
            'seed': int(self.seed),
            'noise_shards': self.noise_shards,
            'name': self.name,
        }

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `build_from_config`, when Keras saves the model."""
        if self._num_features is None:
            return None
        return {
            'num_features': self._num_features,
            'attr_width': self._attr_width,
            'attr_dtype': self._attr_dtype,
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Makes the weights, on a graph of one node and its loop, when Keras loads the model."""
        width = config['num_features']
        inputs = {
            'x': tf.zeros([1, width]) if width else None,
            'edge_index': tf.zeros([2, 1], tf.int32),
        }
        if config['attr_dtype'] is not None:
            width = config['attr_width']
            inputs['edge_attr'] = tf.zeros([1, width] if width else [1], config['attr_dtype'])
        self(inputs)


def scores(logits: tf.Tensor, labels: tf.Tensor, nodes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean cross-entropy and accuracy (0 to 1) over some nodes.

    Args:
      logits: [N, classes].
      labels: integers [N].
      nodes: integers [n].
    """
    logits, labels = tf.gather(logits, nodes), tf.gather(labels, nodes)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    right = tf.equal(tf.argmax(logits, axis=1, output_type=labels.dtype), labels)
    return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(right, tf.float32))
