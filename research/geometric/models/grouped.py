"""Operators where every target has k edges, one target after the other: as clouds of points have.

`neighbors.knn` and `neighbors.ball_query` give such edges. Nothing is then scattered: neighbours
are an axis of a tensor, and kernels a batch of matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from research.geometric import message_passing, networks
from research.geometric.convs import inputs, nn_conv, point_net_conv, spline_conv


def grouped_max(
    values: tf.Tensor, segment_ids: tf.Tensor, num_segments: int | tf.Tensor
) -> tf.Tensor:
    """`segments.segment_max` of segments that are equally long and come one after the other.

    The `aggregation` of an operator. Edges that repeat another, as the slots of `ball_query` that
    are left over do, change no maximum.

    Args:
      values: [num_segments * k, F].
      segment_ids: not used.
      num_segments: number of segments.

    Returns:
      [num_segments, F].
    """
    del segment_ids
    return tf.reduce_max(tf.reshape(values, [num_segments, -1, values.shape[-1]]), axis=1)


def kernel_mean(
    x: tf.Tensor, source: tf.Tensor, coefficients: tf.Tensor, kernel: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """Mean over the neighbours j of i of x_j sum_k a_k(e_ij) Theta_k.

    Features are summed for each target and k first, a product [K, k] x [k, F] for each target, so
    that what is stored for an edge is as wide as its coefficients and its features, not their
    product.

    Args:
      x: features of the sources, [M, F].
      source: of each edge, integers [N * k].
      coefficients: a, [N * k, K].
      kernel: Theta, [K, F, F'].
      mask: which neighbours count, bool [N, k].

    Returns:
      [N, F']; 0 where no neighbour counts.
    """
    targets = message_passing.num_rows(mask)
    kernels, width, channels = kernel.shape
    share = tf.cast(mask, x.dtype)
    share /= tf.maximum(tf.reduce_sum(share, axis=1, keepdims=True), 1)
    neighbors = tf.reshape(tf.gather(x, source), [targets, -1, width]) * share[:, :, tf.newaxis]
    coefficients = tf.reshape(coefficients, [targets, -1, kernels])
    collected = tf.matmul(coefficients, neighbors, transpose_a=True)
    return tf.matmul(
        tf.reshape(collected, [-1, kernels * width]),
        tf.reshape(kernel, [kernels * width, channels]),
    )


class GroupedPointNetConv(point_net_conv.PointNetConv):
    """`PointNetConv` with a maximum over neighbours that are grouped by target.

    The local network begins with a `Dense` of weights W = [W_x; W_p], whose product is split: the
    points are multiplied, not the edges, and [x_j, p_j] W - p_i W_p is added up along the edges.

    Args:
      local_network: h, a `Dense` or a `Sequential` that begins with one.
      name: name of the layer.

    Call arguments:
      x: [M, F], or None for no features.
      edge_index: integers [2, N * k], grouped by target.
      edge_attr: must be None.
      pos: a pair of positions ([M, D], [N, D]).

    Returns:
      [N, F'].

    Raises:
      ValueError: if the local network does not begin so, there is no `pos`, or there are edge
        features.
    """

    def __init__(self, local_network: tf.keras.layers.Layer | dict, name: str | None = None):
        super().__init__(local_network, aggregation=grouped_max, name=name)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tuple[tf.Tensor, tf.Tensor],
        edge_attr: tf.Tensor | None = None,
        pos: tf.Tensor | None = None,
    ) -> tf.Tensor:
        sources, targets = (
            tf.cast(positions, self.compute_dtype)
            for positions in inputs.positions(self.name, pos, edge_attr)
        )
        dimensions = sources.shape[-1]
        if x is not None:
            sources = tf.concat([x, sources], axis=-1)
        networks.build(self.local_network, sources.shape[-1])
        split = networks.split_first(self.local_network)
        if split is None:
            raise ValueError(f'{self.name}: local_network does not begin with a Dense.')
        first, rest = split
        from_sources = tf.matmul(sources, first.kernel)
        from_targets = tf.matmul(targets, -first.kernel[-dimensions:])
        if first.bias is not None:
            from_targets += first.bias
        messages = rest(
            tf.gather(from_sources, edge_index[0]) + tf.gather(from_targets, edge_index[1])
        )
        return self.aggregate(messages, edge_index[1], message_passing.num_rows(targets))

    def get_config(self) -> dict[str, Any]:
        return {'local_network': networks.serialize(self.local_network), 'name': self.name}


class GroupedNNConv(nn_conv.NNConv):
    """`NNConv` with a mean over neighbours that are grouped by target.

    Args:
      channels: see `NNConv`.
      edge_network: see `NNConv`; a linear `Dense`, or a `Sequential` that ends with one.
      root_weight: see `NNConv`.
      use_bias: see `NNConv`.
      name: name of the layer.

    Call arguments:
      x: a pair ([M, F], [N, F'']).
      edge_index: integers [2, N * k], grouped by target; the targets are not looked at.
      edge_attr: edge features [N * k, D].
      mask: which neighbours count, bool [N, k].

    Returns:
      [N, channels].

    Raises:
      ValueError: if the edge network does not end so or answers another width.
    """

    def __init__(
        self,
        channels: int,
        edge_network: tf.keras.layers.Layer | dict,
        root_weight: bool = True,
        use_bias: bool = True,
        name: str | None = None,
    ):
        super().__init__(channels, edge_network, 'mean', root_weight, use_bias, name)

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tuple[tf.Tensor, tf.Tensor],
        edge_attr: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        edge_index, edge_attr = self.edges_of(edge_index, edge_attr)
        sources, targets = inputs.pair(x)
        networks.build(self.edge_network, edge_attr.shape[-1])
        split = networks.split_last(self.edge_network)
        if split is None:
            raise ValueError(f'{self.name}: edge_network does not end with a linear Dense.')
        before, last = split
        self._check_width(last.units, sources.shape[-1])
        coefficients, kernel = self._terms(before(edge_attr), last, sources.shape[-1])
        return self.update(targets, kernel_mean(sources, edge_index[0], coefficients, kernel, mask))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config['aggregation']
        return config


class GroupedSplineConv(spline_conv.SplineConv):
    """`SplineConv` with a mean over neighbours that are grouped by target.

    All K values of B are made of an edge, most of them 0: for the 125 of three dimensions this is
    faster than (m + 1)^3 rows of features that are scattered.

    Args:
      channels: see `SplineConv`, as the others.
      dim: see there.
      kernel_size: see there.
      degree: see there.
      open_spline: see there.
      root_weight: see there.
      use_bias: see there.
      name: name of the layer.

    Call arguments:
      x: a pair ([M, F], [N, F'']).
      edge_index: integers [2, N * k], grouped by target; the targets are not looked at.
      edge_attr: pseudo-coordinates u on [0, 1], [N * k, D].
      mask: which neighbours count, bool [N, k].

    Returns:
      [N, channels].
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        kernel_size: int | Sequence[int] = 5,
        degree: int = 1,
        open_spline: bool | Sequence[bool] = True,
        root_weight: bool = True,
        use_bias: bool = True,
        name: str | None = None,
    ):
        super().__init__(
            channels,
            dim,
            kernel_size,
            degree,
            open_spline,
            'mean',
            root_weight,
            use_bias,
            name=name,
        )

    def call(
        self,
        x: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
        edge_index: tuple[tf.Tensor, tf.Tensor],
        edge_attr: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        edge_index, pseudo = self.edges_of(edge_index, edge_attr, self.dim)
        sources, targets = inputs.pair(x)
        basis = dense_basis(pseudo, self.kernel_size, self.degree, self.open_spline)
        return self.update(targets, kernel_mean(sources, edge_index[0], basis, self.kernel, mask))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config['aggregation'], config['kernel_initializer']
        return config


def dense_basis(
    pseudo: tf.Tensor,
    kernel_size: int | Sequence[int],
    degree: int,
    open_spline: bool | Sequence[bool],
) -> tf.Tensor:
    """B_p(u) of all control points p, the last dimension changing fastest: [E, K].

    Args:
      pseudo: points u, [E, D].
      kernel_size: control points in each dimension; K is their product.
      degree: of the splines.
      open_spline: whether each dimension is open.
    """
    basis = tf.ones_like(pseudo[:, :1])
    for dimension, (size, is_open) in enumerate(zip(kernel_size, open_spline, strict=True)):
        values, points = spline_conv.spline_basis(
            pseudo[:, dimension : dimension + 1], (size,), degree, (is_open,)
        )
        values = tf.reduce_sum(values[:, :, tf.newaxis] * tf.one_hot(points, size), axis=1)
        basis = tf.reshape(
            basis[:, :, tf.newaxis] * values[:, tf.newaxis], [-1, basis.shape[-1] * size]
        )
    return basis
