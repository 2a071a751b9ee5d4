"""Relational graph convolution (Schlichtkrull et al. 2018, "Modeling Relational Data with ...")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks
from research.geometric import kernels, message_passing, segments, sparse


class RGCNConv(message_passing.MessagePassing):
    """x_i' = W_0 x_i + sum over relations r and j in N_i^r of W_r x_j / c_ir + b  (Eq. (2)).

    c_ir = |N_i^r|, the edges of relation r that come in at i, and with `num_bases` W_r is
    sum over b of a_rb V_b (Eq. (3)). The activation of Eq. (2) is left out.

    What each node sends along each relation is one table [R * N, F'], of one product with all W_r;
    then an edge takes one row of it. This is the layer's greatest tensor. A graph without features
    has one-hot ones: pass None as x; then W_r are the table themselves, and nothing is multiplied
    but the bases. Fastest on a CPU is the graph's `relational_adjacency`, made once.

    - The paper has no b.

    Args:
      channels: F', features of a node after the layer.
      num_relations: R.
      num_bases: B, of Eq. (3); None for a W_r of its own for each relation.
      num_nodes: N of the one graph without features; with features None.
      use_bias: whether there is a b.
      kernel_initializer: of each W_r or V_b and W_0, [F, F'], and of a, [R, B].
      name: name of the layer.

    Call arguments:
      x: [N, F], dense, or a `tf.SparseTensor`; or None.
      edge_index: integers [2, E]; or `relational_adjacency`, [N, R * N].
      edge_attr: the relations of the edges, integers [E], 0 to R - 1; None with
        `relational_adjacency`.

    Returns:
      [N, F'].

    Raises:
      ValueError: if relations are missing or no integers, if the matrix has other columns than
        R * N, or if x is None and `num_nodes` too.
    """

    def __init__(
        self,
        channels: int,
        num_relations: int,
        num_bases: int | None = None,
        num_nodes: int | None = None,
        use_bias: bool = True,
        kernel_initializer: str | dict | Callable = 'glorot_uniform',
        name: str | None = None,
    ):
        super().__init__('sum', name=name)
        checks.positive('RGCNConv', channels=channels, num_relations=num_relations)
        for field, count in (('num_bases', num_bases), ('num_nodes', num_nodes)):
            if count is not None:
                checks.positive('RGCNConv', **{field: count})
        self.channels = channels
        self.num_relations = num_relations
        self.num_bases = num_bases
        self.num_nodes = num_nodes
        self.use_bias = use_bias
        self.kernel_initializer = tf.keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        features = tf.TensorShape(input_shape)
        features = self.num_nodes if features.rank is None else features[-1]
        if features is None:
            raise ValueError('x is None: a graph without features needs num_nodes.')
        count = self.num_relations if self.num_bases is None else self.num_bases
        self.kernel = self.add_weight(
            'kernel',
            [count, features, self.channels],
            initializer=kernels.each(self.kernel_initializer),
        )
        self.coefficients = (
            None
            if self.num_bases is None
            else self.add_weight(
                'coefficients',
                [self.num_relations, count],
                initializer=kernels.another(self.kernel_initializer, count),
            )
        )
        self.root_kernel = self.add_weight(
            'root_kernel',
            [features, self.channels],
            initializer=kernels.another(self.kernel_initializer, count + 1),
        )
        self.bias = (
            self.add_weight('bias', [self.channels], initializer='zeros') if self.use_bias else None
        )
        super().build(input_shape)

    def multiply(self, x: tf.Tensor, adjacency: tf.SparseTensor) -> tf.Tensor:
        return sparse.matmul(adjacency, x)

    def update(self, x: tf.Tensor, aggregated: tf.Tensor) -> tf.Tensor:
        return x + aggregated if self.bias is None else x + aggregated + self.bias

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tf.Tensor | tf.SparseTensor,
        edge_attr: tf.Tensor | None = None,
    ) -> tf.Tensor:
        root = self.root_kernel if x is None else sparse.matmul(x, self.root_kernel)
        # Row r * N + j is what node j sends along relation r: a message passing from R * N nodes.
        table = self._table(x)
        if isinstance(edge_index, tf.SparseTensor):
            columns = edge_index.shape[1]
            if None not in (columns, table.shape[0]) and columns != table.shape[0]:
                raise ValueError(
                    f'the sparse matrix has {columns} columns, not the {table.shape[0]} of '
                    f'relational_adjacency for {self.num_relations} relations.'
                )
            return self.propagate((table, root), edge_index, edge_attr)
        edge_index, weights = self._edges(edge_index, edge_attr, message_passing.num_rows(root))
        return self.propagate((table, root), edge_index, weights)

    def _table(self, x):
        """W_r x_j for each r and j, [R * N, F']."""
        weights = self.kernel
        if self.coefficients is not None:
            weights = tf.tensordot(self.coefficients, self.kernel, axes=1)
        if x is not None:
            products = sparse.matmul(x, kernels.side_by_side(weights))
            weights = tf.transpose(
                tf.reshape(products, [-1, self.num_relations, self.channels]), [1, 0, 2]
            )
        return tf.reshape(weights, [-1, self.channels])

    def _edges(self, edge_index, relations, num_nodes):
        """Edges from rows of the table, and 1 / c_ir of each."""
        if relations is None:
            raise ValueError('edge_attr must be the relations of the edges; got None.')
        source, target = sparse.ends(edge_index)
        relations = tf.convert_to_tensor(relations)
        if not relations.dtype.is_integer:
            raise ValueError(f'edge_attr must be relations, integers; got {relations.dtype.name}.')
        relations = tf.cast(relations, source.dtype)
        num_nodes = tf.cast(num_nodes, source.dtype)
        group = target * self.num_relations + relations
        sizes = segments.count(group, num_nodes * self.num_relations)
        rows = relations * num_nodes + source
        return tf.stack([rows, target]), 1 / tf.gather(sizes, group)

    def get_config(self) -> dict[str, Any]:
        return {
            'channels': self.channels,
            'num_relations': self.num_relations,
            'num_bases': self.num_bases,
            'num_nodes': self.num_nodes,
            'use_bias': self.use_bias,
            'kernel_initializer': tf.keras.initializers.serialize(self.kernel_initializer),
            'name': self.name,
        }


def relational_adjacency(
    edge_index: tf.Tensor, relations: Any, num_nodes: int, num_relations: int
) -> tf.SparseTensor:
    """The adjacency matrices of all relations side by side, rows of each divided by c_ir.

    Args:
      edge_index: integers [2, E].
      relations: of the edges, integers [E], 0 to R - 1.
      num_nodes: N.
      num_relations: R.

    Returns:
      float32 [N, R * N]; column r * N + j is node j in relation r. Entries are sorted by column,
      so that a product goes through the great table in order, and through the small result not.

    Raises:
      ValueError: if a relation is out of range.
    """
    edge_index, relations = np.asarray(edge_index, np.int64), np.asarray(relations, np.int64)
    wrong = np.flatnonzero((relations < 0) | (relations >= num_relations))
    if wrong.size:
        raise ValueError(
            f'relation {relations[wrong[0]]} of edge {wrong[0]} is none of 0 to '
            f'{num_relations - 1}.'
        )
    source, target = edge_index
    group = target * num_relations + relations
    sizes = np.bincount(group, minlength=num_nodes * num_relations)
    column = relations * num_nodes + source
    order = np.lexsort((target, column))
    return tf.SparseTensor(
        np.stack([target, column], axis=1)[order],
        (1 / sizes[group][order]).astype(np.float32),
        [num_nodes, num_relations * num_nodes],
    )
