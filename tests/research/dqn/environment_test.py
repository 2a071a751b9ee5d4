"""Frame skip, stacks, no-op starts, lives and ends of the environment."""

import functools

import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from research.dqn import atari, catch, environment, phi
from tests.research.dqn.scripted_game import ScriptedGame, encoded


def make(game=ScriptedGame, **arguments):
    return environment.GameEnvironment(game, **{'frame_size': 4, 'max_noop_frames': 0, **arguments})


def stack(*frames):
    return np.stack([encoded(frame) for frame in frames], axis=-1)[np.newaxis]


def test_an_episode_frame_by_frame():
    env = make()
    step = env.reset()
    np.testing.assert_array_equal(step.observation, stack(0, 0, 0, 0))
    assert step.is_first() and step.reward == 0
    # Frames 1 to 4 are played, their rewards add up, the last is seen.
    for last, reward, seen in (
        (4, 10, (0, 0, 0, 4)),
        (8, 26, (0, 0, 4, 8)),
        (12, 42, (0, 4, 8, 12)),
        (16, 58, (4, 8, 12, 16)),
        (20, 74, (8, 12, 16, 20)),
    ):
        step = env.step(np.array([1]))
        assert step.reward == reward and step.discount == 1
        assert step.step_type == ts.StepType.MID
        np.testing.assert_array_equal(step.observation, stack(*seen), err_msg=str(last))
    step = env.step(np.array([2]))  # Frames 21 and 22: the game is over in the middle.
    assert step.is_last() and step.discount == 0 and step.reward == 43
    np.testing.assert_array_equal(step.observation, stack(12, 16, 20, 22))
    step = env.step(np.array([1]))  # Begins an episode; nothing of the one before is seen.
    assert step.is_first() and step.reward == 0 and step.discount == 1
    np.testing.assert_array_equal(step.observation, stack(0, 0, 0, 0))
    assert env._players[0].game.actions == [1] * 20 + [2] * 2


def test_the_maximum_is_over_the_last_two_frames():
    class Blinking(ScriptedGame):
        def screen(self, out):
            out[:] = self.frame if self.frame % 2 else 0

    env = make(Blinking)
    env.reset()
    for seen in (3, 7, 11):
        assert np.all(env.step(np.array([0])).observation[..., -1] == seen)


class Columns(ScriptedGame):
    """Lights column f of the screen in frame f."""

    def screen(self, out):
        out[:] = 0
        out[:, self.frame] = 255


@pytest.mark.parametrize('frames', [5, 6, 7])
def test_the_frame_before_the_end_is_the_one_that_was_played_before_it(frames):
    """Also where the game is over on the second or third frame of an action."""
    env = make(functools.partial(Columns, frames=frames), frame_size=8)
    env.reset()
    env.step(np.array([0]))
    step = env.step(np.array([0]))
    assert step.is_last()
    np.testing.assert_array_equal(
        np.flatnonzero(step.observation[0, 0, :, -1]), [frames - 1, frames]
    )
    assert [np.flatnonzero(screen[0, :, 0]) for screen in env.screens[0]] == [
        [frames - 1],
        [frames],
    ]


def test_an_episode_that_ends_in_the_noop_starts_is_not_seen():
    env = make(functools.partial(Columns, frames=3), num_games=50, frame_size=8, max_noop_frames=7)
    env.reset()
    for before, now in env.screens[..., 0, :, 0]:
        lit = [int(np.flatnonzero(screen)[0]) if screen.any() else None for screen in (before, now)]
        assert (lit[1] == 0 and lit[0] is None) or lit[0] == lit[1] - 1


class Extra(ScriptedGame):
    """Gives a life from frame 10 on."""

    def lives(self):
        return super().lives() + (self.frame >= 10)


def test_a_lost_life_is_terminal_for_the_target_and_the_game_goes_on():
    env = make(functools.partial(ScriptedGame, losses=(6, 15)))
    env.reset()
    steps = [env.step(np.array([1])) for _ in range(6)]
    assert [float(step.discount[0]) for step in steps] == [1, 0, 1, 0, 1, 0]
    assert [bool(step.is_last()[0]) for step in steps] == [False] * 5 + [True]
    # The stack reaches over it.
    np.testing.assert_array_equal(steps[2].observation, stack(0, 4, 8, 12))
    # Lives that are won, as in games with extra lives, end nothing.
    env = make(functools.partial(Extra, losses=(6,)))
    env.reset()
    assert [float(env.step(np.array([1])).discount[0]) for _ in range(4)] == [1, 0, 1, 1]
    env = make(functools.partial(ScriptedGame, losses=(6, 15)), life_loss_is_terminal=False)
    env.reset()
    assert [float(env.step(np.array([1])).discount[0]) for _ in range(6)] == [1, 1, 1, 1, 1, 0]


def test_an_episode_that_is_cut_off_has_a_future():
    env = make(functools.partial(ScriptedGame, frames=1000), max_episode_frames=10)
    env.reset()
    steps = [env.step(np.array([0])) for _ in range(3)]
    assert [bool(step.is_last()[0]) for step in steps] == [False, False, True]
    assert steps[-1].discount == 1


def test_noop_starts_are_uniform_and_the_first_frame_is_the_last_of_them():
    env = make(functools.partial(ScriptedGame, frames=10**6), num_games=1000, max_noop_frames=30)
    seen = env.reset().observation[:, 0, 0, -1]
    assert not env.reset().observation[..., :-1].any()
    counts = np.bincount(seen, minlength=31)
    assert len(counts) == 31 and counts.min() > 0
    chi_square = np.sum((counts - 1000 / 31) ** 2) / (1000 / 31)
    assert chi_square < 30 + 5 * np.sqrt(60)
    assert np.any(env.reset().observation[:, 0, 0, -1] != seen)  # Other ones in every episode.
    again = make(functools.partial(ScriptedGame, frames=10**6), num_games=1000, max_noop_frames=30)
    np.testing.assert_array_equal(again.reset().observation[:, 0, 0, -1], seen)
    assert set(np.concatenate([p.game.actions for p in env._players])) == {0}


@pytest.mark.parametrize('history', [1, 3, 5])
def test_other_lengths_of_history(history):
    env = make(history=history)
    env.reset()
    for _ in range(4):
        step = env.step(np.array([0]))
    np.testing.assert_array_equal(step.observation, stack(0, 4, 8, 12, 16)[..., -history:])
    assert env.observation_spec().shape == (4, 4, history)


@pytest.mark.parametrize('game', ['breakout', 'pong'])
def test_a_real_game_against_the_emulator_by_hand(game):
    env = environment.GameEnvironment(
        functools.partial(atari.AtariGame, game), max_noop_frames=0, seed=5
    )
    step = env.reset()
    by_hand = atari.AtariGame(game)
    by_hand.reset()
    random = np.random.default_rng(0)
    lives, encoded_frames, lost = by_hand.lives(), [np.zeros((84, 84), np.uint8)] * 3, 0
    screen = np.zeros((2, *by_hand.screen_shape), np.uint8)
    by_hand.screen(screen[1])
    encoded_frames.append(phi.encode(screen[1], screen[1] * 0))
    np.testing.assert_array_equal(step.observation[0], np.stack(encoded_frames[-4:], axis=-1))
    for _ in range(400):
        action = int(random.integers(len(by_hand.action_names)))
        step = env.step(np.array([action]))
        reward = 0
        for _ in range(4):
            reward += by_hand.act(action)
            screen[0] = screen[1]
            by_hand.screen(screen[1])
            if by_hand.is_over():
                break
        assert step.reward == reward
        assert step.is_last() == by_hand.is_over()
        assert step.discount == float(by_hand.lives() == lives and not by_hand.is_over())
        lost += by_hand.lives() < lives
        lives = by_hand.lives()
        encoded_frames.append(phi.encode(screen[1], screen[0]))
        np.testing.assert_array_equal(step.observation[0], np.stack(encoded_frames[-4:], axis=-1))
        if by_hand.is_over():
            break
    assert lost >= 2 or game == 'pong'


@pytest.mark.parametrize(
    'game',
    [catch.Catch, functools.partial(atari.AtariGame, 'breakout', repeat_action_probability=0.25)],
)
@pytest.mark.parametrize('frame_skip', [1, 4])
def test_a_saved_state_goes_on_as_it_would_have(game, frame_skip):
    arguments = dict(num_games=3, frame_size=20, frame_skip=frame_skip, seed=2)
    env = environment.GameEnvironment(game, **arguments)
    random = np.random.default_rng(1)
    number = len(env.action_names)
    env.reset()
    for _ in range(150):
        env.step(random.integers(number, size=3))
    state = env.get_state()
    actions = random.integers(number, size=(200, 3))
    expected = [env.current_time_step(), *(env.step(action) for action in actions)]
    other = environment.GameEnvironment(game, **arguments)
    other.reset()
    other.set_state(state)
    for step, again in zip(
        expected,
        [other.current_time_step(), *(other.step(action) for action in actions)],
        strict=True,
    ):
        for a, b in zip(step, again, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(step.is_last().any() for step in expected) or frame_skip == 1


def test_games_that_are_played_together_differ():
    env = environment.GameEnvironment(catch.Catch, num_games=2, frame_size=20, seed=0)
    env.reset()
    for _ in range(30):
        step = env.step(np.zeros(2, int))
    assert np.any(step.observation[0] != step.observation[1])


def test_a_game_that_raises_is_named():
    env = make(functools.partial(ScriptedGame, raises=7))
    env.reset()
    env.step(np.array([0]))
    with pytest.raises(
        environment.GameFailed,
        match=r"scripted failed in frame 6 of an episode: OSError\('the cable",
    ):
        env.step(np.array([0]))


def test_tf_agents_accepts_it():
    env = environment.GameEnvironment(catch.Catch, frame_size=20, max_noop_frames=3)

    assert env.batched and env.batch_size == 1
    step = env.reset()
    spec = env.time_step_spec()
    for _ in range(200):
        assert step.observation[0].shape == spec.observation.shape
        assert step.observation.dtype == spec.observation.dtype
        assert step.reward.dtype == spec.reward.dtype == np.float32
        assert step.discount.dtype == np.float32 and step.step_type.dtype == np.int32
        step = env.step(np.array([1], np.int32))


def test_bad_arguments():
    for name, value in (
        ('frame_skip', 0),
        ('history', '3'),
        ('max_noop_frames', None),
        ('max_episode_frames', 0),
    ):
        with pytest.raises(ValueError, match=f'GameEnvironment.{name} = .* must be a whole number'):
            make(**{name: value})


@pytest.mark.parametrize('action', [[-1], [99], [0, 0], 0])
def test_actions_that_there_are_not(action):
    env = make()
    env.reset()
    with pytest.raises(ValueError, match='are not one from 0 to'):
        env.step(np.array(action))
