"""Jumping knowledge (Xu et al. 2018, "Representation Learning on Graphs with Jumping [...]")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_MODES = ('concatenation', 'max', 'lstm')


class JumpingKnowledge(tf.keras.layers.Layer):
    """Combines what all layers of a network say of a node (Xu et al. 2018, Sec. 4).

    'concatenation': [h_i^(1), ..., h_i^(L)]. 'max': the maximum over layers, in each channel.
    'lstm': sum over l of s_i^(l) h_i^(l), where s_i is the softmax over the layers of a linear
    score of [f_i^(l), b_i^(l)], what an LSTM over h_i^(1), ..., h_i^(L) and one in the other
    direction give.

    - The score has no bias, which the softmax would take away again.

    Args:
      mode: see above.
      units: of each LSTM; by default L * F // 2.
      name: name of the layer.

    Call arguments:
      xs: what the L layers give, a list of [N, F]; of different widths for 'concatenation' only.

    Returns:
      [N, sum of F] of 'concatenation', else [N, F].

    Raises:
      ValueError: if `mode` is another word or the widths differ.
    """

    def __init__(
        self, mode: str = 'concatenation', units: int | None = None, name: str | None = None
    ):
        super().__init__(name=name)
        if mode not in _MODES:
            raise ValueError(f'mode = {mode!r} is none of {", ".join(_MODES)}.')
        self.mode = mode
        self.units = units

    def build(self, input_shape: Any) -> None:
        widths = [shape[-1] for shape in input_shape]
        if self.mode != 'concatenation' and len(set(widths)) > 1:
            raise ValueError(f'mode {self.mode!r} needs layers of one width; got {widths}.')
        if self.mode == 'lstm':
            units = self.units or len(widths) * widths[0] // 2
            self.forward = tf.keras.layers.LSTMCell(units, name='forward')
            self.backward = tf.keras.layers.LSTMCell(units, name='backward')
            for cell in (self.forward, self.backward):
                with tf.name_scope(cell.name):
                    cell.build([None, widths[0]])
            self.kernel = self.add_weight('kernel', [2 * units, 1], initializer='glorot_uniform')
        super().build(input_shape)

    def call(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        if self.mode == 'concatenation':
            return tf.concat(xs, axis=-1)
        stacked = tf.stack(xs, axis=1)
        if self.mode == 'max':
            return tf.reduce_max(stacked, axis=1)
        read = tf.concat(
            [
                tf.stack(_run(self.forward, xs), axis=1),
                tf.stack(_run(self.backward, xs[::-1])[::-1], axis=1),
            ],
            axis=-1,
        )
        scores = tf.nn.softmax(tf.matmul(read, self.kernel), axis=1)
        return tf.reduce_sum(scores * stacked, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {'mode': self.mode, 'units': self.units, 'name': self.name}


def _run(cell, xs):
    """What an LSTM gives at each step, from a state of zeros: a list of [N, units]."""
    state = [tf.zeros([tf.shape(xs[0])[0], cell.units], xs[0].dtype)] * 2
    outputs = []
    for x in xs:
        output, state = cell(x, state)
        outputs.append(output)
    return outputs
