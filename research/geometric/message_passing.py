"""The message-passing interface (Fey & Lenssen 2019, Sec. 2, Eq. (1) and Figure 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from research.geometric import segments, sparse

AGGREGATIONS = {
    'sum': segments.segment_sum,
    'mean': segments.segment_mean,
    'max': segments.segment_max,
}


class MessagePassing(tf.keras.layers.Layer):
    """x_i' = gamma(x_i, aggregation over j in N(i) of phi(x_i, x_j, e_ij))  (Eq. (1)).

    A subclass writes `message`, which is phi, and `update`, which is gamma, and calls `propagate`,
    or, where it transforms nothing before, leaves `call` as it is:

        class Difference(MessagePassing):
            def message(self, x_source, x_target, edge_attr):
                return x_source - x_target

    Features arrive gathered, one row an edge (Figure 1): `x_source` are those of j, `x_target`
    those of i. A node without an incoming edge aggregates to 0.

    Where the message is the source's feature times the edge's weight and the aggregation is the
    sum, `edge_index` may be a sparse adjacency matrix and the layer overrides `multiply`: then no
    message is ever stored. This is the fast route on a CPU; XLA has no such product and needs the
    other.

    Args:
      aggregation: 'sum', 'mean' or 'max', or a function (values [E, ...], segment_ids [E],
        num_segments) -> [num_segments, ...].
      name: name of the layer.

    Call arguments:
      x: node features [N, F]; or a pair (sources [M, F], targets [N, F']) of a bipartite graph,
        where `edge_index[0]` counts in the first and `edge_index[1]` in the second.
      edge_index: integers [2, E], from sources in row 0 to targets in row 1; or a
        `tf.SparseTensor` [N, M], whose entry (i, j) is the edge from j to i and whose value is the
        edge's weight (`sparse.adjacency`).
      edge_attr: edge features or weights, [E] or [E, D], or None.

    Raises:
      ValueError: if `aggregation` is another word, `edge_index` has not two rows, `edge_attr` comes
        with a sparse matrix, or, by default, is not one weight an edge.
    """

    def __init__(self, aggregation: str | Callable = 'sum', name: str | None = None):
        super().__init__(name=name)
        if not callable(aggregation) and aggregation not in AGGREGATIONS:
            raise ValueError(
                f'aggregation = {aggregation!r} is none of {", ".join(AGGREGATIONS)} and no '
                'function.'
            )
        self.aggregation = aggregation

    def message(
        self, x_source: tf.Tensor, x_target: tf.Tensor, edge_attr: tf.Tensor | None
    ) -> tf.Tensor:
        """phi of Eq. (1); by default the source's features, times the edge weight if there is one.

        Args:
          x_source: features of the sources, [E, F].
          x_target: features of the targets, [E, F'].
          edge_attr: as given to `propagate`.

        Returns:
          [E, ...].
        """
        del x_target
        if edge_attr is None:
            return x_source
        weights = sparse.weights(edge_attr, x_source.shape[0], x_source.dtype)
        return x_source * segments.expand_like(weights, x_source)

    def update(self, x: tf.Tensor, aggregated: tf.Tensor) -> tf.Tensor:
        """gamma of Eq. (1); by default what was aggregated.

        Args:
          x: features of the targets, [N, F'].
          aggregated: [N, ...].
        """
        del x
        return aggregated

    def multiply(self, x: tf.Tensor, adjacency: tf.SparseTensor) -> tf.Tensor | None:
        """What the messages of a sparse adjacency matrix aggregate to, or None: gather them.

        Args:
          x: features of the sources, [M, F].
          adjacency: [N, M].
        """
        del x, adjacency
        return None

    def propagate(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Gathers, calls `message`, aggregates, calls `update`; see the call arguments."""
        x_sources, x_targets = x if isinstance(x, (tuple, list)) else (x, x)
        aggregated = None
        if isinstance(edge_index, tf.SparseTensor):
            if edge_attr is not None:
                raise ValueError(
                    'edge_attr comes with a sparse adjacency matrix; its values are '
                    'the edge weights, so give either it or edge_index.'
                )
            aggregated = self.multiply(x_sources, edge_index)
            if aggregated is None:
                edge_index, edge_attr = sparse.edges(edge_index)
        if aggregated is None:
            source, target = sparse.ends(edge_index)
            # In a graph TensorFlow prunes the side that the message does not use.
            messages = self.message(
                tf.gather(x_sources, source), tf.gather(x_targets, target), edge_attr
            )
            aggregated = self.aggregate(messages, target, num_rows(x_targets))
        return self.update(x_targets, aggregated)

    def aggregate(
        self, messages: tf.Tensor, target: tf.Tensor, num_targets: int | tf.Tensor
    ) -> tf.Tensor:
        """The square of Eq. (1): messages [E, ...] of each target to [num_targets, ...]."""
        function = self.aggregation
        if not callable(function):
            function = AGGREGATIONS[function]
        return function(messages, target, num_targets)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        return self.propagate(x, edge_index, edge_attr)

    def get_config(self) -> dict[str, Any]:
        made, base = type(self), MessagePassing
        if made.__init__ is not base.__init__ and made.get_config is base.get_config:
            raise NotImplementedError(
                f'{made.__name__} has arguments of its own, so it needs a get_config of its own.'
            )
        return {'aggregation': self.aggregation, 'name': self.name}


def num_rows(x: tf.Tensor) -> int | tf.Tensor:
    """Rows of `x`, a Python number where it is known."""
    return x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
