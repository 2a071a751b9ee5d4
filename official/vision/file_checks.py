"""Files that are refused inside a graph, in one sentence."""

from __future__ import annotations

import re

import tensorflow as tf


def checked(value: tf.Tensor, condition: tf.Tensor, *parts: str | tf.Tensor) -> tf.Tensor:
    """Passes a value on if a condition holds.

    Args:
      value: any tensor; what is computed from the result runs only after the check.
      condition: bool [].
      parts: of the sentence that says what is wrong; those that are not text are scalars.

    Returns:
      `value`.

    Raises:
      InvalidArgumentError: when the graph runs and the condition does not hold. The sentence is in
        the error's brackets, `assertion failed: [...]`; `sentence` takes it out.
    """
    texts = [tf.convert_to_tensor(part) for part in parts]
    texts = [text if text.dtype == tf.string else tf.strings.as_string(text) for text in texts]
    done = tf.raw_ops.Assert(condition=condition, data=[tf.strings.join(texts)])
    with tf.control_dependencies([] if done is None else [done]):  # Eagerly it has been made.
        return tf.identity(value)


def sentence(error: tf.errors.OpError) -> str:
    """Returns what an error says, without the names of operations and without a full stop."""
    own = re.search(r'assertion failed: \[(.*)\]$', error.message, re.MULTILINE)
    # Where a graph was run, what was wrong comes last, after the places where it was made.
    last = error.message.split('\n\t [[')[0].strip().split('\n\n')[-1]
    message = own.group(1) if own else re.sub(r'\{\{.*?\}\} ?| ?\[Op:.*', '', last)
    return message.strip().splitlines()[0].rstrip('. ')
