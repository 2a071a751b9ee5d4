"""What the benchmarks share: contestants that take turns, the machine, a Python that has the peer.

A contestant is timed in a process of its own, one process at a time, so that no idle thread of one
disturbs another; it prints what it measured as a JSON object, its last line. The peers are not of
the locked stack and run in another Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
TORCH_OPTION, TORCH_VARIABLE = 'torch_python', 'ARBORETUM_TORCH_PYTHON'
_PROC_STATUS, _PROC_CPUINFO = '/proc/self/status', '/proc/cpuinfo'
# Instruction sets that kernels choose by, and variables that keep kernels from some of them.
_VECTOR_SETS = re.compile(r'fma|f16c|avx\w*|amx\w*|asimd\w*|sve\w*|bf16|i8mm')
_LIMITS = (
    'ONEDNN_MAX_CPU_ISA',
    'TF_ENABLE_ONEDNN_OPTS',
    'OPENBLAS_CORETYPE',
    'NPY_DISABLE_CPU_FEATURES',
)


class Peer(NamedTuple):
    """What another Python has to have.

    Attributes:
      name: what messages call it.
      module: to import.
      requirements: what pip installs.
      option: the argument of the benchmark that names a Python that has it.
      variable: of the environment, which names one where the argument does not.
    """

    name: str
    module: str
    requirements: tuple[str, ...]
    option: str = TORCH_OPTION
    variable: str = TORCH_VARIABLE


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


def times(printed: Sequence[Mapping], images: int) -> dict:
    """What a contestant's workers printed, one a round, together.

    Args:
      printed: 'ms', of its blocks; 'first_s', of the first one; 'memory', of `memory_mb`.
      images: of one step.

    Returns:
      'round_ms', the median of each round; 'median_ms', 'lowest_ms' and 'highest_ms' of these;
      'images_per_s'; 'first_s' and 'peak_mb', the largest, the latter None where it is not known.
    """
    rounds = [statistics.median(run['ms']) for run in printed]
    memory = [run['memory'].get('peak_mb') for run in printed]
    median = statistics.median(rounds)
    return {
        'round_ms': rounds,
        'median_ms': median,
        'lowest_ms': min(rounds),
        'highest_ms': max(rounds),
        'images_per_s': 1e3 * images / median,
        'first_s': max(run['first_s'] for run in printed),
        'peak_mb': None if None in memory else max(memory),
    }


# Measurement.


def take_turns(contestants: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list]:
    """Calls one after the other, and all of them again: name -> what it gave in each round."""
    taken: dict[str, list] = {name: [] for name in contestants}
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
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=quiet | os.environ | {'PYTHONPATH': path},
    )
    if done.returncode:
        script = next(word for word in command if word.endswith('.py'))
        raise SystemExit(
            f'{os.path.basename(script)} ended with status {done.returncode}: '
            f'{_last_line(done.stderr)}'
        )
    return json.loads(done.stdout.splitlines()[-1])


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_mb() -> dict[str, float]:
    """What this process holds and the most it ever held, MB of 10^6 bytes, where Linux says so."""
    # Not resource.getrusage: its peak includes the process that started this one.
    names = {'VmRSS:': 'now_mb', 'VmHWM:': 'peak_mb'}
    with contextlib.suppress(OSError):
        rows = [line.split() for line in pathlib.Path(_PROC_STATUS).read_text().splitlines()]
        return {names[row[0]]: int(row[1]) * 1024 / 1e6 for row in rows if row and row[0] in names}
    return {}


def forget_peak() -> None:
    """The peak of memory counts from here on, where Linux lets it: not from the first weights."""
    with contextlib.suppress(OSError):
        pathlib.Path('/proc/self/clear_refs').write_text('5')


def machine() -> dict:
    """Returns facts that times depend on, without names of hosts or users."""
    name, instructions = platform.processor() or platform.machine(), ''
    with contextlib.suppress(OSError):
        # Each processor's lines are the same; "flags" on x86-64, "Features" on Arm.
        for line in pathlib.Path(_PROC_CPUINFO).read_text().splitlines():
            key, _, value = (part.strip() for part in line.partition(':'))
            if key == 'model name':
                name = value
            elif key in ('flags', 'Features'):
                instructions = ' '.join(filter(_VECTOR_SETS.fullmatch, value.split()))
    limits = {key: os.environ[key] for key in _LIMITS if key in os.environ}
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    return {
        'processor': name,
        'processors': processors(),
        'instruction_sets': instructions,
        **limits,
        'system': platform.system(),
        'python': platform.python_version(),
        'load_before': load,
    }


def busy(facts: Mapping) -> str:
    """A warning where the machine of `machine` had other work, else ''."""
    load, free = facts['load_before'], facts['processors']
    if load is None or load < free / 4:
        return ''
    # Threads that wait for each other in a loop, as those of OpenMP do, suffer out of proportion.
    return (
        f'The load was {load:.1f} on {free} processors before the first round: other programs '
        'ran, and these times do not count.'
    )


@contextlib.contextmanager
def peer_environment(given: str | None, peer: Peer) -> Iterator[str | None]:
    """A Python that has the peer, made for as long as it is needed if there is none.

    Args:
      given: path of one; 'none' for none at all; None for the one that `peer.variable` names.
      peer: what it has to have.

    Raises:
      SystemExit: it has no such thing, or none can be installed; with one sentence.
    """
    if given == 'none':
        yield None
        return
    source, python = f'--{peer.option}', given
    if not python:
        source, python = peer.variable, os.environ.get(peer.variable)
    if python:
        complaint = _complaint([python, '-I', '-c', f'import {peer.module}'])
        if complaint:
            raise SystemExit(f'{source} names {python}, which has no {peer.name}: {complaint}')
        yield python
        return
    with tempfile.TemporaryDirectory(prefix='peer_') as folder:
        print(
            f'installing {" and ".join(peer.requirements)} into a temporary environment ...',
            file=sys.stderr,
            flush=True,
        )
        python = os.path.join(folder, 'bin', 'python')
        complaint = _complaint([sys.executable, '-I', '-m', 'venv', folder]) or _complaint(
            [python, '-I', '-m', 'pip', 'install', '--quiet', *peer.requirements]
        )
        if complaint:
            raise SystemExit(
                f'{peer.name}, which is installed only for this comparison, cannot be: '
                f'{complaint}; name a Python that has it with --{peer.option} or {peer.variable}, '
                f'or leave it out with --{peer.option}=none.'
            )
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


# Arguments.


def positive(text: str) -> int:
    """The positive whole number that an argument is.

    Raises:
      argparse.ArgumentTypeError: it is none.
    """
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no positive whole number')
    return int(text)


def parse(
    parser: argparse.ArgumentParser, peer: Peer | None = None, rounds: int = 7
) -> argparse.Namespace:
    """The arguments of a benchmark, with those that all have.

    These are --rounds, `rounds` unless given, --json, and --torch_python or what else `peer` has.
    """
    option, variable = (peer.option, peer.variable) if peer else (TORCH_OPTION, TORCH_VARIABLE)
    parser.add_argument('--rounds', type=positive, default=rounds, help='turns of each contestant')
    parser.add_argument(
        f'--{option}', help=f'a Python that has the peer (or {variable}); none: without'
    )
    parser.add_argument('--json', help='file to write all numbers to')
    arguments = parser.parse_args()
    if arguments.json and not pathlib.Path(arguments.json).absolute().parent.is_dir():
        parser.error(f'--json={arguments.json}: there is no such folder')
    return arguments


def report(numbers: Mapping, text: str, json_path: str | None) -> None:
    """Prints machine, settings and text, warns of a busy machine, writes the file.

    Args:
      numbers: of 'machine', of `machine`, and 'settings', and all else that the file is to have.
      text: the tables.
      json_path: file to write `numbers` to, or None.
    """
    print(', '.join(f'{name}: {value}' for name, value in numbers['machine'].items()))
    print(', '.join(f'{name}: {value}' for name, value in numbers['settings'].items()), end='\n\n')
    print(text)
    if busy(numbers['machine']):
        print(busy(numbers['machine']))
    if json_path:
        pathlib.Path(json_path).write_text(json.dumps(numbers, indent=2) + '\n')
