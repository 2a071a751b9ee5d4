import os
import re
import sys

import pytest

from research.dqn import games

# Read off the paper's page, not off the file: random, linear, contingency, human, DQN, its
# standard deviation, per cent of the human.
PRINTED = {
    'alien': ('Alien', 227.8, 939.2, 103.2, 6875, 3069, 1093, 42.7),
    'amidar': ('Amidar', 5.8, 103.4, 183.6, 1676, 739.5, 3024, 43.9),
    'breakout': ('Breakout', 1.7, 5.2, 6.1, 31.8, 401.2, 26.9, 1327.2),
    'double_dunk': ('Double Dunk', -18.6, -13.1, -16, -15.5, -18.1, 2.6, 17.1),
    'enduro': ('Enduro', 0, 129.1, 159.4, 309.6, 301.8, 24.6, 97.5),
    'hero': ('H.E.R.O.', 1027, 6459, 7295, 25763, 19950, 158, 76.5),
    'kung_fu_master': ('Kung-Fu Master', 258.5, 19544, 29151, 22736, 23270, 5955, 102.4),
    'montezuma_revenge': ("Montezuma's Revenge", 0, 10.7, 259, 4367, 0, 0, 0.0),
    'pong': ('Pong', -20.7, -19, -17.4, 9.3, 18.9, 1.3, 132.0),
    'qbert': ('Q*Bert', 163.9, 613.5, 960.3, 13455, 10596, 3294, 78.5),
    'riverraid': ('River Raid', 1339, 1904, 2650, 13513, 8316, 1049, 57.3),
    'seaquest': ('Seaquest', 68.4, 664.8, 675.5, 20182, 5286, 1310, 25.9),
    'space_invaders': ('Space Invaders', 148, 250.1, 267.9, 1652, 1976, 893, 121.5),
    'up_n_down': ('Up and Down', 533.4, 3533, 2449, 9082, 8456, 3162, 92.7),
    'zaxxon': ('Zaxxon', 32.5, 3365, 21.4, 9173, 4977, 1235, 54.1),
}


def computed(game):
    return games.human_normalized_percent(games.table()[game].dqn, game)


def test_rows_are_the_papers():
    table = games.table()
    for game, row in PRINTED.items():
        assert table[game] == row


def test_columns_sum_to_what_the_printed_ones_do():
    rows = games.table().values()
    sums = {'random': 60114.5, 'linear': 189868.5, 'contingency': 83851.1, 'human': 438093.0,
            'dqn': 517034.6, 'dqn_std': 127437.0, 'printed_percent': 11814.2}
    for column, total in sums.items():
        assert sum(getattr(row, column) for row in rows) == pytest.approx(total, abs=.01), column


def test_the_49_games_in_the_tables_order_are_roms():
    assert len(games.GAMES) == 49 and games.GAMES == tuple(games.table())
    names = [re.sub('[^a-z]', '', row.name.lower()) for row in games.table().values()]
    # The paper's order is the alphabet's.
    assert names == sorted(names)
    for game in games.GAMES:
        path = games.check_game(game)
        assert os.path.isfile(path) and os.path.basename(path) == f'{game}.bin'


def test_games_outside_the_table_can_be_played():
    assert games.check_game('skiing').endswith('skiing.bin')


def test_percentages_are_the_printed_ones():
    assert games.human_normalized_percent(-20.7, 'pong') == 0
    assert games.human_normalized_percent(9.3, 'pong') == 100
    assert games.human_normalized_percent(-5.7, 'pong') == pytest.approx(50)
    # Five do not follow from the columns: Double Dunk by 0.97, four others by less. The rest do
    # to the printed digit, give or take how it was cut.
    off = {game: abs(computed(game) - row.printed_percent) for game, row in games.table().items()}
    assert max(off.values()) < 1
    assert {game for game in off if off[game] > .1} == {
        'boxing', 'double_dunk', 'robotank', 'tennis', 'video_pinball'}


def test_what_the_paper_says_of_the_table():
    rows = games.table()
    # "more than 75% of the human score on more than half of the games (29 games)".
    assert sum(computed(game) > 75 for game in rows) == 29
    # "outperforms the best existing reinforcement learning methods on 43 of the games": so it is
    # of the linear learners alone. Beside the contingency learner's column it is 42, as that is
    # ahead in Kung-Fu Master too.
    behind_linear = {game for game, row in rows.items() if row.dqn <= row.linear}
    assert behind_linear == {'bowling', 'centipede', 'double_dunk', 'gravitar',
                             'montezuma_revenge', 'tennis'}
    behind_either = {game for game, row in rows.items()
                     if row.dqn <= max(row.linear, row.contingency)}
    assert behind_either == behind_linear | {'kung_fu_master'}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        games.table()['pong'] = None


@pytest.mark.parametrize('written, meant', [
    ('Pong', 'pong'), ('PongNoFrameskip-v4', 'pong'), ('ALE/Pong-v5', 'pong'),
    ('Pong-ram-v0', 'pong'), ('MsPacmanDeterministic-v4', 'ms_pacman'),
    ('ALE/UpNDown-v5', 'up_n_down'), ('space-invaders', 'space_invaders'),
    ('spaceinvaders', 'space_invaders'), ('SpaceInvader', 'space_invaders'),
    ('Ms. Pacman', 'ms_pacman'), ('Q*Bert', 'qbert'), ('Up and Down', 'up_n_down'),
    ("Montezuma's Revenge", 'montezuma_revenge'), ('ALE/RiverRaid-v5', 'riverraid'),
    ('H.E.R.O.', 'hero'), ('breakot', 'breakout')])
def test_other_spellings_are_refused_with_the_right_name(written, meant):
    for function in (games.check_game, lambda game: games.human_normalized_percent(1., game)):
        with pytest.raises(ValueError) as caught:
            function(written)
        message = str(caught.value)
        assert message.count(written) == 1 and '\n' not in message
        assert re.search(rf'did you mean {meant}\b', message)


def test_a_game_far_from_all():
    with pytest.raises(ValueError, match=r'^ale-py has no game xxxxxxxx\.$'):
        games.check_game('xxxxxxxx')
    with pytest.raises(ValueError, match='no game skiing'):
        games.human_normalized_percent(0., 'skiing')


def test_a_missing_or_damaged_rom(tmp_path, monkeypatch):
    monkeypatch.setenv('ALE_ROMS_DIR', str(tmp_path))
    path = tmp_path / 'pong.bin'
    with pytest.raises(FileNotFoundError, match=f'{path} is missing; set ALE_ROMS_DIR'):
        games.check_game('pong')
    path.write_bytes(b'not a game')
    with pytest.raises(OSError, match=f'{path} cannot be read or is damaged'):
        games.check_game('pong')
    monkeypatch.delenv('ALE_ROMS_DIR')
    from ale_py import roms
    monkeypatch.setattr(roms, '__file__', str(tmp_path / 'roms' / '__init__.py'))
    with pytest.raises(FileNotFoundError, match=r'roms/pong\.bin is missing; reinstall ale-py'):
        games.check_game('pong')


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
