"""The matching network (Ge et al. 2019, Sec. 3 and Figure 4): do two items show one garment?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics, convolutions, random

FEATURES = ('pose', 'mask', 'class')  # What Table 5 makes the matching network's input of.


def chosen(features: Sequence[str], streams: Mapping[str, Callable | None]) -> tuple[str, ...]:
    """The features that the matching network sees, in the order of `FEATURES`.

    Args:
      features: some of `FEATURES`.
      streams: which stream each comes from, None where it is left out.

    Raises:
      ValueError: if there is no feature, one is none of `FEATURES`, or its stream is left out.
    """
    features = (features,) if isinstance(features, str) else tuple(features)
    for feature in features:
        if streams.get(feature) is None:
            raise ValueError(
                f'MatchRCNN.match_features = {features}: {feature!r} is '
                + (
                    'none of ' + ', '.join(FEATURES)
                    if feature not in streams
                    else 'a stream that is left out'
                )
                + '.'
            )
    if not features:
        raise ValueError('MatchRCNN.match_features is empty and there is a matching network.')
    return tuple(name for name in FEATURES if name in features)


class MatchingNetwork(tf.keras.layers.Layer):
    """The feature extractor, "4 'conv' layers, one pooling layer, and one fc layer", and the
    similarity learning network, "subtraction and square operator and a fc layer" (Sec. 3).

    Consumer and shop items go through the same weights.

    - The paper has no widths: four 3 x 3 convolutions of 256, 256, 256 and 1024 channels with ReLU,
      the mean over the pixels, 256 units with batch normalization and no ReLU, and two outputs
      with softmax are those of the benchmark's release.
    - Padding keeps the size of the RoI features; without it each convolution takes a pixel off at
      every side.

    Args:
      channels: of the RoI features that enter.
      key: int32 [1, 2], of initial weights.
      widths: channels of the convolutions.
      units: length of a feature vector v.
      padding: see above.
      decay: of the moving statistics of the batch normalization.
      epsilon: added to the variance.
      name: name of the layer.
    """

    def __init__(
        self,
        channels: int,
        key: tf.Tensor,
        widths: Sequence[int] = (256, 256, 256, 1024),
        units: int = 256,
        padding: bool = True,
        decay: float = 0.9,
        epsilon: float = 1e-5,
        name: str = 'matching_network',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('MatchingNetwork', units=units, convs=len(widths))
        self._config = {
            'channels': channels,
            'widths': tuple(widths),
            'units': units,
            'padding': padding,
            'decay': decay,
            'epsilon': epsilon,
            'name': name,
        }
        self._key = key
        self.units = units
        self.padding = padding
        with tf.name_scope(name):
            sizes = (channels, *widths)
            self.convs = [
                convolutions.Conv(
                    inputs,
                    outputs,
                    3,
                    random.fold_in(key, index),
                    relu=True,
                    name=f'conv{index + 1}',
                )
                for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
            ]
            self.dense = convolutions.Dense(
                sizes[-1], units, random.fold_in(key, len(widths)), name='fc'
            )
            self.norm = MaskedBatchNorm(units, decay, epsilon)
            self.similarity = convolutions.Dense(
                units,
                2,
                random.fold_in(key, len(widths) + 1),
                initializer=lambda key, shape: random.normal(key, shape, 0.01),
                name='similarity',
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    def call(
        self, features: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Feature vectors v.

        Args:
          features: [n, size, size, channels].
          valid: bool [n]: rows whose statistics count in training; None: all.
          training: normalize by the batch, and move the averages.

        Returns:
          float32 [n, units].
        """
        x = features
        for conv in self.convs:
            x = conv(x)
            if not self.padding:  # What is left is what padding had no part in.
                x = tf.slice(x, [0, 1, 1, 0], [-1, x.shape[1] - 2, x.shape[2] - 2, -1])
        x = self.dense(tf.reduce_mean(x, [1, 2]))
        return self.norm(tf.cast(x, tf.float32), valid, training)

    def logits(self, v1: tf.Tensor, v2: tf.Tensor) -> tf.Tensor:
        """The two outputs before the softmax, of which 1 means that the items match.

        Args:
          v1: float32 [..., units].
          v2: float32 [..., units], of a shape that broadcasts with that of `v1`.

        Returns:
          float32 [..., 2].
        """
        squares = tf.math.squared_difference(v1, v2)
        flat = tf.reshape(squares, [-1, self.units])
        shape = tf.concat([tf.shape(squares)[:-1], [2]], 0)
        return tf.reshape(tf.cast(self.similarity(flat), tf.float32), shape)

    @property
    def distance_weights(self) -> tf.Tensor:
        """w, float32 [units]: the probability of a match rises with w . (v1 - v2)^2.

        softmax's second output is the logistic function of the difference of the two logits.
        """
        return self.similarity.kernel[:, 1] - self.similarity.kernel[:, 0]


class MaskedBatchNorm(tf.keras.layers.Layer):
    """Batch normalization of vectors, some rows of which are padding, over all replicas.

    Args:
      units: length of a vector.
      decay: of the moving averages, which are used outside training.
      epsilon: added to the variance.
      name: name of the layer.
    """

    def __init__(
        self, units: int, decay: float = 0.9, epsilon: float = 1e-5, name: str = 'batch_norm'
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        self.decay = decay
        self.epsilon = epsilon
        with tf.name_scope(name):
            self.gamma = self.add_weight('gamma', (units,), initializer='ones')
            self.beta = self.add_weight('beta', (units,), initializer='zeros')
            self.moving_mean, self.moving_variance = (
                self.add_weight(
                    f'moving_{moment}',
                    (units,),
                    initializer=initializer,
                    trainable=False,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                )
                for moment, initializer in (('mean', 'zeros'), ('variance', 'ones'))
            )
        self.built = True

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """float32 [n, units] to the same; `valid` bool [n] says which rows count, None: all."""
        if not training:
            scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
            return (x - self.moving_mean) * scale + self.beta
        weights = (
            tf.ones_like(x[:, :1]) if valid is None else tf.cast(valid, tf.float32)[:, tf.newaxis]
        )
        count = batch_statistics.global_mean(tf.reduce_sum(weights))
        divisor = tf.maximum(count, 1e-6)
        mean = batch_statistics.global_mean(tf.reduce_sum(weights * x, 0)) / divisor
        centred = x - mean
        variance = (
            batch_statistics.global_mean(tf.reduce_sum(weights * tf.square(centred), 0)) / divisor
        )
        # A batch without a valid row says nothing.
        rate = (1 - self.decay) * tf.cast(count > 0, tf.float32)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign_add(rate * (tf.stop_gradient(value) - average))
        return centred * tf.math.rsqrt(variance + self.epsilon) * self.gamma + self.beta
