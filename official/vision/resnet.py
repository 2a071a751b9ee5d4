"""Residual networks of the first version, as backbones: a feature map of every stage.

He et al. 2016a, "Deep Residual Learning for Image Recognition", Table 1. The bottlenecks halve in
their first 1 x 1 convolution, as the authors' do and as `tf.keras.applications` has them, so that
those weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import pooling, random
from official.vision import residual, resnet_weights

# What the authors' network sees is BGR less these.
_MEAN_BGR = (103.939, 116.779, 123.68)


def preprocess(images: tf.Tensor, sizes: tf.Tensor | None = None) -> tf.Tensor:
    """Pixels as the weights of `tf.keras.applications` want them: BGR less the mean of ImageNet.

    Args:
      images: uint8 or float [b, h, w, 3], RGB in [0, 255].
      sizes: height and width of each image in its canvas, [b, 2]; what is beyond becomes 0, the
        mean, as where images are padded after their mean was taken off.

    Returns:
      float32 [b, h, w, 3].
    """
    # Not a slice with a step of -1, which takes six times as long.
    x = tf.reverse(tf.cast(images, tf.float32), [-1]) - tf.constant(_MEAN_BGR)
    if sizes is None:
        return x
    rows, columns = (
        tf.cast(tf.range(tf.shape(images)[axis + 1])[tf.newaxis], tf.float32)
        < tf.cast(sizes[:, axis, tf.newaxis], tf.float32)
        for axis in (0, 1)
    )
    inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis]
    return tf.where(inside[..., tf.newaxis], x, 0.0)


class ResNet(tf.keras.Model):
    """Images to the feature maps C2, C3, ...: without arguments those of ResNet-50.

    A stem; stages of residual blocks with `width`, 2 `width`, 4 `width`, ... channels inside, each
    stage after the first halving height and width.

    - `frozen`: a batch norm is a constant scale and shift for every channel, as Detectron trains
      from weights that were trained before. They are made part of the convolution and cost nothing.
      Else batch norms use the statistics of the global batch (see
      `official.modeling.normalization`).
    - `freeze_stages` stages are not trained at all, and their batch norms are frozen; no gradient
      is computed in them, and nothing is kept for one.
    - Initial kernels are N(0, 2 / inputs) (He et al. 2015, Eq. 10), not truncated.

    Args:
      blocks: residual blocks in each stage.
      width: channels inside the blocks of the first stage, and of the stem.
      bottleneck: blocks are of 1 x 1, 3 x 3 and 1 x 1 convolutions with four times as many channels
        outside; else of two 3 x 3 convolutions (He et al. 2016a, Fig. 5).
      stem_stride: 4: a 7 x 7 convolution of stride 2 and a 3 x 3 max pool of stride 2; for small
        images 2 or 1: a 3 x 3 convolution of this stride, no pool.
      frozen: see above.
      freeze_stages: 0: none; 1: the stem; 2: the stem and the first stage, C2; ...
      channels: of an image.
      epsilon: of the batch norms; the default is that of `tf.keras.applications`.
      decay: of the moving statistics of the batch norms.
      seed: of the initial weights.
      name: name of the model, and the scope of its variables.

    Attributes:
      strides: pixels of the image from one cell to the next, of each output.
      num_channels: of each output.

    Raises:
      ValueError: if an argument is none of those above.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        bottleneck: bool = True,
        stem_stride: int = 4,
        frozen: bool = True,
        freeze_stages: int = 0,
        channels: int = 3,
        epsilon: float = 1.001e-5,
        decay: float = 0.9,
        seed: int = 0,
        name: str = 'resnet',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('ResNet', width=width, channels=channels)
        if not blocks:
            raise ValueError('ResNet.blocks is empty: there is at least one stage.')
        checks.positive('ResNet', **{f'blocks[{i}]': count for i, count in enumerate(blocks)})
        checks.at_least('ResNet', 0, freeze_stages=freeze_stages)
        checks.share('ResNet', decay=decay)
        checks.above_zero('ResNet', epsilon=epsilon)
        if freeze_stages > len(blocks) + 1:
            raise ValueError(
                f'ResNet.freeze_stages = {freeze_stages}, and there are only the stem '
                f'and {len(blocks)} stages.'
            )
        if stem_stride not in (1, 2, 4):
            raise ValueError(f'ResNet.stem_stride = {stem_stride} is none of 1, 2 and 4.')
        self._config = {
            'blocks': tuple(blocks),
            'width': width,
            'bottleneck': bottleneck,
            'stem_stride': stem_stride,
            'frozen': frozen,
            'freeze_stages': freeze_stages,
            'channels': channels,
            'epsilon': epsilon,
            'decay': decay,
            'seed': seed,
            'name': name,
        }
        self.freeze_stages = freeze_stages
        self.strides = tuple(stem_stride * 2**stage for stage in range(len(blocks)))
        make_block = residual.Bottleneck if bottleneck else residual.BasicBlock
        self.num_channels = tuple(
            make_block.EXPANSION * width * 2**stage for stage in range(len(blocks))
        )
        key = random.make_key(seed)
        norm: dict[str, Any] = {'epsilon': epsilon, 'decay': decay}
        with tf.name_scope(name):
            self._pooled = stem_stride == 4
            self.stem = residual.ConvNorm(
                channels,
                width,
                7 if self._pooled else 3,
                random.fold_in(key, 0),
                strides=min(stem_stride, 2),
                frozen=frozen or freeze_stages > 0,
                trainable=not freeze_stages,
                name='stem',
                **norm,
            )
            self.stages: list[list[residual.Block]] = []
            inputs, number = width, 0
            for stage, count in enumerate(blocks):
                trainable = stage + 2 > freeze_stages
                self.stages.append([])
                for block in range(count):
                    number += 1
                    self.stages[-1].append(
                        make_block(
                            inputs,
                            width * 2**stage,
                            random.fold_in(key, number),
                            strides=2 if stage and not block else 1,
                            frozen=frozen or not trainable,
                            trainable=trainable,
                            name=f'stage{stage + 2}_block{block + 1}',
                            **norm,
                        )
                    )
                    inputs = self.num_channels[stage]
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Computes feature maps.

        Args:
          images: [b, h, w, channels], as `preprocess` gives them where weights were trained before.
          training: normalize with the statistics of the batch, and move the averages, where
            batch norms are not frozen.

        Returns:
          C2, C3, ...: [b, ceil(h / strides[i]), ceil(w / strides[i]), num_channels[i]], in the type
          that products are computed in.
        """
        x = self.stem(tf.cast(images, self.compute_dtype), training=training)
        if self._pooled:
            # Padded by 1; of what a ReLU left, so zeros will do.
            x = pooling.max_pool(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2)
        outputs = [self._with_gradient(x, 0)]
        for number, stage in enumerate(self.stages, 1):
            x = outputs[-1]
            for block in stage:
                x = block(x, training=training)
            outputs.append(self._with_gradient(x, number))
        return outputs[1:]

    def _with_gradient(self, x, number):
        return tf.stop_gradient(x) if number < self.freeze_stages else x

    def load_keras_applications(self, path: str) -> None:
        """Takes the weights of a ResNet50, 101 or 152 of `tf.keras.applications`.

        The biases of its convolutions become part of what follows them: of the shift where a batch
        norm is frozen, else of its moving mean.

        Args:
          path: see `official.vision.resnet_weights.read`.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it holds another network; the weights of this one are then as they were.
        """
        if not self._config['bottleneck']:
            raise ValueError(
                f'{path}: ResNet.bottleneck is False, and all networks of '
                'tf.keras.applications have bottlenecks.'
            )
        names = resnet_weights.layer_names([len(stage) for stage in self.stages])
        layers = resnet_weights.read(path, names)
        values = []
        for name, conv in self._keras_convs():
            values += conv.from_keras(
                {
                    key: resnet_weights.tensor(path, layers, name + kind, key, shape)
                    for kind, key, shape in conv.keras_tensors()
                }
            )
        resnet_weights.check_none_left(path, layers, names)
        for variable, value in values:
            variable.assign(value)

    def _keras_convs(self):
        yield 'conv1', self.stem
        for number, stage in enumerate(self.stages, 2):
            for index, block in enumerate(stage, 1):
                convs = [block.shortcut, *block.convs]
                for place, conv in enumerate(convs):
                    if conv is not None:
                        yield f'conv{number}_block{index}_{place}', conv

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)
