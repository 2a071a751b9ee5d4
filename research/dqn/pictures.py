"""The report's pictures of what an agent has learned, after the figures of Mnih et al. 2015.

Each function takes arrays and returns a piece of HTML: `embedding` is Figure 4, `two_players`
Extended Data Figure 1, `values_along` Extended Data Figure 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from official.core import figures, page
from research.dqn import selection

_VALUES = 'turbo'  # Dark blue to dark red, and no two of its colours alike in between.
_BLUE, _ORANGE = figures.PALETTE[0], figures.PALETTE[4]
_DOTS_PER_INCH = 200  # Of the parts of a chart that are pixels: points and screenshots.


def embedding(
    hidden: np.ndarray,
    values: np.ndarray,
    screens: Sequence[np.ndarray],
    seed: int,
    *,
    shots: int = 8,
    most: int = 3000,
) -> str:
    """Figure 4: t-SNE of the last hidden layer, coloured by state value, with screenshots.

    Deviations from the paper's figure:

    * The paper chose its screenshots by hand. Here the first two show the highest and the lowest
      value, and each further one the state farthest from those shown, in the plane and the value.
    * Screenshots stand in two columns beside the points, not among them.

    Args:
      hidden: activations of the last hidden layer, float [N, units].
      values: V = max_a Q(s, a), float [N].
      screens: RGB, uint8, N of [height, width, 3].
      seed: where t-SNE begins, and which states are left out when there are more than `most`.
      shots: screenshots, at most.
      most: points, at most; t-SNE takes a minute for 3000.

    Returns:
      An HTML figure, or a paragraph that says why there is none.

    Raises:
      ValueError: not one value and one screen for each state.
    """
    hidden, values = np.asarray(hidden), np.asarray(values, np.float64)
    _check_lengths(hidden=hidden, values=values, screens=screens)
    kept = _thinned(len(hidden), most, seed)
    reason = _nothing_to_draw(hidden[kept], values[kept])
    if reason:
        return page.paragraph(reason)
    points, values = selection.flat(hidden[kept], seed), values[kept]
    chosen = selection.spread(
        np.column_stack([points, values]), [int(values.argmax()), int(values.argmin())], shots
    )
    with figures.figure(6.6, 5.0) as drawing:
        axes = _beside_screens(drawing)
        scatter = axes.scatter(
            *points.T, s=_dot(len(points)), c=values, cmap=_VALUES, linewidth=0, rasterized=True
        )
        bar = drawing.colorbar(scatter, ax=axes, location='bottom', shrink=0.7, aspect=35, pad=0.02)
        bar.set_label('V = max Q, discounted clipped reward')
        bar.outline.set_visible(False)
        _add_screens(
            drawing,
            axes,
            points[chosen],
            [screens[kept[index]] for index in chosen],
            [scatter.to_rgba(values[index]) for index in chosen],
            [f'V = {values[index]:.2f}' for index in chosen],
        )
        return figures.svg(
            drawing,
            f't-SNE of the last hidden layer in {len(points)} states, values '
            f'{values.min():.3g} to {values.max():.3g}, with {len(chosen)} screenshots',
            f'Each point is a state ({_share(len(points), len(hidden))}), its place the t-SNE of '
            "the last hidden layer, its colour and the screenshots' borders the value that the "
            'network predicts. Near points are near in the network; distances between far groups '
            'mean nothing.',
        )


def two_players(
    hidden_agent: np.ndarray,
    hidden_other: np.ndarray,
    screens_agent: Sequence[np.ndarray],
    screens_other: Sequence[np.ndarray],
    seed: int,
    other_name: str,
    *,
    shots: int = 8,
    most: int = 3000,
) -> str:
    """Extended Data Figure 1: one t-SNE of the states of two players, as one network sees them.

    Screenshots are of states far from each other, half of either player's; they stand in two
    columns beside the points, not among them as in the paper.

    Args:
      hidden_agent: activations of the last hidden layer in the agent's own states, float
        [N, units]; drawn blue.
      hidden_other: the same network's in the other player's states, float [M, units]; orange.
      screens_agent: RGB, uint8, N of [height, width, 3].
      screens_other: the same of the other player, M of them.
      seed: where t-SNE begins, the order of drawing, and which states are left out.
      other_name: who the other player is, such as 'random player' (in the paper, a human).
      shots: screenshots, at most.
      most: points, at most, of both players together.

    Returns:
      An HTML figure, or a paragraph that says why there is none.

    Raises:
      ValueError: not one screen for each state, or numbers of units that differ.
    """
    hidden_agent, hidden_other = np.asarray(hidden_agent), np.asarray(hidden_other)
    _check_lengths(hidden_agent=hidden_agent, screens_agent=screens_agent)
    _check_lengths(hidden_other=hidden_other, screens_other=screens_other)
    if hidden_agent.shape[1:] != hidden_other.shape[1:]:
        raise ValueError(
            f'hidden_agent {list(hidden_agent.shape)} and hidden_other '
            f'{list(hidden_other.shape)} are not of one network.'
        )
    counts = len(hidden_agent), len(hidden_other)
    kept = _thinned(sum(counts), most, seed)
    hidden, other = np.concatenate([hidden_agent, hidden_other])[kept], kept >= counts[0]
    reason = _nothing_to_draw(hidden)
    if reason:
        return page.paragraph(reason)
    points = selection.flat(hidden, seed)
    # Half of either player, the second's far from the first's too.
    start = np.linalg.norm(points - points.mean(0), axis=1).argmax()
    chosen = selection.spread(points, [int(start)], math.ceil(shots / 2), other == other[start])
    chosen = selection.spread(points, chosen, shots, other != other[start])
    # In random order, so that neither player's points lie on top.
    order = np.random.RandomState(seed).permutation(len(points))
    with figures.figure(6.6, 5.0) as drawing:
        axes = _beside_screens(drawing)
        axes.scatter(
            *points[order].T,
            s=_dot(len(points)),
            linewidth=0,
            rasterized=True,
            alpha=0.8,
            c=np.where(other, _ORANGE, _BLUE)[order],
        )
        for name, color in (('DQN', _BLUE), (other_name, _ORANGE)):
            axes.plot([], [], 'o', color=color, markersize=5, label=name)
        drawing.legend(loc='outside lower center', ncols=2)
        _add_screens(
            drawing,
            axes,
            points[chosen],
            [
                screens_other[kept[index] - counts[0]]
                if other[index]
                else screens_agent[kept[index]]
                for index in chosen
            ],
            [_ORANGE if other[index] else _BLUE for index in chosen],
        )
        return figures.svg(
            drawing,
            f't-SNE of the last hidden layer in {int((~other).sum())} states of DQN and '
            f'{int(other.sum())} of the {other_name}, with {len(chosen)} screenshots',
            f'Each point is a state ({_share(len(points), sum(counts))}), its place the t-SNE of '
            f"DQN's last hidden layer: blue while DQN plays, orange while the {other_name} does. "
            "Where colours mix, the network sees both players' states alike.",
        )


def values_along(
    q_values: np.ndarray,
    rewards: np.ndarray,
    screens: Sequence[np.ndarray],
    action_names: Sequence[str],
    marks: int = 4,
    *,
    rise_agent_steps: int = 15,
    window_agent_steps: int = 40,
) -> str:
    """Extended Data Figure 2: the values that the network predicts along an episode.

    Above, V = max_a Q with the rewards and numbered moments; their screenshots; below, as in part
    b, every action's value around the moment near which the actions' values differ most.

    Deviations from the paper's figure:

    * The paper chose the moments by hand; here they are those of `selection.largest_rises`.
    * Rewards are drawn; both parts are of one game.

    Args:
      q_values: Q(s, a) in each state of the episode, float [T, A].
      rewards: of the action chosen in each state, float [T].
      screens: RGB, uint8, T of [height, width, 3].
      action_names: names of the A actions.
      marks: numbered moments, at most.
      rise_agent_steps: in how many steps V rises.
      window_agent_steps: steps shown below.

    Returns:
      An HTML figure, or a paragraph that says why there is none.

    Raises:
      ValueError: not one reward and screen for each state, or one name for each action.
    """
    q_values = np.asarray(q_values, np.float64)
    rewards = np.asarray(rewards, np.float64)
    _check_lengths(q_values=q_values, rewards=rewards, screens=screens)
    if q_values.ndim != 2 or q_values.shape[1] != len(action_names):
        raise ValueError(
            f'q_values {list(q_values.shape)} are not those of the '
            f'{len(action_names)} actions {", ".join(action_names)}.'
        )
    if len(q_values) < 2 or not np.isfinite(q_values).all():
        return page.paragraph(
            f'No picture: an episode of {len(q_values)} steps, or values that are not finite.'
        )
    values = q_values.max(1)
    moments = selection.largest_rises(values, marks, rise_agent_steps)
    start, end, center = _window(q_values, moments, window_agent_steps)
    with figures.figure(6.6, 6.2) as drawing:
        grid = drawing.add_gridspec(3, len(moments), height_ratios=(1.25, 1, 1.25))
        along = drawing.add_subplot(grid[0, :], xlabel='agent step', ylabel='V = max Q')
        along.plot(values, color=figures.INK, linewidth=1, gid='value')
        along.axvspan(start, end - 1, color='#eef2f6', zorder=0)
        _rewards(along, rewards)
        _numbers(along, moments)
        along.margins(x=0.01)
        for index, moment in enumerate(moments):
            _screen(
                drawing.add_subplot(grid[1, index]),
                screens[moment],
                figures.SOFT,
                f'{index + 1}: V = {values[moment]:.2f}',
            )
        around = drawing.add_subplot(grid[2, :], xlabel='agent step', ylabel='Q')
        steps = np.arange(start, end)
        colors = _action_colors(len(action_names))
        for action, name in enumerate(action_names):
            around.plot(
                steps,
                q_values[start:end, action],
                color=colors[action],
                linewidth=1.2,
                label=name,
                gid=f'action-{action}',
            )
        _numbers(around, moments, start, end)
        around.margins(x=0.01)
        labelled = [axes.get_legend_handles_labels() for axes in (around, along)]
        drawing.legend(
            *(actions + kinds for actions, kinds in zip(*labelled, strict=True)),
            fontsize=7,
            loc='outside lower center',
            ncols=7,
            handlelength=1.2,
            columnspacing=1.2,
        )
        return figures.svg(
            drawing,
            f'Predicted value over the {len(values)} steps of an episode, from '
            f'{values.min():.3g} to {values.max():.3g}, with {len(moments)} numbered moments',
            f'Top: the predicted value of each state of an episode; numbered are the moments at '
            f'the end of its largest rises within {rise_agent_steps} agent steps, whose screens '
            f'follow. Bottom: the value of every action around moment {center + 1} (shaded '
            'above), near which they differ most.',
        )


def _check_lengths(**arrays):
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            'not one of each for every state: '
            + ', '.join(f'{length} {name}' for name, length in lengths.items())
            + '.'
        )


def _nothing_to_draw(hidden, values=None) -> str:
    if len(hidden) < 3:
        return f'No picture: {len(hidden)} states.'
    if not np.isfinite(hidden).all() or (values is not None and not np.isfinite(values).all()):
        return 'No picture: activations or values are not finite.'
    return 'No picture: the network sees all states alike.' if not np.ptp(hidden, 0).any() else ''


def _thinned(number: int, most: int, seed: int) -> np.ndarray:
    return np.sort(np.random.RandomState(seed).permutation(number)[:most])


def _share(drawn: int, there: int) -> str:
    return (
        f'all {page.number(there)}'
        if drawn == there
        else f'{page.number(drawn)} of {page.number(there)}'
    )


def _dot(number: int) -> float:
    """Area of a point in square points."""
    return float(np.clip(9000 / number, 4, 40))


def _beside_screens(drawing):
    """The middle of three columns, empty."""
    drawing.set_dpi(_DOTS_PER_INCH)
    axes = drawing.add_subplot(drawing.add_gridspec(1, 3, width_ratios=(1, 4, 1))[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(0.03)
    return axes


def _add_screens(drawing, axes, points, screens, colors, titles=None):
    """Screenshots in two columns beside `axes`, each with a line to its point."""
    from matplotlib.patches import ConnectionPatch
    from scipy.optimize import linear_sum_assignment

    rows = math.ceil(len(screens) / 2)
    columns = [axes.get_gridspec()[column].subgridspec(rows, 1) for column in (0, 2)]
    slots = [drawing.add_subplot(columns[slot % 2][slot // 2]) for slot in range(len(screens))]
    for slot, screen in zip(slots, screens, strict=True):
        _screen(slot, screen, 'white', ' ' if titles else '')
    drawing.draw_without_rendering()  # Only now is known where things are.
    ends = [slot.transAxes.transform((1 - index % 2, 0.5)) for index, slot in enumerate(slots)]
    starts = axes.transData.transform(points)
    # Lines of the least total length do not cross.
    for index, slot in zip(
        *linear_sum_assignment(np.linalg.norm(starts[:, None] - np.array(ends), axis=-1)),
        strict=True,
    ):
        slots[slot].clear()
        _screen(slots[slot], screens[index], colors[index], titles[index] if titles else '')
        line = ConnectionPatch(
            points[index],
            (1 - slot % 2, 0.5),
            axes.transData,
            slots[slot].transAxes,
            color=figures.SOFT,
            linewidth=0.7,
        )
        line.set_in_layout(False)
        drawing.add_artist(line)
        axes.plot(
            *points[index],
            'o',
            color=colors[index],
            markersize=6,
            markeredgecolor=figures.INK,
            markeredgewidth=0.9,
            gid=f'shown-{slot}',
        )


def _screen(axes, screen, color, title):
    screen = np.asarray(screen)
    if screen.dtype != np.uint8 or screen.ndim != 3 or screen.shape[-1] != 3:
        raise ValueError(
            f'a screen is uint8 [height, width, 3], not {screen.dtype} {list(screen.shape)}.'
        )
    axes.imshow(screen)
    axes.set_title(title, fontsize=7.5, fontweight='normal', loc='center', pad=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=color, linewidth=2)


def _window(q_values, moments, length) -> tuple[int, int, int]:
    """Start and end of the steps around the moment near which actions differ most, and which."""
    spread_of_actions = np.ptp(q_values, axis=1)
    starts = np.clip(moments - length // 2, 0, max(len(q_values) - length, 0))
    index = int(np.argmax([spread_of_actions[start : start + length].max() for start in starts]))
    return int(starts[index]), int(min(starts[index] + length, len(q_values))), index


def _rewards(axes, rewards):
    across = axes.get_xaxis_transform()
    for name, marker, color, steps in (
        ('reward', '^', figures.PALETTE[2], np.flatnonzero(rewards > 0)),
        ('punishment', 'v', figures.PALETTE[1], np.flatnonzero(rewards < 0)),
    ):
        if len(steps):
            axes.plot(
                steps,
                np.full(len(steps), 0.04),
                marker,
                color=color,
                markersize=4,
                transform=across,
                label=name,
                gid=name,
            )


def _numbers(axes, moments, start=0, end=math.inf):
    """Numbers on the moments from `start` up to `end`."""
    for index, moment in enumerate(moments):
        if start <= moment < end:
            axes.axvline(moment, color=figures.SOFT, linewidth=0.8, linestyle='--')
            axes.annotate(
                str(index + 1),
                (moment, 1),
                (0, 3),
                axes.get_xaxis_transform(),
                'offset points',
                ha='center',
                fontsize=8,
                fontweight='bold',
            )


def _action_colors(number: int) -> Sequence:
    import matplotlib

    return (
        figures.PALETTE if number <= len(figures.PALETTE) else matplotlib.colormaps['tab20'].colors
    )
