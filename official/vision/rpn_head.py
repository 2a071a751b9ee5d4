"""The convolutions of the region proposal network (Ren et al. 2015, Faster R-CNN, Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from official.core import checks
from official.modeling import convolutions, random


def small_normal(key: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Initial weights N(0, 0.01^2) (Ren et al. 2015, Sec. 3.1.3)."""
    return random.normal(key, shape, 0.01)


class RPNHead(tf.keras.layers.Layer):
    """A score and a box for each anchor, by weights that all levels share.

    A 3 x 3 convolution with a ReLU, and two 1 x 1 convolutions, which are computed as one (Lin et
    al. 2017, Sec. 4.1).

    Args:
      channels: of the levels.
      num_anchors: anchors of each pixel.
      key: of the initial weights, int32 [1, 2].
      filters: of the 3 x 3 convolution; by default as many as `channels`.
      initializer: initial kernels, called as initializer(key, shape).
      name: name of the layer, and the scope of its variables.

    Raises:
      ValueError: if a number is not positive.
    """

    def __init__(
        self,
        channels: int,
        num_anchors: int,
        key: tf.Tensor,
        filters: int | None = None,
        initializer: Callable = small_normal,
        name: str = 'rpn_head',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        filters = channels if filters is None else filters
        checks.positive('RPNHead', channels=channels, num_anchors=num_anchors, filters=filters)
        self.num_anchors = num_anchors
        keys = [random.fold_in(key, number) for number in range(3)]
        with tf.name_scope(name):
            self.conv, self.objectness, self.deltas = (
                convolutions.Conv(
                    inputs, outputs, size, key, relu=size > 1, initializer=initializer, name=part
                )
                for key, (part, inputs, outputs, size) in zip(
                    keys,
                    (
                        ('conv', channels, filters, 3),
                        ('objectness', filters, num_anchors, 1),
                        ('deltas', filters, 4 * num_anchors, 1),
                    ),
                    strict=True,
                )
            )
        self.built = True

    def call(self, levels: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Computes scores and boxes, in the order of the anchors: by row, column and anchor.

        Args:
          levels: [b, h, w, channels] each.

        Returns:
          For each level the logits of being an object, float32 [b, h w num_anchors], and the deltas
          of the boxes, float32 [b, h w num_anchors, 4].
        """
        kernel, bias = self._last()
        logits, deltas = [], []
        for level in levels:
            # Scores in bfloat16 would be equal by the hundreds.
            x = tf.cast(self.conv(level), tf.float32)
            x = tf.nn.bias_add(convolutions.convolve(x, kernel), bias)
            batch = tf.shape(x)[0] if x.shape[0] is None else x.shape[0]
            logits.append(tf.reshape(x[..., : self.num_anchors], [batch, -1]))
            deltas.append(tf.reshape(x[..., self.num_anchors :], [batch, -1, 4]))
        return logits, deltas

    def at(self, levels: Sequence[tf.Tensor], indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The same for some anchors alone, at the cost of these, in the gradient too.

        Of the 3 x 3 convolution the losses need few places of many, and its gradient at all others
        is zero.

        Args:
          levels: as of `call`, of known height and width.
          indices: int32 [b, n], of the anchors of all levels one after the other.

        Returns:
          Logits float32 [b, n] and deltas float32 [b, n, 4].
        """
        places, anchors = indices // self.num_anchors, indices % self.num_anchors
        patches, begin = [], 0
        for level in levels:
            height, width, channels = level.shape[1:]
            rows = (
                tf.range(-1, 2)[:, tf.newaxis]
                + ((places - begin) // width)[..., tf.newaxis, tf.newaxis]
            )
            columns = tf.range(-1, 2) + ((places - begin) % width)[..., tf.newaxis, tf.newaxis]
            there = (places >= begin) & (places < begin + height * width)
            there = there[..., tf.newaxis, tf.newaxis] & (
                (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            )
            # Beyond the border are zeros.
            taken = tf.gather(
                tf.reshape(level, [-1, height * width, channels]),
                tf.where(there, rows * width + columns, 0),
                batch_dims=1,
            )
            patches.append(taken * tf.cast(there, level.dtype)[..., tf.newaxis])
            begin += height * width
        patches = tf.add_n(patches)
        kernel = tf.cast(self.conv.kernel, patches.dtype)
        inputs, outputs = np.prod(kernel.shape[:3]), kernel.shape[3]
        x = self.conv.finish(
            tf.matmul(tf.reshape(patches, [-1, inputs]), tf.reshape(kernel, [inputs, outputs]))
        )
        kernel, bias = self._last()
        x = tf.nn.bias_add(tf.matmul(tf.cast(x, tf.float32), kernel[0, 0]), bias)
        x = tf.reshape(x, tf.concat([tf.shape(indices), [-1]], 0))
        logits = x[..., : self.num_anchors]
        deltas = tf.reshape(
            x[..., self.num_anchors :], tf.concat([tf.shape(indices), [self.num_anchors, 4]], 0)
        )
        return (tf.gather(logits, anchors, batch_dims=2), tf.gather(deltas, anchors, batch_dims=2))

    def _last(self):
        """Kernel and bias of the two last convolutions, as one."""
        together = (self.objectness, self.deltas)
        return (
            tf.concat([tf.convert_to_tensor(conv.kernel) for conv in together], -1),
            tf.concat([tf.convert_to_tensor(conv.bias) for conv in together], 0),
        )
