"""The networks of Table 2 of Fey & Lenssen 2019 but DiffPool: convolutions, pooling, readout."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import tensorflow as tf

from official.modeling import random
from research.geometric import batch_norm as batch_norm_lib
from research.geometric import jumping_knowledge as jumping_knowledge_lib
from research.geometric import message_passing
from research.geometric.convs import sage_conv
from research.geometric.pooling import readout as readout_lib


class ConvNetwork(tf.keras.layers.Layer):
    """Convolutions one after another, and what is read out of each, joined: one vector a graph.

    The flat rows of Table 2 are this with an operator, the global ones with a readout and without
    jumping knowledge, the hierarchical ones with a pooling between two convolutions.

    - Glorot's initial weights, where the published runs drew uniformly on +-1 / sqrt(F).

    Args:
      conv: called as conv(channels), gives an operator, once a layer.
      channels: F', features of a node after each layer.
      num_layers: number of convolutions.
      batch_norm: whether each convolution and its ReLU are followed by batch normalization.
      readout: called as readout(), gives a layer called as layer(x, batch, num_graphs).
      jumping_knowledge: whether the graph is read out after every layer, and all that is joined
        (Xu et al. 2018), or after the last one alone.
      pool: called as pool(), gives a layer called as layer(x, edge_index, batch, num_graphs,
        edge_attr) and, if it takes one, a key, which gives `pooled.Pooled`; None: no pooling.
      pool_every: layers from one pooling to the next; there is none after the last layer.
      sparse_edges: aggregate by products with a sparse adjacency matrix: on a CPU in half the time
        and less. XLA does not have them.
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      edge_index: integers [2, E].
      edge_attr: as the operators take it, or None.
      batch: graph of each node, int32 [N].
      num_graphs: number of graphs, those of padding too.
      num_real: number of graphs without the padding, which are the first; all by default.
      key: int32 [shards, 2], the randomness of a training step; None: not training.

    Returns:
      [num_graphs, D].

    Raises:
      ValueError: if counts are not positive.
    """

    def __init__(
        self,
        conv: Callable = sage_conv.SAGEConv,
        channels: int = 64,
        num_layers: int = 3,
        batch_norm: bool = False,
        readout: Callable = readout_lib.Readout,
        jumping_knowledge: bool = True,
        pool: Callable | None = None,
        pool_every: int = 2,
        sparse_edges: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name)
        for field, count in (
            ('channels', channels),
            ('num_layers', num_layers),
            ('pool_every', pool_every),
        ):
            if count < 1:
                raise ValueError(f'{field} = {count} must be positive.')
        self.channels = channels
        self.num_layers = num_layers
        self.jumping_knowledge = jumping_knowledge
        self.pool_every = pool_every
        self.sparse_edges = sparse_edges
        self.convs = [conv(channels) for _ in range(num_layers)]
        self.norms = [batch_norm_lib.NodeBatchNorm() for _ in self.convs] if batch_norm else []
        self.readouts = [readout() for _ in (self.convs if jumping_knowledge else [None])]
        self.pools = [pool() for _ in range((num_layers - 1) // pool_every)] if pool else []
        self.join = jumping_knowledge_lib.JumpingKnowledge()

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
        def real(batch):
            if not self.pools and num_real in (None, num_graphs):
                return None
            return (batch >= 0) & (batch < (num_graphs if num_real is None else num_real))

        read = []
        edges = self._edges(x, edge_index, edge_attr)
        for layer, conv in enumerate(self.convs, 1):
            x = tf.nn.relu(conv(x, *edges))
            if self.norms:
                x = self.norms[layer - 1](x, real(batch), training=key is not None)
            if self.jumping_knowledge or layer == self.num_layers:
                read.append(self.readouts[len(read)](x, batch, num_graphs))
            if layer % self.pool_every == 0 and layer // self.pool_every <= len(self.pools):
                number = layer // self.pool_every - 1
                x, edge_index, edge_attr, batch = self._pooled(
                    number, x, edge_index, edge_attr, batch, num_graphs, key
                )
                edges = self._edges(x, edge_index, edge_attr)
        return self.join(read)

    def _pooled(self, number, x, edge_index, edge_attr, batch, num_graphs, key):
        pool = self.pools[number]
        with_key = {}
        if 'key' in inspect.signature(pool.call).parameters:
            # Of no training step: the same every time.
            key = random.make_key(0) if key is None else key
            with_key['key'] = random.fold_in(key, number)
        pooled = pool(x, edge_index, batch, num_graphs, edge_attr, **with_key)
        return pooled.x, pooled.edge_index, pooled.edge_attr, pooled.batch

    def _edges(self, x, edge_index, edge_attr):
        """Edges as the operators get them: (edge_index, edge_attr), or a matrix and None."""
        if not self.sparse_edges:
            return edge_index, edge_attr
        num_nodes = tf.cast(message_passing.num_rows(x), tf.int64)
        indices = tf.cast(tf.stack([edge_index[1], edge_index[0]], axis=1), tf.int64)
        weights = tf.ones_like(edge_index[0], x.dtype) if edge_attr is None else edge_attr
        return tf.SparseTensor(indices, weights, tf.stack([num_nodes, num_nodes])), None
