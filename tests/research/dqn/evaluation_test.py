"""The protocol of evaluation."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from research.dqn import atari, catch, environment, evaluation, games, policy
from tests.research.dqn.scripted_game import ScriptedGame


def lengths(seed):
    """Scripted games of different lengths: the first plays short episodes, the second long."""
    return ScriptedGame(frames=lengths.frames.pop(0), seed=seed)


def test_every_game_plays_its_share_of_the_episodes():
    """Else the short episodes would be counted more often."""
    lengths.frames = [8, 40, 400]
    env = environment.GameEnvironment(lengths, num_games=3, frame_size=4, max_noop_frames=0)
    scores = evaluation.play(env, lambda step: np.zeros(3, int), episodes=7)
    # An episode of n frames scores 1 + ... + n and takes n / 4 agent steps.
    assert scores.scores == [36.0] * 3 + [820.0] * 2 + [80200.0] * 2
    assert scores.agent_steps == [2] * 3 + [10] * 2 + [100] * 2
    result = scores.result()
    assert result['score'] == pytest.approx(np.mean(scores.scores))
    assert result['score_std'] == pytest.approx(np.std(scores.scores, ddof=1))
    assert (result['score_median'], result['episodes']) == (820.0, 7)


def test_a_number_of_steps_counts_whole_episodes():
    lengths.frames = [20]
    env = environment.GameEnvironment(lengths, frame_size=4, max_noop_frames=0)
    scores = evaluation.play(env, lambda step: np.zeros(1, int), agent_steps=17)
    assert scores.scores == [210.0] * 3  # Three episodes of 5 steps; the fourth was not over.
    lengths.frames = [400]
    env = environment.GameEnvironment(lengths, frame_size=4, max_noop_frames=0)
    scores = evaluation.play(env, lambda step: np.zeros(1, int), agent_steps=2)
    assert scores.scores == [36.0]  # None was over: what there is.


class Clock:
    """Games whose episodes have one of two lengths by chance, and a score by their length."""

    def __init__(self, num_games, kinds, seed):
        self.batch_size = num_games
        self._kinds = kinds
        self._random = np.random.default_rng(seed)

    def _begin(self):
        kind = self._random.integers(len(self._kinds))
        return list(self._kinds[kind])

    def reset(self):
        self._left = [self._begin() for _ in range(self.batch_size)]
        self._over = [False] * self.batch_size
        return self._step(np.ones(self.batch_size, bool), np.zeros(self.batch_size))

    def _step(self, first, reward):
        step_type = np.where(
            first, ts.StepType.FIRST, np.where(self._over, ts.StepType.LAST, ts.StepType.MID)
        )
        return ts.TimeStep(step_type, reward, None, None)

    def step(self, _):
        first, reward = np.array(self._over), np.zeros(self.batch_size)
        for index in range(self.batch_size):
            if first[index]:
                self._left[index], self._over[index] = self._begin(), False
                continue
            self._left[index][0] -= 1
            self._over[index] = self._left[index][0] == 0
            reward[index] = self._left[index][1] * self._over[index]
        return self._step(first, reward)


def streams(num_games, kinds, agent_steps, seeds):
    """The mean score and the number of episodes of some evaluations by steps."""
    played = [
        evaluation.play(
            Clock(num_games, kinds, seed), lambda step: None, agent_steps=agent_steps
        ).scores
        for seed in range(seeds)
    ]
    return np.array([[np.mean(scores), len(scores)] for scores in played]).T


@pytest.mark.parametrize('num_games', [1, 3, 10, 20])
@pytest.mark.parametrize(
    'kinds, agent_steps, mean, episodes, seeds',
    [
        # Enduro by days of 3 328 agent steps: half of the episodes end with the fourth day and 900
        # points, half with the fifth and 1 200; 135 000 agent steps are 40.56 days. A day is 4
        # here.
        (((16, 900.0), (20, 1200.0)), 162, 1050.0, 8.5, 250),
        # The last episode weighs most among few: with the one in progress the mean would be .58.
        (((1, 0.0), (3, 1.0)), 4, 0.5, 1.9, 3000),
    ],
)
def test_long_episodes_count_as_often_as_they_are(
    num_games, kinds, agent_steps, mean, episodes, seeds
):
    scores, counts = streams(num_games, kinds, agent_steps, seeds)
    assert scores.mean() == pytest.approx(mean, abs=4 * scores.std() / np.sqrt(seeds))
    # As many as one stream has, within a tenth.
    assert counts.mean() == pytest.approx(episodes, rel=0.1)


def test_more_games_take_no_other_episodes_than_one():
    """An episode counts by its place in the order of beginnings, not by when it ends."""

    class InOrder(Clock):
        def _begin(self):
            self._number = getattr(self, '_number', -1) + 1
            return [(30, 2, 5, 9, 40, 3)[self._number % 6], float(self._number)]

    for num_games in (1, 2, 5):
        scores = evaluation.play(
            InOrder(num_games, (), 0), lambda step: None, agent_steps=30 + 2 + 5 + 9
        )
        assert scores == ([0.0, 1.0, 2.0, 3.0], [30, 2, 5, 9])
        scores = evaluation.play(InOrder(num_games, (), 0), lambda step: None, agent_steps=45)
        assert scores == ([0.0, 1.0, 2.0], [30, 2, 5])


def test_the_papers_protocol():
    """30 times, up to 5 minutes at 60 Hz, epsilon = 0.05, no-op starts."""
    protocol = evaluation.Evaluation()
    assert (protocol.episodes, protocol.epsilon, protocol.max_episode_frames) == (30, 0.05, 18_000)
    env = protocol.make_environment(
        functools.partial(
            environment.GameEnvironment,
            functools.partial(ScriptedGame, frames=10**6, losses=(2,)),
            frame_size=4,
        ),
        seed=0,
    )
    assert env.batch_size == 10
    step = env.reset()
    assert np.any(step.observation[:, 0, 0, -1] > 0)  # No-op starts.
    steps, discounts = 0, []
    while not step.is_last().any():
        step = env.step(np.zeros(10, int))
        discounts.append(step.discount)
        steps += 1
    # Including its no-ops, no episode is longer than 18 000 frames and four.
    assert 18_000 - 30 <= 4 * steps <= 18_000
    assert np.all(np.array(discounts) == 1)  # A lost life ends nothing, nor does the clock.


@pytest.mark.parametrize('hertz, frame_skip', [(10, 6), (60, 1)])
def test_random_players_act_at_their_rate(hertz, frame_skip):
    made = []

    def make(**arguments):
        made.append(
            environment.GameEnvironment(
                functools.partial(ScriptedGame, frames=60), frame_size=4, **arguments
            )
        )
        return made[0]

    scores = evaluation.random_play(make, hertz, seed=1, episodes=4)
    assert made[0].frame_skip == frame_skip
    assert len(scores.scores) == 4
    actions = made[0]._players[0].game.actions
    changes = np.flatnonzero(np.diff(actions[30:]))  # Behind the no-ops.
    assert len(changes) > 2
    assert set(np.bincount(actions[-60:], minlength=3) > 0) == {True}
    if hertz == 10:
        assert np.diff(changes).min() >= 6 - 1
    else:
        assert np.diff(changes).min() == 1


def test_random_play_scores_what_the_paper_has():
    """Extended Data Table 2: Pong -20.7; here 30 episodes, whose deviation is below 1."""
    make = functools.partial(
        environment.GameEnvironment, functools.partial(atari.AtariGame, 'pong')
    )
    scores = evaluation.random_play(make, 10, seed=0, episodes=10).scores
    assert np.mean(scores) == pytest.approx(-20.7, abs=0.7)


def test_random_players_follow_their_seed():
    make = functools.partial(environment.GameEnvironment, catch.Catch, frame_size=20)
    one, same, other = (evaluation.random_play(make, 10, seed, 10).scores for seed in (1, 1, 2))
    assert one == same != other


def test_against_the_paper():
    found = evaluation.against_paper(9.3, 'pong')  # The human's score.
    assert found['human_normalized_percent'] == pytest.approx(100)
    assert found['reference'] == {'cell': 'Extended Data Table 2, Pong', 'score': 18.9, 'std': 1.3}
    assert evaluation.against_paper(1.0, 'catch') == {}
    assert len(games.table()) == 49


def test_held_out_states():
    make = functools.partial(environment.GameEnvironment, catch.Catch, frame_size=20)
    states = evaluation.held_out_states(make, 30, seed=1)
    assert states.shape == (30, 20, 20, 4) and states.dtype == np.uint8
    assert len(np.unique(states.reshape(30, -1), axis=0)) > 25
    np.testing.assert_array_equal(states, evaluation.held_out_states(make, 30, seed=1))
    assert np.any(states != evaluation.held_out_states(make, 30, seed=2))


def test_an_actor_is_a_function_of_its_seed():
    env = environment.GameEnvironment(catch.Catch, num_games=3, frame_size=20)
    step = env.reset()
    spec = tensor_spec.from_spec(env.time_step_spec()), tensor_spec.from_spec(env.action_spec())
    actor = evaluation.Actor(
        policy.EpsilonGreedyPolicy(*spec, lambda observation: tf.zeros([3, 3]), 1.0, seed=4)
    )

    def actions(seed):
        act = actor.start(seed)
        return np.stack([act(step) for _ in range(20)])

    first, other, again = actions(1), actions(2), actions(1)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert len(np.unique(first, axis=0)) > 5  # Not the same again and again.


def test_bad_arguments():
    with pytest.raises(ValueError, match='needs one of episodes = 30 and agent_steps = 100'):
        evaluation.Evaluation(agent_steps=100)
    for name, value in (('episodes', 0), ('max_episode_frames', 0), ('num_games', 0)):
        with pytest.raises(ValueError, match=f'Evaluation.{name} = 0 must be a whole number'):
            evaluation.Evaluation(**{name: value})
    with pytest.raises(ValueError, match=r'Evaluation.epsilon = 2 is outside \[0, 1\]'):
        evaluation.Evaluation(epsilon=2)
    with pytest.raises(ValueError, match='at 7 Hz: it does not divide the 60'):
        evaluation.random_play(None, 7, 0)
