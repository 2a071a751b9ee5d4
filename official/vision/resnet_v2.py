"""Wide ResNets of the second version, with pre-activation bottlenecks.

He et al. 2016b, "Identity Mappings in Deep Residual Networks"; the widening factor is that of
Zagoruyko & Komodakis 2016 as Kolesnikov, Zhai & Beyer 2019 count it ("Revisiting Self-Supervised
Visual Representation Learning", Sec. 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import convolutions, normalization, pooling, random

# Channels that leave a bottleneck for each one inside.
_EXPANSION = 4
# Channels of the stem for each unit of the widening factor: 64 at factor 4.
_BASE = 16


class ResNetV2(tf.keras.Model):
    """Images to features: without arguments ResNet-50 v2 of 224 pixels, 23 500 352 weights.

    A stem of 16 k channels, k being the widening factor; stages of bottlenecks with 16 k, 32 k,
    64 k, ... channels inside and four times as many outside, each stage after the first halving
    height and width; batch norm, ReLU and the mean over the pixels: 512 k features after four
    stages, 2048 for k = 4.

    - The 3 x 3 convolution of a block halves, not the first 1 x 1, which would leave out three
      quarters of the pixels; as Kolesnikov et al. have it, and the code of He et al. 2016b.
    - Padding is the same on all sides, as in that code, not TensorFlow's 'SAME'.
    - Initial kernels are N(0, 2 / inputs) (He et al. 2015, Eq. 10), not truncated.

    Args:
      widening: the widening factor k.
      image_size: height and width of an image, in pixels.
      channels: of an image, 1 or 3.
      blocks: bottlenecks in each stage.
      small_images: the stem is a 3 x 3 convolution of stride 1 (He et al. 2016a, Sec. 4.2, for 32
        pixels) in place of 7 x 7 of stride 2 and a 3 x 3 max pool of stride 2.
      epsilon: of the batch norms.
      decay: of the moving statistics of the batch norms.
      seed: of the initial weights.
      name: name of the model, and the scope of its variables.

    Raises:
      ValueError: if an argument is none of those above.
    """

    def __init__(
        self,
        widening: int = 4,
        image_size: int = 224,
        channels: int = 3,
        blocks: Sequence[int] = (3, 4, 6, 3),
        small_images: bool = False,
        epsilon: float = 1e-5,
        decay: float = 0.9,
        seed: int = 0,
        name: str = 'resnet_v2',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('ResNetV2', widening=widening, image_size=image_size)
        if channels not in (1, 3):
            raise ValueError(f'ResNetV2.channels = {channels} is neither 1 (grey) nor 3 (RGB).')
        if not blocks:
            raise ValueError('ResNetV2.blocks is empty: there is at least one stage.')
        checks.positive('ResNetV2', **{f'blocks[{i}]': count for i, count in enumerate(blocks)})
        self._config = {
            'widening': widening,
            'image_size': image_size,
            'channels': channels,
            'blocks': tuple(blocks),
            'small_images': small_images,
            'epsilon': epsilon,
            'decay': decay,
            'seed': seed,
            'name': name,
        }
        self.image_size, self.channels = image_size, channels
        self.small_images = small_images
        key = random.make_key(seed)
        filters = _BASE * widening
        norm: dict[str, Any] = {'epsilon': epsilon, 'decay': decay}
        with tf.name_scope(name):
            self.stem = Conv2D(
                channels,
                filters,
                random.fold_in(key, 0),
                kernel_size=3 if small_images else 7,
                stride=1 if small_images else 2,
                name='stem',
            )
            self.stages: list[list[Bottleneck]] = []
            inputs, number = filters, 0
            for stage, count in enumerate(blocks):
                width = filters * 2**stage
                self.stages.append([])
                for block in range(count):
                    number += 1
                    self.stages[-1].append(
                        Bottleneck(
                            inputs,
                            width,
                            random.fold_in(key, number),
                            stride=2 if stage and not block else 1,
                            name=f'stage{stage + 1}_block{block + 1}',
                            **norm,
                        )
                    )
                    inputs = _EXPANSION * width
            self.final_norm = normalization.BatchNorm(inputs, name='final_norm', **norm)
        self.num_features = inputs
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes features.

        Args:
          images: [batch, image_size, image_size, channels], around 0.
          training: normalize with the statistics of the batch, and move the averages.

        Returns:
          float32 [batch, num_features].
        """
        x = self.stage_outputs(images, training)[-1]
        x = tf.nn.relu(self.final_norm(x, training=training))
        return tf.reduce_mean(tf.cast(x, tf.float32), [1, 2])

    def stage_outputs(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """What leaves the stem and each stage, in the type that products are computed in.

        Args:
          images: see `call`.
          training: see `call`.

        Returns:
          [batch, height, width, channels], one more than there are stages.
        """
        x = self.stem(tf.cast(images, self.compute_dtype))
        if not self.small_images:
            border = [[0, 0], [1, 1], [1, 1], [0, 0]]
            x = pooling.max_pool(tf.pad(x, border, constant_values=x.dtype.min), 3, 2)
        outputs = [x]
        for stage in self.stages:
            for block in stage:
                x = block(x, training=training)
            outputs.append(x)
        return outputs

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)


class Bottleneck(tf.keras.layers.Layer):
    """A residual block with full pre-activation (He et al. 2016b, Fig. 4e).

    Three times batch norm, ReLU and convolution: 1 x 1 to `width` channels, 3 x 3, 1 x 1 to
    4 `width`. Where the shape changes the shortcut is a 1 x 1 convolution of what the first batch
    norm and ReLU leave, else the input itself.

    Args:
      inputs: channels that come in.
      width: channels inside.
      key: of the initial weights, int32 [1, 2].
      stride: of the 3 x 3 convolution and the shortcut.
      epsilon: of the batch norms.
      decay: of their moving statistics.
      name: name of the block.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        key: tf.Tensor,
        stride: int = 1,
        epsilon: float = 1e-5,
        decay: float = 0.9,
        name: str = 'block',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        outputs = _EXPANSION * width
        keys = [random.fold_in(key, number) for number in range(4)]
        norm: dict[str, Any] = {'epsilon': epsilon, 'decay': decay}
        with tf.name_scope(name):
            self.norm1 = normalization.BatchNorm(inputs, name='norm1', **norm)
            self.conv1 = Conv2D(inputs, width, keys[0], kernel_size=1, name='conv1')
            self.norm2 = normalization.BatchNorm(width, name='norm2', **norm)
            self.conv2 = Conv2D(width, width, keys[1], stride=stride, name='conv2')
            self.norm3 = normalization.BatchNorm(width, name='norm3', **norm)
            self.conv3 = Conv2D(width, outputs, keys[2], kernel_size=1, name='conv3')
            self.shortcut = None
            if stride > 1 or inputs != outputs:
                self.shortcut = Conv2D(
                    inputs, outputs, keys[3], kernel_size=1, stride=stride, name='shortcut'
                )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, h, w, inputs] to [batch, h / stride, w / stride, 4 width], of the same type."""
        y = tf.nn.relu(self.norm1(x, training=training))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.conv1(y)
        y = self.conv2(tf.nn.relu(self.norm2(y, training=training)))
        return shortcut + self.conv3(tf.nn.relu(self.norm3(y, training=training)))


class Conv2D(tf.keras.layers.Layer):
    """A convolution without bias, padded by (kernel_size - 1) / 2 zeros on every side.

    Args:
      inputs: channels that come in.
      filters: channels that go out.
      key: of the initial weights, int32 [1, 2].
      kernel_size: height and width of the kernel, odd.
      stride: step of the kernel.
      name: name of the layer.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        key: tf.Tensor,
        kernel_size: int = 3,
        stride: int = 1,
        name: str = 'conv',
    ):
        # float32: products are cast where they are made.
        super().__init__(name=name, dtype='float32', autocast=False)
        self.stride = stride
        shape = (kernel_size, kernel_size, inputs, filters)
        stddev = math.sqrt(2 / math.prod(shape[:-1]))
        with tf.name_scope(name):
            self.kernel = self.add_weight(
                'kernel',
                shape,
                initializer=lambda shape, dtype=None, **_: random.normal(key, shape, stddev),
            )
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, h, w, inputs] to [batch, h / stride, w / stride, filters], of the same type."""
        return convolutions.convolve(x, tf.convert_to_tensor(self.kernel), self.stride)
