"""What the networks of Table 3 of Fey & Lenssen 2019 share: pooling by farthest points, a head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import random
from research.geometric import neighbors


class PointNetwork(tf.keras.layers.Layer):
    """Convolutions on fewer and fewer points of a cloud, a readout, and a perceptron.

    Hierarchical pooling as in Sec. 3, "Point Cloud Classification", of Fey & Lenssen 2019:
    iterative farthest point sampling, then a new graph. A level convolves the points that the level
    before has left at its own centroids alone; to convolve at all points and then to drop those
    that are not sampled is the same and takes longer. A subclass writes `convolve`.

    - Farthest points of farthest points are the first among them, in the order they were taken: so
      they are sampled once, and each level takes the first `counts[level]` of them.
    - Sampling begins at the first point of a cloud.

    Args:
      classes: number of classes.
      counts: centroids of each level, not rising.
      head: widths of the hidden dense layers after the readout.
      readout: 'max' or 'mean', over the centroids of the last level.
      activation: after each convolution and hidden dense layer, as Keras takes it.
      dropout: share of features dropped before the last dense layer in training.
      name: name of the layer.

    Call arguments:
      points: [B, P, 3], at least `points_needed` a cloud.
      key: int32 [local shards, 2], the randomness of a training step; None: no dropout.

    Returns:
      Logits [B, classes].

    Raises:
      ValueError: if `counts` rise or are not positive, or `readout` is another word.
    """

    def __init__(
        self,
        classes: int,
        counts: Sequence[int],
        head: Sequence[int],
        readout: str,
        activation: str | Callable,
        dropout: float,
        name: str | None = None,
    ):
        super().__init__(name=name)
        counts = tuple(counts)
        if not counts or min(counts) < 1 or list(counts) != sorted(counts, reverse=True):
            raise ValueError(f'counts = {counts} must be positive and not rise.')
        if readout not in _READOUTS:
            raise ValueError(f'readout = {readout!r} is none of {", ".join(_READOUTS)}.')
        checks.positive(type(self).__name__, classes=classes)
        checks.share(type(self).__name__, dropout=dropout)
        self.counts = counts
        self.readout = _READOUTS[readout]
        self.activation = tf.keras.activations.get(activation)
        self.dropout = dropout
        dense = tf.keras.layers.Dense
        self.head = [
            dense(units, activation, name=f'head_{index}') for index, units in enumerate(head, 1)
        ]
        self.head.append(dense(classes, name='logits'))

    @property
    def points_needed(self) -> int:
        """The fewest points a cloud must have."""
        return self.counts[0]

    def check_levels(self, **settings: Sequence) -> None:
        """Raises ValueError where a setting has not one entry for each level."""
        for name, values in settings.items():
            if len(values) != len(self.counts):
                raise ValueError(
                    f'{name} = {tuple(values)} has {len(values)} entries, not one for '
                    f'each of the {len(self.counts)} levels.'
                )

    def convolve(
        self, level: int, x: tf.Tensor | None, points: tf.Tensor, centroids: tf.Tensor
    ) -> tf.Tensor:
        """The features of the centroids, before the activation.

        Args:
          level: 0 to len(counts) - 1.
          x: features of the points, [B, P, F], or None at level 0.
          points: positions, [B, P, 3]; above level 0 the centroids are the first of them.
          centroids: positions, [B, Q, 3].

        Returns:
          [B * Q, F'].
        """
        raise NotImplementedError(f'{type(self).__name__} has no convolve().')

    # AutoGraph has nothing to do here, and takes seconds to find that out.
    @tf.autograph.experimental.do_not_convert
    def embed(self, points: tf.Tensor) -> tf.Tensor:
        """The global features of each cloud, which the head gets: [B, F]."""
        order = neighbors.farthest_points(points, self.counts[0])
        farthest = tf.gather(points, order, batch_dims=1)
        x = None
        for level, count in enumerate(self.counts):
            centroids = farthest[:, :count]
            x = self.activation(self.convolve(level, x, points, centroids))
            x = tf.reshape(x, [-1, count, x.shape[-1]])
            points = centroids
        return self.readout(x, axis=1)

    def call(self, points: tf.Tensor, key: tf.Tensor | None = None) -> tf.Tensor:
        x = self.embed(points)
        for layer in self.head[:-1]:
            x = layer(x)
        if key is not None:
            x = random.dropout(key, x, self.dropout)
        return self.head[-1](x)


_READOUTS = {'max': tf.reduce_max, 'mean': tf.reduce_mean}


def flat(x: tf.Tensor) -> tf.Tensor:
    """The rows of all clouds one after the other: [B, P, F] to [B * P, F]."""
    return tf.reshape(x, [-1, x.shape[-1]])


def pseudo_coordinates(
    points: tf.Tensor, centroids: tf.Tensor, indices: Any, radius: float
) -> tf.Tensor:
    """Where each neighbour lies in its ball, u = 1/2 + (p_j - p_i) / (2 r), in [0, 1].

    As `transforms.cartesian` with the radius for the maximum.

    Args:
      points: positions, [B, P, 3].
      centroids: positions, [B, Q, 3].
      indices: neighbours of the centroids, int32 [B, Q, k].
      radius: r, of the ball.

    Returns:
      [B * Q * k, 3].
    """
    offsets = tf.gather(points, indices, batch_dims=1) - centroids[:, :, tf.newaxis]
    return flat(0.5 + offsets / (2 * radius))


def perceptron(widths: Sequence[int], activation: str | Callable = 'relu') -> tf.keras.Sequential:
    """Dense layers with an activation in between; the last is linear."""
    return tf.keras.Sequential(
        [
            *(tf.keras.layers.Dense(width, activation) for width in widths[:-1]),
            tf.keras.layers.Dense(widths[-1]),
        ]
    )
