"""The owner of a run folder: one experiment, one seed, one process at a time.

`run.json` in the folder holds what the experiment was asked to be. A folder of something else is
never written to. Local folders are locked while a process works in them; remote ones (`gs://`)
have no locks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator

from official.core import files
from official.core.files import read_json, write_text

RUN, RESULT = 'run.json', 'result.json'
CONFIG, OPERATIVE_CONFIG = 'config.gin', 'operative_config.gin'
_LOCK = '.lock'
_BOOKKEEPING = (RUN, CONFIG, OPERATIVE_CONFIG, _LOCK)
_OTHER_FOLDER = 'Choose another --model_dir.'


@dataclasses.dataclass(frozen=True)
class Identity:
    """The settings that an experiment was asked for.

    Attributes:
      seed: the seed, or the first of several.
      several_seeds: True if the folder holds a run folder for each of several seeds.
      bindings: name -> value, as text, of the gin bindings that decide what is trained.
      others: the same of the bindings that may change afterwards. None where the two are not told
        apart yet: `bindings` are all, of which those count that the folder says decide.
      data_dir: folder of the data, for later evaluations.
    """

    seed: int
    several_seeds: bool = False
    bindings: dict[str, str] = dataclasses.field(default_factory=dict)
    others: dict[str, str] | None = dataclasses.field(default_factory=dict)
    data_dir: str | None = None


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
    if not files.is_remote(run_dir):
        _check_writable(run_dir)
    names = _names(run_dir)
    if RUN not in names:
        if not starts:
            raise FileNotFoundError(f'{run_dir} holds no run; train it first.')
        if any(not _may_be_there(run_dir, name) for name in names):
            raise FileExistsError(
                f'{run_dir} is not empty and not a run folder: it has no {RUN}. {_OTHER_FOLDER}'
            )
        return
    there = _read(run_dir)
    difference = _difference(there, identity)
    if difference and (not starts or _holds_work(run_dir)):
        raise ValueError(f'{run_dir} belongs to another experiment: {difference}. {_OTHER_FOLDER}')


@contextlib.contextmanager
def claim(
    run_dir: str, identity: Identity, starts: bool = True, write: bool = True
) -> Iterator[None]:
    """Makes `run_dir` the run folder of `identity`, and this process the only one in it.

    Args:
      run_dir: see `check`.
      identity: see `check`.
      starts: see `check`.
      write: False in a worker that is not the chief: nothing is checked, locked or written.

    Raises:
      BlockingIOError: if another process works in the folder.
      FileNotFoundError: see `check`.
      FileExistsError: see `check`.
      PermissionError: see `check`.
      ValueError: see `check`.
    """
    if not write:
        yield
        return
    check(run_dir, identity, starts)
    _make(run_dir)
    with _locked(run_dir):
        # Once more: another process may have been here since.
        check(run_dir, identity, starts)
        _remove_partial(run_dir)
        _note(run_dir, identity, starts)
        yield


def _note(run_dir: str, identity: Identity, starts: bool) -> None:
    """Writes run.json where it is missing or says something else."""
    there = _read(run_dir) if RUN in _names(run_dir) else {}
    wanted = dataclasses.asdict(identity)
    if identity.data_dir is None:
        wanted['data_dir'] = there.get('data_dir')
    if not there or _difference(there, identity):
        _write(run_dir, {**wanted, 'finished': False})
    elif any(there.get(name) != value for name, value in wanted.items()):
        # More steps or another reporter: what was finished is to be done again.
        _write(run_dir, {**wanted, 'finished': there['finished'] and not starts})


def name_of(run_dir: str) -> str | None:
    """Returns the name by which the parts of a run say whose they are, or None without run.json.

    The name is that of the experiment and seed, not of the folder, which may be moved: 'seed 3,
    0123456789ab', the hexadecimal digits of a digest of all bindings. A folder inside a run folder,
    such as that of its baseline, has the name with its own appended.
    """
    if RUN in _names(run_dir):
        there = _read(run_dir)
        digest = hashlib.sha256(json.dumps(there['bindings'], sort_keys=True).encode())
        return f'seed {there.get("seed")}, {digest.hexdigest()[:12]}'
    parent, folder = os.path.split(run_dir.rstrip('/'))
    if not folder or RUN not in _names(parent):
        return None
    return f'{name_of(parent)}, {folder}'


def check_part(path: str, named: object, run_dir: str) -> None:
    """Raises ValueError if a part of a run folder names another run.

    Args:
      path: the part, for the message.
      named: the name it has, None where it was written without one.
      run_dir: the run folder it is in.
    """
    ours = name_of(run_dir)
    if named is not None and ours is not None and named != ours:
        raise ValueError(
            f'{path} belongs to another run ({named}), not to that of {run_dir} ({ours}).'
        )


def read(run_dir: str) -> dict:
    """Returns what run.json in a folder says.

    Raises:
      FileNotFoundError: there is no run.json.
      ValueError: run.json is damaged.
    """
    if RUN not in _names(run_dir):
        raise FileNotFoundError(f'{run_dir} holds no run; train it first.')
    return _read(run_dir)


def holder(run_dir: str) -> str | None:
    """Returns the number of the process that works in a folder, as text, or None if none does."""
    path = os.path.join(run_dir, _LOCK)
    if files.is_remote(run_dir) or not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8', errors='replace') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or 'unknown'
        except OSError:  # A network file system without locks.
            return None
    return None


def finish(run_dir: str) -> None:
    """Notes that the experiment in `run_dir` is trained, evaluated, exported and reported."""
    _write(run_dir, {**_read(run_dir), 'finished': True})


def is_finished(run_dir: str) -> bool:
    """Returns True if `finish` was called and the result is still there."""
    names = _names(run_dir)
    return RUN in names and RESULT in names and _read(run_dir).get('finished', False)


def _names(run_dir: str) -> list[str]:
    if files.is_remote(run_dir):
        import tensorflow as tf

        if not tf.io.gfile.isdir(run_dir):
            return []
        return [name.rstrip('/') for name in tf.io.gfile.listdir(run_dir)]
    return os.listdir(run_dir) if os.path.isdir(run_dir) else []


def _may_be_there(run_dir: str, name: str) -> bool:
    """Returns True if a run folder may begin beside this entry.

    The cells of a table have their run folders in that of the table, whichever was first.
    """
    return (
        name == _LOCK or name.endswith(files.PARTIAL) or RUN in _names(os.path.join(run_dir, name))
    )


def _make(run_dir: str) -> None:
    if files.is_remote(run_dir):
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
    if os.path.islink(there) and not os.path.exists(there):
        raise FileExistsError(
            f'{run_dir} cannot be a run folder: {there} is a link to '
            f'{os.readlink(there)}, which does not exist.'
        )
    if not os.path.isdir(there):
        raise FileExistsError(f'{run_dir} cannot be a run folder: {there} is a file.')
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f'{run_dir} cannot be written: no permission for {there}.')


def _read(run_dir: str) -> dict:
    path = os.path.join(run_dir, RUN)
    contents = read_json(path)
    if not isinstance(contents.get('bindings'), dict):
        raise ValueError(
            f'{path} is damaged: "bindings" is {contents.get("bindings")!r:.60}, not an object.'
        )
    return contents


def _write(run_dir: str, contents: dict) -> None:
    write_text(os.path.join(run_dir, RUN), json.dumps(contents, indent=2) + '\n')


def _difference(there: dict, identity: Identity) -> str:
    """The first binding, or the seed, in which a folder's run.json and an experiment differ."""
    theirs, ours = there.get('bindings', {}), identity.bindings
    names = [*ours, *theirs] if identity.others is not None else theirs
    for name in names:
        if theirs.get(name) != ours.get(name):
            return (
                f'{name} is {theirs.get(name, "not bound")} there and '
                f'{ours.get(name, "not bound")} here'
            )
    for name in ('seed', 'several_seeds'):
        if there.get(name) != getattr(identity, name):
            return f'{name} is {there.get(name)} there and {getattr(identity, name)} here'
    return ''


def _remove_partial(run_dir: str) -> None:
    """Removes what a process that was killed, or found the disk full, left half written."""
    if files.is_remote(run_dir):
        return
    for folder in ('', 'checkpoints', os.path.join('baseline', 'checkpoints')):
        folder = os.path.join(run_dir, folder)
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if not name.endswith(files.PARTIAL):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)


def _holds_work(run_dir: str) -> bool:
    """Returns True if more is there than an attempt without a checkpoint leaves."""
    if files.is_remote(run_dir):
        return any(name not in _BOOKKEEPING for name in _names(run_dir))
    for folder, folders, names in os.walk(run_dir):
        folders[:] = [name for name in folders if name != 'summaries']
        for name in names:
            size = os.path.getsize(os.path.join(folder, name))
            if name not in _BOOKKEEPING and not name.endswith(files.PARTIAL) and size:
                return True
    return False


@contextlib.contextmanager
def _locked(run_dir: str) -> Iterator[None]:
    if files.is_remote(run_dir):
        yield
        return
    try:
        # The `with` below closes it: an error inside is not one of opening.
        file = open(os.path.join(run_dir, _LOCK), 'a+', encoding='utf-8')  # noqa: SIM115
    except OSError as error:
        raise PermissionError(f'{run_dir} cannot be written: {error.strerror}.') from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            process = file.read().strip() or 'unknown'
            raise BlockingIOError(
                f'{run_dir} is in use by another process ({process}); wait for it. {_OTHER_FOLDER}'
            ) from None
        except OSError:
            pass  # A network file system without locks.
        with files.writing(run_dir):
            # Unbuffered: on a full disk, closing a buffer would raise once more.
            os.ftruncate(file.fileno(), 0)
            os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)
        yield
