"""Batch normalization over the global batch, plain and conditional, of images.

Ioffe & Szegedy 2015; de Vries et al. 2017 and Dumoulin et al. 2017 for gains and shifts that differ
from collections.abc import Iterator
from example to example.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from official.modeling import batch_statistics


def batch_norm(
    x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """gain (x - mean) / sqrt(var + epsilon) + shift, with the statistics of the global batch.

    The gradient is written out: of the gradient dy and of x it needs two sums an example and
    channel, and is then linear in both, where automatic differentiation walks over the images once
    for every operation.

    Args:
      x: [batch, height, width, channels].
      gain: float32 [batch or 1, channels].
      shift: float32 [batch or 1, channels].
      epsilon: added to the variance.

    Returns:
      y of the shape and type of `x`; mean and (biased) variance, float32 [channels], through which
      no gradient passes.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync if context else 1

    @tf.custom_gradient
    def normalize(x, gain, shift):
        wide = tf.cast(x, tf.float32)
        mean = batch_statistics.global_mean(tf.reduce_mean(wide, [0, 1, 2]))
        variance = batch_statistics.global_mean(
            tf.reduce_mean(tf.math.squared_difference(wide, mean), [0, 1, 2])
        )
        scale = tf.math.rsqrt(variance + epsilon)
        y = _affine(x, gain * scale, shift - gain * scale * mean)

        def gradient(dy, *_):
            dy = tf.cast(dy, tf.float32)
            of_shift = tf.reduce_sum(dy, [1, 2])
            of_gain = scale * (tf.reduce_sum(dy * wide, [1, 2]) - mean * of_shift)
            # The means over all pixels of the gradient of the normalized value, and of its
            # product with that value.
            pixels = tf.cast(tf.size(x) // x.shape[-1] * replicas, tf.float32)
            sums = tf.stack([tf.reduce_sum(gain * of_shift, 0), tf.reduce_sum(gain * of_gain, 0)])
            first, second = tf.unstack(batch_statistics.global_mean(sums) * replicas / pixels)
            by_pixel = -tf.square(scale) * second
            constant = -scale * first - by_pixel * mean
            dx = _affine(dy, gain * scale, constant[tf.newaxis]) + wide * by_pixel
            if gain.shape[0] == 1 and x.shape[0] != 1:
                of_gain = tf.reduce_sum(of_gain, 0, keepdims=True)
            if shift.shape[0] == 1 and x.shape[0] != 1:
                of_shift = tf.reduce_sum(of_shift, 0, keepdims=True)
            return tf.cast(dx, x.dtype), of_gain, of_shift

        return (y, mean, variance), gradient

    return normalize(x, gain, shift)


def _affine(x, factor, addend):
    """x factor + addend, of [n, h, w, c] and [n or 1, c], in the type of `x`."""
    factor, addend = (
        tf.cast(value, x.dtype)[:, tf.newaxis, tf.newaxis] for value in (factor, addend)
    )
    return x * factor + addend


class BatchNorm(tf.keras.layers.Layer):
    """Batch normalization with a trainable gain and shift for every channel.

    Args:
      channels: of the images.
      conditional: the gains and shifts come with the call and are no variables of this layer.
      epsilon: added to the variance.
      decay: of the moving averages of mean and variance, which are used outside training.
      name: name of the layer, and the scope of its variables.
    """

    def __init__(
        self,
        channels: int,
        conditional: bool = False,
        epsilon: float = 1e-5,
        decay: float = 0.9,
        name: str = 'batch_norm',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        self.epsilon = epsilon
        self.decay = decay
        with tf.name_scope(name):
            self.gamma: Any = None
            self.beta: Any = None
            if not conditional:
                self.gamma = self.add_weight('gamma', (channels,), initializer='ones')
                self.beta = self.add_weight('beta', (channels,), initializer='zeros')
            self.moving_mean, self.moving_variance = (
                self.add_weight(
                    f'moving_{moment}',
                    (channels,),
                    initializer=initializer,
                    trainable=False,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                )
                for moment, initializer in (('mean', 'zeros'), ('variance', 'ones'))
            )
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        gain: tf.Tensor | None = None,
        shift: tf.Tensor | None = None,
        training: bool = False,
        frozen: bool = False,
    ) -> tf.Tensor:
        """Normalizes images.

        Args:
          x: [batch, height, width, channels].
          gain: float32 [batch, channels], of a conditional layer.
          shift: float32 [batch, channels], of a conditional layer.
          training: use the statistics of the batch, and move the averages.
          frozen: leave the averages as they are.

        Returns:
          Of the shape and type of `x`.
        """
        if self.gamma is not None:
            gain, shift = self.gamma[tf.newaxis], self.beta[tf.newaxis]
        if not training:
            factor = gain * tf.math.rsqrt(self.moving_variance + self.epsilon)
            return _affine(x, factor, shift - factor * self.moving_mean)
        y, mean, variance = batch_norm(x, gain, shift, self.epsilon)
        if not frozen:
            for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign_add((1 - self.decay) * (value - average))
        return y


@contextlib.contextmanager
def moving_by(norms: Sequence[BatchNorm], rate: tf.Tensor) -> Iterator[None]:
    """The averages of some layers move by `rate` in place of 1 - decay in what is traced inside.

    With the rates 1, 1/2, 1/3, ... they become the mean over the batches.

    Args:
      norms: the layers.
      rate: float32 scalar.
    """
    decays = [norm.decay for norm in norms]
    for norm in norms:
        norm.decay = 1 - rate
    try:
        yield
    finally:
        for norm, decay in zip(norms, decays, strict=True):
            norm.decay = decay
