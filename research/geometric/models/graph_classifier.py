"""Classification of whole graphs (Fey & Lenssen 2019, Sec. 3 and Table 2)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from official.core import checks, model
from official.evaluation import classification
from official.modeling import batch_statistics, random
from research.geometric import graph_tensor
from research.geometric.models import apart_by_size, initial_weights


class GraphClassifier(apart_by_size.ApartBySize, model.Model):
    """A network that gives one vector a graph, and a perceptron on it: dense, ReLU, dropout, dense.

    `fit` takes (GraphTensor, y, weight), see `batching.train_batches`: the loss is the mean of the
    cross-entropy over the graphs of the global batch, each with its weight. A component of the
    GraphTensor without a y is padding. Call: a scalar GraphTensor to logits.

    Args:
      network: called as network(x, edge_index, edge_attr, batch, num_graphs, num_real, key), gives
        [num_graphs, D]: a `ConvNetwork` or a `DiffPoolNetwork`.
      num_features: F, features of a node.
      num_classes: number of classes.
      num_edge_features: D of edge features [E, D]; 0 of weights [E]; None of no `edge_attr`.
      hidden: width of the perceptron.
      dropout: share of its hidden units dropped in training.
      seed: source of all randomness: initial weights of a network that has none yet, dropout.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.
    """

    def __init__(
        self,
        network: tf.keras.layers.Layer,
        num_features: int,
        num_classes: int,
        num_edge_features: int | None = None,
        hidden: int = 64,
        dropout: float = 0.5,
        seed: int = 0,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        checks.positive('GraphClassifier', num_classes=num_classes, hidden=hidden)
        checks.share('GraphClassifier', dropout=dropout)
        self.network = network
        self.num_features = num_features
        self.num_classes = num_classes
        self.num_edge_features = num_edge_features
        self.hidden = tf.keras.layers.Dense(hidden, activation='relu')
        self.out = tf.keras.layers.Dense(num_classes)
        self.dropout = dropout
        self._set_metrics(
            [tf.keras.metrics.Mean('loss'), classification.ConfusionMatrix(num_classes)]
        )
        # All variables exist from now on; a graph of one node and its loop makes them.
        attr = (
            None
            if num_edge_features is None
            else tf.zeros([1, num_edge_features] if num_edge_features else [1])
        )
        one = graph_tensor.Arrays(
            tf.zeros([1, num_features]),
            tf.zeros([2, 1], tf.int32),
            attr,
            tf.zeros([1], tf.int32),
            1,
        )
        with initial_weights.drawn_from(seed):
            self.logits(one)
        self.built = True

    def embed(
        self, arrays: graph_tensor.Arrays, num_real: int | None = None, key: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The vector of each graph, [num_real, D].

        Args:
          arrays: a batch of graphs.
          num_real: graphs without the padding; None: there is none.
          key: int32 [shards, 2], the randomness of a training step; None: not training.
        """
        embedded = self.network(
            arrays.x,
            arrays.edge_index,
            arrays.edge_attr,
            arrays.batch,
            arrays.num_graphs,
            num_real=num_real,
            key=None if key is None else random.fold_in(key, 0),
        )
        return embedded[:num_real]

    def logits(
        self, arrays: graph_tensor.Arrays, num_real: int | None = None, key: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Logits [num_real, classes]; the arguments are those of `embed`."""
        hidden = self.hidden(self.embed(arrays, num_real, key))
        if key is not None:
            hidden = random.dropout(random.fold_in(key, 1), hidden, self.dropout)
        return self.out(hidden)

    def call(self, graph: tfgnn.GraphTensor) -> tf.Tensor:
        """Logits [components, classes], of padding too."""
        return self.logits(graph_tensor.arrays(graph))

    def weights_of_network(self) -> list[tf.Variable]:
        """What training changes, and what else the layers keep."""
        return [*self.network.weights, *self.hidden.weights, *self.out.weights]

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        graph, y, weight = data
        # The mean over replicas of the losses is to be the mean over all graphs.
        graphs = batch_statistics.global_mean(tf.reduce_sum(weight))
        with tf.GradientTape() as tape:
            logits = self.logits(graph_tensor.arrays(graph), y.shape[0], key)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            loss = tf.reduce_sum(weight * losses) / graphs
        self.apply_gradients(tape, loss)
        self.metrics[0].update_state(losses, weight)
        return loss, {'loss': self.metrics[0].result()}

    def predict_step(self, data: Any) -> tf.Tensor:
        """Logits [graphs, classes] of the graphs that are there, without what pads the batch."""
        graph, y, weight = data
        return tf.boolean_mask(self.logits(graph_tensor.arrays(graph), y.shape[0]), weight > 0)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        graph, y, weight = data
        logits = self.logits(graph_tensor.arrays(graph), y.shape[0])
        mean, confusion_matrix = self.metrics
        mean.update_state(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits), weight)
        confusion_matrix.update_state(y, tf.argmax(logits, axis=1), weight)
        matrix = confusion_matrix.result()
        error = classification.error_percent(matrix)
        return {
            'loss': mean.result(),
            'accuracy_percent': 100 - error,
            'error_percent': error,
            'confusion_matrix': matrix,
        }
