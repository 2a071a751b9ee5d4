"""What generator and discriminator are made of: Lucic et al. 2019, App. B, after BigGAN.

Public names are those of Tables 10 and 11.
"""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import normalization, pooling, random, spectral


class ConditionalBatchNorm(normalization.BatchNorm):
    """Batch norm whose gain and shift are linear in a condition (Table 11, "bn1/condition").

    - The gain is 1 + W c. The paper does not say; a gain of W c, as in the authors' code, begins
      near 0 and lets little through.

    Args:
      channels: of the images.
      inputs: size of the condition.
      key: of the initial weights.
      unit_gain: whether the gain is 1 + W c or W c.
      normalize: spectral normalization.
      decay: see `BatchNorm`.
      name: name of the layer.
    """

    def __init__(
        self,
        channels: int,
        inputs: int,
        key: tf.Tensor,
        unit_gain: bool = True,
        normalize: bool = True,
        decay: float = 0.9,
        name: str = 'bn',
    ):
        super().__init__(channels, conditional=True, decay=decay, name=name)
        self.unit_gain = unit_gain
        with tf.name_scope(name), tf.name_scope('condition'):
            self.gain, self.shift = (
                spectral.SpectralDense(
                    inputs,
                    channels,
                    random.fold_in(key, number),
                    use_bias=False,
                    normalize=normalize,
                    name=part,
                )
                for number, part in enumerate(('gamma', 'beta'))
            )

    def call(
        self, x: tf.Tensor, condition: tf.Tensor, training: bool = False, frozen: bool = False
    ) -> tf.Tensor:
        """Normalizes images [batch, height, width, channels] on a condition [batch, inputs]."""
        moving = training and not frozen
        gain, shift = self.gain(condition, moving), self.shift(condition, moving)
        return super().call(
            x, gain + 1.0 if self.unit_gain else gain, shift, training=training, frozen=frozen
        )


class GeneratorBlock(tf.keras.layers.Layer):
    """A residual block that doubles height and width (Table 9).

    Args:
      inputs: channels that come in.
      outputs: channels that go out.
      condition: size of the condition of the batch norms.
      key: of the initial weights.
      unit_gain: see `Generator`.
      upsampling: see `Generator`.
      fused: see `Generator`.
      normalize: see `Generator`.
      decay: see `Generator`.
      name: name of the block.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition: int,
        key: tf.Tensor,
        *,
        unit_gain: bool = True,
        upsampling: str = spectral.NEAREST,
        fused: bool = True,
        normalize: bool = True,
        decay: float = 0.9,
        name: str = 'block',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        keys = [random.fold_in(key, number) for number in range(5)]
        norm = {'unit_gain': unit_gain, 'normalize': normalize, 'decay': decay}
        up = {'up': True, 'upsampling': upsampling, 'fused': fused, 'normalize': normalize}
        with tf.name_scope(name):
            self.bn1 = ConditionalBatchNorm(inputs, condition, keys[0], name='bn1', **norm)
            self.conv1 = spectral.SpectralConv2D(inputs, outputs, keys[1], name='up_conv1', **up)
            self.bn2 = ConditionalBatchNorm(outputs, condition, keys[2], name='bn2', **norm)
            self.conv2 = spectral.SpectralConv2D(
                outputs, outputs, keys[3], normalize=normalize, name='same_conv2'
            )
            self.shortcut = spectral.SpectralConv2D(
                inputs, outputs, keys[4], kernel_size=1, name='up_conv_shortcut', **up
            )
        self.built = True

    def call(
        self, x: tf.Tensor, condition: tf.Tensor, training: bool = False, frozen: bool = False
    ) -> tf.Tensor:
        """[batch, h, w, inputs] and [batch, condition] to [batch, 2h, 2w, outputs]."""
        moving = training and not frozen
        y = tf.nn.relu(self.bn1(x, condition, training=training, frozen=frozen))
        y = self.conv1(y, training=moving)
        y = tf.nn.relu(self.bn2(y, condition, training=training, frozen=frozen))
        return spectral.sum_of_convolutions(self.conv2, y, self.shortcut, x, moving)


class DiscriminatorBlock(tf.keras.layers.Layer):
    """A residual block that halves height and width, or the last, which does not (Table 8).

    - No batch norm: Table 8 has it, Table 10, which lists every tensor, does not.
    - A block has a shortcut where the number of channels changes, and no identity elsewhere, as in
      the authors' code. The paper states it of the last block: "we simply drop the shortcut layer".

    Args:
      inputs: channels that come in.
      outputs: channels that go out.
      key: of the initial weights.
      down: True for a block that halves.
      fused: see `SpectralConv2D`.
      normalize: spectral normalization.
      name: name of the block.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        key: tf.Tensor,
        down: bool = True,
        fused: bool = True,
        normalize: bool = True,
        name: str = 'block',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        keys = [random.fold_in(key, number) for number in range(3)]
        scale = 'down' if down else 'same'
        second = {'down': down, 'fused': fused, 'normalize': normalize}
        with tf.name_scope(name):
            self.conv1 = spectral.SpectralConv2D(
                inputs, outputs, keys[0], normalize=normalize, name='same_conv1'
            )
            self.conv2 = spectral.SpectralConv2D(
                outputs, outputs, keys[1], name=f'{scale}_conv2', **second
            )
            self.shortcut = (
                spectral.SpectralConv2D(
                    inputs, outputs, keys[2], kernel_size=1, name=f'{scale}_conv_shortcut', **second
                )
                if inputs != outputs
                else None
            )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, h, w, inputs] to [batch, h / 2, w / 2, outputs], or as large as before."""
        y = self.conv1(tf.nn.relu(x), training=training)
        y = tf.nn.relu(y)
        if self.shortcut is None:
            return self.conv2(y, training=training)
        return spectral.sum_of_convolutions(self.conv2, y, self.shortcut, x, training)


class NonLocalBlock(tf.keras.layers.Layer):
    """Self-attention (Zhang et al. 2018, Sec. 3), as Tables 10 and 11 list it.

    x + sigma W_o (softmax(theta(x) phi(x)^T) g(x)) with 1 x 1 convolutions without bias to
    channels / 8 (theta, phi) and channels / 2 (g), phi and g max-pooled by 2, and sigma beginning
    at 0.

    Args:
      channels: of the images, a multiple of 8.
      key: of the initial weights.
      normalize: spectral normalization.
      name: name of the block.

    Raises:
      ValueError: if `channels` is no multiple of 8.
    """

    def __init__(
        self, channels: int, key: tf.Tensor, normalize: bool, name: str = 'non_local_block'
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        if channels % 8:
            raise ValueError(
                f'NonLocalBlock.channels = {channels} is not a multiple of 8: ch is too small for '
                'an attention block there.'
            )

        def conv(number, inputs, outputs, part):
            return spectral.SpectralConv2D(
                inputs,
                outputs,
                random.fold_in(key, number),
                kernel_size=1,
                use_bias=False,
                normalize=normalize,
                name=f'conv2d_{part}',
            )

        with tf.name_scope(name):
            self.theta = conv(0, channels, channels // 8, 'theta')
            self.phi = conv(1, channels, channels // 8, 'phi')
            self.g = conv(2, channels, channels // 2, 'g')
            self.sigma = self.add_weight('sigma', (), initializer='zeros')
            self.attn_g = conv(3, channels // 2, channels, 'attn_g')
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, height, width, channels] to the same."""
        _, height, width, channels = x.shape
        flat = lambda y: tf.reshape(y, [-1, y.shape[1] * y.shape[2], y.shape[3]])
        theta = flat(self.theta(x, training=training))
        phi = flat(pooling.max_pool(self.phi(x, training=training), 2, 2))
        g = flat(pooling.max_pool(self.g(x, training=training), 2, 2))
        scores = tf.cast(tf.matmul(theta, phi, transpose_b=True), tf.float32)
        attended = tf.matmul(tf.cast(tf.nn.softmax(scores), x.dtype), g)
        attended = tf.reshape(attended, [-1, height, width, channels // 2])
        return x + tf.cast(self.sigma, x.dtype) * self.attn_g(attended, training=training)


def probabilities(y: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Labels, int [batch], as one-hot rows; probabilities, [batch, num_classes], as they are."""
    y = tf.convert_to_tensor(y)
    return tf.one_hot(y, num_classes) if y.dtype.is_integer else tf.cast(y, tf.float32)


def check_labels(y: Any, num_classes: int) -> None:
    """Raises ValueError if labels of a call outside a graph are none of the classes."""
    if not tf.executing_eagerly():
        return
    y = tf.convert_to_tensor(y)
    if y.dtype.is_integer:
        bad = tf.boolean_mask(y, (y < 0) | (y >= num_classes)).numpy()
        if len(bad):
            raise ValueError(f'label {bad[0]} is outside 0 to {num_classes - 1}.')
    elif y.shape[-1] != num_classes:
        raise ValueError(
            f'labels of {y.shape[-1]} probabilities; the networks have num_classes = {num_classes}.'
        )


def labels_are(least: int, y: tf.Tensor, num_classes: int) -> contextlib.AbstractContextManager:
    """In this context of a graph a label below `least` or of no class is an error."""
    if not y.dtype.is_integer:
        return tf.control_dependencies([])
    return tf.control_dependencies(
        [
            tf.debugging.Assert(
                tf.reduce_all((y >= least) & (y < num_classes)),
                [f'label is outside {least} to {num_classes - 1}:', y],
            )
        ]
    )


def shapes_are(
    expected: dict[str, tuple[tf.Tensor, tuple[int | tf.Tensor, ...]]],
) -> contextlib.AbstractContextManager:
    """In this context of a graph tensors of another shape are an error, which names them.

    Args:
      expected: Tensor and shape by name.
    """
    return tf.control_dependencies(
        [
            tf.debugging.Assert(
                tf.reduce_all(tf.equal(tf.shape(tensor), shape)),
                [f'{name} has shape', tf.shape(tensor), 'and not', tf.stack(shape)],
            )
            for name, (tensor, shape) in expected.items()
        ]
    )


def check_architecture(
    owner: str, image_size: int, ch: int, num_classes: int, channels: int, sizes: Any
) -> None:
    """Raises ValueError unless a network of these sizes can be built."""
    checks.positive(owner, ch=ch, num_classes=num_classes)
    if image_size not in sizes:
        raise ValueError(f'{owner}.image_size = {image_size} is none of {sorted(sizes)}.')
    if channels not in (1, 3):
        raise ValueError(f'{owner}.channels = {channels} is neither 1 (grey) nor 3 (RGB).')


def unit_images(images: tf.Tensor) -> tf.Tensor:
    """uint8 images as float32 in [0, 1]; float images as they are."""
    return tf.cast(images, tf.float32) / 255 if images.dtype == tf.uint8 else images
