"""Whose a run folder is: one experiment, one seed, one process at a time.

`run.json` in the folder holds what the experiment was asked to be. A folder of something else is
never written to. Local folders are locked while a process works in them; remote ones (`gs://`)
have no locks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator

RUN, RESULT = 'run.json', 'result.json'
CONFIG, OPERATIVE_CONFIG = 'config.gin', 'operative_config.gin'
_LOCK = '.lock'
_PARTIAL = '.partial'
_BOOKKEEPING = (RUN, CONFIG, OPERATIVE_CONFIG, _LOCK)
_OTHER_FOLDER = 'Choose another --model_dir.'


@dataclasses.dataclass(frozen=True)
class Identity:
    """What an experiment was asked to be.

    Attributes:
      seed: the seed, or the first of several.
      several_seeds: whether the folder holds a run folder for each of several seeds.
      bindings: name -> value, as text, of everything that gin binds.
    """

    seed: int
    several_seeds: bool = False
    bindings: dict[str, str] = dataclasses.field(default_factory=dict)


def check(run_dir: str, identity: Identity, starts: bool = True) -> None:
    """Raises if `run_dir` cannot be the run folder of `identity`; writes nothing.

    Args:
      run_dir: the folder; it need not exist.
      identity: of the experiment.
      starts: whether the experiment may begin here, not only go on.

    Raises:
      FileNotFoundError: if the experiment should go on and there is none.
      FileExistsError: if there is a file in the way, or files that are not a run's.
      PermissionError: if the folder cannot be written.
      ValueError: if it is the folder of another experiment.
    """
    if not _is_remote(run_dir):
        _check_writable(run_dir)
    names = _names(run_dir)
    if RUN not in names:
        if not starts:
            raise FileNotFoundError(f'{run_dir} holds no run; train it first.')
        if any(name != _LOCK and not name.endswith(_PARTIAL) for name in names):
            raise FileExistsError(
                f'{run_dir} is not empty and not a run folder: it has no {RUN}. {_OTHER_FOLDER}')
        return
    there = _read(run_dir)
    difference = _difference(there, identity)
    if difference and (not starts or _holds_work(run_dir)):
        raise ValueError(f'{run_dir} belongs to another experiment: {difference}. {_OTHER_FOLDER}')


@contextlib.contextmanager
def claim(
    run_dir: str, identity: Identity, starts: bool = True, write: bool = True) -> Iterator[None]:
    """Makes `run_dir` the run folder of `identity`, and this process the only one in it.

    Args:
      run_dir, identity, starts: see `check`.
      write: False in a worker that is not the chief: nothing is checked, locked or written.

    Raises:
      BlockingIOError: if another process works in the folder.
      The errors of `check`.
    """
    if not write:
        yield
        return
    check(run_dir, identity, starts)
    _make(run_dir)
    with _locked(run_dir):
        # Once more: another process may have been here since.
        check(run_dir, identity, starts)
        if RUN not in _names(run_dir) or _difference(_read(run_dir), identity):
            _write(run_dir, {**dataclasses.asdict(identity), 'finished': False})
        yield


def finish(run_dir: str) -> None:
    """Notes that the experiment in `run_dir` is trained, evaluated, exported and reported."""
    _write(run_dir, {**_read(run_dir), 'finished': True})


def is_finished(run_dir: str) -> bool:
    """Whether `finish` was called and the result is still there."""
    names = _names(run_dir)
    return RUN in names and RESULT in names and _read(run_dir).get('finished', False)


def write_text(path: str, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path + _PARTIAL
    if _is_remote(path):
        import tensorflow as tf

        with tf.io.gfile.GFile(partial, 'w') as f:
            f.write(text)
        tf.io.gfile.rename(partial, path, overwrite=True)
        return
    try:
        with open(partial, 'w', encoding='utf-8') as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise


def read_json(path: str) -> dict:
    """Returns the object in a JSON file.

    Raises:
      ValueError: if the file does not hold one.
    """
    if _is_remote(path):
        import tensorflow as tf

        with tf.io.gfile.GFile(path) as f:
            text = f.read()
    else:
        with open(path, encoding='utf-8', errors='replace') as f:
            text = f.read()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f'{path} is damaged: it is no JSON ({error}).') from None
    if not isinstance(value, dict):
        raise ValueError(f'{path} is damaged: it holds no JSON object.')
    return value


def _is_remote(path: str) -> bool:
    return '://' in path


def _names(run_dir: str) -> list[str]:
    if _is_remote(run_dir):
        import tensorflow as tf

        if not tf.io.gfile.isdir(run_dir):
            return []
        return [name.rstrip('/') for name in tf.io.gfile.listdir(run_dir)]
    return os.listdir(run_dir) if os.path.isdir(run_dir) else []


def _make(run_dir: str) -> None:
    if _is_remote(run_dir):
        import tensorflow as tf

        tf.io.gfile.makedirs(run_dir)
        return
    try:
        os.makedirs(run_dir, exist_ok=True)
    except OSError as error:
        raise PermissionError(f'{run_dir} cannot be made: {error.strerror}.') from None


def _check_writable(run_dir: str) -> None:
    there = os.path.abspath(run_dir)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise FileExistsError(f'{run_dir} cannot be a run folder: {there} is a file.')
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f'{run_dir} cannot be written: no permission for {there}.')


def _read(run_dir: str) -> dict:
    return read_json(os.path.join(run_dir, RUN))


def _write(run_dir: str, contents: dict) -> None:
    write_text(os.path.join(run_dir, RUN), json.dumps(contents, indent=2) + '\n')


def _difference(there: dict, identity: Identity) -> str:
    """The first binding, or the seed, in which a folder's run.json and an experiment differ."""
    theirs, ours = there.get('bindings', {}), identity.bindings
    for name in [*ours, *theirs]:
        if theirs.get(name) != ours.get(name):
            return (
                f'{name} is {theirs.get(name, "not bound")} there and '
                f'{ours.get(name, "not bound")} here')
    for name in ('seed', 'several_seeds'):
        if there.get(name) != getattr(identity, name):
            return f'{name} is {there.get(name)} there and {getattr(identity, name)} here'
    return ''


def _holds_work(run_dir: str) -> bool:
    """Whether a folder holds more than an attempt that ended before its first checkpoint left."""
    if _is_remote(run_dir):
        return any(name not in _BOOKKEEPING for name in _names(run_dir))
    for folder, folders, names in os.walk(run_dir):
        folders[:] = [name for name in folders if name != 'summaries']
        for name in names:
            size = os.path.getsize(os.path.join(folder, name))
            if name not in _BOOKKEEPING and not name.endswith(_PARTIAL) and size:
                return True
    return False


@contextlib.contextmanager
def _locked(run_dir: str) -> Iterator[None]:
    if _is_remote(run_dir):
        yield
        return
    try:
        file = open(os.path.join(run_dir, _LOCK), 'a+', encoding='utf-8')
    except OSError as error:
        raise PermissionError(f'{run_dir} cannot be written: {error.strerror}.') from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            process = file.read().strip() or 'unknown'
            raise BlockingIOError(
                f'{run_dir} is in use by another process ({process}); wait for it. '
                f'{_OTHER_FOLDER}') from None
        except OSError:
            pass  # A network file system without locks.
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
