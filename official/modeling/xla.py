"""What is traced for XLA: where one form of a computation is fast and only another compiles."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def is_compiled() -> bool:
    """Whether what is traced here will be compiled: `tf.function(jit_compile=True)` or a TPU."""
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
