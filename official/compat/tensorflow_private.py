"""Parts of TensorFlow that are used and have no public name there; all are in 2.15 to 2.21.

And one thing that cannot be asked of it otherwise than by its version.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework import config
from tensorflow.python.ops import control_flow_util

# Decorates a method whose assignments to attributes are plain ones.  A Keras model takes a list
# that is assigned into its checkpoint, and a dictionary as well; Keras itself leaves out with this
# what it keeps for itself (exported for that since TensorFlow 2.5).
untracked: Callable = tf.__internal__.tracking.no_automatic_dependency_tracking


def is_compiled() -> bool:
    """Returns True if what is traced here gets compiled by XLA.

    That is inside `tf.function(jit_compile=True)` or on a TPU. Where one form of a computation is
    fast and only another compiles, the choice is made while a function is traced; TensorFlow's own
    loops and conditions ask the same function (since 1.14).
    """
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def public_names(symbol: Callable) -> tuple[str, ...]:
    """Returns the names that `tf` has for a function or class, without 'tf.' before them.

    TensorFlow notes them on what it exports, whose `__module__` is a private one. Empty for what is
    not TensorFlow's.
    """
    return tuple(getattr(symbol, '_tf_api_names', ()))


def has_flex_delegate() -> bool:
    """Returns True if `tf.lite.Interpreter` runs models that were converted with `SELECT_TF_OPS`.

    The wheels of TensorFlow 2.20 and later convert such models as before but cannot run them: the
    delegate is not in them any more. Other runtimes, as Android's, bring their own.
    """
    return tuple(map(int, tf.__version__.split('.')[:2])) < (2, 20)


def disable_op_determinism() -> None:
    """Takes back `tf.config.experimental.enable_op_determinism`, for tests that follow a test."""
    config.disable_op_determinism()


def is_op_determinism_enabled() -> bool:
    """Returns True after `tf.config.experimental.enable_op_determinism`."""
    return config.is_op_determinism_enabled()
