"""Lets one Keras model `fit`, `evaluate` and `predict` on batches of several sizes."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from official.compat import tensorflow_private


class ApartBySize(tf.keras.Model):
    """A mixin that traces a function for each element spec of the data sets it is given.

    Keras traces one for all of them and relaxes the sizes that differ, which cannot be done to a
    `tfgnn.GraphTensor` from a data set: its tensors are passed differently when their sizes are
    not known.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._forget_functions()

    @tensorflow_private.untracked
    def _forget_functions(self):
        self._functions = {}

    @contextlib.contextmanager
    def _traced_for(self, name, data):
        key = (name, str(getattr(data, 'element_spec', None)))
        setattr(self, name, self._functions.get(key))
        try:
            yield
        finally:
            self._functions[key] = getattr(self, name)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        self._forget_functions()
        super().compile(*args, **kwargs)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> tf.keras.callbacks.History:
        with self._traced_for('train_function', x):
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        with self._traced_for('test_function', x):
            return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        with self._traced_for('predict_function', x):
            return super().predict(x, *args, **kwargs)
