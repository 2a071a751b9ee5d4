"""The agent's update under a `tf.distribute` strategy, compiled once."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official.core import distribution
from research.dqn import arrays as array_lib
from research.dqn import replay


class Learner:
    """Updates an agent on minibatches from a replay memory.

    Args:
      agent: a `DqnAgent` made under `strategy`.
      strategy: the minibatch is divided among its replicas.
      jit_compile: compile with XLA, where the strategy can.
    """

    def __init__(self, agent: Any, strategy: tf.distribute.Strategy, jit_compile: bool = False):
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        self._update = agent.update
        if jit_compile and distribution.supports_jit_compile(strategy):
            self._update = tf.function(agent.update, jit_compile=True)
        if self._replicas > 1:
            self._update = tf.function(lambda *batch: strategy.run(agent.update, batch))
        self._function = None

    def __call__(self, batch: replay.Transitions) -> tuple[float, np.ndarray]:
        """One update.

        Returns:
          The loss, and the TD errors [batch].

        Raises:
          ValueError: the minibatch cannot be divided among the replicas.
          tf.errors.InvalidArgumentError: the loss is not finite.
        """
        arrays = batch[:-1]  # Without the index.
        if self._replicas == 1:
            if self._function is None:
                self._function = array_lib.ArrayFunction(self._update, arrays)
            loss, td_error = self._function(*arrays)
            return float(loss), td_error
        size = len(batch.action)
        if size % self._replicas:
            raise ValueError(
                f'A minibatch of {size} transitions cannot be divided among '
                f'{self._replicas} replicas.'
            )
        share = size // self._replicas

        def part(array):
            def of_replica(context):
                index = context.replica_id_in_sync_group
                return tf.convert_to_tensor(array[index * share : (index + 1) * share])

            return self._strategy.experimental_distribute_values_from_function(of_replica)

        loss, td_error = self._update(*map(part, arrays))
        # A replica's loss is divided by the size of the whole minibatch.
        loss = self._strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
        return float(loss), self._strategy.gather(td_error, axis=0).numpy()
