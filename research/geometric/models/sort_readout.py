"""SortPooling and the convolution over the sorted nodes (Zhang et al. 2018, Sec. 3.2 and 3.3)."""

from __future__ import annotations

import tensorflow as tf

from research.geometric.pooling import sort_pool


class SortReadout(tf.keras.layers.Layer):
    """The k highest nodes of each graph, a convolution along them, ReLU, flattened.

    - One convolution, as in the published runs of Table 2 of Fey & Lenssen 2019; Zhang et al. have
      two and a maximum pooling between them.

    Args:
      k: nodes that are kept.
      filters: of the convolution.
      kernel_size: of the convolution, in nodes.
      tie_channels: see `SortPool`; each costs a sort.
      name: name of the layer.

    Call arguments:
      x: node features [N, F].
      batch: graph of each node, integers [N], -1 for none.
      num_graphs: G.

    Returns:
      [G, (k - kernel_size + 1) * filters].

    Raises:
      ValueError: if the kernel is larger than k.
    """

    def __init__(
        self,
        k: int = 30,
        filters: int = 32,
        kernel_size: int = 5,
        tie_channels: int = 3,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not 0 < kernel_size <= k:
            raise ValueError(f'kernel_size = {kernel_size} must be 1 to k = {k}.')
        self.sort = sort_pool.SortPool(k, tie_channels)
        self.convolution = tf.keras.layers.Conv1D(filters, kernel_size, activation='relu')
        self.width = (k - kernel_size + 1) * filters

    def call(self, x: tf.Tensor, batch: tf.Tensor, num_graphs: int | tf.Tensor) -> tf.Tensor:
        rows = self.convolution(self.sort(x, batch, num_graphs))
        return tf.reshape(rows, [-1, self.width])
