"""Computes on what is real in a padded batch alone."""

from __future__ import annotations

import tensorflow as tf

from official.compat import tensorflow_private

_MULTIPLE = 8  # Sizes are rounded up, as each new one costs a convolution its preparation.


class Packed:
    """The real entries of [b, n], one behind the other.

    Most of the RoIs that may be positive, and of the detections, are padding, and the streams for
    landmarks and masks are most of the network. Where XLA compiles, which needs static shapes, all
    entries are kept; the numbers are the same.

    Args:
      real: bool [b, n]; n must be known when the graph is made.

    Attributes:
      images: int32 [k], the row of `real` that each packed entry comes from.
    """

    def __init__(self, real: tf.Tensor):
        self._shape = tf.shape(real)
        flat = tf.reshape(real, [-1])
        if tensorflow_private.is_compiled():
            self._places = self._slots = tf.range(tf.size(flat))
        else:
            order = tf.cast(tf.concat([tf.where(flat)[:, 0], tf.where(~flat)[:, 0]], 0), tf.int32)
            count = tf.reduce_sum(tf.cast(flat, tf.int32))
            count = (tf.maximum(count, 1) + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE
            self._slots = order[:count]
            self._places = tf.scatter_nd(
                self._slots[:, tf.newaxis], tf.range(tf.size(self._slots)), tf.shape(flat)
            )
        self.images = self._slots // real.shape[1]

    def take(self, values: tf.Tensor) -> tf.Tensor:
        """[b, n, ...] to the packed entries, [k, ...]."""
        flat = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
        flat = tf.ensure_shape(flat, [None, *values.shape[2:]])
        return tf.gather(flat, self._slots)

    def put(self, values: tf.Tensor) -> tf.Tensor:
        """Packed entries [k, ...] to their places in [b, n, ...], with zeros elsewhere."""
        whole = tf.scatter_nd(
            self._slots[:, tf.newaxis],
            values,
            tf.concat([[tf.reduce_prod(self._shape)], tf.shape(values)[1:]], 0),
        )
        return tf.reshape(whole, tf.concat([self._shape, tf.shape(values)[1:]], 0))

    def places(self, slots: tf.Tensor) -> tf.Tensor:
        """Where real entries are among the packed ones; entries that are not real are at 0.

        Args:
          slots: int32, row * n + column of entries of [b, n].
        """
        return tf.gather(self._places, slots)
