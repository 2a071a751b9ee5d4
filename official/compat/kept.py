"""Graphs that TensorFlow keeps for ever, and how they are let go."""

from __future__ import annotations

from tensorflow.python.distribute import mirrored_run
from tensorflow.python.framework import ops


def forget_custom_gradients() -> None:
    """Lets go of the graphs that used `tf.custom_gradient`.

    In a graph, `tf.custom_gradient` registers its gradient under a new name that is never removed.
    The gradient holds tensors of the graph, and so every training step's graph stays in memory.

    Graphs made so far run as before, gradients that are part of them included. No further gradient
    can be taken through them.
    """
    # There is no public way: tf.RegisterGradient only adds.
    registry = ops.gradient_registry._registry
    for name in [name for name in registry if name.startswith('CustomGradient-')]:
        del registry[name]


def forget_functions_of_strategies() -> None:
    """Lets go of the functions that a `MirroredStrategy` has run, and of all that they hold.

    TensorFlow keeps them in a dictionary of weak keys whose values hold the same keys: strategy,
    model and graphs stay. A function that is run again is traced again.
    """
    mirrored_run._cfer_fn_cache.clear()  # No public name leads there.
