"""What a client of an exported DQN agent can call."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from research.dqn import phi


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """Signatures of a greedy policy.

    - predict (and serving_default): frames uint8 [batch, size, size, history], stacks of encoded
      frames, oldest first, those from before the episode as zeros.
    - screens: screens uint8 [batch, history, 2, height, width, 3], for each frame of the stack the
      game's screen in RGB on the frame before it and on the frame itself; zeros from before the
      episode.

    Frames and screens of another size are refused: the network would take some of them.

    Each gives q_values float32 [batch, actions], action int64 [batch], the index of the largest,
    and action_name string [batch].

    Args:
      model: a Q-network.
      data: the `experiment.Game` it plays.
    """
    names = tf.constant(data.action_names)
    size, _, history = data.observation_shape
    screens_shape = (history, 2, *data.screen_shape)

    def predict(frames):
        return values(tf.ensure_shape(frames, [None, *data.observation_shape]))

    def values(frames):
        q_values = model(frames)
        action = tf.argmax(q_values, axis=1)
        return {'q_values': q_values, 'action': action, 'action_name': tf.gather(names, action)}

    def screens(screens):
        return values(phi.tensor(tf.ensure_shape(screens, [None, *screens_shape]), size))

    return {
        'predict': (predict, [tf.TensorSpec([None, *data.observation_shape], tf.uint8, 'frames')]),
        'screens': (screens, [tf.TensorSpec([None, *screens_shape], tf.uint8, 'screens')]),
    }
