"""Several weight matrices of one shape, drawn apart and multiplied at once."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def another(initializer: Callable, index: int = 1) -> Callable:
    """An initializer like `initializer` that draws other values.

    An initializer of Keras gives the same values each time it is called with the same shape, so two
    weights of one layer must not share it. One with a seed gets the seed `index` higher. A function
    without a configuration is returned as it is.

    Args:
      initializer: an initializer of Keras, or a function (shape, dtype) -> tensor.
      index: of the copy.
    """
    if not hasattr(initializer, 'get_config'):
        return initializer
    config = initializer.get_config()
    if config.get('seed') is not None:
        config['seed'] += index
    return type(initializer).from_config(config)


def each(initializer: Callable) -> Callable:
    """An initializer of [n, ...] that draws each of the n as `initializer` would draw it alone.

    Keras counts all but the last two axes into the fans, so that of n matrices drawn at once
    'glorot_uniform' makes the entries smaller by the root of n.
    """

    def draw(shape, dtype=None):
        return tf.stack(
            [another(initializer, index)(shape[1:], dtype=dtype) for index in range(shape[0])]
        )

    return draw


def side_by_side(kernels: tf.Tensor) -> tf.Tensor:
    """Matrices [n, F, C] as [F, n * C], so that one product with x [N, F] makes all n of them."""
    count, rows, columns = kernels.shape
    return tf.reshape(tf.transpose(kernels, [1, 0, 2]), [rows, count * columns])
