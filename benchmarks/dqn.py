"""How fast DQN learns here, beside stable-baselines3 and plain PyTorch, and how far the limit is.

Claims, for the Nature network, minibatches of 32 and one update every 4 agent steps (Mnih et al.
2015, Extended Data Table 1): end to end, emulator included, stable-baselines3's DQN on the same
game is slower by 1.5 or more in float32 and by 2 with bfloat16 products; and one update by itself
is faster than in plain PyTorch.

    ./garden python benchmarks/dqn.py [--rounds=7] [--game=pong] [--agent_steps=2000] [--json=FILE]
        [--torch_python=PATH]   a Python that has the peers; `none` leaves them out

The contestants take turns, each in a process of its own, one process at a time. All act with
epsilon 0.1 on a full replay memory of 100 000 frames; see dqn_tensorflow.py and dqn_torch.py. The
peer of the eight games here is the better of stable-baselines3's one and eight games, round by
round.

stable-baselines3, gymnasium, ale-py and OpenCV of the peer are not of the locked stack. Without
--torch_python, the Python that ARBORETUM_TORCH_PYTHON names is taken; without that a temporary
environment is made with pip and removed at the end.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import contest, dqn_torch

PEER = contest.Peer(
    'stable-baselines3',
    'stable_baselines3',
    ('torch', 'stable-baselines3', 'gymnasium', 'ale-py', 'opencv-python-headless'),
)
ACTIONS = 6
UPDATES = {
    'update': ('update, float32', ('tensorflow', '--dtype=float32')),
    'update_bfloat16': ('update, bfloat16', ('tensorflow', '--dtype=bfloat16')),
    'torch': ('update, PyTorch, float32', ('torch', '--dtype=float32')),
    'torch_bfloat16': ('update, PyTorch, bfloat16', ('torch', '--dtype=bfloat16')),
    'torch_compiled': ('update, PyTorch, compiled', ('torch', '--compile')),
}
TRAININGS = {
    'one': ('1 game', ('tensorflow', '--games=1')),
    'eight': ('8 games', ('tensorflow', '--games=8', '--overlap')),
    'eight_bfloat16': (
        '8 games, bfloat16',
        ('tensorflow', '--games=8', '--overlap', '--dtype=bfloat16'),
    ),
    'sb3_one': ('stable-baselines3, 1 game', ('torch', '--envs=1')),
    'sb3_eight': ('stable-baselines3, 8 games', ('torch', '--envs=8')),
}


def summary(measured: Mapping[str, Sequence[dict]], peaks: Sequence[float]) -> dict:
    """All numbers that come of the measurements.

    Args:
      measured: what each worker printed in each round, by the names of UPDATES and TRAININGS;
        those of the peers may be missing.
      peaks: GFLOP/s of a large product in each round; the highest counts.
    """
    updates = {
        name: [statistics.median(printed['update_ms']) for printed in measured[name]]
        for name in UPDATES
        if name in measured
    }
    speeds = {
        name: [printed['agent_steps_per_s'] for printed in measured[name]]
        for name in TRAININGS
        if name in measured
    }
    gflop = dqn_torch.update_flops(ACTIONS) / 1e9
    floor_ms = gflop / max(peaks) * 1e3
    result = {
        'update_ms': {name: _spread(values) for name, values in updates.items()},
        'agent_steps_per_s': {name: _spread(values) for name, values in speeds.items()},
        'shares': {
            name: _mean_shares([printed['shares'] for printed in measured[name]])
            for name in ('one', 'eight', 'eight_bfloat16')
        },
        'peak_mb': {
            name: max(printed['memory'].get('peak_mb', 0) for printed in measured[name])
            for name in speeds
        },
        'gflop': gflop,
        'peak_gflop_per_s': max(peaks),
        'floor_ms': floor_ms,
        'floor_fraction': floor_ms / statistics.median(updates['update']),
        'ratios': {},
    }
    if 'torch' in updates:
        for name, peers in (
            ('update', ('torch', 'torch_compiled')),
            ('update_bfloat16', ('torch_bfloat16',)),
        ):
            for peer in peers:
                result['ratios'][f'{peer} over {name}'] = contest.ratio(
                    updates[peer], updates[name]
                )
    if 'sb3_one' in speeds:
        best = [max(pair) for pair in zip(speeds['sb3_one'], speeds['sb3_eight'], strict=True)]
        result['ratios']['one over sb3_one'] = contest.ratio(speeds['one'], speeds['sb3_one'])
        for name in ('eight', 'eight_bfloat16'):
            result['ratios'][f'{name} over the better sb3'] = contest.ratio(speeds[name], best)
    return result


def _spread(values: Sequence[float]) -> dict:
    return {
        'median': statistics.median(values),
        'lowest': min(values),
        'highest': max(values),
        'rounds': list(values),
    }


def _mean_shares(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.fmean(shares[name] for shares in rounds) for name in rounds[0]}


def table(numbers: Mapping) -> str:
    """The text of `summary`."""
    labels = {name: label for name, (label, _) in {**UPDATES, **TRAININGS}.items()}
    lines = [f'{"":28}  median  lowest  highest']
    for kind, title in (('update_ms', 'ms an update'), ('agent_steps_per_s', 'agent steps/s')):
        lines.append(title)
        for name, row in numbers[kind].items():
            peak = f'  peak {numbers["peak_mb"][name]:.0f} MB' if name in TRAININGS else ''
            lines.append(
                f'  {labels[name]:26}  {row["median"]:6.1f}  {row["lowest"]:6.1f}  '
                f'{row["highest"]:7.1f}{peak}'
            )
    for name, shares in numbers['shares'].items():
        parts = ', '.join(f'{part} {share:.0%}' for part, share in shares.items())
        lines.append(f'share of the time, {labels[name]}: {parts}')
    for name, ratio in numbers['ratios'].items():
        lines.append(
            f'{name}: {ratio["median"]:.2f} ({ratio["lowest"]:.2f} to '
            f'{ratio["highest"]:.2f}; of the medians {ratio["of_medians"]:.2f})'
        )
    lines.append(
        f'Floor: {numbers["gflop"]:.2f} GFLOP at {numbers["peak_gflop_per_s"]:.0f} GFLOP/s, the '
        f'peak of a large float32 product, are {numbers["floor_ms"]:.2f} ms, '
        f'{numbers["floor_fraction"]:.0%} of the update'
    )
    return '\n'.join(lines)


def measure(rounds: int, game: str, agent_steps: int, torch_python: str | None) -> dict:
    """Runs all contestants and returns `summary` with the machine and the libraries."""
    here = pathlib.Path(__file__).parent
    libraries = {}

    def contestant(mode: str, where: str, *arguments: str) -> Callable[[], dict]:
        if where == 'tensorflow':
            command = (sys.executable, str(here / 'dqn_tensorflow.py'))
        else:
            # -I: nothing of this project, and none of its packages, in that environment.
            command = (torch_python, '-I', str(here / 'dqn_torch.py'))
        if mode == 'train':
            arguments += (f'--game={game}', f'--agent_steps={agent_steps}')

        def run() -> dict:
            printed = contest.run_worker((*command, f'--mode={mode}', *arguments))
            libraries.update(printed['libraries'])
            return printed

        return run

    contestants = {
        name: contestant(mode, *settings)
        for mode, group in (('update', UPDATES), ('train', TRAININGS))
        for name, (_, settings) in group.items()
        if torch_python or settings[0] == 'tensorflow'
    }
    contestants['peak'] = lambda: max(
        contest.run_worker((sys.executable, str(here / 'peak.py')))['gflop_per_s']
    )
    facts = contest.machine()
    measured = contest.take_turns(contestants, rounds)
    peaks = measured.pop('peak')
    settings = {'rounds': rounds, 'game': game, 'agent_steps': agent_steps}
    return {'machine': facts | libraries, 'settings': settings, **summary(measured, peaks)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--game', default='pong')
    parser.add_argument('--agent_steps', type=contest.positive, default=2000, help='timed, a turn')
    arguments = contest.parse(parser)
    with contest.peer_environment(arguments.torch_python, PEER) as torch_python:
        numbers = measure(arguments.rounds, arguments.game, arguments.agent_steps, torch_python)
    contest.report(numbers, table(numbers), arguments.json)


if __name__ == '__main__':
    main()
