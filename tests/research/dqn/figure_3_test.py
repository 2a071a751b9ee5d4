import numpy as np
import pytest

from official.core import figures
from research.dqn import figure_3, games


@pytest.fixture
def drawn(monkeypatch):
    """Draws Figure 3; returns its axes, and its HTML."""

    def draw(measured=None):
        kept, svg = [], figures.svg
        monkeypatch.setattr(
            figures, 'svg', lambda drawing, *texts: kept.append(drawing) or svg(drawing, *texts)
        )
        text = figure_3.figure_3(measured)
        monkeypatch.setattr(figures, 'svg', svg)
        (axes,) = kept[0].axes
        return axes, text

    return draw


def bars(axes, label):
    """Widths from top to bottom, and the error bars' ends [games, 2] if there are any."""
    (container,) = (c for c in axes.containers if c.get_label() == label and hasattr(c, 'patches'))
    widths = np.array([bar.get_width() for bar in container])
    if container.errorbar is None:
        return widths, None
    return widths, np.array(
        [segment[:, 0] for segment in container.errorbar.lines[2][0].get_segments()]
    )


def points(axes):
    return {
        line.get_gid().removeprefix('measured-'): line
        for line in axes.lines
        if (line.get_gid() or '').startswith('measured-')
    }


def column(axes, x):
    return {
        round(text.xy[1]): text.get_text() for text in axes.texts if text.get_position() == (x, 0)
    }


def test_the_papers_order():
    order = figure_3.games_by_score()
    assert sorted(order) == sorted(games.GAMES)
    assert order[:6] == (
        'video_pinball',
        'boxing',
        'breakout',
        'star_gunner',
        'robotank',
        'atlantis',
    )
    assert order[20:24] == ('kung_fu_master', 'freeway', 'time_pilot', 'enduro')
    assert order[-3:] == ('gravitar', 'private_eye', 'montezuma_revenge')


def test_bars_are_the_tables_scores(drawn):
    axes, _ = drawn()
    order = figure_3.games_by_score()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [games.table()[game].name for game in order]
    dqn, ends = bars(axes, 'DQN (paper)')
    linear, _ = bars(axes, 'best linear learner (paper)')
    np.testing.assert_allclose(dqn, [games.table()[game].printed_percent for game in order], atol=1)
    pong, breakout = order.index('pong'), order.index('breakout')
    # Random -20.7, linear -19, human 9.3, DQN 18.9 with a standard deviation of 1.3.
    assert dqn[pong] == pytest.approx(132) and linear[pong] == pytest.approx(100 * 1.7 / 30)
    np.testing.assert_allclose(ends[pong], [132 - 130 / 30, 132 + 130 / 30])
    # A bar that the axis cuts keeps its number.
    assert dqn[breakout] > axes.get_xlim()[1]
    assert column(axes, 34)[breakout] == '1327 %' and column(axes, 34)[pong] == '132 %'


def test_29_games_are_above_the_dashed_line(drawn):
    axes, text = drawn()
    (line,) = (line for line in axes.lines if line.get_gid() == 'human-level')
    height = line.get_ydata()[0]
    dqn, _ = bars(axes, 'DQN (paper)')
    above = np.arange(49) < height
    assert above.sum() == 29 and (dqn[above] >= 75).all() and (dqn[~above] < 75).all()
    top, bottom = sorted(axes.get_ylim())
    assert top < -0.5 and bottom > 48.5
    assert '29 are at 75 % or above' in text


def test_one_measured_game(drawn):
    axes, text = drawn({'pong': (9.3, 3.0)})
    assert list(points(axes)) == ['pong']
    line = points(axes)['pong']
    row = figure_3.games_by_score().index('pong')
    np.testing.assert_allclose(line.get_xydata(), [[100, row]])
    (container,) = (c for c in axes.containers if hasattr(c, 'lines') and c.lines[0] is line)
    np.testing.assert_allclose(container.lines[2][0].get_segments()[0][:, 0], [90, 110])
    assert column(axes, 72) == {-1: 'here', row: '100 %'}
    assert 'Pong measured: 100 %' in text and 'Diamonds' in text


def test_no_measured_game(drawn):
    axes, text = drawn({})
    assert not points(axes) and 'Diamonds' not in text
    assert 'measured here' not in axes.get_legend_handles_labels()[1]


def test_all_games_measured_some_beyond_the_axis(drawn):
    measured = {game: (row.human, None) for game, row in games.table().items()}
    measured['double_dunk'] = (-24.0, 1.0)
    measured['boxing'] = (99.0, 1.0)
    axes, text = drawn(measured)
    lines = points(axes)
    assert set(lines) == set(games.GAMES)
    for game, line in lines.items():
        (x,) = line.get_xdata()
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        if game not in ('double_dunk', 'boxing'):
            assert x == pytest.approx(100) and line.get_marker() == 'D'
    assert lines['double_dunk'].get_marker() == '<' and lines['boxing'].get_marker() == '>'
    numbers = column(axes, 72)
    assert numbers[figure_3.games_by_score().index('double_dunk')] == '-174 %'
    assert len(text) < 500_000


def test_the_same_scores_give_the_same_bytes():
    assert figure_3.figure_3({'pong': (1.0, 2.0)}) == figure_3.figure_3({'pong': (1.0, 2.0)})


def test_a_game_outside_the_table():
    with pytest.raises(ValueError, match='Extended Data Table 2 has no game skiing'):
        figure_3.figure_3({'skiing': (0.0, None)})
