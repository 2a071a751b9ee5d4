"""ARMA filters (Bianchi et al. 2019, "Graph Neural Networks with Convolutional ARMA Filters")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import random
from research.geometric import kernels, message_passing, smoothing, sparse
from research.geometric.convs import inputs


class ARMAConv(smoothing.NormalizedPropagation):
    """X' = mean over stacks of X^(T), with X^(t+1) = act(L^ X^(t) W^(t) + X V^(t) + b^(t)).

    The ARMA layer of Bianchi et al. 2019: stacks, each with its own W, V and b, of T graph
    convolutional skip layers that begin at X^(0) = X and add X anew in each layer;
    L^ = I - L = D^(-1/2) A D^(-1/2), without self loops. All stacks are one product: their features
    lie side by side.

    - The paper has no b.
    - Dropout of the skip is dropout of X, drawn anew for each layer, before its product with V; all
      stacks see the same. Of a sparse X the zeros stay zeros, so only the others are drawn for.
    - Dropout of X^(t) W^(t) is not in the paper of Bianchi et al.; PyTorch Geometric had it, with
      the rate of the skip, until April 2019, and so when Table 1 of Fey & Lenssen 2019 was made.
    - W^(0), [F, F'], cannot be shared with the later W, [F', F']; `shared_weights` shares W^(t) for
      t >= 1 and V^(t) and b^(t) for all t.

    Args:
      channels: F', features of a node after the layer.
      num_stacks: number of parallel stacks, K in the paper.
      num_layers: T, depth of a stack.
      shared_weights: whether the layers of a stack share their weights, as above.
      activation: act, of each layer, a name or function as Keras takes it; None for none.
      dropout: share of X that is dropped on the skip in training.
      product_dropout: share of X^(t) W^(t) that is dropped in training, before L^ is applied.
      normalize: False where the edges already carry the coefficients of D^(-1/2) A D^(-1/2)
        (`normalization.gcn_normalized` without self loops), which saves work on a graph that does
        not change.
      use_bias: whether there are b.
      kernel_initializer: of each W and V.
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or a `tf.SparseTensor`.
      edge_index: integers [2, E], or a sparse adjacency matrix [N, N].
      edge_attr: edge weights [E], or None for 1.
      key: int32 [1, 2], the randomness of the dropout. Without it, dropout is
        drawn as Keras' is, in training alone.

    Returns:
      [N, F'].

    Raises:
      ValueError: if there are no stacks or layers, or a dropout is outside [0, 1).
    """

    def __init__(
        self,
        channels: int,
        *,
        num_stacks: int = 1,
        num_layers: int = 1,
        shared_weights: bool = False,
        activation: str | Callable | None = 'relu',
        dropout: float = 0.0,
        product_dropout: float = 0.0,
        normalize: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(normalize, self_loops=False, name=name)
        checks.positive('ARMAConv', channels=channels)
        if num_stacks < 1 or num_layers < 1:
            raise ValueError(
                f'num_stacks = {num_stacks} and num_layers = {num_layers} must be at least 1.'
            )
        for argument, rate in (('dropout', dropout), ('product_dropout', product_dropout)):
            if not 0 <= rate < 1:
                raise ValueError(f'{argument} = {rate} is outside [0, 1).')
        self.channels = channels
        self.num_stacks = num_stacks
        self.num_layers = num_layers
        self.shared_weights = shared_weights
        self.activation = tf.keras.activations.get(activation)
        self.dropout = dropout
        self.product_dropout = product_dropout
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        stacks, channels = self.num_stacks, self.channels
        features = inputs.width(type(self).__name__, input_shape)
        drawn = 0

        def kernel(name, rows):
            nonlocal drawn
            drawn += 1
            # Apart by more than the stacks, which take the seeds that follow.
            initializer = kernels.another(self.kernel_initializer, drawn * stacks)
            return self.add_weight(
                name, [stacks, rows, channels], initializer=kernels.each(initializer)
            )

        layers = 1 if self.shared_weights else self.num_layers
        later = min(layers, self.num_layers - 1)
        self.initial_kernel = kernel('initial_kernel', features)
        self.kernels = [kernel(f'kernel_{t + 1}', channels) for t in range(later)]
        self.skip_kernels = [kernel(f'skip_kernel_{t}', features) for t in range(layers)]
        self.biases = (
            [
                self.add_weight(f'bias_{t}', [stacks * channels], initializer='zeros')
                for t in range(layers)
            ]
            if self.use_bias
            else None
        )
        super().build(input_shape)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
        key: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        key = random.key_in_training(key, training)
        smooth = self.smoother(edge_index, edge_attr, message_passing.num_rows(x))
        state = sparse.matmul(x, kernels.side_by_side(self.initial_kernel))
        for t in range(self.num_layers):
            shared = 0 if self.shared_weights else t
            if t:
                state = self._each_stack(state, self.kernels[0 if self.shared_weights else t - 1])
            skipped = x
            if key is not None:
                skipped = sparse.dropout(random.fold_in(key, t), x, self.dropout)
                state = sparse.dropout(
                    random.fold_in(key, self.num_layers + t), state, self.product_dropout
                )
            state = smooth(state) + sparse.matmul(
                skipped, kernels.side_by_side(self.skip_kernels[shared])
            )
            if self.biases is not None:
                state += self.biases[shared]
            state = self.activation(state)
        return tf.reduce_mean(self._stacks(state), axis=1)

    def _stacks(self, state):
        """[N, stacks * channels] as [N, stacks, channels]."""
        return tf.reshape(state, [-1, self.num_stacks, self.channels])

    def _each_stack(self, state, kernel):
        """The state of each stack times its W: [N, stacks * channels]."""
        product = tf.einsum('nsf,sfc->nsc', self._stacks(state), kernel)
        return tf.reshape(product, [-1, self.num_stacks * self.channels])

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'num_stacks': self.num_stacks,
            'num_layers': self.num_layers,
            'shared_weights': self.shared_weights,
            'activation': tf.keras.activations.serialize(self.activation),
            'dropout': self.dropout,
            'product_dropout': self.product_dropout,
            'normalize': self.normalize,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
