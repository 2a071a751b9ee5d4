"""The random players of several games."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest

from official.core import gin_source
from research.dqn import evaluation, games, random_play


def make(run_dir, **arguments):
    return random_play.RandomPlay(
        str(run_dir),
        episodes=2,
        **{'games': ('pong', 'breakout'), **arguments},
    )


def test_games_are_played_once_and_reported(tmp_path, monkeypatch):
    run = make(tmp_path)
    run.play()
    result = run.result()
    assert set(result['10hz']) == set(result['60hz']) == {'pong', 'breakout'}
    assert result['10hz']['pong'] < -18 and 0 <= result['10hz']['breakout'] < 10
    # Pong's two episodes are within 1.5 points of the paper's -20.7: 5 % of the human's distance.
    assert result['games_within_5_points'] >= 1 and result['games_in_the_table'] == 2
    assert json.loads((tmp_path / 'result.json').read_text()) == result
    report = pathlib.Path(run.report()).read_text()
    assert 'Breakout' in report and '-20.7' in report

    def refuse(*_, **__):
        raise AssertionError('It was played again.')

    monkeypatch.setattr(evaluation, 'random_play', refuse)
    make(tmp_path).play()


def test_the_sentence_of_the_six_games(tmp_path):
    """DQN's normalised score with a random player of 60 Hz, where it differs by more than 5."""
    run = make(tmp_path, games=('pong', 'breakout', 'krull'))
    row = games.table()['breakout']
    # Half of the human's lead over the paper's random player: DQN's percentage is another one.
    half = (row.human + row.random) / 2
    scores = {'pong': (-20.7, -20.6), 'breakout': (row.random, half), 'krull': (1598, 1598)}
    (tmp_path / 'scores.json').write_text(
        json.dumps(
            {
                game: {
                    hertz: {'score': score, 'score_std': 0.0}
                    for hertz, score in zip(('10', '60'), pair, strict=True)
                }
                for game, pair in scores.items()
            }
        )
    )
    changes = run.result()['dqn_changes_60hz']
    # Pong: 100 (18.9 + 20.6) / (9.3 + 20.6) is 0.1 more than with -20.7.
    assert set(changes) == {'breakout'}
    # 100 (401.2 - 16.75) / (31.8 - 16.75) - 100 (401.2 - 1.7) / (31.8 - 1.7).
    assert changes['breakout'] == pytest.approx(2554.49 - 1327.24, abs=0.02)
    text = pathlib.Path(run.report()).read_text()
    assert 'by more than 5 points in Breakout (+1227.2); in the paper in Boxing, Breakout,' in text
    assert games.CHANGED_BY_60_HZ == (
        'boxing',
        'breakout',
        'crazy_climber',
        'demon_attack',
        'krull',
        'robotank',
    )
    # "in all these games DQN outperformed the expert human by a considerable margin".
    assert all(
        games.table()[game].dqn > 1.1 * games.table()[game].human for game in games.CHANGED_BY_60_HZ
    )


def test_an_unknown_game_is_named_before_any_is_played(tmp_path):
    with pytest.raises(ValueError, match='no game pongg; did you mean pong'):
        make(tmp_path, games=('breakout', 'pongg'))


def test_the_command(tmp_path):
    """The flags arrive, and a mistake is one sentence."""
    command = [sys.executable, '-m', 'research.dqn.random_play', f'--output_dir={tmp_path}']
    environ = {**os.environ, 'PYTHONPATH': gin_source.ROOT}
    run = functools.partial(subprocess.run, env=environ, capture_output=True, text=True)
    done = run([*command, '--games=pong', '--episodes=1', '--seed=5'])
    assert done.stdout.splitlines()[-1] == str(tmp_path / 'report.html'), done.stderr
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['seed'] == 5 and set(result['10hz']) == {'pong'}
    assert run([*command, '--games=pongg']).stderr.splitlines()[-1].startswith(
        'error: ale-py has no game pongg; did you mean pong'
    )  # fmt: skip
