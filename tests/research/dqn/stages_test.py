"""Films of the agent at some moments of its training."""

import functools
import json

import numpy as np
import pytest
from PIL import Image

from research.dqn import environment, stages
from tests.research.dqn import tiny
from tests.research.dqn.scripted_game import ScriptedGame


def test_what_a_film_shows(tmp_path):
    env = environment.GameEnvironment(
        functools.partial(ScriptedGame, frames=10), frame_size=4, max_noop_frames=0
    )
    # V of a state is twice the brightness of its newest frame.
    stages.film(
        str(tmp_path),
        1000,
        1003,
        env,
        lambda step: np.array([1]),
        lambda states: np.stack([states[:, 0, 0, -1] * 2.0, states[:, 0, 0, -1] * 1.0], axis=1),
        agent_steps=7,
    )
    # Frames 0, 4 and 8 are the states of an episode of 10 frames that scores 1 + ... + 10.
    assert json.loads((tmp_path / 'stages' / '1000.json').read_text()) == {
        'agent_step': 1003,
        'agent_steps': 3,
        'score': 55.0,
        'is_whole': True,
        'mean_value': 8.0,
        'highest_value': 16.0,
    }
    with Image.open(tmp_path / 'stages' / '1000.gif') as film:
        assert film.n_frames == 3
    text = stages.html(str(tmp_path))
    assert text.count('data:image/gif') == 1
    assert 'After 1003 agent steps: an episode, score 55, V on average 8.00, at most 16.00.' in text
    assert stages.html(str(tmp_path / 'nowhere')) == ''


def test_a_run_is_filmed_on_its_way(tmp_path):
    run = tiny.make(
        tmp_path,
        film_at_agent_steps=(1, 250, 10**6),
        train_agent_steps=400,
        evaluate_every_agent_steps=None,
    )
    run.train()
    shown = {at: json.loads((tmp_path / 'stages' / f'{at}.json').read_text()) for at in (1, 250)}
    # The first checkpoints from then on are those of 200 and 400.
    assert [shown[at]['agent_step'] // 100 for at in (1, 250)] == [2, 4]
    assert shown[1]['mean_value'] != shown[250]['mean_value']
    assert len(list((tmp_path / 'stages').iterdir())) == 4
    plain = tiny.make(tmp_path / 'plain', train_agent_steps=400, evaluate_every_agent_steps=None)
    plain.train()
    for one, other in zip(run.model.variables, plain.model.variables, strict=True):
        np.testing.assert_array_equal(one, other)  # A film changes nothing.


def test_a_film_that_fails_ends_no_training(tmp_path, capfd, monkeypatch):
    def fail(*_, **__):
        raise OSError('No space left on device')

    monkeypatch.setattr(stages, 'film', fail)
    tiny.make(
        tmp_path, film_at_agent_steps=(1,), train_agent_steps=200, evaluate_every_agent_steps=None
    ).train()
    assert 'The film at agent step 200 could not be made: OSError: No space' in (
        capfd.readouterr().err
    )


def test_moments_are_agent_steps(tmp_path):
    with pytest.raises(ValueError, match='DqnExperiment.film_at_agent_steps = 0 must be a whole'):
        tiny.make(tmp_path, film_at_agent_steps=(0,))
