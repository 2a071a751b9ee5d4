"""Parts of Keras that are used and have no public name there.

All of it is in Keras 2.15 and in tf-keras 2.16 to 2.21, which is the same code: Keras 2 gets no
new features.  Keras 3 has none of it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable

import tensorflow as tf


class TensorLogsCallback(tf.keras.callbacks.Callback):
    """A callback that gets its logs as tensors: nothing waits for values that nobody reads.

    Keras reads the attribute since 2.2 (TensorFlow 2.2); without it `fit` copies all logs to NumPy
    after each batch, which waits for the device.
    """

    _supports_tf_logs = True


def seed_generator() -> threading.local:
    """Returns what holds, as `generator`, the `random.Random` that Keras draws seeds from.

    An initializer without a seed takes one from there. `tf.keras.utils.set_random_seed` (since 2.7)
    sets it, and TensorFlow's, NumPy's and Python's with it, for all that follows; no public
    function sets it for a while.
    """
    package = tf.keras.Model.__module__.split('.')[0]  # keras, or tf_keras on the second stack.
    return importlib.import_module(f'{package}.src.backend')._SEED_GENERATOR


# Optimizers (the ones that are Keras' default since 2.11).  Their update_step(gradient, variable)
# is public, and the slots of a variable, which it needs, are not.


def is_built(optimizer: tf.keras.optimizers.Optimizer) -> bool:
    """Returns True if the optimizer has made its variables; `build` may be called again."""
    return getattr(optimizer, '_built', False)


def slot_index(optimizer: tf.keras.optimizers.Optimizer, variable: tf.Variable) -> int:
    """Returns the index of a variable in `var_list` of `build`, and so in each list of slots."""
    return optimizer._index_dict[optimizer._var_key(variable)]


def adam_slots(optimizer: tf.keras.optimizers.Adam) -> tuple[list, list]:
    """Returns the lists of first and second moments."""
    return optimizer._momentums, optimizer._velocities


def rmsprop_slots(optimizer: tf.keras.optimizers.RMSprop) -> tuple[list, list]:
    """Returns the lists of mean gradients, which are there if it is centred, and mean squares."""
    return optimizer._average_gradients, optimizer._velocities


def learning_rate(optimizer: tf.keras.optimizers.Optimizer) -> Callable | tf.Variable:
    """Returns the schedule of an optimizer, or the variable where its rate is constant.

    The public property gives a schedule's rate of the current step.
    """
    return optimizer._learning_rate
