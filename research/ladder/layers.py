"""The rungs of a ladder: the vertical mappings of one layer, up and down.

Rasmus et al. 2015, Sec. 3.2-3.4. A rung holds what layer l owns in both directions: the mapping
W^(l) of the encoder, the mapping V^(l) of the decoder, the parameters of the activation, and the
normalization statistics of the clean path for test time. It knows nothing of noise or costs.
"""

from __future__ import annotations

import math
import pydoc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checks
from official.modeling import random


def named(thing: Callable) -> str | Callable:
    """Returns the full name of a function or class, which a configuration can hold as JSON.

    Keras writes a function's name without its module, and a class not at all. What cannot be found
    under its name, such as a lambda, is returned itself and left to Keras.
    """
    names = [f'tensorflow.{name}' for name in tensorflow_private.public_names(thing)]
    for name in [*names, f'{thing.__module__}.{thing.__qualname__}']:
        if pydoc.locate(name) is thing:
            return name
    return thing


def of_name(value: Any) -> Callable:
    """The inverse of `named`, also of what Keras has made of a lambda.

    Raises:
      ValueError: if nothing has this name.
    """
    if not isinstance(value, str):
        return tf.keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
    thing = pydoc.locate(value)
    if thing is None:
        raise ValueError(f'The saved model needs {value}, which cannot be imported.')
    return thing


class Rung(tf.keras.layers.Layer):
    """Layer l of the ladder.

    Args:
      activation: phi^(l). It gets a bias unless it is `tf.identity`, and no scale: "the rectified
        linear unit does not need scaling, linear activation function needs neither scaling nor
        bias" (Sec. 3.2). The softmax of the top rung needs both; the network adds it.
      name: name of the layer.
    """

    def __init__(self, activation: Callable = tf.nn.relu, name: str | None = None):
        # float32: products are cast where they are made, statistics and biases never.
        super().__init__(name=name, dtype='float32')
        self.activation = activation
        self.beta = self.gamma = None

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        """Creates W and, if `decode`, V.

        Args:
          below: shape of h^(l-1) without the batch axis.
          key: key of the initial weights.
          decode: whether the decoder goes through this layer.

        Returns:
          The shape of z^(l) without the batch axis.
        """
        raise NotImplementedError

    def create_normalization(self, channels: int, bias: bool, scale: bool) -> None:
        """Creates beta, gamma and the statistics of the clean path, all [channels]."""
        if bias:
            self.beta = self.add_weight('beta', (channels,), initializer='zeros')
        if scale:
            self.gamma = self.add_weight('gamma', (channels,), initializer='ones')
        self.mean, self.variance = (
            self.add_weight(
                name,
                (channels,),
                initializer=initializer,
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for name, initializer in (('mean', 'zeros'), ('variance', 'ones'))
        )
        self.built = True

    def project(self, h: tf.Tensor) -> tf.Tensor:
        """z_pre^(l) = W^(l) h^(l-1)."""
        raise NotImplementedError

    def reverse(self, z_hat: tf.Tensor) -> tf.Tensor:
        """V^(l) z_hat^(l), of the shape of the layer below, before its normalization."""
        raise NotImplementedError

    def affine(self, z: tf.Tensor) -> tf.Tensor:
        """gamma (z + beta), the argument of the activation."""
        if self.beta is not None:
            z = z + self.beta
        return z if self.gamma is None else self.gamma * z

    def get_config(self) -> dict[str, Any]:
        return {'activation': named(self.activation), 'name': self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Rung:
        if 'activation' in config:
            config = {**config, 'activation': of_name(config['activation'])}
        return cls(**config)

    def _mapping(self, name: str, shape, draw: Callable, key: tf.Tensor) -> tf.Variable:
        # Not an initializer of Keras: the weights are to depend on the key alone.
        return self.add_weight(
            name, shape, initializer=lambda shape, dtype=None, **_: draw(key, shape)
        )


class DenseRung(Rung):
    """Fully connected: W [below, units] and V [units, below].

    Weights start as N(0, 1) / sqrt(fan-in). Inputs with more axes than one are flattened, and
    unflattened on the way down.

    Args:
      units: width m_l.
      activation: phi^(l), see `Rung`.
      name: name of the layer.
    """

    def __init__(self, units: int, activation: Callable = tf.nn.relu, name: str | None = None):
        super().__init__(activation, name)
        checks.positive('DenseRung', units=units)
        self.units = units

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        self.below = tuple(below)
        width = math.prod(below)
        for name, fan_in, fan_out in (('w', width, self.units), ('v', self.units, width)):
            if name == 'w' or decode:
                setattr(
                    self,
                    name,
                    self._mapping(
                        name,
                        (fan_in, fan_out),
                        lambda k, shape: random.normal(k, shape, shape[0] ** -0.5),
                        random.fold_in(key, ord(name)),
                    ),
                )
        return (self.units,)

    def project(self, h: tf.Tensor) -> tf.Tensor:
        if len(self.below) > 1:
            h = tf.reshape(h, [-1, math.prod(self.below)])
        return tf.matmul(h, tf.cast(self.w, h.dtype))

    def reverse(self, z_hat: tf.Tensor) -> tf.Tensor:
        u = tf.matmul(z_hat, tf.cast(self.v, z_hat.dtype))
        return tf.reshape(u, [-1, *self.below]) if len(self.below) > 1 else u

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'units': self.units}


class ConvRung(Rung):
    """Convolution of stride 1, [height, width, below] to [height', width', filters].

    The decoder's convolution mirrors it (Sec. 3.4): it is the transposed convolution with a kernel
    of its own of the same shape, so 'valid' is undone by 'full' and 'full' by 'valid'. Weights
    start uniform in +-sqrt(3 / fan-in).

    Args:
      filters: channels of the output.
      kernel_size: side of the square kernel.
      padding: pixels of zeros around the input: 0 is a valid convolution, kernel_size - 1 a full
        one, (kernel_size - 1) / 2 one that keeps the size.
      activation: phi^(l), see `Rung`.
      name: name of the layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        padding: int = 0,
        activation: Callable = tf.nn.relu,
        name: str | None = None,
    ):
        super().__init__(activation, name)
        checks.positive('ConvRung', filters=filters, kernel_size=kernel_size)
        checks.at_least('ConvRung', 0, padding=padding)
        self.filters = filters
        self.kernel_size = kernel_size
        self.padding = padding

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        height, width, channels = self.below = tuple(below)
        kernel, area = self.kernel_size, self.kernel_size**2
        for name, fan_in in (('w', area * channels), ('v', area * self.filters)):
            if name == 'w' or decode:
                bound = math.sqrt(3 / fan_in)
                setattr(
                    self,
                    name,
                    self._mapping(
                        name,
                        (kernel, kernel, channels, self.filters),
                        lambda k, shape, bound=bound: random.uniform(k, shape, -bound, bound),
                        random.fold_in(key, ord(name)),
                    ),
                )
        grow = 2 * self.padding - kernel + 1
        return (height + grow, width + grow, self.filters)

    def project(self, h: tf.Tensor) -> tf.Tensor:
        pad = [self.padding, self.padding]
        return tf.nn.conv2d(
            h, tf.cast(self.w, h.dtype), strides=1, padding=[[0, 0], pad, pad, [0, 0]]
        )

    def reverse(self, z_hat: tf.Tensor) -> tf.Tensor:
        pad = [self.padding, self.padding]
        return tf.nn.conv2d_transpose(
            z_hat,
            tf.cast(self.v, z_hat.dtype),
            [tf.shape(z_hat)[0], *self.below],
            strides=1,
            padding=[[0, 0], pad, pad, [0, 0]],
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            'filters': self.filters,
            'kernel_size': self.kernel_size,
            'padding': self.padding,
        }


class MaxPoolRung(Rung):
    """Max pooling as a layer of its own with a linear activation (Sec. 3.4).

    The decoder upsamples by copying. A window that only partly covers the input at its right and
    lower border is kept (15 pixels become 8), and upsampling is cropped to the input.

    Args:
      size: side of the square window, and the stride.
      name: name of the layer.
    """

    def __init__(self, size: int = 2, name: str | None = None):
        super().__init__(tf.identity, name)
        self.size = size

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        self.below = tuple(below)
        return (-(-below[0] // self.size), -(-below[1] // self.size), below[2])

    def project(self, h: tf.Tensor) -> tf.Tensor:
        # Not TensorFlow's max pooling: its gradient under XLA has no deterministic form.
        (height, more), (width, wider) = (
            (-(-side // self.size), -side % self.size) for side in self.below[:2]
        )
        h = tf.pad(h, [[0, 0], [0, more], [0, wider], [0, 0]], constant_values=h.dtype.min)
        windows = tf.reshape(h, [-1, height, self.size, width, self.size, self.below[2]])
        return tf.reduce_max(windows, [2, 4])

    def reverse(self, z_hat: tf.Tensor) -> tf.Tensor:
        u = tf.repeat(tf.repeat(z_hat, self.size, axis=1), self.size, axis=2)
        return u[:, : self.below[0], : self.below[1]]

    def get_config(self) -> dict[str, Any]:
        return {'size': self.size, 'name': self.name}


class MeanPoolRung(Rung):
    """Global mean pooling, [height, width, channels] to [channels], with a linear activation.

    The decoder copies each value to all positions.

    - The paper prints a mean. The authors' code multiplies it by sqrt(3 height width), "to match
      normal conv layers", and their cost multipliers belong to it: z_hat is normalized with the
      statistics of z_pre (Eq. 2), so a mean of small variance makes a denoising cost at this layer
      large. At the start, lambda C_d of the Gamma model of Conv-Large is 52 with the factor and 710
      without, where a small Gamma model stays at chance.
    - Without a denoising cost at this layer the factor changes nothing, as batch normalization
      takes it out again (Conv-Small, and networks without a decoder).

    Args:
      scaled: whether the mean is multiplied by sqrt(3 height width).
      name: name of the layer.
    """

    def __init__(self, scaled: bool = True, name: str | None = None):
        super().__init__(tf.identity, name)
        self.scaled = scaled

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        self.below = tuple(below)
        self.factor = math.sqrt(3 * below[0] * below[1]) if self.scaled else 1.0
        return (below[2],)

    def project(self, h: tf.Tensor) -> tf.Tensor:
        return self.factor * tf.reduce_mean(h, [1, 2])

    def reverse(self, z_hat: tf.Tensor) -> tf.Tensor:
        return tf.tile(z_hat[:, None, None, :], [1, *self.below[:2], 1])

    def get_config(self) -> dict[str, Any]:
        return {'scaled': self.scaled, 'name': self.name}
