"""Graph attention (Velickovic et al. 2018, "Graph Attention Networks")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import random
from research.geometric import kernels, message_passing, segments, sparse
from research.geometric.convs import inputs


class GATConv(tf.keras.layers.Layer):
    """x_i' = concatenation or mean over heads of sum over j of alpha_ij W x_j  (Eqs. (3)-(6)).

    alpha_ij = softmax over j in N(i) and i itself of
    LeakyReLU(a_target . W x_i + a_source . W x_j); in Eq. (3) a = [a_target || a_source].

    - Several edges from j to i have one term of the softmax each; a self loop that the graph
      already has is counted once.

    Args:
      channels: features of a node and head after the layer.
      heads: K.
      concat: concatenate the heads (Eq. (5)); else average them (Eq. (6)).
      negative_slope: of LeakyReLU.
      dropout: share of the normalized attention coefficients that are dropped in training
        (Sec. 3.3).
      self_loops: whether i attends to itself. False also where the edges already hold each node's
        self loop, which saves work on a graph that does not change, and for a pair.
      use_bias: whether a bias is added.
      kernel_initializer: of W [F, heads * channels], a_source and a_target [heads, channels].
      name: name of the layer.

    Call arguments:
      x: [N, F], dense or a `tf.SparseTensor`; or a pair (sources, targets) with the same F.
      edge_index: integers [2, E], or a sparse adjacency matrix, of which the places count and not
        the values.
      edge_attr: not used; must be None.
      key: int32 [1, 2], the randomness of the dropout. Without it, dropout is
        drawn as Keras' is, in training alone.

    Returns:
      [N, heads * channels], or [N, channels] without `concat`.

    Raises:
      ValueError: if edge_attr is given, `dropout` is outside [0, 1), or x is a pair, whose nodes
        are others, and `self_loops` is not False.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        self_loops: bool = True,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(name=name)
        checks.positive('GATConv', channels=channels, heads=heads)
        if not 0 <= dropout < 1:
            raise ValueError(f'dropout = {dropout} is outside [0, 1).')
        self.channels = channels
        self.heads = heads
        self.concat = concat
        self.negative_slope = negative_slope
        self.dropout = dropout
        self.self_loops = self_loops
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        features = inputs.widths(input_shape)[0]
        per_head = [self.heads, self.channels]

        def weight(name, shape, index):
            return self.add_weight(
                name, shape, initializer=kernels.another(self.kernel_initializer, index)
            )

        self.kernel = weight('kernel', [features, self.heads * self.channels], 0)
        self.attention_source = weight('attention_source', per_head, 1)
        self.attention_target = weight('attention_target', per_head, 2)
        width = self.heads * self.channels if self.concat else self.channels
        self.bias = self.add_weight('bias', [width], initializer='zeros') if self.use_bias else None
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
        if edge_attr is not None:
            raise ValueError('GATConv has no use for edge_attr; got one.')
        pair = isinstance(x, (tuple, list))
        if pair and self.self_loops:
            raise ValueError(
                'a pair (sources, targets) has no self loops; it needs self_loops=False.'
            )
        projected = [self._project(side) for side in (x if pair else (x,))]
        sources, targets = projected[0], projected[-1]
        num_targets = message_passing.num_rows(targets)
        source, target = self._edges(edge_index, num_targets)
        logits = self._logits(sources, targets, source, target)
        if self.self_loops:
            logits = inputs.without_repeated(logits, source, target, num_targets)
        attention = segments.segment_softmax(logits, target, num_targets)
        if key is not None and self.dropout:
            attention = random.dropout(key, attention, self.dropout)
        out = segments.weighted_sum(sources, attention, source, target, num_targets)
        if self.concat:
            out = tf.reshape(out, [-1, self.heads * self.channels])
        else:
            out = tf.reduce_mean(out, axis=1)
        return out if self.bias is None else out + self.bias

    def _project(self, x):
        """W x of all heads, [N, heads, channels]."""
        return tf.reshape(sparse.matmul(x, self.kernel), [-1, self.heads, self.channels])

    def _edges(self, edge_index, num_targets):
        if self.self_loops:
            return inputs.with_self_loops(edge_index, num_targets)
        return sparse.ends(edge_index)

    def _logits(self, sources, targets, source, target):
        """LeakyReLU(a_target . W x_i + a_source . W x_j), [E, heads]."""
        if sources is targets:
            at_source, at_target = self._scores(
                sources, self.attention_source, self.attention_target
            )
        else:
            (at_source,) = self._scores(sources, self.attention_source)
            (at_target,) = self._scores(targets, self.attention_target)
        return tf.nn.leaky_relu(
            tf.gather(at_source, source) + tf.gather(at_target, target), self.negative_slope
        )

    def _scores(self, projected, *attention):
        """a . W x of each node and head for each a [heads, channels]: for each, [N, heads]."""
        # One product with a matrix that is zero outside a head's own block: sums over the channels
        # of each head take two to three times as long with their gradients.
        own = tf.eye(self.heads, dtype=projected.dtype)[:, tf.newaxis]
        blocks = tf.concat([a[..., tf.newaxis] * own for a in attention], axis=-1)
        width = self.heads * self.channels
        scores = tf.reshape(projected, [-1, width]) @ tf.reshape(blocks, [width, -1])
        return tf.split(scores, len(attention), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'heads': self.heads,
            'concat': self.concat,
            'negative_slope': self.negative_slope,
            'dropout': self.dropout,
            'self_loops': self.self_loops,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
