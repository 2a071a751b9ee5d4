"""The driver that plays in the background."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.metrics import py_metrics
from tf_agents.policies import py_tf_eager_policy
from tf_agents.specs import tensor_spec

from research.dqn import catch, collector, environment, policy, replay
from tests.research.dqn.scripted_game import ScriptedGame


def make(game, num_games, **arguments):
    env = environment.GameEnvironment(
        game, num_games=num_games, **{'frame_size': 20, 'seed': 4, **arguments}
    )
    number = len(env.action_names)
    values = tf.keras.layers.Lambda(lambda x: tf.zeros([x.shape[0], number]))
    chosen = policy.EpsilonGreedyPolicy(
        tensor_spec.from_spec(env.time_step_spec()),
        tensor_spec.from_spec(env.action_spec()),
        values,
        1.0,
        seed=1,
    )
    return env, chosen


def test_it_plays_as_tf_agents_own_driver_does():
    rows = {}
    for name in ('own', 'tf_agents'):
        env, chosen = make(catch.Catch, 2)
        seen = []
        observers = [lambda step: seen.append((step.action, step.reward))]
        state, step = chosen.get_initial_state(2), env.reset()
        if name == 'own':
            driver = collector.Collector(env, chosen, observers)
            for _ in range(300):
                step, state = driver.run(step, state)
            driver.close()
        else:
            eager = py_tf_eager_policy.PyTFEagerPolicy(chosen, True, batch_time_steps=False)
            driver = py_driver.PyDriver(env, eager, observers, max_steps=570)
            driver.run(step, state)
        rows[name] = seen
    assert 270 < len(rows['tf_agents']) < 300  # It does not count the beginnings of episodes.
    for own, other in zip(rows['own'][: len(rows['tf_agents'])], rows['tf_agents'], strict=True):
        for mine, theirs in zip(own, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_rewards_are_clipped_for_learning_alone():
    env, chosen = make(functools.partial(ScriptedGame, frames=10), 1, frame_size=4)
    memory = replay.FrameReplay(100, (4, 4))
    metric = py_metrics.AverageReturnMetric(batch_size=1)
    driver = collector.Collector(env, chosen, [metric], [collector.replay_observer(memory)])
    step, state = env.reset(), chosen.get_initial_state(1)
    memory.append(step.observation[..., -1], [0], [0], [1], [True])
    for _ in range(30):
        step, state = driver.run(step, state)
    driver.close()
    assert set(np.unique(memory.sample(64, 0).reward)) == {1.0}
    assert metric.result() > 10  # The score as it is.


@pytest.mark.parametrize('reward, learnt', [(-200.0, -1), (-1, -1), (0, 0), (0.5, 1), (7, 1)])
def test_clipping(reward, learnt):
    """All positive rewards become 1 and all negative ones -1 ("Training details")."""
    from tf_agents.trajectories import policy_step
    from tf_agents.trajectories import time_step as ts

    memory = replay.FrameReplay(100, (4, 4))
    step = ts.TimeStep(
        np.array([1]),
        np.array([reward], np.float32),
        np.array([1.0]),
        np.zeros((1, 4, 4, 4), np.uint8),
    )
    observe = collector.replay_observer(memory)
    for _ in range(6):
        observe((step, policy_step.PolicyStep(np.array([0])), step))
    assert set(memory.sample(8, 0).reward) == {learnt}
    unclipped = collector.replay_observer(memory, clip_rewards=False)
    for _ in range(100):
        unclipped((step, policy_step.PolicyStep(np.array([0])), step))
    assert set(memory.sample(8, 0).reward) == {reward}


def test_playing_overlaps_with_other_work():
    """Between begin and finish the caller is free; the games play meanwhile."""
    import threading

    gate, entered = threading.Event(), threading.Event()

    class Waiting(ScriptedGame):
        def act(self, action):
            entered.set()
            assert gate.wait(20)
            return super().act(action)

    env, chosen = make(Waiting, 1, frame_size=4, max_noop_frames=0)
    driver = collector.Collector(env, chosen)
    driver.begin(env.reset(), chosen.get_initial_state(1))
    assert entered.wait(20)  # It plays, and this line runs.
    gate.set()
    step, state = driver.finish()
    assert step.reward == 10 and state == 1
    driver.close()


def test_seconds_since_the_last_call(monkeypatch):
    """By a clock that is a second on at each look: each span is one of two looks."""
    clock = itertools.count()
    monkeypatch.setattr(collector.time, 'perf_counter', lambda: float(next(clock)))
    env, chosen = make(
        functools.partial(ScriptedGame, frames=100), 1, frame_size=4, max_noop_frames=0
    )
    driver = collector.Collector(env, chosen)
    step, state = driver.run(env.reset(), chosen.get_initial_state(1))
    spans = driver.take_seconds()
    assert set(spans) == {'acting', 'emulator', 'waiting'}
    assert all(1 <= seconds <= 5 for seconds in spans.values())
    assert driver.take_seconds() == dict.fromkeys(spans, 0)
    driver.run(step, state)
    assert all(1 <= seconds <= 5 for seconds in driver.take_seconds().values())
    driver.close()


def test_what_a_game_raises_arrives():
    env, chosen = make(
        functools.partial(ScriptedGame, raises=1), 1, frame_size=4, max_noop_frames=0
    )
    driver = collector.Collector(env, chosen)
    with pytest.raises(environment.GameFailed):
        driver.run(env.reset(), chosen.get_initial_state(1))
    driver.close()
