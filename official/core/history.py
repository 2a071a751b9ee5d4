"""The curves of a run: one JSON object a line, and the same as TensorBoard summaries."""

from __future__ import annotations

import json
import os

import tensorflow as tf


class History:
    """Rows of numbers by step, in `history.jsonl` and `summaries/` of a run folder.

    Args:
      run_dir: the run folder.
      last_step: rows of later steps are dropped: the run goes on from an earlier checkpoint.
      write: whether this process writes; under several workers only the chief does.
    """

    def __init__(self, run_dir: str, last_step: int, write: bool = True):
        self._path = os.path.join(run_dir, 'history.jsonl')
        self._write = write
        self.rows = [row for row in read(run_dir) if row['step'] <= last_step]
        self._summaries = None
        if write:
            self._rewrite()
            self._summaries = tf.summary.create_file_writer(os.path.join(run_dir, 'summaries'))

    def _rewrite(self) -> None:
        partial = self._path + '.partial'
        with tf.io.gfile.GFile(partial, 'w') as f:
            f.write(''.join(json.dumps(row) + '\n' for row in self.rows))
        tf.io.gfile.rename(partial, self._path, overwrite=True)

    def add(self, step: int, values: dict) -> None:
        """Adds the row of `step`."""
        self.rows.append({'step': step, **values})
        if not self._write:
            return
        with tf.io.gfile.GFile(self._path, 'a') as f:
            f.write(json.dumps(self.rows[-1]) + '\n')
        with self._summaries.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._summaries.flush()


def read(run_dir: str) -> list[dict]:
    """The rows of a run folder; a last line that was cut short by a kill is left out."""
    path = os.path.join(run_dir, 'history.jsonl')
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as f:
        lines = f.read().split('\n')
    return [json.loads(line) for line in lines[:-1]]
