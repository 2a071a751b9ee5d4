"""The feature pyramid network.

Lin et al. 2017, "Feature Pyramid Networks for Object Detection".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import convolutions, random


class FPN(tf.keras.layers.Layer):
    """Feature maps of a backbone to as many of `filters` channels, and a coarser one (Sec. 3).

    From the coarsest map down: a 1 x 1 convolution, plus the sum of the level above with its pixels
    repeated; on every sum a 3 x 3 convolution. No ReLU. The coarsest output is every second pixel
    of the last but one, for the RPN only (Sec. 4.1, footnote).

    - A map of odd height or width gets the repeated pixels without their last row or column.
    - Initial kernels are N(0, 1 / inputs): the paper does not say, and this is the variance of
      Detectron's.

    Args:
      channels: of the maps that come in, the finest first.
      key: of the initial weights, int32 [1, 2].
      filters: channels that go out.
      initializer: initial kernels, called as initializer(key, shape).
      name: name of the layer, and the scope of its variables.

    Raises:
      ValueError: if there are no channels, or a number is not positive.
    """

    def __init__(
        self,
        channels: Sequence[int],
        key: tf.Tensor,
        filters: int = 256,
        initializer: Callable = random.lecun_normal,
        name: str = 'fpn',
    ):
        super().__init__(name=name, dtype='float32', autocast=False)
        if not channels:
            raise ValueError('FPN.channels is empty: there is at least one map.')
        checks.positive(
            'FPN', filters=filters, **{f'channels[{i}]': count for i, count in enumerate(channels)}
        )
        # Not the initializer: what is loaded brings its kernels along.
        self._config = {'channels': tuple(channels), 'filters': filters, 'name': name}
        self._key = key
        self.filters = filters
        with tf.name_scope(name):
            self.lateral, self.output_convs = (
                [
                    convolutions.Conv(
                        count if size == 1 else filters,
                        filters,
                        size,
                        random.fold_in(key, 2 * level + size // 2),
                        initializer=initializer,
                        name=f'{part}{level}',
                    )
                    for level, count in enumerate(channels)
                ]
                for part, size in (('lateral', 1), ('output', 3))
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**self._config, 'key': random.key_config(self._key)}

    def call(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """C2, C3, ... to P2, P3, ... and one level more.

        Args:
          maps: [b, h, w, channels[i]], each after the first of half the height and width of that
            before, rounded up.

        Returns:
          [b, h, w, filters] for each map, and for half the height and width of the last, rounded
          up; all of the type of the maps.

        Raises:
          ValueError: if there are too few or too many maps, or sizes do not follow one another.
        """
        if len(maps) != len(self.lateral):
            raise ValueError(f'FPN has {len(self.lateral)} levels and got {len(maps)} maps.')
        for level, (fine, coarse) in enumerate(itertools.pairwise(maps)):
            for n, half in zip(fine.shape[1:3], coarse.shape[1:3], strict=True):
                if None not in (n, half) and half != -(-n // 2):
                    raise ValueError(
                        f'FPN: map {level} is {list(fine.shape[1:3])} and map {level + 1} is '
                        f'{list(coarse.shape[1:3])}, not half of it, rounded up.'
                    )
        x = self.lateral[-1](maps[-1])
        outputs = [self.output_convs[-1](x)]
        for level in reversed(range(len(maps) - 1)):
            x = self.lateral[level](maps[level]) + repeat_pixels(x, maps[level])
            outputs.insert(0, self.output_convs[level](x))
        return [*outputs, outputs[-1][:, ::2, ::2]]


def repeat_pixels(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Nearest-neighbour upsampling by 2, to the height and width of `like`.

    Args:
      x: [b, ceil(h / 2), ceil(w / 2), channels].
      like: [b, h, w, any].

    Returns:
      [b, h, w, channels].
    """
    height, width = (
        tf.shape(like)[axis] if like.shape[axis] is None else like.shape[axis] for axis in (1, 2)
    )
    y = _repeat_pixels(x)
    if (height, width) == (y.shape[1], y.shape[2]):
        return y
    return y[:, :height, :width]


@tf.custom_gradient
def _repeat_pixels(x):
    # The gradient of the operations below takes five times as long as the mean of 2 x 2 pixels.
    batch, height, width, channels = (
        tf.shape(x)[axis] if n is None else n for axis, n in enumerate(x.shape)
    )
    y = tf.broadcast_to(x[:, :, tf.newaxis, :, tf.newaxis], [batch, height, 2, width, 2, channels])
    y = tf.reshape(y, [batch, 2 * height, 2 * width, channels])
    return y, lambda dy: 4 * tf.nn.avg_pool2d(dy, 2, 2, 'VALID')
