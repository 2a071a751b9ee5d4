"""The three streams of the perception network (Ge et al. 2019, Sec. 3 and Figure 4).

Each takes RoI features and answers for the class that a RoI has: the heat maps of 294 landmarks, or
the masks of 13 classes, are never made where only those of one class are used. The numbers are
those of the full outputs, `LandmarkStream.full` and `MaskStream.full`, which tests compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks
from official.modeling import convolutions, random


def _small_normal(key, shape):
    return random.normal(key, shape, 0.01)


def _smaller_normal(key, shape):
    return random.normal(key, shape, 0.001)


class BoxStream(tf.keras.layers.Layer):
    """Clothes detection: "two hidden fully-connected layers, one fc layer for classification, and
    one fc layer for bounding box regression" (Sec. 3).

    Call: RoI features [n, size, size, channels] to class logits float32 [n, 1 + num_classes], of
    which 0 is the background, and box deltas float32 [n, num_classes, 4], those of class c in row
    c - 1.

    - The paper has no widths: 1024, and the first weights, are those of Lin et al. 2017 (FPN).

    Args:
      channels: of the RoI features.
      num_classes: without background.
      key: int32 [1, 2], of initial weights.
      size: height and width of the RoI features.
      units: of the two hidden layers.
      name: name of the layer.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        key: tf.Tensor,
        size: int = 7,
        units: int = 1024,
        name: str = 'box_stream',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('BoxStream', size=size, units=units)
        self._config = {
            'channels': channels,
            'num_classes': num_classes,
            'size': size,
            'units': units,
            'name': name,
        }
        self._key = key
        self.size = size
        self.num_classes = num_classes
        with tf.name_scope(name):
            self.hidden = [
                convolutions.Dense(
                    channels * size**2, units, random.fold_in(key, 0), relu=True, name='fc1'
                ),
                convolutions.Dense(units, units, random.fold_in(key, 1), relu=True, name='fc2'),
            ]
            self.classifier = convolutions.Dense(
                units,
                1 + num_classes,
                random.fold_in(key, 2),
                initializer=_small_normal,
                name='classes',
            )
            self.regressor = convolutions.Dense(
                units,
                4 * num_classes,
                random.fold_in(key, 3),
                initializer=_smaller_normal,
                name='boxes',
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.reshape(features, [-1, np.prod(features.shape[1:])])
        for layer in self.hidden:
            x = layer(x)
        x = tf.cast(x, tf.float32)  # Scores in bfloat16 would be equal by the hundreds.
        return self.classifier(x), tf.reshape(self.regressor(x), [-1, self.num_classes, 4])


class MaskStream(tf.keras.layers.Layer):
    """Segmentation: "4 'conv' layers, 1 'deconv' layer, and another 'conv' layer" (Sec. 3).

    Call: RoI features [n, size, size, channels] and classes int32 [n] (1 to num_classes; 0 is taken
    for 1) to mask logits float32 [n, 2 size, 2 size] of those classes.

    - Kernels are 3 x 3, the deconvolution 2 x 2 with stride 2 and ReLU, the last convolution 1 x 1,
      all of 256 channels (He et al. 2017, Figure 4), a mask a class.

    Args:
      channels: of the RoI features.
      num_classes: without background.
      key: int32 [1, 2], of initial weights.
      size: height and width of the RoI features.
      width: channels of the convolutions.
      convs: number of convolutions before the deconvolution.
      name: name of the layer.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        key: tf.Tensor,
        size: int = 14,
        width: int = 256,
        convs: int = 4,
        name: str = 'mask_stream',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('MaskStream', size=size, width=width, convs=convs)
        self._config = {
            'channels': channels,
            'num_classes': num_classes,
            'size': size,
            'width': width,
            'convs': convs,
            'name': name,
        }
        self._key = key
        self.size = size
        self.width = width
        self.num_classes = num_classes
        with tf.name_scope(name):
            self.convs = _convs(channels, width, convs, key)
            self.deconv = convolutions.Deconv(
                width, width, 2, random.fold_in(key, convs), strides=2, relu=True, name='deconv'
            )
            self.predictor = convolutions.Conv(
                width,
                num_classes,
                1,
                random.fold_in(key, convs + 1),
                initializer=_smaller_normal,
                name='masks',
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    def features(self, x: tf.Tensor) -> tf.Tensor:
        """The output of the last convolution before the deconvolution, [n, size, size, width]."""
        for conv in self.convs:
            x = conv(x)
        return x

    def call(self, x: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return self.of_features(self.features(x), classes)

    def of_features(self, features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The mask logits of what `features` gave."""
        x = self.deconv(features)
        rows = tf.maximum(classes - 1, 0)
        kernel = tf.gather(tf.transpose(self.predictor.kernel[0, 0]), rows)
        height, width = x.shape[1:3]
        x = tf.reshape(x, [-1, height * width, self.width])
        logits = tf.matmul(x, tf.cast(kernel, x.dtype)[:, :, tf.newaxis])
        logits = (
            tf.cast(logits[..., 0], tf.float32)
            + tf.gather(self.predictor.bias, rows)[:, tf.newaxis]
        )
        return tf.reshape(logits, [-1, height, width])

    def full(self, features: tf.Tensor) -> tf.Tensor:
        """The mask logits of every class, [n, 2 size, 2 size, num_classes]."""
        return tf.cast(self.predictor(self.deconv(features)), tf.float32)


class LandmarkStream(tf.keras.layers.Layer):
    """Landmark estimation: "8 'conv' layers and 2 'deconv' layers" (Sec. 3).

    The last deconvolution gives a heat map a landmark, all landmarks of all classes after each
    other: 294 maps for DeepFashion2. Call: RoI features [n, size, size, channels] and classes int32
    [n] (1 to the number of classes; 0 is taken for 1) to the logits of the maps of those classes,
    float32 [n, 4 size, 4 size, K]; K is the most landmarks of a class, and maps past the landmarks
    of a RoI's class are zero.

    - Kernels are 3 x 3 of 512 channels, deconvolutions 4 x 4 with stride 2, after the first of
      which is a ReLU (He et al. 2017, Sec. 5, for 3 x 3 and 512); 14 x 14 RoI
      features then give the 56 x 56 maps of He et al.
    - `bilinear` is the head of He et al. 2017 in place of the paper's: one deconvolution, which
      gives the maps, and bilinear upsampling by 2.

    Args:
      channels: of the RoI features.
      landmark_counts: landmarks of each class, from class 1 on.
      key: int32 [1, 2], of initial weights.
      size: height and width of the RoI features.
      width: channels of the convolutions.
      convs: number of convolutions.
      bilinear: see above.
      name: name of the layer.

    Raises:
      ValueError: no class has landmarks.
    """

    def __init__(
        self,
        channels: int,
        landmark_counts: Sequence[int],
        key: tf.Tensor,
        size: int = 14,
        width: int = 512,
        convs: int = 8,
        bilinear: bool = False,
        name: str = 'landmark_stream',
    ):
        super().__init__(name=name, autocast=False)
        checks.positive('LandmarkStream', size=size, width=width, convs=convs)
        if not sum(landmark_counts):
            raise ValueError(
                f'LandmarkStream.landmark_counts = {tuple(landmark_counts)}: no class '
                'has landmarks; leave the stream out.'
            )
        self._config = {
            'channels': channels,
            'landmark_counts': tuple(landmark_counts),
            'size': size,
            'width': width,
            'convs': convs,
            'bilinear': bilinear,
            'name': name,
        }
        self._key = key
        self.size = size
        self.width = width
        self.bilinear = bilinear
        counts = np.array(landmark_counts)
        most = counts.max()
        within = np.arange(most) < counts[:, np.newaxis]
        offsets = np.cumsum(counts) - counts
        # Which map is landmark k of class c; past the landmarks of a class any, times zero.
        self._maps = np.where(within, offsets[:, np.newaxis] + np.arange(most), 0)
        self._within = within.astype(np.float32)
        with tf.name_scope(name):
            self.convs = _convs(channels, width, convs, key)
            self.deconv = None
            if not bilinear:
                self.deconv = convolutions.Deconv(
                    width,
                    width,
                    4,
                    random.fold_in(key, convs),
                    strides=2,
                    relu=True,
                    name='deconv1',
                )
            self.predictor = convolutions.Deconv(
                width,
                int(counts.sum()),
                4,
                random.fold_in(key, convs + 1),
                strides=2,
                initializer=_smaller_normal,
                name='deconv2',
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    @property
    def map_size(self) -> int:
        """Height and width of the heat maps."""
        return 4 * self.size

    def features(self, x: tf.Tensor) -> tf.Tensor:
        """The output of the last convolution before the deconvolutions, [n, size, size, width]."""
        for conv in self.convs:
            x = conv(x)
        return x

    def call(self, x: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return self.of_features(self.features(x), classes)

    def of_features(self, features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The heat maps, as logits, of what `features` gave."""
        x = features if self.deconv is None else self.deconv(features)
        rows = tf.maximum(classes - 1, 0)
        height, width = x.shape[1:3]
        x = tf.reshape(x, [-1, height * width, self.width])
        parts = [
            tf.reshape(
                tf.matmul(x, tf.gather(tf.cast(kernel, x.dtype), rows), transpose_b=True),
                [-1, height, width, kernel.shape[1]],
            )
            for kernel in self._kernels_by_class()
        ]
        maps = _overlap_add(parts)
        bias = tf.gather(self.predictor.bias, self._maps) * self._within
        maps = tf.cast(maps, tf.float32) + tf.gather(bias, rows)[:, tf.newaxis, tf.newaxis]
        return self._upsampled(maps)

    def _kernels_by_class(self) -> list[tf.Tensor]:
        """The last kernel by class, in quarters of 2 x 2 taps: 4 times [classes, 4 K, width]."""
        # Rows are gathered: on another axis the gradient takes half as long as the products.
        kernel = tf.gather(tf.transpose(self.predictor.kernel, [2, 0, 1, 3]), self._maps)
        kernel *= self._within[..., np.newaxis, np.newaxis, np.newaxis]
        classes, most = self._maps.shape
        kernel = tf.reshape(kernel, [classes, most, 2, 2, 2, 2, self.width])
        # [quarters down, quarters across, classes, taps down, taps across, K, width]
        kernel = tf.transpose(kernel, [2, 4, 0, 3, 5, 1, 6])
        return tf.unstack(tf.reshape(kernel, [4, classes, 4 * most, self.width]))

    def full(self, features: tf.Tensor) -> tf.Tensor:
        """The heat maps of every landmark of every class, [n, 4 size, 4 size, landmarks]."""
        x = features if self.deconv is None else self.deconv(features)
        return self._upsampled(tf.cast(self.predictor(x), tf.float32))

    def _upsampled(self, maps):
        if not self.bilinear:
            return maps
        return tf.image.resize(maps, [self.map_size, self.map_size])


def _convs(channels, width, number, key):
    return [
        convolutions.Conv(
            channels if index == 0 else width,
            width,
            3,
            random.fold_in(key, index),
            relu=True,
            name=f'conv{index + 1}',
        )
        for index in range(number)
    ]


def _overlap_add(quarters: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sums of a 4 x 4 deconvolution with stride 2 from the products of its taps.

    Tap k of input i adds to output 2 i + k - 1. So of the outputs in pairs (2 j - 1, 2 j) pair i
    takes taps 0 and 1, and pair i + 1 taps 2 and 3, along both axes.

    Args:
      quarters: of 2 x 2 taps, upper left, upper right, lower left, lower right: [n, h, w, 4 maps]
        each, in the order (tap down, tap across, map).

    Returns:
      [n, 2 h, 2 w, maps].
    """
    height, width = quarters[0].shape[1:3]
    pairs = tf.add_n(
        [
            tf.pad(quarter, [[0, 0], [down, 1 - down], [across, 1 - across], [0, 0]])
            for quarter, (down, across) in zip(
                quarters, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True
            )
        ]
    )
    # Operations whose gradients are fast; that of a strided slice is not.
    return tf.slice(
        tf.nn.depth_to_space(pairs, 2),
        [0, 1, 1, 0],
        [-1, 2 * height, 2 * width, pairs.shape[-1] // 4],
    )
