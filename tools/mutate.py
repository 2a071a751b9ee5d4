"""Mutation testing: small faults put into the papers' code, to see which ones the tests notice.

    ./garden python tools/mutate.py --sample=150 --seed=0 --results=mutants.jsonl [--jobs=2]
    ./garden python tools/mutate.py --hand_written --results=mutants.jsonl
    ./garden python tools/mutate.py --results=mutants.jsonl --table

The first draws mutants from SOURCES, evenly over the papers and, within a paper, over its Python
and its gin files.  The second takes the faults of wiring in `tools/mutations.json`.  Each mutant is
written into a copy of the tracked files, where the tests of its paper run until one fails: first
those of its own file, then those that import it, then those of its configurations, then the others.
A mutant that no test notices survives.  Results are appended, one JSON object per mutant; finished
ones are not run again.  Standard library only.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import mutants  # noqa: E402  The path comes first.

HAND_WRITTEN = 'tools/mutations.json'
# Files that decide a paper's numbers; `*` as in pathlib.
SOURCES = {
    'ladder': ('model', 'encoder', 'layers', 'denoisers', 'data', 'architectures'),
    'geometric': (
        'trials',
        'node_trials',
        'fold_experiment',
        'folds',
        'node_data',
        'graph_data',
        'message_passing',
        'models/*',
        'convs/*',
        'pooling/*',
    ),
    'dqn': (
        'agent',
        'training',
        'collector',
        'evaluation',
        'network',
        'learner',
        'replay',
        'phi',
        'environment',
        'policy',
        'learning_rates',
        'selection',
    ),
    's3gan': (
        'model',
        'losses',
        'generator',
        'discriminator',
        'layers',
        'data',
        'rotations',
        'evaluation',
        'inference',
        'feature_extractor',
    ),
    'match_rcnn': (
        'model',
        'losses',
        'streams',
        'matching',
        'inference',
        'detection',
        'roi_sampling',
        'pair_sampling',
        'packing',
        'evaluation',
        'retrieval_protocol',
    ),
}
SECONDS = 1800


def sources(paper: str, root: pathlib.Path = ROOT) -> tuple[list[str], list[str]]:
    """Returns the paths of a paper's Python files and gin files that are mutated, sorted."""
    python = {
        path.relative_to(root).as_posix()
        for pattern in SOURCES[paper]
        for path in (root / 'research' / paper).glob(f'{pattern}.py')
    }
    gin = {
        path.relative_to(root).as_posix() for path in (root / 'gin_configs' / paper).rglob('*.gin')
    }
    return sorted(path for path in python if not path.endswith('__init__.py')), sorted(gin)


def draw(number: int, seed: int, root: pathlib.Path = ROOT) -> list[mutants.Mutant]:
    """Returns `number` mutants, evenly over papers; a third of each paper's are of gin files.

    A file is drawn first, then one of its mutants, so that long files do not crowd out others.
    """
    rng = random.Random(seed)
    papers, drawn = sorted(SOURCES), []
    for index in range(number):
        paper = papers[index % len(papers)]
        python, gin = sources(paper, root)
        paths = gin if index // len(papers) % 3 == 2 else python
        while True:
            path = rng.choice(paths)
            found = mutants.of_file(path, (root / path).read_text())
            mutant = rng.choice(found) if found else None
            if mutant and mutant not in drawn:
                drawn.append(mutant)
                break
    return drawn


def hand_written(root: pathlib.Path = ROOT) -> list[mutants.Mutant]:
    """Returns the mutants of `tools/mutations.json`.

    Raises:
      ValueError: an entry's old text is not in its file exactly once.
    """
    found = []
    for entry in json.loads((root / HAND_WRITTEN).read_text()):
        text = (root / entry['path']).read_text()
        if text.count(entry['old']) != 1:
            raise ValueError(
                f'{HAND_WRITTEN}: {entry["name"]}: {entry["path"]} has '
                f'{text.count(entry["old"])} places with {entry["old"]!r}, not one'
            )
        start = text.index(entry['old'])
        found.append(
            mutants.Mutant(
                entry['path'],
                start,
                start + len(entry['old']),
                entry['new'],
                entry['name'],
                entry.get('paper', ''),
            )
        )
    return found


def steps_of(mutant: mutants.Mutant, root: pathlib.Path = ROOT) -> list[list[str]]:
    """Returns the pytest arguments of each step in which the tests of a mutant run."""
    path, paper = pathlib.PurePath(mutant.path), mutant.of_paper

    def of(folder: str, pattern: str) -> list[str]:
        return sorted(test.relative_to(root).as_posix() for test in (root / folder).glob(pattern))

    folder = f'tests/research/{paper}'
    steps = [of('tests/gin_configs', f'{paper}*_test.py')]
    if path.suffix == '.py':
        own = of('tests', f'{path.with_suffix("")}_test.py')
        imported = re.compile(rf'import {path.stem}\b')
        near = [
            test
            for test in of(folder, '**/*_test.py')
            if test not in own and imported.search((root / test).read_text())
        ]
        steps = [own, near, *steps]
    steps = [step for step in steps if step]
    return [*steps, [folder, *(f'--ignore={test}' for step in steps for test in step)]]


class Workplace:
    """A copy of the tracked files, in which one mutant at a time stands."""

    def __init__(
        self, folder: pathlib.Path, python: str = sys.executable, root: pathlib.Path = ROOT
    ):
        self.folder, self._python = folder, python
        listed = subprocess.run(
            ['git', 'ls-files', '-z'], cwd=root, check=True, capture_output=True, text=True
        ).stdout.split('\0')
        for name in filter(None, listed):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)

    def run(self, mutant: mutants.Mutant, seconds: float = SECONDS) -> dict:
        """Runs the tests on a mutant and returns what happened.

        Returns:
          'outcome', 'killed', 'survived' or 'timed out'; 'by', the first test that failed, or ''.
        """
        path = self.folder / mutant.path
        original = path.read_text()
        path.write_text(mutant.applied_to(original))
        begin = time.monotonic()
        try:
            for step in steps_of(mutant, self.folder):
                left = seconds - (time.monotonic() - begin)
                status, output = self._pytest(step, left)
                if status is None:
                    return {'outcome': 'timed out', 'by': ''}
                if status not in (0, 5):  # 5: no test was collected.
                    failed = [
                        line for line in output.splitlines() if line.startswith(('FAILED', 'ERROR'))
                    ]
                    return {'outcome': 'killed', 'by': failed[0][:200] if failed else output[-200:]}
            return {'outcome': 'survived', 'by': ''}
        finally:
            path.write_text(original)

    def _pytest(self, arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
        command = [
            self._python,
            '-P',
            '-m',
            'pytest',
            '-x',
            '-n0',
            '-q',
            '--no-header',
            '--tb=no',
            '-p',
            'no:cacheprovider',
            *arguments,
        ]
        variables = os.environ | {'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONPATH': '.'}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=max(seconds, 1))
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None, ''


def table(rows: Sequence[dict]) -> str:
    """Returns the killed mutants per paper and kind of file, and each survivor in a line."""
    counts = collections.defaultdict(collections.Counter)
    for row in rows:
        kind = 'gin' if row['path'].endswith('.gin') else 'code'
        counts[row['paper'], kind][row['outcome']] += 1
    lines = [f'{"paper":12}{"files":6}{"mutants":>8}{"noticed":>8}']
    for (paper, kind), counter in sorted(counts.items()):
        noticed = counter['killed'] + counter['timed out']
        lines.append(f'{paper:12}{kind:6}{counter.total():8}{noticed:8}')
    noticed = sum(row['outcome'] != 'survived' for row in rows)
    share = 100 * noticed / len(rows) if rows else 0
    lines.append(f'{"all":18}{len(rows):8}{noticed:8}  ({share:.1f} %)')
    lines += [
        f'survived: {row["path"]}:{row["line"]}: {row["what"]}'
        for row in rows
        if row['outcome'] == 'survived'
    ]
    return '\n'.join(lines)


def read(path: pathlib.Path) -> list[dict]:
    """Returns the results in a file of JSON lines; none where it is not there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_all(
    wanted: Sequence[mutants.Mutant], results: pathlib.Path, jobs: int, root: pathlib.Path = ROOT
) -> None:
    """Runs the mutants that are not among the results yet, `jobs` at once."""
    done = {row['mutant'] for row in read(results)}
    todo = [mutant for mutant in wanted if mutant.name(root) not in done]
    with tempfile.TemporaryDirectory(prefix='mutants_') as folder:
        places: queue.Queue[Workplace] = queue.Queue()
        for job in range(jobs):
            place = pathlib.Path(folder) / str(job)
            place.mkdir()
            places.put(Workplace(place, root=root))

        def one(mutant: mutants.Mutant) -> dict:
            place = places.get()
            try:
                begin = time.monotonic()
                outcome = place.run(mutant)
                return {
                    'mutant': mutant.name(root),
                    'paper': mutant.of_paper,
                    'path': mutant.path,
                    'line': mutant.line(root),
                    'what': mutant.what,
                    **outcome,
                    'seconds': round(time.monotonic() - begin, 1),
                }
            finally:
                places.put(place)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool, results.open('a') as file:
            for row in pool.map(one, todo):
                file.write(json.dumps(row) + '\n')
                file.flush()
                print(f'{row["outcome"]:9} {row["seconds"]:7.1f} s  {row["mutant"]}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sample', type=int, default=0, help='number of mutants to draw')
    parser.add_argument('--seed', type=int, default=0, help='seed of the sample')
    parser.add_argument('--hand_written', action='store_true', help=f'those of {HAND_WRITTEN}')
    parser.add_argument('--results', type=pathlib.Path, required=True, help='file of JSON lines')
    parser.add_argument('--jobs', type=int, default=1, help='mutants at once')
    parser.add_argument('--table', action='store_true', help='prints the table only')
    arguments = parser.parse_args()
    if not arguments.table:
        wanted = hand_written() if arguments.hand_written else []
        run_all(
            [*wanted, *draw(arguments.sample, arguments.seed)], arguments.results, arguments.jobs
        )
    print(table(read(arguments.results)))


if __name__ == '__main__':
    main()
