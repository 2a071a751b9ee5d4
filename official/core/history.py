"""The curves of a run: one JSON object per line, and the same as TensorBoard summaries."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from official.core import files, run_folder

_FILE = 'history.jsonl'
_RUN = 'run'


class History:
    """Rows of numbers by step, in `history.jsonl` and `summaries/` of a run folder.

    Each line of the file names its run, see `run_folder.name_of`.

    Args:
      run_dir: the run folder.
      last_step: rows of later steps are dropped: the run goes on from an earlier checkpoint.
      write: whether this process writes; under several workers only the chief does.
    """

    def __init__(self, run_dir: str, last_step: int, write: bool = True):
        run_dir = os.fspath(run_dir)
        self._path = os.path.join(run_dir, _FILE)
        self._write = write
        self._run = run_folder.name_of(run_dir)
        self.rows = [row for row in read(run_dir) if row['step'] <= last_step]
        self._summaries: Any = None
        if write:
            self._rewrite()
            with files.writing(self._path):
                self._summaries = tf.summary.create_file_writer(os.path.join(run_dir, 'summaries'))

    def _rewrite(self) -> None:
        files.write_text(self._path, ''.join(map(self._line, self.rows)))

    def _line(self, row: dict) -> str:
        named = {} if self._run is None else {_RUN: self._run}
        return json.dumps({**row, **named}) + '\n'

    def add(self, step: int, values: dict) -> None:
        """Adds the row of `step`.

        Raises:
          OSError: if it cannot be written, as on a full disk.
        """
        self.rows.append({'step': step, **values})
        if not self._write:
            return
        with files.writing(self._path):
            with tf.io.gfile.GFile(self._path, 'a') as f:
                f.write(self._line(self.rows[-1]))
            with self._summaries.as_default():
                for name, value in values.items():
                    tf.summary.scalar(name, value, step=step)
            self._summaries.flush()


def read(run_dir: str) -> list[dict]:
    """The rows of a run folder, none if there is no file.

    A last line that was cut short by a kill is left out.

    Raises:
      ValueError: if the file is not a text, a line not a JSON object with an integer `step`, or
        of another run.
    """
    run_dir = os.fspath(run_dir)
    path = os.path.join(run_dir, _FILE)
    if not tf.io.gfile.exists(path):
        return []
    lines = files.read_text(path).split('\n')[:-1]
    rows = [_row(line, f'{path}, line {number},') for number, line in enumerate(lines, 1)]
    for named in dict.fromkeys(row.pop(_RUN, None) for row in rows):
        run_folder.check_part(path, named, run_dir)
    return rows


def _row(line: str, where: str) -> dict:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f'{where} is not valid JSON: {error}.') from error
    if not isinstance(row, dict) or not isinstance(row.get('step'), int):
        raise ValueError(f'{where} is not a JSON object with an integer "step": {line[:60]!r}.')
    return row
