"""The DQN agent: tf-agents' DqnAgent with what Mnih et al. 2015 needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import network as tf_agents_network
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

from official.core import checks
from research.dqn import policy


class QNetwork(tf_agents_network.Network):
    """A Keras Q-network as tf-agents wants it.

    Args:
      observation_spec: of the observations.
      model: observations to values, such as `NatureQNetwork`.
      name: of the network.
    """

    def __init__(self, observation_spec: Any, model: tf.keras.Model, name: str = 'QNetwork'):
        super().__init__(observation_spec, state_spec=(), name=name)
        self.model = model

    def call(
        self,
        observation: tf.Tensor,
        step_type: tf.Tensor | None = None,
        network_state: tuple = (),
        training: bool = False,
    ) -> tuple[tf.Tensor, tuple]:
        del step_type
        return self.model(observation, training=training), network_state

    def create_variables(
        self, input_tensor_spec: tf.TensorSpec | None = None, **kwargs: Any
    ) -> tf.TensorSpec:
        """Makes the weights by calling the model on an observation of zeros.

        tf-agents draws one from its spec, for uint8 below 255 + 1, which NumPy 2 makes 0.

        Args:
          input_tensor_spec: spec of an observation; by default the one that was given.
          **kwargs: of `call`.

        Returns:
          The spec of the values of one observation.
        """
        spec = input_tensor_spec or self.input_tensor_spec
        values, _ = self(tf.zeros([1, *spec.shape], spec.dtype), **kwargs)
        return tf.TensorSpec(values.shape[1:], values.dtype)


class DqnAgent(dqn_agent.DqnAgent):
    """Deep Q-learning (Mnih et al. 2015, Algorithm 1).

    The loss of a transition is the Huber loss of y - Q(phi_j, a_j; theta), which clips the gradient
    of the squared error to +-1 (Methods, "Training algorithm"), with
    y = r_j + gamma * discount_j * max_a' Q^(phi_j+1, a'; theta^-).

    - The loss is averaged over the minibatch, where the authors' code sums; the optimizer's epsilon
      makes up for it (see `official.modeling.optimizers.CentredRMSProp`).

    Args:
      time_step_spec: of the environment.
      action_spec: of the environment.
      q_network: called as q_network(num_actions=), gives a Keras model; called twice.
      optimizer: a Keras optimizer.
      discount: gamma.
      target_update_period_updates: parameter updates between two copies of theta to theta^-, the
        paper's C. 1 learns without a separate target network (Extended Data Table 3). The authors'
        code has 10 000 agent steps, which are 2 500 updates.
      double: choose a' by theta and value it by theta^- (van Hasselt et al. 2016); not in the
        paper.
      error_clip: where the Huber loss turns linear; None for the squared error.
      epsilon: of `collect_policy`; see `policy.EpsilonGreedyPolicy`.
      seed: of the policies.

    Raises:
      ValueError: a number is out of range.
    """

    def __init__(
        self,
        time_step_spec: Any,
        action_spec: Any,
        *,
        q_network: Callable,
        optimizer: tf.keras.optimizers.Optimizer,
        discount: float = 0.99,
        target_update_period_updates: int = 10_000,
        double: bool = False,
        error_clip: float | None = 1.0,
        epsilon: float | Callable = 0.1,
        seed: int = 0,
    ):
        checks.positive('DqnAgent', target_update_period_updates=target_update_period_updates)
        checks.within('DqnAgent', 0, 1, discount=discount)
        if error_clip is not None and not error_clip > 0:
            raise ValueError(f'DqnAgent.error_clip = {error_clip} must be above 0, or None.')
        self.double = double
        self.discount = discount
        self.error_clip = error_clip
        self._seed = seed
        num_actions = int(action_spec.maximum) + 1
        online, target = (
            QNetwork(time_step_spec.observation, q_network(num_actions=num_actions), name)
            for name in ('QNetwork', 'TargetQNetwork')
        )
        super().__init__(
            time_step_spec,
            action_spec,
            q_network=online,
            target_q_network=target,
            optimizer=optimizer,
            epsilon_greedy=epsilon,
            gamma=discount,
            target_update_period=target_update_period_updates,
            td_errors_loss_fn=self._clipped_error,
            train_step_counter=tf.Variable(0, trainable=False, dtype=tf.int64, name='updates'),
        )
        optimizer.build(online.trainable_variables)
        self.initialize()  # theta^- = theta

    @property
    def model(self) -> tf.keras.Model:
        """The Keras Q-network."""
        return self._q_network.model

    @property
    def target_model(self) -> tf.keras.Model:
        """The Keras target network."""
        return self._target_q_network.model

    def act(self, epsilon: float | Callable, seed: int) -> policy.EpsilonGreedyPolicy:
        """The agent's policy with another epsilon, such as the 0.05 of evaluation."""
        return policy.EpsilonGreedyPolicy(
            self.time_step_spec, self.action_spec, self.model, epsilon, seed
        )

    def update(
        self,
        observation: tf.Tensor,
        action: tf.Tensor,
        reward: tf.Tensor,
        discount: tf.Tensor,
        next_observation: tf.Tensor,
        weight: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One update on a minibatch; arguments as in `replay.Transitions`.

        Returns:
          The loss, and the TD errors, float32 [batch].
        """
        info = self.train(
            trajectory.Transition(
                time_step=ts.TimeStep(
                    tf.fill(action.shape, ts.StepType.MID),
                    tf.zeros_like(reward),
                    tf.ones_like(discount),
                    observation,
                ),
                action_step=policy_step.PolicyStep(action, (), ()),
                next_time_step=ts.TimeStep(
                    tf.fill(action.shape, ts.StepType.MID), reward, discount, next_observation
                ),
            ),
            weight,
        )
        return info.loss, info.extra.td_error

    # What tf-agents asks of a subclass.

    def _setup_policy(
        self, time_step_spec, action_spec, boltzmann_temperature, emit_log_probability
    ):
        del boltzmann_temperature, emit_log_probability
        return tuple(
            policy.EpsilonGreedyPolicy(
                time_step_spec, action_spec, self._q_network.model, epsilon, self._seed
            )
            for epsilon in (0.0, self._epsilon_greedy)
        )

    def _compute_next_q_values(self, next_time_steps, info):
        # tf-agents runs the target network a second time to find the best action.
        del info
        values, _ = self._target_q_network(
            next_time_steps.observation, step_type=next_time_steps.step_type
        )
        if not self.double:
            return tf.reduce_max(values, axis=1)
        online, _ = self._q_network(
            next_time_steps.observation, step_type=next_time_steps.step_type
        )
        return tf.gather(values, tf.argmax(online, axis=1), batch_dims=1)

    def _clipped_error(self, targets, predictions):
        error = tf.abs(targets - predictions)
        if self.error_clip is None:
            return 0.5 * error**2
        inside = tf.minimum(error, self.error_clip)
        return inside * (error - 0.5 * inside)
