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
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
BATCH = 100  # of each kind of examples
BLOCKS = 3
TORCH_REQUIREMENTS = ('torch==2.13.0', 'numpy')
TORCH_VARIABLE = 'ARBORETUM_TORCH_PYTHON'


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
    weights = sum(below * above for below, above in zip(widths, widths[1:]))
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


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> dict[str, float]:
    """Compares two contestants' times, round by round.

    Returns:
      'median', 'lowest' and 'highest' of the rounds' ratios, and 'of_medians', the ratio of the
      medians of the times.
    """
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return {
        'median': statistics.median(ratios),
        'lowest': min(ratios),
        'highest': max(ratios),
        'of_medians': statistics.median(numerator) / statistics.median(denominator),
    }


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
                'times_the_ladder': ratio(rounds, times['ladder'])['median'],
            }
            for name, rounds in times.items()
        },
        'ladder_over_baseline': ratio(times['ladder'], times['baseline']),
        'peak_gflop_per_s': peak,
        'floor_ms': floor_ms,
        'floor_fraction': floor_ms / statistics.median(times['ladder']),
    }
    for name in ('torch', 'torch_fused'):
        if name in times:
            result[f'{name}_over_ladder'] = ratio(times[name], times['ladder'])
    return result


def table(numbers: dict) -> str:
    """The text of `summary`."""
    def between(ratios):
        return (f'{ratios["median"]:.2f} ({ratios["lowest"]:.2f} to {ratios["highest"]:.2f}; of '
                f'the medians {ratios["of_medians"]:.2f})')

    rows = list(numbers['contestants'].values())
    wide = max(len(row['label']) for row in rows)
    lines = [
        f'{"one update, ms":{wide}}  median  lowest  highest  GFLOP  times the Ladder',
        *(f'{row["label"]:{wide}}  {row["median_ms"]:6.2f}  {row["lowest_ms"]:6.2f}  '
          f'{row["highest_ms"]:7.2f}  {row["gflop"]:5.2f}  {row["times_the_ladder"]:16.2f}'
          for row in rows),
        '',
    ]
    for name, peer in (('torch', 'PyTorch'), ('torch_fused', 'PyTorch with its fused Adam')):
        if name in numbers['contestants']:
            lines.append(f'{peer} over Arboretum: {between(numbers[f"{name}_over_ladder"])}')
    work = CONTESTANTS['ladder'].flops / CONTESTANTS['baseline'].flops
    lines += [
        f'Ladder over baseline: {between(numbers["ladder_over_baseline"])}; of the GFLOP '
        f'{work:.2f}; the paper: "approximately triples the computation" (Sec. 1)',
        *(f'  counted for the {name}: {CONTESTANTS[name].counted}'
          for name in ('ladder', 'baseline')),
        f'Floor: {CONTESTANTS["ladder"].flops / 1e9:.2f} GFLOP at '
        f'{numbers["peak_gflop_per_s"]:.0f} GFLOP/s, the peak of a large float32 product, are '
        f'{numbers["floor_ms"]:.2f} ms, {numbers["floor_fraction"]:.0%} of the update',
    ]
    return '\n'.join(lines)


# Measurement.


def take_turns(
    contestants: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Calls one after the other, and all of them again: name -> its number in each round."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        print(f'round {number} of {rounds}', file=sys.stderr, flush=True)
        for name, measure in contestants.items():
            taken[name].append(measure())
    return taken


def run_worker(command: Sequence[str]) -> dict:
    """The JSON object that a process prints as its last line.

    Raises:
      SystemExit: it failed; with one sentence that ends in the last line of its complaint.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    quiet = {'TF_CPP_MIN_LOG_LEVEL': '3'}
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env=quiet | os.environ | {'PYTHONPATH': path})
    if done.returncode:
        script = next(word for word in command if word.endswith('.py'))
        raise SystemExit(
            f'{os.path.basename(script)} ended with status {done.returncode}: '
            f'{_last_line(done.stderr)}')
    return json.loads(done.stdout.splitlines()[-1])


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict:
    """What the times depend on, without names."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                name = line.partition(':')[2].strip()
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    return {'processor': name, 'processors': processors(), 'system': platform.system(),
            'python': platform.python_version(), 'load_before': load}


def busy(facts: Mapping) -> str:
    """A warning where the machine of `machine` had other work, else ''."""
    load, free = facts['load_before'], facts['processors']
    if load is None or load < free / 4:
        return ''
    # Threads that wait for each other in a loop, as those of OpenMP do, suffer out of proportion.
    return (f'The load was {load:.1f} on {free} processors before the first round: other programs '
            'ran, and these times do not count.')


@contextlib.contextmanager
def torch_environment(given: str | None) -> Iterator[str | None]:
    """A Python that has torch, made for as long as it is needed if there is none.

    Args:
      given: path of one; 'none' for none at all; None for the one ARBORETUM_TORCH_PYTHON names.

    Raises:
      SystemExit: it has no torch, or none can be installed; with one sentence.
    """
    if given == 'none':
        yield None
        return
    source, python = '--torch_python', given
    if not python:
        source, python = TORCH_VARIABLE, os.environ.get(TORCH_VARIABLE)
    if python:
        complaint = _complaint([python, '-I', '-c', 'import torch'])
        if complaint:
            raise SystemExit(f'{source} names {python}, which has no PyTorch: {complaint}')
        yield python
        return
    with tempfile.TemporaryDirectory(prefix='torch_') as folder:
        print(f'installing {" and ".join(TORCH_REQUIREMENTS)} into a temporary environment ...',
              file=sys.stderr, flush=True)
        python = os.path.join(folder, 'bin', 'python')
        complaint = _complaint([sys.executable, '-I', '-m', 'venv', folder]) or _complaint(
            [python, '-I', '-m', 'pip', 'install', '--quiet', *TORCH_REQUIREMENTS])
        if complaint:
            raise SystemExit(
                f'PyTorch, which is installed only for this comparison, cannot be: {complaint}; '
                f'name a Python that has it with --torch_python or {TORCH_VARIABLE}, or leave it '
                'out with --torch_python=none.')
        yield python


def _complaint(command: Sequence[str]) -> str:
    """Why a command failed, in a line; '' if it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return error.strerror
    if not done.returncode:
        return ''
    errors = [line for line in done.stderr.splitlines() if line.startswith('ERROR: ')]
    return _last_line('\n'.join(errors) or done.stderr or done.stdout)


def _last_line(text: str) -> str:
    return text.strip().rpartition('\n')[2] or 'it said nothing'


def measure(rounds: int, updates: int, torch_python: str | None) -> dict:
    """Runs all contestants and returns `summary` with the machine and the libraries."""
    here = pathlib.Path(__file__).parent
    sizes = [f'--updates={updates}', f'--blocks={BLOCKS}']
    libraries = {}

    def worker(*command: str) -> dict:
        printed = run_worker(command)
        libraries.update(printed['libraries'])
        return printed

    def of_tensorflow(name: str) -> Callable[[], float]:
        command = (sys.executable, str(here / 'ladder_tensorflow.py'), name)
        if name == 'peak':
            return lambda: max(worker(*command)['gflop_per_s'])
        return lambda: statistics.median(worker(*command, *sizes)['update_ms'])

    def of_torch(*arguments: str) -> Callable[[], float]:
        # -I: nothing of this project, and none of its packages, in that environment.
        command = (torch_python, '-I', str(here / 'ladder_torch.py'), *sizes,
                   f'--threads={processors()}', *arguments)
        return lambda: statistics.median(worker(*command)['update_ms'])

    contestants = {'ladder': of_tensorflow('ladder')}
    if torch_python:
        contestants |= {'torch': of_torch(), 'torch_fused': of_torch('--fused')}
    contestants |= {name: of_tensorflow(name) for name in ('gamma', 'baseline', 'peak')}
    facts = machine()
    times = take_turns(contestants, rounds)
    peaks = times.pop('peak')
    settings = {'rounds': rounds, 'blocks': BLOCKS, 'updates': updates}
    return {'machine': facts | libraries, 'settings': settings, **summary(times, peaks)}


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no positive whole number')
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=_positive, default=7, help='turns of each contestant')
    parser.add_argument(
        '--updates', type=_positive, default=40, help=f'in a block; a turn times {BLOCKS} blocks')
    parser.add_argument(
        '--torch_python', help=f'a Python that has torch (or {TORCH_VARIABLE}); none: without')
    parser.add_argument('--json', help='file to write all numbers to')
    arguments = parser.parse_args()
    if arguments.json and not pathlib.Path(arguments.json).absolute().parent.is_dir():
        parser.error(f'--json={arguments.json}: there is no such folder')
    with torch_environment(arguments.torch_python) as torch_python:
        numbers = measure(arguments.rounds, arguments.updates, torch_python)
    print(', '.join(f'{name}: {value}' for name, value in numbers['machine'].items()))
    print(', '.join(f'{name}: {value}' for name, value in numbers['settings'].items()), end='\n\n')
    print(table(numbers))
    if busy(numbers['machine']):
        print(busy(numbers['machine']))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(numbers, indent=2) + '\n')


if __name__ == '__main__':
    main()
