"""The curves of a run: one JSON object per line, and the same as TensorBoard summaries."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from official.core import files

_FILE = 'history.jsonl'


class History:
    """Rows of numbers by step, in `history.jsonl` and `summaries/` of a run folder.

    Args:
      run_dir: the run folder.
      last_step: rows of later steps are dropped: the run goes on from an earlier checkpoint.
      write: whether this process writes; under several workers only the chief does.
    """

    def __init__(self, run_dir: str, last_step: int, write: bool = True):
        self._path = os.path.join(run_dir, _FILE)
        self._write = write
        self.rows = [row for row in read(run_dir) if row['step'] <= last_step]
        self._summaries = None
        if write:
            self._rewrite()
            with files.writing(self._path):
                self._summaries = tf.summary.create_file_writer(os.path.join(run_dir, 'summaries'))

    def _rewrite(self) -> None:
        files.write_text(self._path, ''.join(json.dumps(row) + '\n' for row in self.rows))

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
                f.write(json.dumps(self.rows[-1]) + '\n')
            with self._summaries.as_default():
                for name, value in values.items():
                    tf.summary.scalar(name, value, step=step)
            self._summaries.flush()


def read(run_dir: str) -> list[dict]:
    """The rows of a run folder, none if there is no file.

    A last line that was cut short by a kill is left out.

    Raises:
      ValueError: if the file is not a text, or a line not a JSON object with an integer `step`.
    """
    path = os.path.join(run_dir, _FILE)
    if not tf.io.gfile.exists(path):
        return []
    lines = files.read_text(path).split('\n')[:-1]
    return [_row(line, f'{path}, line {number},') for number, line in enumerate(lines, 1)]


def _row(line: str, where: str) -> dict:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f'{where} is not valid JSON: {error}.') from error
    if not isinstance(row, dict) or not isinstance(row.get('step'), int):
        raise ValueError(f'{where} is not a JSON object with an integer "step": {line[:60]!r}.')
    return row
