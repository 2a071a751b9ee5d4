"""Q-networks of Mnih et al. 2015: uint8 stacks of frames to the value of every action."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.core import checks


class NatureQNetwork(tf.keras.Model):
    """The deep Q-network (Methods, "Model architecture"; Fig. 1).

    Convolutions of 32 filters of 8 x 8 with stride 4, 64 of 4 x 4 with stride 2, and 64 of 3 x 3
    with stride 1, all without padding, then 512 units, each followed by a rectifier, and a linear
    output for every action. On 84 x 84 x 4 the convolutions end in 7 x 7 x 64 = 3 136 values.

    - Pixels are divided by 255, which the paper does not mention.
    - Weights and biases begin uniform in +-1 / sqrt(fan in), the default of the authors' Torch 7;
      the paper does not say.

    Args:
      num_actions: outputs.
      convolutions: (filters, kernel, stride) of each layer.
      hidden_units: units of the last hidden layer.
      dueling: values and advantages apart, Q = V + A - mean A (Wang et al. 2016, Eq. 9), each with
        a hidden layer of its own; not in the paper.
      seed: of the initial weights.

    Raises:
      ValueError: a number is not positive; from a call, if the frames are too small.
    """

    def __init__(
        self,
        num_actions: int,
        convolutions: Sequence[tuple[int, int, int]] = ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        hidden_units: int = 512,
        dueling: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        checks.positive('NatureQNetwork', num_actions=num_actions, hidden_units=hidden_units)
        self.num_actions = num_actions
        self.convolutions = tuple(tuple(layer) for layer in convolutions)
        self.hidden_units = hidden_units
        self.dueling = dueling
        self.seed = seed
        seeds = iter(range(1000 * seed, 1000 * seed + 1000))
        self._convolutions = [
            FanInConvolution(filters, kernel, stride, seeds, f'convolution_{number}')
            for number, (filters, kernel, stride) in enumerate(self.convolutions, 1)
        ]
        self._hidden = FanInDense(hidden_units, seeds, 'hidden', 'relu')
        self._output = FanInDense(num_actions, seeds, 'values', dtype='float32')
        if dueling:
            self._value_hidden = FanInDense(hidden_units, seeds, 'state_hidden', 'relu')
            self._value = FanInDense(1, seeds, 'state_value', dtype='float32')

    def features(self, frames: tf.Tensor) -> tf.Tensor:
        """What the last convolution gives, flat.

        Args:
          frames: uint8 [batch, height, width, history].

        Returns:
          [batch, features] in the policy's compute dtype.
        """
        x = tf.cast(frames, self.compute_dtype) / 255
        for layer in self._convolutions:
            x = layer(x)
        return _flat(x)

    def hidden(self, frames: tf.Tensor) -> tf.Tensor:
        """The last hidden layer (Fig. 4): float32 [batch, hidden_units].

        With `dueling` that of the values and that of the advantages, side by side.

        Args:
          frames: uint8 [batch, height, width, history].
        """
        x = self.features(frames)
        if not self.dueling:
            return tf.cast(self._hidden(x), tf.float32)
        return tf.cast(tf.concat([self._value_hidden(x), self._hidden(x)], axis=1), tf.float32)

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The value of every action.

        Args:
          frames: uint8 [batch, height, width, history], oldest frame first.
          training: without effect.

        Returns:
          float32 [batch, num_actions].
        """
        del training
        x = self.features(frames)
        advantages = self._output(self._hidden(x))
        if not self.dueling:
            return advantages
        value = self._value(self._value_hidden(x))
        return value + advantages - tf.reduce_mean(advantages, axis=1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {
            'num_actions': self.num_actions,
            'convolutions': self.convolutions,
            'hidden_units': self.hidden_units,
            'dueling': self.dueling,
            'seed': self.seed,
        }


class LinearQNetwork(tf.keras.Model):
    """The linear function approximator of Extended Data Table 4: one linear layer on the pixels.

    - Scaling and initial weights as in `NatureQNetwork`.

    Args:
      num_actions: outputs.
      seed: of the initial weights.
    """

    def __init__(self, num_actions: int, seed: int = 0):
        super().__init__()
        self.num_actions = num_actions
        self.seed = seed
        seeds = iter(range(1000 * seed, 1000 * seed + 1000))
        self._output = FanInDense(num_actions, seeds, 'values')

    def hidden(self, frames: tf.Tensor) -> tf.Tensor:
        """The pixels, there being no hidden layer: float32 [batch, pixels]."""
        return _flat(tf.cast(frames, tf.float32) / 255)

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """As `NatureQNetwork.call`."""
        del training
        return tf.cast(self._output(self.hidden(frames)), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {'num_actions': self.num_actions, 'seed': self.seed}


def _flat(x):
    """[batch, features]; from a generator in `fit` even the sizes of the frames are unknown."""
    features = x.shape[1:]
    known = features.is_fully_defined()
    return tf.reshape(x, [-1, math.prod(features)] if known else [tf.shape(x)[0], -1])


class _Uniform(tf.keras.initializers.Initializer):
    """Uniform in +-1 / sqrt(fan in)."""

    def __init__(self, fan_in: int, seed: int):
        self._limit = 1 / math.sqrt(fan_in)
        self._seed = seed

    def __call__(self, shape, dtype=None, **kwargs):
        return tf.random.stateless_uniform(
            shape, [self._seed, 0], -self._limit, self._limit, dtype or tf.float32, alg='philox'
        )


class FanInConvolution(tf.keras.layers.Conv2D):
    """A convolution with rectifier; its initial weights follow its fan in, see `NatureQNetwork`."""

    def __init__(self, filters: int, kernel: int, stride: int, seeds: Sequence[int], name: str):
        super().__init__(filters, kernel, stride, activation='relu', name=name)
        self._seeds = next(seeds), next(seeds)

    def build(self, input_shape: tf.TensorShape) -> None:
        if min(input_shape[1:3]) < self.kernel_size[0]:
            raise ValueError(
                f'{self.name}: a kernel of {self.kernel_size[0]} does not fit into an input of '
                f'{input_shape[1]} x {input_shape[2]}; frames are too small for '
                'NatureQNetwork.convolutions.'
            )
        fan_in = math.prod(self.kernel_size) * input_shape[-1]
        self.kernel_initializer = _Uniform(fan_in, self._seeds[0])
        self.bias_initializer = _Uniform(fan_in, self._seeds[1])
        super().build(input_shape)


class FanInDense(tf.keras.layers.Layer):
    """A dense layer; its initial weights follow its fan in, see `NatureQNetwork`."""

    def __init__(
        self,
        units: int,
        seeds: Sequence[int],
        name: str,
        activation: str | Callable | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self._units = units
        self._seeds = next(seeds), next(seeds)
        self._activation = tf.keras.activations.get(activation)

    def build(self, input_shape: tf.TensorShape) -> None:
        fan_in = input_shape[-1]
        self.kernel = self.add_weight(
            'kernel', [fan_in, self._units], initializer=_Uniform(fan_in, self._seeds[0])
        )
        self.bias = self.add_weight(
            'bias', [self._units], initializer=_Uniform(fan_in, self._seeds[1])
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        product = _product(x, tf.convert_to_tensor(self.kernel))
        return self._activation(tf.nn.bias_add(product, self.bias))


@tf.custom_gradient
def _product(x, kernel):
    """x kernel, whose gradient by x is computed as (kernel g^T)^T.

    On a CPU, g kernel^T takes more than twice as long with the 3 136 x 512 kernel of the Nature
    network: a tenth of an update.
    """

    def gradient(g):
        return (tf.transpose(tf.matmul(kernel, tf.transpose(g))), tf.matmul(x, g, transpose_a=True))

    return tf.matmul(x, kernel), gradient
