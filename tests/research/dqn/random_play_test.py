"""The random players of several games."""

import json

import pytest

from research.dqn import atari
from research.dqn import environment
from research.dqn import evaluation
from research.dqn import random_play


def make(run_dir, **arguments):
    return random_play.RandomPlay(
        str(run_dir), environment=environment.GameEnvironment, game=atari.AtariGame, episodes=2,
        **{'games': ('pong', 'breakout'), **arguments})


def test_games_are_played_once_and_reported(tmp_path, monkeypatch):
    run = make(tmp_path)
    run.train()
    result = run.evaluate()
    assert set(result['10hz']) == set(result['60hz']) == {'pong', 'breakout'}
    assert result['10hz']['pong'] < -18 and 0 <= result['10hz']['breakout'] < 10
    # Pong's two episodes are within 1.5 points of the paper's -20.7: 5 % of the human's distance.
    assert result['games_within_5_points'] >= 1 and result['games_in_the_table'] == 2
    assert json.loads((tmp_path / 'result.json').read_text()) == result
    report = open(run.report(), encoding='utf-8').read()
    assert 'Breakout' in report and '-20.7' in report

    def refuse(*_, **__):
        raise AssertionError('It was played again.')
    monkeypatch.setattr(evaluation, 'random_play', refuse)
    make(tmp_path).train()


def test_an_unknown_game_is_named_before_any_is_played(tmp_path):
    with pytest.raises(ValueError, match='no game pongg; did you mean pong'):
        make(tmp_path, games=('breakout', 'pongg'))


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__]))
