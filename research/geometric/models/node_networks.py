"""The networks of Table 1 of Fey & Lenssen 2019: what a node is by its features and its graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import random
from research.geometric import networks, sparse


class GraphNetwork(tf.keras.layers.Layer):
    """Graph operators one after another, with an activation and dropout in between.

    With two operators this is GCN (Kipf & Welling 2017, Eq. (9)) and, each with its operator,
    Cheby, GAT and ARMA of Table 1; with one it is SGC.

    Args:
      operators: graph operators; the last gives the logits.
      activation: of all but the last operator, a name or function as Keras takes it.
      dropout: share of features dropped before each operator in training.
      input_dropout: share dropped before the first operator; by default `dropout`.
      name: name of the layer.

    Call arguments:
      x: node features [N, F], dense or a `tf.SparseTensor`.
      edge_index: as the operators take it.
      edge_attr: as the operators take it.
      key: int32 [1, 2], the randomness of a training step. Without it, dropout is drawn as Keras'
        is, in training alone.

    Returns:
      Logits [N, classes].
    """

    def __init__(
        self,
        operators: Sequence[tf.keras.layers.Layer],
        activation: str | Callable | None = 'relu',
        dropout: float = 0.0,
        input_dropout: float | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.operators = [networks.get(operator) for operator in operators]
        self.activation = tf.keras.activations.get(activation)
        checks.share('GraphNetwork', dropout=dropout)
        if input_dropout is not None:
            checks.share('GraphNetwork', input_dropout=input_dropout)
        self.dropout = dropout
        self.input_dropout = dropout if input_dropout is None else input_dropout
        # Operators with dropout of their own take a key.
        self._with_key = [_takes_key(operator) for operator in self.operators]

    def call(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        key = random.key_in_training(key, training)
        return self.operators[-1](
            *self._before_last(x, edge_index, edge_attr, key),
            **self._key(len(self.operators) - 1, key),
        )

    def embed(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """What the last operator gets, [N, F'], the embedding of the nodes; of one, its output."""
        if len(self.operators) == 1:
            return self(x, edge_index, edge_attr)
        return self._before_last(x, edge_index, edge_attr, None)[0]

    def _before_last(self, x, edge_index, edge_attr, key):
        for index, operator in enumerate(self.operators):
            rate = self.dropout if index else self.input_dropout
            x = sparse.dropout(None if key is None else random.fold_in(key, 2 * index), x, rate)
            if index < len(self.operators) - 1:
                x = self.activation(operator(x, edge_index, edge_attr, **self._key(index, key)))
        return x, edge_index, edge_attr

    def _key(self, index, key):
        if key is None or not self._with_key[index]:
            return {}
        return {'key': random.fold_in(key, 2 * index + 1)}

    def get_config(self) -> dict[str, Any]:
        return {
            'operators': [networks.serialize(operator) for operator in self.operators],
            'activation': tf.keras.activations.serialize(self.activation),
            'dropout': self.dropout,
            'input_dropout': self.input_dropout,
            'name': self.name,
        }


class PredictThenPropagate(tf.keras.layers.Layer):
    """A multilayer perceptron on each node, then propagation (Klicpera et al. 2019, Eq. (4)).

    APPNP of Table 1: two dense layers, then `APPNP`.

    Args:
      channels: width of the hidden layer.
      classes: number of classes.
      propagation: a graph operator without weights.
      dropout: share of features dropped before each dense layer in training.
      name: name of the layer.

    Call arguments and result: as of `GraphNetwork`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        propagation: tf.keras.layers.Layer,
        dropout: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        checks.positive('PredictThenPropagate', channels=channels, classes=classes)
        checks.share('PredictThenPropagate', dropout=dropout)
        self.channels = channels
        self.classes = classes
        self.propagation = networks.get(propagation)
        self.dropout = dropout

    def build(self, input_shape: Any) -> None:
        def weight(name, shape, initializer):
            return self.add_weight(name, shape, initializer=initializer)

        self.kernel = weight('kernel', [input_shape[-1], self.channels], 'glorot_uniform')
        self.bias = weight('bias', [self.channels], 'zeros')
        self.out_kernel = weight('out_kernel', [self.channels, self.classes], 'glorot_uniform')
        self.out_bias = weight('out_bias', [self.classes], 'zeros')
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        key = random.key_in_training(key, training)
        x = self.embed(x, edge_index, edge_attr, key)
        x = sparse.dropout(None if key is None else random.fold_in(key, 1), x, self.dropout)
        drop = key is not None and _takes_key(self.propagation)
        return self.propagation(
            x @ self.out_kernel + self.out_bias,
            edge_index,
            edge_attr,
            **({'key': random.fold_in(key, 2)} if drop else {}),
        )

    def embed(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The hidden layer, [N, channels], before any propagation."""
        del edge_index, edge_attr
        x = sparse.dropout(None if key is None else random.fold_in(key, 0), x, self.dropout)
        return tf.nn.relu(sparse.matmul(x, self.kernel) + self.bias)

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'classes': self.classes,
            'propagation': networks.serialize(self.propagation),
            'dropout': self.dropout,
            'name': self.name,
        }


def _takes_key(operator) -> bool:
    return 'key' in inspect.signature(operator.call).parameters
