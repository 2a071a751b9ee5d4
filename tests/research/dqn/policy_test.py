"""epsilon, exploration and ties."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from research.dqn import policy


class Table(tf.keras.Model):
    """Values by the observation, which is a row's number."""

    def __init__(self, rows):
        super().__init__()
        self.rows = tf.Variable(rows, dtype=tf.float32)

    def call(self, observation):
        return tf.gather(self.rows, tf.cast(observation, tf.int32))


def make(rows, epsilon, seed=0):
    spec = ts.time_step_spec(tf.TensorSpec([], tf.int32))
    actions = tensor_spec.BoundedTensorSpec([], tf.int32, 0, len(rows[0]) - 1)
    return policy.EpsilonGreedyPolicy(spec, actions, Table(rows), epsilon, seed)


def act(chosen, observations, state=None):
    step = ts.restart(tf.constant(observations, tf.int32), batch_size=len(observations))
    state = chosen.get_initial_state(len(observations)) if state is None else state
    return chosen.action(step, state)


def test_epsilon_falls_linearly_over_the_first_million():
    """Extended Data Table 1: 1 to 0.1 over 1 000 000, then fixed at 0.1."""
    epsilon = policy.LinearEpsilon()
    for step, value in (
        (0, 1),
        (1, 1 - 0.9e-6),
        (250_000, 0.775),
        (500_000, 0.55),
        (1_000_000, 0.1),
        (1_000_001, 0.1),
        (50_000_000, 0.1),
    ):
        assert epsilon(step) == pytest.approx(value, abs=1e-12)


def test_the_authors_code_begins_the_fall_with_learning():
    epsilon = policy.LinearEpsilon(start_agent_steps=50_000)
    for step, value in ((0, 1), (50_000, 1), (550_000, 0.55), (1_050_000, 0.1)):
        assert epsilon(step) == pytest.approx(value, abs=1e-12)


def test_greedy():
    chosen = make([[0, 2, 1], [3, 2, 1], [0, 0, 9]], 0.0)
    assert list(act(chosen, [0, 1, 2, 0]).action) == [1, 0, 2, 1]


def test_a_graph_for_any_number_of_observations():
    chosen = make([[0.0, 2, 1], [3, 2, 1]], 0.5)
    step = ts.TimeStep(
        *(tf.TensorSpec([None], dtype) for dtype in (tf.int32, tf.float32, tf.float32, tf.int32))
    )
    function = tf.function(chosen.action, input_signature=[step, tf.TensorSpec([None], tf.int32)])
    for observations in ([1], [0, 1] * 20):
        state = chosen.get_initial_state(len(observations))
        step = ts.restart(tf.constant(observations), batch_size=len(observations))
        expected = chosen.action(step, state)
        np.testing.assert_array_equal(function(step, state).action, expected.action)
    assert len(set(expected.action.numpy())) == 3


def test_exploration_is_uniform_and_as_frequent_as_epsilon():
    chosen = make([[0.0, 5.0, 1.0, 2.0]], 0.4)
    counts = np.bincount(act(chosen, [0] * 40_000).action, minlength=4) / 40_000
    # The best action comes by chance too: 0.6 + 0.4 / 4.
    np.testing.assert_allclose(counts, [0.1, 0.7, 0.1, 0.1], atol=0.012)


def test_ties_are_broken_by_chance():
    chosen = make([[1.0, 3.0, 3.0, 3.0]], 0.0)
    counts = np.bincount(act(chosen, [0] * 30_000).action, minlength=4) / 30_000
    np.testing.assert_allclose(counts, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.015)


def test_random_numbers_follow_seed_and_policy_state():
    rows = [[0.0] * 18]
    one, same, other = make(rows, 1.0, 1), make(rows, 1.0, 1), make(rows, 1.0, 2)
    first = act(one, [0] * 50)
    second = act(one, [0] * 50, first.state)
    assert np.any(first.action != second.action)
    np.testing.assert_array_equal(act(same, [0] * 50).action, first.action)
    # From the state alone, as after a restart.
    np.testing.assert_array_equal(act(same, [0] * 50, tf.ones(50, tf.int32)).action, second.action)
    assert np.any(act(other, [0] * 50).action != first.action)


def test_epsilon_can_change():
    epsilon = policy.Epsilon(0.0)
    chosen = make([[0.0, 1.0]], epsilon)
    step = ts.TimeStep(
        np.zeros(1000, np.int32),
        np.zeros(1000, np.float32),
        np.ones(1000, np.float32),
        np.zeros(1000, np.int32),
    )
    act, state = policy.acting(chosen, step)
    action, state = act(step, state)
    assert np.all(action == 1) and np.all(state == 1)
    epsilon.assign(1.0)
    action, state = act(step, state)
    assert 400 < np.sum(action == 0) < 600 and np.all(state == 2)


def test_bad_epsilon():
    with pytest.raises(ValueError, match=r'LinearEpsilon.final = 1.1 is outside \[0, 1\]'):
        policy.LinearEpsilon(final=1.1)
    with pytest.raises(ValueError, match='LinearEpsilon.final_agent_steps = -1 must be a whole'):
        policy.LinearEpsilon(final_agent_steps=-1)
