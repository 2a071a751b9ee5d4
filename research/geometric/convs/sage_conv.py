"""GraphSAGE (Hamilton et al. 2017, "Inductive Representation Learning on Large Graphs")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric import kernels, message_passing, normalization, segments, sparse
from research.geometric.convs import inputs

_LINEAR = ('sum', 'mean')


class SAGEConv(message_passing.MessagePassing):
    """x_i' = W_root x_i + W (mean over j in N(i) of x_j) + b  (Hamilton et al. 2017, Algorithm 1).

    The paper multiplies the concatenation of x_i and the mean by one matrix, [W_root, W]. Without
    `root_weight` it is the paper's Eq. (2), x_i' = W (mean over j in N(i) and i itself of x_j) + b,
    which is also what PyTorch Geometric 1.0 calls SAGEConv.

    - The activation is left out, so `l2_normalize` comes before it and not after (line 7).
    - 'max' is the maximum of the features as they are; the paper's pooling aggregator puts a dense
      layer before it. The paper has no 'sum' and no b.
    - Without `root_weight` a self loop that the graph already has is the node itself, and not
      counted once more.
    - Where the aggregation is linear, W comes first if that leaves fewer columns to aggregate or x
      is sparse.

    Args:
      channels: F', features of a node after the layer.
      aggregation: 'mean', 'sum' or 'max'; with `root_weight` also a function, as of
        `MessagePassing`.
      root_weight: whether the node itself has a weight of its own; else it is one of its
        neighbours.
      l2_normalize: whether each x_i' is divided by its length.
      use_bias: whether there is a b.
      kernel_initializer: of W and W_root, [F, F'].
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or with 'mean' or 'sum' a `tf.SparseTensor`; or with `root_weight` a pair
        (sources [M, F], targets [N, F'']).
      edge_index: integers [2, E], or a sparse adjacency matrix [N, M].
      edge_attr: edge weights [E], which multiply x_j before the aggregation; or None for 1.

    Returns:
      [N, F'].

    Raises:
      ValueError: for a pair or a function without `root_weight`, or a sparse x that is not
        aggregated linearly.
    """

    def __init__(
        self,
        channels: int,
        aggregation: str | Callable = 'mean',
        root_weight: bool = True,
        l2_normalize: bool = False,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__(aggregation, name=name)
        if callable(aggregation) and not root_weight:
            raise ValueError(
                f'aggregation = {aggregation!r} is a function, which needs root_weight=True.'
            )
        checks.positive('SAGEConv', channels=channels)
        self.channels = channels
        self.root_weight = root_weight
        self.l2_normalize = l2_normalize
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        sources, targets = inputs.widths(input_shape)
        self.kernel = self.add_weight(
            'kernel', [sources, self.channels], initializer=self.kernel_initializer
        )
        self.root_kernel = (
            self.add_weight(
                'root_kernel',
                [targets, self.channels],
                initializer=kernels.another(self.kernel_initializer),
            )
            if self.root_weight
            else None
        )
        self.bias = (
            self.add_weight('bias', [self.channels], initializer='zeros') if self.use_bias else None
        )
        super().build(input_shape)

    def multiply(self, x: tf.Tensor, adjacency: tf.SparseTensor) -> tf.Tensor | None:
        if self.aggregation not in _LINEAR:
            return None
        total = sparse.matmul(adjacency, x)
        if self.aggregation == 'sum':
            return total
        number = segments.count(adjacency.indices[:, 0], adjacency.dense_shape[0])
        return total / tf.cast(tf.maximum(number, 1), total.dtype)[:, tf.newaxis]

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        pair = isinstance(x, (tuple, list))
        if pair and not self.root_weight:
            raise ValueError('a pair (sources, targets) needs root_weight=True.')
        sources, targets = x if pair else (x, x)
        root = sparse.matmul(targets, self.root_kernel) if self.root_weight else None
        if self._product_first(sources):
            sources = sparse.matmul(sources, self.kernel)
            out = self._neighbourhood(sources, root, edge_index, edge_attr)
        else:
            out = self._neighbourhood(sources, root, edge_index, edge_attr) @ self.kernel
        out = out if root is None else out + root
        out = out if self.bias is None else out + self.bias
        return normalization.unit_rows(out) if self.l2_normalize else out

    def _product_first(self, x) -> bool:
        if self.aggregation in _LINEAR:
            return isinstance(x, tf.SparseTensor) or self.channels < x.shape[-1]
        if isinstance(x, tf.SparseTensor):
            raise ValueError(
                f'aggregation = {self.aggregation!r} needs a dense x; got a sparse one.'
            )
        return False

    def _neighbourhood(self, sources, root, edge_index, edge_attr):
        """The aggregate over N(i), and over i too where it has no weight of its own."""
        if root is not None:
            # Of the targets only their number counts.
            return self.propagate((sources, root), edge_index, edge_attr)
        aggregated = self.propagate(sources, edge_index, edge_attr)
        source, target = sparse.ends(edge_index)
        num_nodes = message_passing.num_rows(sources)
        number = tf.cast(segments.count(target, num_nodes), sources.dtype)[:, tf.newaxis]
        is_loop = tf.cast(tf.equal(source, target), sources.dtype)
        looped = segments.segment_sum(is_loop, target, num_nodes)[:, tf.newaxis] > 0
        own = tf.cast(~looped, sources.dtype)  # 1 where i is to be added.
        if self.aggregation == 'sum':
            return aggregated + own * sources
        if self.aggregation == 'mean':
            return (number * aggregated + own * sources) / (number + own)
        highest = tf.where(number > 0, tf.maximum(aggregated, sources), sources)
        return tf.where(looped, aggregated, highest)

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'aggregation': self.aggregation,
            'root_weight': self.root_weight,
            'l2_normalize': self.l2_normalize,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }
