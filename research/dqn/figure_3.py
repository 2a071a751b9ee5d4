"""Figure 3 of Mnih et al. 2015: DQN beside the best linear learner on 49 games, human = 100 %."""

from __future__ import annotations

from collections.abc import Mapping

from official.core import figures
from research.dqn import games

HUMAN_LEVEL_PERCENT = 75.0  # "operationalized as a level of 75% or above"
_LOW, _HIGH = -50.0, 650.0
_DQN, _LINEAR, _MEASURED = figures.PALETTE[0], '#aab4be', figures.PALETTE[1]


def figure_3(
    measured: Mapping[str, tuple[float, float | None]] | None = None,
    measured_name: str = 'measured here',
) -> str:
    """The bars of Figure 3 from Extended Data Table 2, with scores of one's own over them.

    Deviations from the paper's figure:

    * Its axis is linear to 600 % and broken twice beyond; this one ends at 650 %, and the three
      bars that are longer (Breakout, Boxing, Video Pinball) are cut. The numbers stand in a
      column, so that an error bar hides none.
    * Bars and numbers follow from the table's scores; the figure prints its last column, which
      differs in five games (`games.Scores`).
    * Error bars are cut at the axis' ends, too.

    Args:
      measured: by ROM id, mean and standard deviation of the episodes' scores, in points of the
        game; None as a standard deviation draws no error bar.
      measured_name: what they are, for the legend.

    Returns:
      An HTML figure.

    Raises:
      ValueError: the table has no such game.
    """
    measured = dict(measured or {})
    for game in measured:
        games.human_normalized_percent(0.0, game)  # Raises before anything is drawn.
    order = games_by_score()
    with figures.figure(6.6, 9.8) as drawing:
        axes = drawing.add_subplot(xlabel="score, % of the human games tester's (0 %: random play)")
        _bars(axes, order)
        for row, game in enumerate(order):
            if game in measured:
                _point(axes, row, game, *measured[game])
        if measured:
            axes.plot([], [], 'D', color=_MEASURED, markersize=4.5, label=measured_name)
        _columns(axes, order, measured)
        _division(axes, order)
        axes.set_xlim(_LOW, _HIGH)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xticks(range(0, 700, 100), [f'{tick} %' for tick in range(0, 700, 100)])
        axes.set_yticks(
            range(len(order)), [games.table()[game].name for game in order], fontsize=7.5
        )
        axes.tick_params('y', length=0, labelcolor=figures.INK)
        axes.grid(False, axis='y')
        drawing.legend(loc='outside lower center', ncols=3, handlelength=1.4)
        return figures.svg(drawing, _alt(order, measured), _caption(measured))


def games_by_score() -> tuple[str, ...]:
    """The ROM ids in Figure 3's order: by DQN's normalised score, the highest first."""
    return tuple(sorted(games.GAMES, key=lambda game: -_paper(game)))


def _paper(game: str) -> float:
    return games.human_normalized_percent(games.table()[game].dqn, game)


def _std_percent(std: float, game: str) -> float:
    scores = games.table()[game]
    return 100 * std / (scores.human - scores.random)


def _bars(axes, order):
    table = games.table()
    errors = [_std_percent(table[game].dqn_std, game) for game in order]
    linear = [games.human_normalized_percent(table[game].linear, game) for game in order]
    rows = range(len(order))
    axes.barh(
        [row - 0.19 for row in rows],
        [_paper(game) for game in order],
        0.42,
        color=_DQN,
        xerr=errors,
        error_kw={'ecolor': figures.INK, 'elinewidth': 0.7, 'capsize': 1.5, 'capthick': 0.7},
        label='DQN (paper)',
    )
    axes.barh(
        [row + 0.23 for row in rows],
        linear,
        0.3,
        color=_LINEAR,
        label='best linear learner (paper)',
    )
    for row, game in enumerate(order):
        for height, value in ((row - 0.19, _paper(game)), (row + 0.23, linear[row])):
            if value > _HIGH:  # A white slash through the bar: it goes on.
                axes.plot(
                    [_HIGH - 17, _HIGH - 11],
                    [height + 0.3, height - 0.3],
                    color='white',
                    linewidth=2.2,
                )
    axes.axvline(0, color=figures.SOFT, linewidth=0.8)
    axes.axvline(100, color=figures.SOFT, linewidth=0.8, linestyle=(0, (1, 2)))


def _point(axes, row, game, mean, std):
    percent = games.human_normalized_percent(mean, game)
    shown = min(max(percent, _LOW + 8), _HIGH - 8)
    # Beyond the axis an arrowhead at its end stands for the point.
    marker = 'D' if shown == percent else '>' if percent > shown else '<'
    error = None if std is None or shown != percent else _std_percent(std, game)
    points = axes.errorbar(
        [shown],
        [row],
        xerr=error,
        fmt=marker,
        color=_MEASURED,
        markersize=5,
        markeredgecolor='white',
        markeredgewidth=0.5,
        ecolor=_MEASURED,
        elinewidth=1.0,
        capsize=2,
        zorder=5,
    )
    points.lines[0].set_gid(f'measured-{game}')


def _columns(axes, order, measured):
    """The percentages, right of the axis."""
    across = axes.get_yaxis_transform()
    columns = [(34, _DQN, 'DQN', {game: _paper(game) for game in order})]
    if measured:
        columns.append(
            (
                72,
                _MEASURED,
                'here',
                {
                    game: games.human_normalized_percent(mean, game)
                    for game, (mean, _) in measured.items()
                },
            )
        )
    for points, color, title, percents in columns:
        texts = [(-1.1, title)] + [
            (row, f'{round(percents[game])} %')
            for row, game in enumerate(order)
            if game in percents
        ]
        for row, text in texts:
            axes.annotate(
                text,
                (1, row),
                (points, 0),
                across,
                'offset points',
                color=color,
                ha='right',
                va='center',
                fontsize=7.5,
            )


def _division(axes, order):
    """The dashed line between the games at human level and those below."""
    line = sum(_paper(game) >= HUMAN_LEVEL_PERCENT for game in order) - 0.5
    axes.axhline(line, color=figures.INK, linewidth=1, linestyle='--', gid='human-level')
    for offset, text in ((-0.25, 'at human level or above'), (0.25, 'below human level')):
        axes.text(
            _HIGH - 4,
            line + offset,
            text,
            ha='right',
            fontsize=8.5,
            fontstyle='italic',
            va='bottom' if offset < 0 else 'top',
        )


def _alt(order, measured) -> str:
    at_level = sum(_paper(game) >= HUMAN_LEVEL_PERCENT for game in order)
    parts = [
        f"DQN's scores in {len(order)} games as percentages of the human tester's: "
        f'{at_level} are at {HUMAN_LEVEL_PERCENT:g} % or above'
    ]
    parts += [
        f'{games.table()[game].name} measured: {games.human_normalized_percent(mean, game):.0f} %'
        for game, (mean, _) in list(measured.items())[:5]
    ]
    return '; '.join(parts)


def _caption(measured) -> str:
    text = (
        'Scores of Extended Data Table 2 on the scale 100 (score - random) / (human - random), '
        "in the order of DQN's; error bars are standard deviations over the evaluation "
        f'episodes. The axis is linear and ends at {_HIGH:g} %: bars with a white slash are '
        f'cut. Human level is {HUMAN_LEVEL_PERCENT:g} % (dashed line).'
    )
    if measured:
        text += (
            " Diamonds are this project's scores on the same scale; an arrowhead at the "
            "axis' end lies beyond it."
        )
    return text
