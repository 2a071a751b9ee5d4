"""Keras objects for tests of gin's factories."""

from __future__ import annotations

import tensorflow as tf


class Net(tf.keras.Model):
    """One dense layer."""

    def __init__(self, units=2, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.seed = units, seed
        self.dense = tf.keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {**super().get_config(), 'units': self.units, 'seed': self.seed}


class Falling(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Halves at every step."""

    def __init__(self, first=1.0):
        self.first = first

    def __call__(self, step):
        return self.first * 0.5 ** tf.cast(step, tf.float32)

    def get_config(self):
        return {'first': self.first}


class Descent(tf.keras.optimizers.SGD):
    """Plain gradient descent under another name."""

    def __init__(self, learning_rate=0.1, name='Descent', **kwargs):
        super().__init__(learning_rate, name=name, **kwargs)


class Holder:
    """Holds what gin gives it."""

    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer


def anything(**kwargs):
    """A function that takes any keyword."""
    return kwargs
