"""The five networks of Table 3 of Fey & Lenssen 2019, of 427 to 452 thousand weights.

Levels, radii, numbers of neighbours and activations are those of the published runs, except:

- The paper prints no widths, but that all have about as many parameters. MPNN and the convolutions
  of PointCNN have the published widths; in the others some were changed to meet that number.
- EdgeCNN has the pooling that the paper describes; the published runs convolve all points twice.
- The X-transformations of PointCNN have no batch normalization, and its F_delta has a quarter of
  the channels, as in Li et al. 2018.
- A centroid is its own neighbour in all methods.
- What the edge networks of MPNN get is divided by the radius.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from research.geometric import neighbors
from research.geometric.convs import edge_conv, x_conv
from research.geometric.models import grouped, point_network


class BallNetwork(point_network.PointNetwork):
    """A network whose graphs are of query balls: MPNN, PointNet++, SplineCNN.

    Args:
      classes: see `PointNetwork`.
      counts: see there.
      radii: of the ball of each level, in the positions' unit.
      max_neighbors: points in a ball that are used.
      head: see there.
      readout: see there.
      activation: see there.
      dropout: see there.
      name: name of the layer.

    Raises:
      ValueError: see there, or if there are not as many radii as levels.
    """

    def __init__(
        self,
        classes: int,
        counts: Sequence[int],
        radii: Sequence[float],
        max_neighbors: int,
        head: Sequence[int],
        readout: str,
        activation: str | Callable,
        dropout: float,
        name: str | None,
    ):
        super().__init__(classes, counts, head, readout, activation, dropout, name)
        self.check_levels(radii=radii)
        self.radii = tuple(radii)
        self.max_neighbors = max_neighbors

    def ball(
        self, level: int, points: tf.Tensor, centroids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Edges [2, E], pseudo-coordinates [E, 3] and which edges are real, [B * Q, k]."""
        radius = self.radii[level]
        indices, mask = neighbors.ball_query(points, centroids, radius, self.max_neighbors)
        pseudo = point_network.pseudo_coordinates(points, centroids, indices, radius)
        return (
            neighbors.edge_index(indices, _size(points)),
            pseudo,
            tf.reshape(mask, [-1, self.max_neighbors]),
        )


class KernelNetwork(BallNetwork):
    """A network of kernels over the ball, MPNN or SplineCNN; the feature of each point is 1.

    Args:
      convs: the convolution of each level, called as conv((sources, targets), edge_index, pseudo,
        mask=mask).
      classes: see `BallNetwork`, as the others.
      counts: see there.
      radii: see there.
      max_neighbors: see there.
      head: see there.
      activation: see there.
      dropout: see there.
      name: name of the layer.
    """

    def __init__(
        self,
        convs: Sequence[tf.keras.layers.Layer],
        classes: int,
        counts: Sequence[int],
        radii: Sequence[float],
        max_neighbors: int,
        head: Sequence[int],
        activation: str | Callable,
        dropout: float,
        name: str | None,
    ):
        super().__init__(
            classes, counts, radii, max_neighbors, head, 'mean', activation, dropout, name
        )
        self.convs = list(convs)

    def convolve(
        self, level: int, x: tf.Tensor | None, points: tf.Tensor, centroids: tf.Tensor
    ) -> tf.Tensor:
        x = tf.ones_like(points[..., :1]) if x is None else x
        edge_index, pseudo, mask = self.ball(level, points, centroids)
        pair = point_network.flat(x), point_network.flat(x[:, : centroids.shape[1]])
        return self.convs[level](pair, edge_index, self.edge_features(pseudo), mask=mask)

    def edge_features(self, pseudo: tf.Tensor) -> tf.Tensor:
        """What the convolutions get of pseudo-coordinates in [0, 1]."""
        return pseudo


class MPNN(KernelNetwork):
    """Message passing with an edge network (Gilmer et al. 2017), mean of a ball.

    435 446 weights for ten classes.

    Args:
      classes: number of classes.
      channels: features after each level.
      hidden: width of the hidden layer of each edge network.
      counts: centroids of each level.
      radii: of the balls.
      max_neighbors: points in a ball that are used.
      head: widths of the hidden dense layers.
      dropout: before the last dense layer.
      name: name of the layer.

    Raises:
      ValueError: if a setting has not one entry for each level; see `PointNetwork`.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[int] = (64, 64, 128),
        hidden: int = 25,
        counts: Sequence[int] = (512, 128, 128),
        radii: Sequence[float] = (0.2, 0.4, 1.0),
        max_neighbors: int = 32,
        head: Sequence[int] = (256, 256),
        dropout: float = 0.5,
        name: str | None = None,
    ):
        widths = (1, *channels)
        super().__init__(
            [
                grouped.GroupedNNConv(
                    channels[level], _edge_network(hidden, widths[level], channels[level])
                )
                for level in range(len(channels))
            ],
            classes,
            counts,
            radii,
            max_neighbors,
            head,
            'relu',
            dropout,
            name,
        )
        self.check_levels(channels=channels)

    def edge_features(self, pseudo: tf.Tensor) -> tf.Tensor:
        # Differences, around 0: over [0, 1] hardly a ReLU of the edge network has its kink, so that
        # means over a ball would tell little more than where its middle is.
        return 2 * pseudo - 1


class SplineCNN(KernelNetwork):
    """Continuous B-spline kernels (Fey et al. 2018), mean of a ball, ELU.

    441 922 weights for ten classes.

    Args:
      classes: number of classes.
      channels: features after each level.
      kernel_size: control points in each of the three dimensions.
      counts: centroids of each level.
      radii: of the balls.
      max_neighbors: points in a ball that are used.
      head: widths of the hidden dense layers.
      dropout: before the last dense layer.
      name: name of the layer.

    Raises:
      ValueError: if a setting has not one entry for each level; see `PointNetwork`.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[int] = (32, 32, 56),
        kernel_size: int = 5,
        counts: Sequence[int] = (512, 128, 128),
        radii: Sequence[float] = (0.2, 0.4, 1.0),
        max_neighbors: int = 32,
        head: Sequence[int] = (256, 256),
        dropout: float = 0.5,
        name: str | None = None,
    ):
        super().__init__(
            [grouped.GroupedSplineConv(width, 3, kernel_size) for width in channels],
            classes,
            counts,
            radii,
            max_neighbors,
            head,
            'elu',
            dropout,
            name,
        )
        self.check_levels(channels=channels)


class PointNetPlusPlus(BallNetwork):
    """PointNets of balls (Qi et al. 2017), each a perceptron of two layers and a maximum.

    427 530 weights for ten classes.

    Args:
      classes: number of classes.
      channels: widths of the layers of each level's perceptron.
      counts: centroids of each level.
      radii: of the balls.
      max_neighbors: points in a ball that are used.
      head: widths of the hidden dense layers.
      dropout: before the last dense layer.
      name: name of the layer.

    Raises:
      ValueError: if a setting has not one entry for each level; see `PointNetwork`.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[Sequence[int]] = ((64, 64), (128, 128), (256, 256)),
        counts: Sequence[int] = (512, 128, 128),
        radii: Sequence[float] = (0.2, 0.4, 1.0),
        max_neighbors: int = 32,
        head: Sequence[int] = (576, 256),
        dropout: float = 0.5,
        name: str | None = None,
    ):
        super().__init__(classes, counts, radii, max_neighbors, head, 'max', 'relu', dropout, name)
        self.check_levels(channels=channels)
        self.convs = [
            grouped.GroupedPointNetConv(point_network.perceptron(widths)) for widths in channels
        ]

    def convolve(
        self, level: int, x: tf.Tensor | None, points: tf.Tensor, centroids: tf.Tensor
    ) -> tf.Tensor:
        edge_index, *_ = self.ball(level, points, centroids)
        return self.convs[level](
            None if x is None else point_network.flat(x),
            edge_index,
            pos=(point_network.flat(points), point_network.flat(centroids)),
        )


class EdgeCNN(point_network.PointNetwork):
    """Edge convolutions (Wang et al. 2018) of the nearest neighbours in the layer's own features.

    434 698 weights for ten classes.

    Args:
      classes: number of classes.
      channels: widths of the layers of each level's perceptron.
      k: neighbours of a point, itself among them.
      counts: centroids of each level.
      head: widths of the hidden dense layers.
      dropout: before the last dense layer.
      name: name of the layer.

    Raises:
      ValueError: if a setting has not one entry for each level; see `PointNetwork`.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[Sequence[int]] = ((64, 64), (128, 128), (256, 256)),
        k: int = 20,
        counts: Sequence[int] = (512, 128, 128),
        head: Sequence[int] = (512, 256),
        dropout: float = 0.5,
        name: str | None = None,
    ):
        super().__init__(classes, counts, head, 'max', 'relu', dropout, name)
        self.check_levels(channels=channels)
        self.k = k
        self.convs = [
            edge_conv.EdgeConv(point_network.perceptron(widths), aggregation=grouped.grouped_max)
            for widths in channels
        ]

    @property
    def points_needed(self) -> int:
        return max(super().points_needed, self.k)

    def convolve(
        self, level: int, x: tf.Tensor | None, points: tf.Tensor, centroids: tf.Tensor
    ) -> tf.Tensor:
        sources, targets = points, centroids
        if x is not None:
            sources, targets = x, x[:, : centroids.shape[1]]
        nearest = neighbors.knn(sources, targets, self.k)
        return self.convs[level](
            (point_network.flat(sources), point_network.flat(targets)),
            neighbors.edge_index(nearest, _size(points)),
        )


class PointCNN(point_network.PointNetwork):
    """Convolutions on X-transformed points (Li et al. 2018) of the nearest neighbours.

    452 182 weights for ten classes.

    Args:
      classes: number of classes.
      channels: features after each level.
      kernel_sizes: neighbours that each level convolves.
      dilations: of how many neighbours each level takes one.
      counts: centroids of each level.
      head: widths of the hidden dense layers.
      dropout: before the last dense layer.
      name: name of the layer.

    Raises:
      ValueError: if a setting has not one entry for each level; see `PointNetwork`.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[int] = (48, 96, 192, 384),
        kernel_sizes: Sequence[int] = (8, 12, 16, 16),
        dilations: Sequence[int] = (1, 2, 2, 2),
        counts: Sequence[int] = (384, 128, 128, 128),
        head: Sequence[int] = (256, 128),
        dropout: float = 0.5,
        name: str | None = None,
    ):
        super().__init__(classes, counts, head, 'mean', 'relu', dropout, name)
        self.check_levels(channels=channels, kernel_sizes=kernel_sizes, dilations=dilations)
        self.convs = [
            x_conv.XConv(width, size, dilation=dilation)
            for width, size, dilation in zip(channels, kernel_sizes, dilations, strict=True)
        ]

    @property
    def points_needed(self) -> int:
        return max(super().points_needed, self._neighbors(0))

    def convolve(
        self, level: int, x: tf.Tensor | None, points: tf.Tensor, centroids: tf.Tensor
    ) -> tf.Tensor:
        nearest = neighbors.knn(points, centroids, self._neighbors(level))
        return self.convs[level](
            None if x is None else point_network.flat(x),
            neighbors.edge_index(nearest, _size(points)),
            pos=(point_network.flat(points), point_network.flat(centroids)),
        )

    def _neighbors(self, level):
        return self.convs[level].kernel_size * self.convs[level].dilation


def _edge_network(hidden, width, channels):
    """From relative positions to matrices [width, channels], as a sum of `hidden` + 1 of them."""
    # Keras' own choice takes the entries for outputs of one layer and makes features die away;
    # this draws each matrix as Glorot & Bengio 2010 would alone.
    each = tf.keras.initializers.VarianceScaling(
        2 * hidden / (width + channels), 'fan_in', 'uniform'
    )
    return tf.keras.Sequential(
        [
            tf.keras.layers.Dense(hidden, 'relu'),
            tf.keras.layers.Dense(width * channels, kernel_initializer=each),
        ]
    )


def _size(points) -> int | tf.Tensor:
    """P of [B, P, 3], a Python number where it is known."""
    return points.shape[1] if points.shape[1] is not None else tf.shape(points)[1]
