"""Figure 3 with the scores of a whole suite."""

import json
import os
import re

import pytest

from research.dqn import games, games_suite

FILES = [f'gin_configs/dqn/nature/{game}.gin' for game in ('pong', 'breakout', 'tennis')]


def made(run_dir, results):
    """A suite whose experiments have these results."""
    suite = games_suite.GamesSuite(str(run_dir), files=FILES, title='Three games')
    os.makedirs(run_dir, exist_ok=True)
    for name, result in results.items():
        os.makedirs(run_dir / name)
        (run_dir / name / 'result.json').write_text(json.dumps(result))
    suite.evaluate()
    return open(suite.report(), encoding='utf-8').read()


def test_figure_3_has_every_game_of_the_suite(tmp_path):
    # The human's score, half way to it, and the random player's: 100, 50 and 0 %.
    breakout = (games.table()['breakout'].human + games.table()['breakout'].random) / 2
    text = made(
        tmp_path,
        {
            'pong': {'game': 'pong', 'score': 9.3, 'score_std': 1.0},
            'breakout': {
                'game': 'breakout',
                'score': {'mean': breakout, 'std': 2.0, 'values': [1, 2]},
            },
            'tennis': {'game': 'tennis', 'score': -23.8, 'score_std': 0.0},
        },
    )
    assert re.findall(r'\w+ measured: \d+ %', text) == [
        'Pong measured: 100 %',
        'Breakout measured: 50 %',
        'Tennis measured: 0 %',
    ]
    # Breakout's 16.75 is above the linear learner's 5.2, Pong's 9.3 above -19, Tennis' below -.1.
    assert (
        'Of 3 games measured here, 1 have more than 75 % of the human score (paper: 29 of 49), '
        'and 2 a higher one than the best linear learner (paper: 43 of 49).'
    ) in text


def test_a_suite_that_has_begun(tmp_path):
    text = made(tmp_path, {'pong': {'game': 'pong', 'score': 9.3, 'score_std': 1.0}})
    assert re.findall(r'\w+ measured: \d+ %', text) == ['Pong measured: 100 %']
    assert 'Not run: breakout, tennis.' in text
    empty = made(tmp_path / 'empty', {})
    assert 'No experiment of a game of Extended Data Table 2 has a result yet.' in empty


def test_one_score_a_game():
    found = {name: {'game': 'pong', 'score': 1.0, 'score_std': 0.0} for name in ('one', 'two')}
    with pytest.raises(ValueError, match='two is a second experiment of the game pong'):
        games_suite.measured(found)
    assert games_suite.measured({'other': {'game': 'catch', 'score': 1.0}, 'rates': {}}) == {}
