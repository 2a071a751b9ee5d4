"""Epsilon-greedy behaviour (Mnih et al. 2015, Algorithm 1) whose random numbers have one source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from official.core import checks
from official.modeling import random
from research.dqn import arrays


class LinearEpsilon:
    """epsilon, falling linearly (Extended Data Table 1, "initial/final exploration").

    - The authors' code begins the fall when learning begins: `start_agent_steps`; the paper does
      not say so, and counts from the first step.

    Args:
      initial: epsilon at first.
      final: epsilon at last.
      final_agent_steps: agent steps that the fall takes, the paper's "final exploration frame".
      start_agent_steps: agent steps before it begins.

    Raises:
      ValueError: an epsilon is outside [0, 1], or a count is negative.
    """

    def __init__(
        self,
        initial: float = 1.0,
        final: float = 0.1,
        final_agent_steps: int = 1_000_000,
        start_agent_steps: int = 0,
    ):
        checks.within('LinearEpsilon', 0, 1, initial=initial, final=final)
        checks.at_least(
            'LinearEpsilon',
            0,
            final_agent_steps=final_agent_steps,
            start_agent_steps=start_agent_steps,
        )
        self.initial = initial
        self.final = final
        self.final_agent_steps = final_agent_steps
        self.start_agent_steps = start_agent_steps

    def __call__(self, agent_step: int) -> float:
        """epsilon of an agent step."""
        done = (agent_step - self.start_agent_steps) / max(self.final_agent_steps, 1)
        return self.initial + (self.final - self.initial) * min(max(done, 0.0), 1.0)


class Epsilon:
    """The epsilon that a policy has now: a number that is read whenever it acts.

    Args:
      value: at first.
    """

    def __init__(self, value: float = 1.0):
        self.value = value

    def assign(self, value: float) -> None:
        """Changes it."""
        self.value = value

    def __call__(self) -> tf.Tensor:
        # Not a variable: to assign to one a million times loses memory (see `arrays`).
        epsilon = tf.numpy_function(lambda: np.float32(self.value), [], tf.float32)
        epsilon.set_shape([])
        return epsilon


class EpsilonGreedyPolicy(tf_policy.TFPolicy):
    """With probability epsilon a random action, else one of the best ones by chance.

    Its policy state is how often it has acted: with the seed it makes the random numbers, so that
    a state that a checkpoint brings back acts as it would have. (tf-agents' own policy draws from
    TensorFlow's generators, whose state is in no checkpoint.)

    Args:
      time_step_spec: of the environment.
      action_spec: of the environment, actions from 0.
      q_network: observations to values [batch, actions].
      epsilon: a number, or what gives one when it is called, such as `Epsilon`.
      seed: of the random numbers.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        q_network: Callable,
        epsilon: float | Callable[[], tf.Tensor],
        seed: int = 0,
    ):
        # tf-agents would set the count back to 0 where an episode begins, and every episode would
        # explore alike.
        super().__init__(
            time_step_spec,
            action_spec,
            tf.TensorSpec([], tf.int32),
            automatic_state_reset=False,
            name='EpsilonGreedyPolicy',
        )
        self._q_network = q_network
        self._epsilon = epsilon
        self._seed = seed
        self._num_actions = int(action_spec.maximum) + 1

    def _variables(self):
        return self._q_network.variables

    def _action(self, time_step, policy_state, seed=None):
        del seed  # tf-agents' own; see the class.
        values = self._q_network(time_step.observation)
        batch = values.shape[0] or tf.shape(values)[0]
        key = random.fold_in(random.make_key(self._seed), policy_state[0])
        explore, choice, tie = [random.fold_in(key, index) for index in range(3)]
        best = tf.equal(values, tf.reduce_max(values, axis=1, keepdims=True))
        order = random.uniform(tie, [batch, self._num_actions])
        greedy = tf.argmax(tf.where(best, order, -1.0), axis=1, output_type=tf.int32)
        chosen = tf.cast(random.uniform(choice, [batch]) * self._num_actions, tf.int32)
        epsilon = self._epsilon() if callable(self._epsilon) else self._epsilon
        action = tf.where(random.uniform(explore, [batch]) < epsilon, chosen, greedy)
        return policy_step.PolicyStep(tf.cast(action, self.action_spec.dtype), policy_state + 1)

    def _distribution(self, time_step, policy_state):
        raise NotImplementedError('An epsilon-greedy policy is asked for actions.')


def acting(policy: tf_policy.TFPolicy, time_step: Any) -> tuple[Callable, Any]:
    """A policy as a function of arrays.

    Args:
      policy: any policy whose state is a nest of one tensor.
      time_step: of NumPy arrays, as those that are to come.

    Returns:
      A function that takes a time step and a policy state, both of arrays, and gives action and
      policy state; and the initial state.
    """
    state = policy.get_initial_state(len(time_step.step_type)).numpy()

    def act(step_type, reward, discount, observation, policy_state):
        step = policy.action(ts.TimeStep(step_type, reward, discount, observation), policy_state)
        return step.action, step.state

    function = arrays.ArrayFunction(act, [*time_step, state])
    return lambda step, policy_state: function(*step, policy_state), state
