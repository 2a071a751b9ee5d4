"""What operators share that propagate along the normalized adjacency matrix."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from research.geometric import message_passing, normalization, sparse


class NormalizedPropagation(message_passing.MessagePassing):
    """Base of operators that multiply by P = D~^(-1/2) A~ D~^(-1/2), on either route.

    With `self_loops`, A~ is A with a self loop of weight 1 at each node that has none, and D~ its
    degrees (Kipf & Welling 2017, Eq. (2)); without, they are A and D themselves.

    Args:
      normalize: False where the edges already carry the coefficients of P
        (`normalization.gcn_normalized`), which saves work on a graph that does not change.
      self_loops: whether a node without a self loop gets one.
      name: name of the layer.
    """

    def __init__(self, normalize: bool = True, self_loops: bool = True, name: str | None = None):
        super().__init__('sum', name=name)
        self.normalize = normalize
        self.self_loops = self_loops

    def multiply(self, x: tf.Tensor, adjacency: tf.SparseTensor) -> tf.Tensor:
        return sparse.matmul(adjacency, x)

    def smooth(
        self,
        x: tf.Tensor,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """P x, [N, C], of a dense x [N, C]."""
        return self.smoother(edge_index, edge_attr, message_passing.num_rows(x))(x)

    def smoother(
        self,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None,
        num_nodes: int | tf.Tensor,
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """The function x -> P x; coefficients are computed once, however often it is called."""
        weights, loops = self.coefficients(edge_index, edge_attr, num_nodes)
        return lambda x: self.step(x, edge_index, weights, loops)

    def coefficients(
        self,
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None,
        num_nodes: int | tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The entries of P: on the edges [E]; and beside them on the diagonal [N], or None.

        Raises:
          ValueError: if `edge_attr` comes with a sparse matrix, or is not one weight an edge.
        """
        if isinstance(edge_index, tf.SparseTensor) and edge_attr is not None:
            raise ValueError(
                'edge_attr comes with a sparse adjacency matrix; its values are the '
                'edge weights, so give either it or edge_index.'
            )
        source, target = sparse.ends(edge_index)
        if isinstance(edge_index, tf.SparseTensor):
            given = edge_index.values
        elif edge_attr is None:
            given = tf.ones_like(target, tf.float32)
        else:
            given = edge_attr = sparse.weights(edge_attr, target.shape[0])
        if not self.normalize:
            return given, None
        scale, weights, loops = normalization.symmetric_coefficients(
            edge_index, edge_attr, num_nodes, self.self_loops
        )
        return tf.gather(scale, target) * weights * tf.gather(scale, source), scale**2 * loops

    def step(
        self, x: tf.Tensor, edge_index: tf.Tensor, weights: tf.Tensor, loops: tf.Tensor | None
    ) -> tf.Tensor:
        """P x, of `coefficients`."""
        if isinstance(edge_index, tf.SparseTensor):
            edge_index, weights = edge_index.with_values(weights), None
        smoothed = self.propagate(x, edge_index, weights)
        return smoothed if loops is None else smoothed + tf.cast(loops, x.dtype)[:, tf.newaxis] * x
