"""The DiffPool row of Table 2 of Fey & Lenssen 2019 (Ying et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.core import checks
from research.geometric.convs import sage_conv
from research.geometric.pooling import diff_pool, readout


class DiffPoolNetwork(tf.keras.layers.Layer):
    """Embeds the nodes, pools each graph to fewer of them, embeds those, ...; reads out each level.

    A level has two convolutions, joined by a dense layer (Xu et al. 2018); two more and a dense
    layer assign its nodes to those of the next level (Ying et al. 2018, Eqs. (5) and (6)). The mean
    over the nodes of every level, joined, is the vector of the graph.

    - The first level is computed on the block-diagonal graph: only what is pooled becomes dense.
    - The losses on links and entropy of Sec. 3.3 are left out, as in the published runs.
    - Of a graph with more than `max_nodes` nodes the others are left out where it is pooled; the
      published runs left out such graphs.

    Args:
      max_nodes: nodes of a graph at the most.
      conv: called as conv(channels), gives the operators of the first level.
      channels: features of a node after each convolution, and after each level.
      num_levels: levels; there is one pooling less.
      ratio: nodes of a level, as a part of those of the level before, rounded up.
      name: name of the layer.

    Call arguments and result: as of `ConvNetwork`.

    Raises:
      ValueError: if counts are not positive.
    """

    def __init__(
        self,
        max_nodes: int,
        conv: Callable = sage_conv.SAGEConv,
        channels: int = 64,
        num_levels: int = 2,
        ratio: float = 0.25,
        name: str | None = None,
    ):
        super().__init__(name=name)
        for field, count in (('max_nodes', max_nodes), ('num_levels', num_levels)):
            if count < 1:
                raise ValueError(f'{field} = {count} must be positive.')
        self.max_nodes = max_nodes
        self.embeddings = [_Block(conv, channels, channels)]
        self.assignments, nodes = [], max_nodes
        for level in range(1, num_levels):
            nodes = math.ceil(ratio * nodes)
            conv_before = conv if level == 1 else DenseSAGEConv
            self.assignments.append(_Block(conv_before, channels, nodes))
            self.embeddings.append(_Block(DenseSAGEConv, channels, channels))
        self.readout = readout.Readout('mean')

    def call(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None,
        batch: tf.Tensor,
        num_graphs: int | tf.Tensor,
        num_real: int | tf.Tensor | None = None,
        key: tf.Tensor | None = None,
    ) -> tf.Tensor:
        del num_real, key
        embedding = tf.nn.relu(self.embeddings[0](x, edge_index, edge_attr))
        read = [self.readout(embedding, batch, num_graphs)]
        mask = adjacency = None
        for level, assignment in enumerate(self.assignments, 1):
            if level == 1:
                logits = assignment(x, edge_index, edge_attr)
                width = embedding.shape[-1]
                dense, adjacency, mask = diff_pool.to_dense(
                    tf.concat([embedding, logits], axis=1),
                    edge_index,
                    batch,
                    num_graphs,
                    self.max_nodes,
                    edge_attr,
                )
                embedding, logits = dense[:, :, :width], dense[:, :, width:]
            else:
                logits = assignment(x, adjacency)
            x, adjacency, *_ = diff_pool.diff_pool(embedding, adjacency, logits, mask)
            mask = None
            embedding = tf.nn.relu(self.embeddings[level](x, adjacency))
            read.append(tf.reduce_mean(embedding, axis=1))
        return tf.concat(read, axis=1)


class DenseSAGEConv(tf.keras.layers.Layer):
    """x_i' = W_root x_i + W (weighted mean over j of x_j) + b, on dense graphs; see `SAGEConv`.

    Args:
      channels: F', features of a node after the layer.
      name: name of the layer.

    Call arguments:
      x: [B, N, F].
      adjacency: [B, N, N]; entry (i, j) is the weight of the edge from j to i, not negative.

    Returns:
      [B, N, F'].
    """

    def __init__(self, channels: int, name: str | None = None):
        super().__init__(name=name)
        checks.positive('DenseSAGEConv', channels=channels)
        self.channels = channels

    def build(self, input_shape: Any) -> None:
        shape = [input_shape[-1], self.channels]
        self.kernel = self.add_weight('kernel', shape, initializer='glorot_uniform')
        self.root_kernel = self.add_weight('root_kernel', shape, initializer='glorot_uniform')
        self.bias = self.add_weight('bias', [self.channels], initializer='zeros')
        super().build(input_shape)

    def call(self, x: tf.Tensor, adjacency: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(adjacency, axis=2, keepdims=True)
        mean = tf.math.divide_no_nan(tf.matmul(adjacency, x), total)
        return tf.matmul(mean, self.kernel) + tf.matmul(x, self.root_kernel) + self.bias


class _Block(tf.keras.layers.Layer):
    """Two convolutions with ReLU, what both give joined, and a dense layer to [..., out]."""

    def __init__(self, conv, channels, out):
        super().__init__()
        self.first, self.second = conv(channels), conv(channels)
        self.out = tf.keras.layers.Dense(out)

    def call(self, x, *edges):
        first = tf.nn.relu(self.first(x, *edges))
        second = tf.nn.relu(self.second(first, *edges))
        return self.out(tf.concat([first, second], axis=-1))
