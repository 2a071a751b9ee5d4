"""Recordings of play."""

import functools

import numpy as np
import pytest

from research.dqn import environment, recording
from tests.research.dqn.scripted_game import ScriptedGame, encoded


def play(agent_steps):
    env = environment.GameEnvironment(
        functools.partial(ScriptedGame, frames=10), frame_size=4, max_noop_frames=0
    )
    return recording.record(env, lambda step: np.array([2]), agent_steps)


def test_states_actions_and_rewards_belong_together():
    seen = play(7)
    # Frames 4, 8 and 10 end the steps of an episode of 10 frames.
    assert list(seen.rewards) == [10, 26, 19] * 2 + [10]
    assert list(seen.last) == [False, False, True] * 2 + [False]
    assert [int(frame[0, 0, -1]) for frame in seen.observations] == [0, 4, 8] * 2 + [0]
    np.testing.assert_array_equal(seen.observations[2][..., -2], encoded(4))
    # The screen is the larger of the last two frames.
    assert [int(screen[0, 0, 0]) for screen in seen.screens] == [0, 4, 8] * 2 + [0]
    assert set(seen.actions) == {2}
    assert seen.first_episode == slice(0, 3)
    assert play(2).first_episode == slice(0, 2)


def test_saved_and_loaded(tmp_path):
    seen = play(7)
    recording.save(seen, str(tmp_path / 'r.npz'))
    again = recording.load(str(tmp_path / 'r.npz'), (4, 4, 4))
    for one, other in zip(seen, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_bad_files(tmp_path):
    path = str(tmp_path / 'r.npz')
    with pytest.raises(FileNotFoundError, match='r.npz does not exist'):
        recording.load(path, (4, 4, 4))
    recording.save(play(3), path)
    with pytest.raises(ValueError, match=r'r.npz has observations \(4, 4, 4\), not \(84, 84, 4\)'):
        recording.load(path, (84, 84, 4))
    data = (tmp_path / 'r.npz').read_bytes()
    for damaged in (data[: len(data) // 2], b'no zip', b''):
        (tmp_path / 'r.npz').write_bytes(damaged)
        with pytest.raises(ValueError, match='r.npz is no recording of a game'):
            recording.load(path, (4, 4, 4))
    np.savez(path, observations=np.zeros((2, 4, 4, 4)))
    with pytest.raises(ValueError, match='r.npz is no recording of a game'):
        recording.load(path, (4, 4, 4))
    np.savez(path, observations=np.array([object()]))
    with pytest.raises(ValueError, match='r.npz is no recording of a game'):
        recording.load(path, (4, 4, 4))
    np.savez(path, **{**play(3)._asdict(), 'rewards': np.zeros(2)})
    with pytest.raises(ValueError, match='columns of different lengths'):
        recording.load(path, (4, 4, 4))
