"""Spectral normalization (Miyato et al. 2018, "Spectral Normalization for GANs").

A kernel W, as a matrix [inputs, outputs], is divided by an estimate of its largest singular value:
sigma = v W u^T with v = u W^T / |u W^T| (Eqs. 8 and 9; Algorithm 1), the vector u kept from one
training step to the next and no gradient through u and v. A call with `training=True` makes one
power iteration and keeps its u; any other call leaves u as it is.

Layers that resample compute the resampling and the convolution as one product where both are linear
neighbours, which is the same sum in another order: see `SpectralConv2D`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.modeling import random

# What is shorter counts as 0: the squares of its numbers leave float32.
_SHORTEST = 1e-18
NEAREST, ZEROS = 'nearest', 'zeros'
# Pixels of an image, at the lower resolution, from which on 4 x 4 weights are made. A pixel saves
# 20 multiplications a weight, and to make the weights moves some 60 numbers, which a CPU does in
# the time of 256 pixels: batches of 4. The batch is not asked: however it is shared among replicas,
# the sums are the same.
_WORTH_FUSING = 64


def largest_singular_value(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One power iteration and sigma = v W u^T (Algorithm 1, step 1; Eq. 8).

    The gradient passes through W, not through u and v (Eq. 12).

    - A vector is divided by its length, however short. The authors' epsilon of 1e-12 under the root
      leaves one shorter than 1e-6 as it is, and sigma of a small kernel far too small.
    - Of a kernel of zeros sigma is 0, and u stays as it is.

    Args:
      kernel: W, float32 [..., outputs], all axes but the last being the inputs.
      u: float32 [1, outputs], of length 1.

    Returns:
      sigma, float32 scalar, and the next u, of length 1 and without gradient.
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    u = tf.stop_gradient(u)
    v = tf.matmul(u, tf.stop_gradient(matrix), transpose_b=True)
    product = tf.matmul(_unit(v, tf.zeros_like(v)), matrix)
    u = _unit(tf.stop_gradient(product), u)
    return tf.reduce_sum(product * u), u


def _unit(x: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """A vector, [1, n], divided by its length; `otherwise` if it is 0."""
    length = tf.norm(x)
    return tf.where(length > _SHORTEST, x / tf.maximum(length, _SHORTEST), otherwise)


class _SpectralLayer(tf.keras.layers.Layer):
    """A kernel with or without a bias and, if normalized, the vector u.

    Args:
      shape: of the kernel, the outputs last.
      key: of the initial weights.
      use_bias: whether there is a bias, which begins at 0.
      normalize: whether the kernel is normalized.
      initializer: initial kernel, called as initializer(key, shape).
      name: name of the layer, and the scope of its variables.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        key: tf.Tensor,
        use_bias: bool,
        normalize: bool,
        initializer: Callable,
        name: str,
    ):
        # float32: products are cast where they are made.
        super().__init__(name=name, dtype='float32', autocast=False)
        with tf.name_scope(name):
            self.kernel = self.add_weight(
                'kernel', shape, initializer=lambda shape, dtype=None, **_: initializer(key, shape)
            )
            self.bias = (
                self.add_weight('bias', shape[-1:], initializer='zeros') if use_bias else None
            )
            self.u = (
                self.add_weight(
                    'u',
                    (1, shape[-1]),
                    trainable=False,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                    initializer=lambda shape, dtype=None, **_: tf.nn.l2_normalize(
                        random.normal(random.fold_in(key, 1), shape)
                    ),
                )
                if normalize
                else None
            )
        self.built = True

    def weights_of_step(self, training: bool) -> tf.Tensor:
        """The kernel of this call: float32, normalized if the layer is; keeps u if training."""
        kernel, sigma = self._kernel_and_sigma(training)
        return kernel if self.u is None else kernel / sigma

    def _kernel_and_sigma(self, training):
        """The kernel, not normalized, and what it is to be divided by."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.u is None:
            return kernel, tf.ones([])
        sigma, u = largest_singular_value(kernel, self.u)
        if training:
            self.u.assign(u)
        # A kernel of zeros is not normalized: it stays 0, and its gradient is that of a kernel.
        return kernel, tf.where(sigma > _SHORTEST, sigma, 1.0)

    def add_bias(self, x: tf.Tensor) -> tf.Tensor:
        return x if self.bias is None else tf.nn.bias_add(x, tf.cast(self.bias, x.dtype))


class SpectralDense(_SpectralLayer):
    """A fully connected layer with a spectrally normalized kernel.

    Args:
      inputs: size of the last axis of what comes in.
      units: size of what goes out.
      key: of the initial weights, int32 [1, 2].
      use_bias: see `_SpectralLayer`.
      normalize: see `_SpectralLayer`.
      initializer: see `_SpectralLayer`.
      name: name of the layer.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        key: tf.Tensor,
        use_bias: bool = True,
        normalize: bool = True,
        initializer: Callable = random.orthogonal,
        name: str = 'dense',
    ):
        super().__init__((inputs, units), key, use_bias, normalize, initializer, name)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, inputs] to [batch, units], of the type of `x`."""
        return self.add_bias(tf.matmul(x, tf.cast(self.weights_of_step(training), x.dtype)))


class SpectralConv2D(_SpectralLayer):
    """A convolution of stride 1 with a spectrally normalized kernel, and a resampling by 2.

    Upsampling comes before the convolution, downsampling (the mean of 2 x 2 pixels) after it.
    Repeating pixels and then convolving with 3 x 3 weights is one transposed convolution of stride
    2 whose 4 x 4 weights are sums of those weights; convolving and then taking means is one
    convolution of stride 2, again with 4 x 4 weights. Either needs 4 multiplications where the two
    steps need 9. A 1 x 1 convolution changes places with the resampling and needs a quarter. Images
    of fewer than 64 pixels, at the lower resolution, are resampled step by step: the 4 x 4 weights
    can take longer to make than they save.

    Args:
      inputs: channels that come in.
      filters: channels that go out.
      key: of the initial weights, int32 [1, 2].
      kernel_size: height and width of the kernel, odd.
      up: double height and width first.
      down: halve height and width after.
      upsampling: NEAREST repeats every pixel, ZEROS puts zeros to its right and below.
      fused: resample and convolve in one product, as above; else step by step.
      use_bias: see `_SpectralLayer`.
      normalize: see `_SpectralLayer`.
      initializer: see `_SpectralLayer`.
      name: name of the layer.

    Raises:
      ValueError: if `up` and `down` are both set, or `upsampling` is neither of the two.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        key: tf.Tensor,
        kernel_size: int = 3,
        up: bool = False,
        down: bool = False,
        upsampling: str = NEAREST,
        fused: bool = True,
        use_bias: bool = True,
        normalize: bool = True,
        initializer: Callable = random.orthogonal,
        name: str = 'conv2d',
    ):
        if up and down:
            raise ValueError('SpectralConv2D: up and down are both set.')
        if upsampling not in (NEAREST, ZEROS):
            raise ValueError(
                f'SpectralConv2D.upsampling = {upsampling!r} is neither {NEAREST!r} nor {ZEROS!r}.'
            )
        super().__init__(
            (kernel_size, kernel_size, inputs, filters), key, use_bias, normalize, initializer, name
        )
        self.up = up
        self.down = down
        self.upsampling = upsampling
        self.fused = fused and not (up and upsampling == ZEROS)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, height, width, inputs] to [batch, height', width', filters]."""
        return self.add_bias(self.convolve(x, training))

    def convolve(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """What `call` gives, without the bias."""
        pointwise = self.kernel.shape[0] == 1
        resampled = self.up or self.down
        if (
            resampled
            and self.fused
            and not pointwise
            and (_low_pixels(x, self.down) >= _WORTH_FUSING)
        ):
            together = _repeat_and_convolve if self.up else _convolve_and_mean
            return together(x, *self._kernel_and_sigma(training))
        kernel = tf.cast(self.weights_of_step(training), x.dtype)
        if self.up and self.fused and pointwise:
            return repeat_pixels(tf.nn.conv2d(x, kernel, 1, 'SAME'))
        if self.down and self.fused and pointwise:
            return tf.nn.conv2d(mean_pixels(x), kernel, 1, 'SAME')
        if self.up:
            x = repeat_pixels(x) if self.upsampling == NEAREST else insert_zeros(x)
        x = tf.nn.conv2d(x, kernel, 1, 'SAME')
        return mean_pixels(x) if self.down else x


def sum_of_convolutions(
    one: SpectralConv2D, x: tf.Tensor, other: SpectralConv2D, y: tf.Tensor, training: bool = False
) -> tf.Tensor:
    """one(x) + other(y), with both biases added in one pass over the images."""
    together = one.convolve(x, training) + other.convolve(y, training)
    biases = [layer.bias for layer in (one, other) if layer.bias is not None]
    if not biases:
        return together
    return tf.nn.bias_add(together, tf.cast(tf.add_n(biases), together.dtype))


def repeat_pixels(x: tf.Tensor) -> tf.Tensor:
    """Nearest-neighbour upsampling by 2: [n, h, w, c] to [n, 2h, 2w, c]."""
    _, height, width, channels = x.shape
    wide = tf.broadcast_to(
        x[:, :, tf.newaxis, :, tf.newaxis], [tf.shape(x)[0], height, 2, width, 2, channels]
    )
    return tf.reshape(wide, [-1, 2 * height, 2 * width, channels])


def insert_zeros(x: tf.Tensor) -> tf.Tensor:
    """Every pixel followed by zeros to the right and below: [n, h, w, c] to [n, 2h, 2w, c]."""
    _, height, width, channels = x.shape
    wide = tf.pad(
        x[:, :, tf.newaxis, :, tf.newaxis], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]]
    )
    return tf.reshape(wide, [-1, 2 * height, 2 * width, channels])


def mean_pixels(x: tf.Tensor) -> tf.Tensor:
    """Means of 2 x 2 pixels: [n, 2h, 2w, c] to [n, h, w, c]."""
    return tf.nn.avg_pool2d(x, 2, 2, 'VALID')


def _low_pixels(x: tf.Tensor, down: bool) -> int:
    """Pixels of an image where they are fewer."""
    _, height, width, _ = x.shape
    return height * width // (4 if down else 1)


def _sums_of_neighbours(kernel: tf.Tensor, factor: tf.Tensor, turned: bool = False) -> tf.Tensor:
    """[s, s, i, o] to [s + 1, s + 1, i, o]: the kernel and its three shifts by one, added up.

    As a product of a small matrix with the kernel, which is read once and written once.

    Args:
      kernel: float32 [s, s, inputs, outputs].
      factor: of the sums, a scalar.
      turned: by half a turn.
    """
    size = kernel.shape[0]
    along = np.eye(size + 1, size) + np.eye(size + 1, size, -1)
    if turned:
        along = along[::-1]
    sums = tf.constant(np.kron(along, along), tf.float32) * factor
    weights = tf.matmul(sums, tf.reshape(kernel, [size**2, -1]))
    return tf.reshape(weights, [size + 1, size + 1, *kernel.shape[2:]])


def _repeat_and_convolve(x: tf.Tensor, kernel: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    # The transposed convolution adds what the pixel i gives to the pixels 2 i + d; the weight it
    # gives there is the sum of those with which 2 i + d saw the two copies of i.
    weights = tf.transpose(_sums_of_neighbours(kernel, 1 / sigma, turned=True), [0, 1, 3, 2])
    _, height, width, _ = x.shape
    shape = [tf.shape(x)[0], 2 * height, 2 * width, kernel.shape[-1]]
    return tf.nn.conv2d_transpose(x, tf.cast(weights, x.dtype), shape, 2, 'SAME')


def _convolve_and_mean(x: tf.Tensor, kernel: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    weights = _sums_of_neighbours(kernel, 0.25 / sigma)
    return tf.nn.conv2d(x, tf.cast(weights, x.dtype), 2, 'SAME')
