"""Score and predicted value during training (Figure 2 of Mnih et al. 2015), as a piece of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from official.core import figures, page


def figure(
    rows: Sequence[Mapping[str, float]],
    *,
    random_score: float | None = None,
    paper_score: float | None = None,
    agent_steps_per_epoch: int | None = None,
) -> str:
    """Figure 2: average score per episode and average predicted Q during training.

    Deviations from the paper's figure: a band shows the episodes' standard deviation.

    Args:
      rows: evaluations: 'step' in agent steps and, where known, 'score' and 'score_std' (mean and
        standard deviation of the episodes' scores) and 'predicted_q' (mean of max_a Q over
        held-out states).
      random_score: the random player's, drawn as a line.
      paper_score: the paper's, drawn as a line.
      agent_steps_per_epoch: if given, the x axis counts epochs of so many agent steps.

    Returns:
      Two HTML figures side by side; in place of one without values, a paragraph.
    """
    unit = agent_steps_per_epoch or 1
    x_label = (
        'agent steps'
        if agent_steps_per_epoch is None
        else (f'training epochs of {page.number(agent_steps_per_epoch)} agent steps')
    )
    lines = {
        name: score
        for name, score in (('random player', random_score), ('paper', paper_score))
        if score is not None
    }
    charts = (
        _chart(rows, 'score', 'Average score per episode', x_label, unit, lines),
        _chart(rows, 'predicted_q', 'Average predicted Q', x_label, unit, {}),
    )
    return f'<div class=figures>{"".join(charts)}</div>'


def _chart(rows, key, title, x_label, unit, lines) -> str:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    known = [row for row in rows if row.get(key) is not None and np.isfinite(row[key])]
    if not known:
        return page.paragraph(f'{title}: no values.')
    steps = np.array([row['step'] for row in known]) / unit
    values = np.array([row[key] for row in known], np.float64)
    spreads = np.array([row.get(f'{key}_std') or 0.0 for row in known], np.float64)
    with figures.figure(4.8, 3.0) as drawing:
        axes = drawing.add_subplot(title=title, xlabel=x_label)
        if spreads.any():
            axes.fill_between(
                steps,
                values - spreads,
                values + spreads,
                linewidth=0,
                alpha=0.18,
                color=figures.PALETTE[0],
                label='± standard deviation of episodes',
            )
        axes.plot(
            steps,
            values,
            color=figures.PALETTE[0],
            marker='o',
            markersize=2.5,
            gid=key,
            label=f'DQN: {values[-1]:.4g}',
        )
        # At most two lines.
        for (name, value), dashes in zip(lines.items(), (':', '--'), strict=False):
            axes.axhline(
                value,
                color=figures.INK,
                linewidth=1,
                linestyle=dashes,
                label=f'{name}: {value:.4g}',
            )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: page.number(step)))
        drawing.legend(loc='outside lower left', ncols=2)
        return figures.svg(drawing, f'{title}: {values[0]:.4g} at first, {values[-1]:.4g} at last')
