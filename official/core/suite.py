"""Many experiments by one command: a table of the paper, one gin file a cell."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent import futures

import tensorflow as tf

from official.core import callbacks, checks, experiment, gin_source, page, run_folder

_POLL_SECONDS = 1.0


class Suite(experiment.Experiment):
    """Runs gin files one after another, each in a process and a folder of its own.

    The folder of `<path>/<name>.gin` is `<run_dir>/<name>`. A finished one is not run again, so a
    suite that was stopped goes on. One that fails is named at the end, after the others have run.
    A signal to end is passed on to the experiments that run, which save; the suite waits for them.
    An experiment whose folder another process holds is waited for.

    Args:
      run_dir: see `Experiment`.
      seed: of every experiment.
      data_dir: see `Experiment`; one folder for all.
      strategy: one device.
      files: paths of gin files, as `--gin_file` takes them. One with `*` names all that match, in
        order, but those that are parts of others, whose names begin with an underscore.
      gin_params: what replaces values in every file, as `--gin_param` takes it.
      at_once: experiments that run beside each other, each with its share of the processors; what
        they print is then in `<run_dir>/<name>.log`. Small trainings leave processors idle.
      title: heading of the report.

    Raises:
      ValueError: if two files have the same name, `at_once` is not positive, or the strategy is not
        one device.
      FileNotFoundError: if a file is missing.
    """

    # Each experiment has an identity of its own.
    changeable = ('files', 'gin_params', 'at_once', 'title')

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        files: Sequence[str],
        gin_params: Sequence[str] = (),
        at_once: int = 1,
        title: str = '',
    ):
        super().__init__(run_dir, seed, data_dir, strategy or tf.distribute.get_strategy())
        if self.strategy.num_replicas_in_sync > 1:
            raise ValueError(
                'A Suite starts processes of its own and runs on one device; run its '
                'files by themselves on several.'
            )
        self.files: dict[str, str] = {}
        for path in matching(files):
            name = os.path.splitext(os.path.basename(path))[0]
            if name in self.files:
                raise ValueError(f'Suite.files names {name} twice: {self.files[name]} and {path}.')
            self.files[name] = path
        checks.positive('Suite', at_once=at_once)
        self._children: set[subprocess.Popen] = set()
        self._lock = threading.Lock()  # Of the two that follow.
        self._stopped: signal.Signals | None = None
        self.gin_params = tuple(gin_params)
        self.at_once = at_once
        self.title = title or os.path.basename(os.path.normpath(run_dir))

    def train(self) -> None:
        missing = [
            name
            for name in self.files
            if not run_folder.is_finished(os.path.join(self.run_dir, name))
        ]
        with self._signals_passed_on(), futures.ThreadPoolExecutor(self.at_once) as pool:
            codes = list(pool.map(self._run, missing))
        if self._stopped is not None:
            with contextlib.suppress(OSError):  # After SIGHUP the terminal is gone.
                print(
                    f'Stopped by {self._stopped.name}; the same command goes on.',
                    file=sys.stderr,
                    flush=True,
                )
            raise SystemExit(128 + self._stopped)
        failed = [name for name, code in zip(missing, codes, strict=True) if code]
        if failed:
            raise RuntimeError(
                f'{len(failed)} of {len(self.files)} experiments of the suite failed, and the '
                f'others are done: {", ".join(failed)}.'
            )

    @contextlib.contextmanager
    def _signals_passed_on(self):
        """Sends the signals that ask this process to end to the experiments, too."""

        def pass_on(number, frame):
            del frame
            with self._lock:
                self._stopped = signal.Signals(number)
                for child in self._children:
                    child.send_signal(number)

        previous = {}
        if threading.current_thread() is threading.main_thread():
            previous = {
                number: signal.signal(number, pass_on) for number in callbacks.signals_to_end()
            }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _wait_for(self, name: str, folder: str) -> None:
        """Returns when no other process holds the folder of an experiment, or the suite ends."""
        holder = run_folder.holder(folder)
        if holder is not None:
            print(
                f'{name}: {folder} is in use by another process ({holder}); waiting for it.',
                flush=True,
            )
        while self._stopped is None and run_folder.holder(folder) is not None:
            time.sleep(_POLL_SECONDS)

    def _run(self, name: str) -> int:
        """Runs one experiment in a process of its own; returns its exit status."""
        folder = os.path.join(self.run_dir, name)
        self._wait_for(name, folder)
        if self._stopped is not None:
            return 0
        if run_folder.is_finished(folder):  # By the process that was waited for.
            return 0
        number = list(self.files).index(name) + 1
        print(f'{name} ({number} of {len(self.files)})', flush=True)
        arguments = [
            sys.executable,
            '-m',
            'official.launch',
            f'--gin_file={self.files[name]}',
            f'--model_dir={os.path.abspath(folder)}',
            f'--seed={self.seed}',
            *(f'--gin_param={parameter}' for parameter in self.gin_params),
        ]
        if self.data_dir is not None:
            arguments.append(f'--data_dir={os.path.abspath(self.data_dir)}')
        environment = {**os.environ, 'PYTHONPATH': gin_source.ROOT}
        with contextlib.ExitStack() as stack:
            output = None
            if self.at_once > 1:
                share = max(1, (os.cpu_count() or 1) // self.at_once)
                environment.setdefault('TF_NUM_INTRAOP_THREADS', str(share))
                os.makedirs(self.run_dir, exist_ok=True)
                output = stack.enter_context(open(f'{folder}.log', 'w'))
            start = time.monotonic()
            # In a process group of its own: a terminal's Ctrl-C would reach it twice.
            with self._lock:
                if self._stopped is not None:
                    return 0
                child = subprocess.Popen(
                    arguments,
                    cwd=gin_source.ROOT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    process_group=0,
                )
                self._children.add(child)
            code = child.wait()
            with self._lock:
                self._children.discard(child)
        print(f'{name}: {time.monotonic() - start:.0f} s in all', flush=True)
        return code

    def evaluate(self) -> dict:
        """Collects the results of those that are done and writes `result.json`.

        Returns:
          {'experiments': name to the result of its run folder, 'missing': names without one}.
        """
        found, missing = {}, []
        for name in self.files:
            path = os.path.join(self.run_dir, name, run_folder.RESULT)
            if os.path.exists(path):
                found[name] = run_folder.read_json(path)
            else:
                missing.append(name)
        print('\n'.join('  '.join(row) for row in _aligned(rows(found))), flush=True)
        result = {'experiments': found, 'missing': missing}
        run_folder.write_text(
            os.path.join(self.run_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
        )
        return result

    def export(self) -> str:
        """Each experiment has exported its own model: the folder that holds them."""
        return self.run_dir

    def report(self) -> str:
        result = run_folder.read_json(os.path.join(self.run_dir, run_folder.RESULT))
        table = [
            [page.Link(f'{row[0]}/report.html', row[0]), *row[1:]]
            for row in rows(result['experiments'])
        ]
        text = page.table(table, HEADER)
        if result['missing']:
            text += page.paragraph('Not run: ' + ', '.join(result['missing']) + '.')
        return page.write_report(
            os.path.join(self.run_dir, 'report.html'),
            self.title,
            text,
            self.sections(result['experiments']),
        )

    def sections(self, found: dict[str, dict]) -> list[page.Section]:
        """Sections below the report's table; a subclass has some.

        Args:
          found: the results of the experiments that are done, by name.
        """
        del found
        return []


def matching(files: Sequence[str]) -> list[str]:
    """Returns the gin files that `files` name; see `Suite`.

    Raises:
      FileNotFoundError: if there is no such file.
    """
    found = []
    for pattern in files:
        paths = sorted(glob.glob(pattern, root_dir=gin_source.ROOT))
        paths = [path for path in paths if not os.path.basename(path).startswith('_')]
        if not paths:
            raise FileNotFoundError(f'Suite.files: {pattern} does not exist.')
        found += paths
    return found


HEADER = ('experiment', 'cell', 'runs', 'measured', 'paper', 'difference')


def rows(found: dict[str, dict]) -> list[list[str]]:
    """One row an experiment, as HEADER names the columns, of what its `result.json` holds."""
    table = []
    for name, result in found.items():
        reference = result.get('reference') or {}
        metric = next((key for key in reference if key in result), None) or next(
            (key for key in result if key.startswith('test_')), None
        )
        if metric is None:
            table.append([name, str(reference.get('cell', '')), '', '', '', ''])
            continue
        value = result[metric]
        several = isinstance(value, dict)
        mean = value['mean'] if several else value
        spread = f' ±{value["std"]:.2f}' if several else ''
        printed = reference.get(metric)
        paper = (
            ''
            if printed is None
            else f'{printed:.2f}' + (f' ±{reference["std"]:.2f}' if 'std' in reference else '')
        )
        table.append(
            [
                name,
                str(reference.get('cell', '')),
                str(len(value['values']) if several else 1),
                f'{mean:.2f}{spread}',
                paper,
                '' if printed is None else f'{mean - printed:+.2f}',
            ]
        )
    return table


def _aligned(table: list[list[str]]) -> list[list[str]]:
    table = [list(HEADER), *table]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in table]
