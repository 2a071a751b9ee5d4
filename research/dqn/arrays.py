"""Calling TensorFlow once a step, from arrays to arrays, for days."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


class ArrayFunction:
    """A compiled function of NumPy arrays.

    On Python 3.11, TensorFlow 2.15 loses 16 to 48 bytes with every eager tensor that is made (it
    frees the object without what Python keeps of its attributes): gigabytes over the 50 million
    steps of a training. Here arrays come and go inside the graph, and a call makes no eager tensor;
    it is also a little faster.

    - A call runs at once and to its end; one object is for one thread.

    Args:
      function: takes tensors, gives a tensor or a tuple of them.
      like: arrays whose shapes and dtypes those of every call have.
    """

    def __init__(self, function: Callable, like: Sequence[np.ndarray]):
        self._inputs = ()
        self._outputs = ()
        dtypes = [tf.as_dtype(array.dtype) for array in like]

        @tf.function
        def run():
            tensors = tf.numpy_function(lambda: self._inputs, [], dtypes)
            for tensor, array in zip(tensors, like, strict=True):
                tensor.set_shape(array.shape)
            tf.numpy_function(self._take, tf.nest.flatten(function(*tensors)), [])

        self._run = run
        self._specs = [(array.shape, array.dtype) for array in like]

    def _take(self, *outputs) -> None:
        # What is handed over is TensorFlow's memory.
        self._outputs = tuple(np.array(output) for output in outputs)

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """The function's values for some arrays.

        Raises:
          ValueError: an array has another shape or dtype.
        """
        given = [(array.shape, array.dtype) for array in arrays]
        if given != self._specs:
            raise ValueError(f'Arrays of {given} are not of {self._specs}.')
        self._inputs = arrays
        self._run()
        return self._outputs
