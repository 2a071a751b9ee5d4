"""How long one training update of the Ladder network takes, and how far the limit is.

Claims, at the paper's MNIST sizes (Rasmus et al. 2015, Table 1: 784-1000-500-250-250-250-10, 100
labelled + 100 unlabelled examples, denoiser g, Adam): the same network in plain PyTorch takes at
least 1.3 times as long for an update; and the Ladder's update takes about three times that of the
supervised network, as the paper has it (Sec. 1).

    ./garden python benchmarks/ladder.py [--rounds=7] [--updates=40] [--json=FILE]
        [--torch_python=PATH]   a Python that has torch; `none` leaves PyTorch out

The contestants take turns, each in a process of its own, one process at a time, so that no idle
thread of one disturbs another: it warms up, times `BLOCKS` blocks of updates and ends. Its number
of a round is the median over the blocks of the mean update. Here that is `fit` as in training, with
the data pipeline; PyTorch has its batches ready in memory. Both use all processors.

PyTorch is not of the locked stack. Without --torch_python, the Python that ARBORETUM_TORCH_PYTHON
names is taken; without that a temporary environment is made with pip, with pip's own settings (one
that finds a build without CUDA saves gigabytes), and is removed at the end.

Result (2 cores of an AMD EPYC with AVX-512, 5 rounds of 40 updates): 28.3 ms an update, PyTorch
48.8 ms, 1.7 times as long by the medians and 1.98 by the rounds' ratios; 3.0 times the supervised
network's 9.3 ms; the floor is 27 % of the update.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks import contest

WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
BATCH = 100  # of each kind of examples
BLOCKS = 3
PEER = contest.Peer('PyTorch', 'torch', ('torch==2.13.0', 'numpy'))


# Arithmetic.


def update_flops(
    widths: Sequence[int], trained: int, decoded: int = 0, forward_only: int = 0
) -> int:
    """Floating-point operations of the matrix products of one update; the rest is left out.

    A row that passes a matrix of n weights is n multiplications and n additions. Going back it is
    as much again for the gradient of the weights, and as much for that of the inputs, which the
    images at the bottom of the encoder do not need.

    Args:
      widths: of the layers 0..L, the input first.
      trained: rows through the encoder and back.
      decoded: rows through the decoder and back.
      forward_only: rows through the encoder without a gradient.
    """
    weights = sum(below * above for below, above in itertools.pairwise(widths))
    lowest = widths[0] * widths[1]
    encoder = trained * (3 * weights - lowest) + forward_only * weights
    return 2 * (encoder + decoded * 3 * weights)


class Contestant(NamedTuple):
    """One thing that is timed.

    Attributes:
      label: its name in the table.
      counted: what one of its updates consists of.
      flops: of its matrix products.
    """

    label: str
    counted: str
    flops: int


_LADDER_FLOPS = update_flops(WIDTHS, trained=3 * BATCH, decoded=BATCH)
CONTESTANTS = {
    'ladder': Contestant(
        'Ladder, Arboretum',
        f'{2 * BATCH} corrupted, {BATCH} clean and {BATCH} decoded rows, forward and back',
        _LADDER_FLOPS),
    'torch': Contestant('Ladder, PyTorch', 'the same', _LADDER_FLOPS),
    'torch_fused': Contestant('Ladder, PyTorch, fused Adam', 'the same', _LADDER_FLOPS),
    'gamma': Contestant(
        'Gamma model, Arboretum',
        f'{2 * BATCH} corrupted and {BATCH} clean rows, forward and back',
        update_flops(WIDTHS, trained=3 * BATCH)),
    'baseline': Contestant(
        'supervised baseline, Arboretum',
        f'{BATCH} corrupted rows of labelled examples, forward and back, and {BATCH} clean ones '
        'forward for the statistics of test time; no unlabelled ones',
        update_flops(WIDTHS, trained=BATCH, forward_only=BATCH)),
}  # fmt: skip


def summary(times: Mapping[str, Sequence[float]], peaks: Sequence[float]) -> dict:
    """All numbers that come of the measurements.

    Args:
      times: milliseconds of an update in each round, by the names of CONTESTANTS; 'ladder' and
        'baseline' have to be there.
      peaks: GFLOP/s of a large product in each round; the highest counts.
    """
    peak = max(peaks)
    floor_ms = CONTESTANTS['ladder'].flops / (peak * 1e9) * 1e3
    result = {
        'contestants': {
            name: {
                'label': CONTESTANTS[name].label,
                'counted': CONTESTANTS[name].counted,
                'gflop': CONTESTANTS[name].flops / 1e9,
                'round_ms': list(rounds),
                'median_ms': statistics.median(rounds),
                'lowest_ms': min(rounds),
                'highest_ms': max(rounds),
                'times_the_ladder': contest.ratio(rounds, times['ladder'])['median'],
            }
            for name, rounds in times.items()
        },
        'ladder_over_baseline': contest.ratio(times['ladder'], times['baseline']),
        'peak_gflop_per_s': peak,
        'floor_ms': floor_ms,
        'floor_fraction': floor_ms / statistics.median(times['ladder']),
    }
    for name in ('torch', 'torch_fused'):
        if name in times:
            result[f'{name}_over_ladder'] = contest.ratio(times[name], times['ladder'])
    return result


def table(numbers: dict) -> str:
    """The text of `summary`."""

    def between(ratios):
        return (
            f'{ratios["median"]:.2f} ({ratios["lowest"]:.2f} to {ratios["highest"]:.2f}; of '
            f'the medians {ratios["of_medians"]:.2f})'
        )

    rows = list(numbers['contestants'].values())
    wide = max(len(row['label']) for row in rows)
    lines = [
        f'{"one update, ms":{wide}}  median  lowest  highest  GFLOP  times the Ladder',
        *(
            f'{row["label"]:{wide}}  {row["median_ms"]:6.2f}  {row["lowest_ms"]:6.2f}  '
            f'{row["highest_ms"]:7.2f}  {row["gflop"]:5.2f}  {row["times_the_ladder"]:16.2f}'
            for row in rows
        ),
        '',
    ]
    for name, peer in (('torch', 'PyTorch'), ('torch_fused', 'PyTorch with its fused Adam')):
        if name in numbers['contestants']:
            lines.append(f'{peer} over Arboretum: {between(numbers[f"{name}_over_ladder"])}')
    work = CONTESTANTS['ladder'].flops / CONTESTANTS['baseline'].flops
    lines += [
        f'Ladder over baseline: {between(numbers["ladder_over_baseline"])}; of the GFLOP '
        f'{work:.2f}; the paper: "approximately triples the computation" (Sec. 1)',
        *(
            f'  counted for the {name}: {CONTESTANTS[name].counted}'
            for name in ('ladder', 'baseline')
        ),
        f'Floor: {CONTESTANTS["ladder"].flops / 1e9:.2f} GFLOP at '
        f'{numbers["peak_gflop_per_s"]:.0f} GFLOP/s, the peak of a large float32 product, are '
        f'{numbers["floor_ms"]:.2f} ms, {numbers["floor_fraction"]:.0%} of the update',
    ]
    return '\n'.join(lines)


# Measurement.


def measure(rounds: int, updates: int, torch_python: str | None) -> dict:
    """Runs all contestants and returns `summary` with the machine and the libraries."""
    here = pathlib.Path(__file__).parent
    sizes = [f'--updates={updates}', f'--blocks={BLOCKS}']
    libraries = {}

    def worker(*command: str) -> dict:
        printed = contest.run_worker(command)
        libraries.update(printed['libraries'])
        return printed

    def of_tensorflow(name: str) -> Callable[[], float]:
        command = (sys.executable, str(here / 'ladder_tensorflow.py'), name)
        return lambda: statistics.median(worker(*command, *sizes)['update_ms'])

    def of_torch(*arguments: str) -> Callable[[], float]:
        # -I: nothing of this project, and none of its packages, in that environment.
        command = (
            torch_python,
            '-I',
            str(here / 'ladder_torch.py'),
            *sizes,
            f'--threads={contest.processors()}',
            *arguments,
        )
        return lambda: statistics.median(worker(*command)['update_ms'])

    contestants = {'ladder': of_tensorflow('ladder')}
    if torch_python:
        contestants |= {'torch': of_torch(), 'torch_fused': of_torch('--fused')}
    contestants |= {name: of_tensorflow(name) for name in ('gamma', 'baseline')}
    contestants['peak'] = lambda: max(worker(sys.executable, str(here / 'peak.py'))['gflop_per_s'])
    facts = contest.machine()
    times = contest.take_turns(contestants, rounds)
    peaks = times.pop('peak')
    settings = {'rounds': rounds, 'blocks': BLOCKS, 'updates': updates}
    return {'machine': facts | libraries, 'settings': settings, **summary(times, peaks)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--updates',
        type=contest.positive,
        default=40,
        help=f'in a block; a turn times {BLOCKS} blocks',
    )
    arguments = contest.parse(parser)
    with contest.peer_environment(arguments.torch_python, PEER) as torch_python:
        numbers = measure(arguments.rounds, arguments.updates, torch_python)
    contest.report(numbers, table(numbers), arguments.json)


if __name__ == '__main__':
    main()
