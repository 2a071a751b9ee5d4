"""Checkpoints that are whole or not there.

A checkpoint is a folder `checkpoints/<step>/` with TensorFlow's two files and a manifest of their
sizes and hashes. It is written under another name and renamed when everything is on the disk, so
a process killed at any moment leaves either the whole checkpoint or none. A checkpoint that was
damaged later is never restored: its manifest tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable

import tensorflow as tf

from official.core import files, run_folder

_PREFIX = 'weights'
_MANIFEST = 'manifest.json'
_PARTIAL = files.PARTIAL


class CheckpointError(ValueError):
    """A checkpoint that cannot be restored; the message names the file."""


def all_finite(variables: Iterable[tf.Variable]) -> bool:
    """Returns True if every value of some variables is finite; others are not worth saving."""
    return all(bool(tf.reduce_all(tf.math.is_finite(v.read_value()))) for v in variables)


class Checkpoints:
    """The checkpoints of one run: the last one and, if there is a metric, the best one.

    The manifest of a checkpoint names its step and, inside a run folder, its run: a checkpoint of
    another step or run is refused.

    Args:
      directory: folder of the checkpoints, inside the run folder; made when the first is written.
      objects: what is saved, by name: trackable TensorFlow objects (model, optimizer, ...).
      write: whether this process writes; under several workers only the chief does.
    """

    def __init__(self, directory: str, objects: dict, write: bool = True):
        self.directory = directory
        self._checkpoint = tf.train.Checkpoint(**objects)
        self._write = write

    def path(self, step: int) -> str:
        """Folder of the checkpoint of `step`."""
        return os.path.join(self.directory, f'{step:08d}')

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, ascending.

        Raises:
          CheckpointError: if a file stands where the folder belongs.
        """
        if not tf.io.gfile.isdir(self.directory):
            if tf.io.gfile.exists(self.directory):
                raise CheckpointError(
                    f'{self.directory} is a file, and the folder of the checkpoints belongs there.'
                )
            return []
        names = [name.rstrip('/') for name in tf.io.gfile.listdir(self.directory)]
        return sorted(
            int(name)
            for name in names
            if name.isdigit() and tf.io.gfile.exists(os.path.join(self.directory, name, _MANIFEST))
        )

    def save(self, step: int, keep: set[int], replace: bool = False) -> str:
        """Writes the checkpoint of `step`, then removes all but it and those in `keep`.

        Args:
          step: a step; if it has a checkpoint, that stays as it is.
          keep: steps whose checkpoints stay.
          replace: write it even if there is one.

        Returns:
          The folder of the checkpoint.

        Raises:
          OSError: if it cannot be written, as on a full disk; the older ones stay.
        """
        path = self.path(step)
        if not self._write:
            return path
        if replace or step not in self.steps():
            good = self.steps()
            kept = (
                f'The last good checkpoint is {self.path(good[-1])}.'
                if good
                else ('There is no checkpoint yet.')
            )
            with files.writing(path, kept):
                self._replace(path, step)
        for name in tf.io.gfile.listdir(self.directory):
            name = name.rstrip('/')
            stale = name.isdigit() and int(name) not in keep | {step}
            if stale or name.endswith(_PARTIAL):
                tf.io.gfile.rmtree(os.path.join(self.directory, name))
        return path

    def _replace(self, path: str, step: int) -> None:
        """Writes a checkpoint under another name and moves it to `path`."""
        # Object stores rename file by file: there the manifest, written last, is what counts.
        partial = path if files.is_remote(path) else path + _PARTIAL
        if tf.io.gfile.exists(partial):
            tf.io.gfile.rmtree(partial)
        try:
            tf.io.gfile.makedirs(partial)
            self._checkpoint.write(os.path.join(partial, _PREFIX))
            manifest = {
                'step': step,
                'run': run_folder.name_of(os.path.dirname(self.directory)),
                'files': {
                    name: _fingerprint(os.path.join(partial, name))
                    for name in sorted(tf.io.gfile.listdir(partial))
                },
            }
            with tf.io.gfile.GFile(os.path.join(partial, _MANIFEST), 'w') as f:
                f.write(json.dumps(manifest, indent=2))
            _flush_to_disk(partial)
            if partial != path:
                if tf.io.gfile.exists(path):  # Never complete, or to be replaced.
                    tf.io.gfile.rmtree(path)
                tf.io.gfile.rename(partial, path)
            _flush_to_disk(self.directory)
        except Exception:
            # What is half written would keep a full disk full.
            if partial != path and os.path.isdir(partial):
                shutil.rmtree(partial, ignore_errors=True)
            raise

    def restore(self, step: int) -> None:
        """Restores the checkpoint of `step` into the objects.

        Args:
          step: one of `steps()`.

        Raises:
          CheckpointError: if a file is missing, cut short or changed, and then nothing is restored;
            or if the checkpoint is of another model, step or run.
        """
        path = self.path(step)
        _verify(path, step, os.path.dirname(self.directory))
        try:
            status = self._checkpoint.read(os.path.join(path, _PREFIX))
            status.assert_existing_objects_matched()
            status.assert_consumed()
        except (AssertionError, ValueError) as error:
            first_line = str(error).splitlines()[0]
            raise CheckpointError(f'Checkpoint {path} is of another model: {first_line}') from error


def _fingerprint(path: str) -> dict:
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, 'rb') as f:
        while block := f.read(1 << 22):
            digest.update(block)
            size += len(block)
    return {'bytes': size, 'sha256': digest.hexdigest()}


def _verify(path: str, step: int, run_dir: str) -> None:
    """Raises CheckpointError unless a checkpoint is whole, of `step` and of the run."""
    manifest_path = os.path.join(path, _MANIFEST)
    try:
        with tf.io.gfile.GFile(manifest_path) as f:
            manifest = json.loads(f.read())
        listed = {
            name: (entry['bytes'], entry['sha256']) for name, entry in manifest['files'].items()
        }
        written = manifest['step']
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f'{manifest_path} is not a checkpoint manifest: it does not have a '
            'step, and files with bytes and sha256.'
        ) from error
    except (ValueError, tf.errors.OpError) as error:
        raise CheckpointError(f'{manifest_path} is not a checkpoint manifest: {error}.') from error
    kinds = ('.index', '.data')
    if not all(any(name.startswith(_PREFIX + kind) for name in listed) for kind in kinds):
        raise CheckpointError(
            f'{manifest_path} is damaged: it does not list the files of a checkpoint.'
        )
    if written != step:
        raise CheckpointError(
            f'Checkpoint {path} is of step {written}, not {step}: its folder was renamed.'
        )
    try:
        run_folder.check_part(f'Checkpoint {path}', manifest.get('run'), run_dir)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    for name, (expected_size, expected_hash) in listed.items():
        file = os.path.join(path, name)
        advice = f'Remove the folder {path} to go on from the checkpoint before it.'
        if not tf.io.gfile.exists(file):
            raise CheckpointError(f'Checkpoint file {file} is missing. {advice}')
        size = tf.io.gfile.stat(file).length
        if size != expected_size:
            raise CheckpointError(
                f'Checkpoint file {file} has {size} bytes, not {expected_size}: it was cut '
                f'short or changed. {advice}'
            )
        if _fingerprint(file)['sha256'] != expected_hash:
            raise CheckpointError(
                f'Checkpoint file {file} is damaged: its SHA-256 is not the one it was written '
                f'with. {advice}'
            )


def _flush_to_disk(directory: str) -> None:
    """fsync of a local folder and its files; remote file systems need none."""
    if not os.path.isdir(directory):
        return
    paths = [os.path.join(directory, name) for name in os.listdir(directory)]
    for path in [*filter(os.path.isfile, paths), directory]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
