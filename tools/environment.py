"""The Python environments, one for each Python, made from the locks: standard library only.

    python tools/environment.py FOLDER    makes FOLDER (Bazel's repository rule calls this)
    ensure(choose(root), tell)            the same where it is needed (`garden` calls this)

uv makes them; tools/installer.py finds it.  Here is what uv leaves to its caller: the choice of a
Python and its lock, a stamp that says that an environment is whole, a lock against other processes,
and one sentence where something fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import installer  # noqa: E402  (the path comes first)
from tools.installer import EnvironmentFailure  # noqa: E402

# Python -> its environment and its lock.  Where several are there the first is taken: the model
# cards are measured with 3.11.
STACKS = {
    '3.11': ('.venv', 'requirements.lock'),
    '3.13': ('.venv-3.13', 'requirements_py312.lock'),
    '3.12': ('.venv-3.12', 'requirements_py312.lock'),
}
VERSIONS = '3.11, 3.12 or 3.13'

# Written last, so that an environment with a stamp is whole.  Holds the digest of the lock and the
# top level of site-packages, one name a line.
STAMP = 'made_from_lock'
LOG = 'install.log'


class Choice(NamedTuple):
    """An environment that is to be used."""

    version: str  # Of its Python, such as '3.11'.
    python: str | None  # Path of the Python to make it with; None where uv has to get one.
    folder: pathlib.Path
    lock: pathlib.Path


def choose(root: pathlib.Path) -> Choice:
    """Returns the environment of `root` that ARBORETUM_PYTHON or the Pythons on PATH call for.

    Raises:
        EnvironmentFailure: ARBORETUM_PYTHON names nothing that fits.
    """
    asked = os.environ.get('ARBORETUM_PYTHON', '')
    if asked in STACKS:
        return _choice(root, asked, _find(asked))
    if asked:
        path = shutil.which(asked) or asked
        version = version_of(path)
        if version in STACKS:
            return _choice(root, version, os.path.abspath(path))
        is_what = f'is Python {version}' if version else 'cannot be run'
        raise EnvironmentFailure(
            f'ARBORETUM_PYTHON names {asked}, which {is_what}; {VERSIONS} is needed.'
        )
    first, *_ = STACKS
    choice = _choice(root, first, None)
    # Looking for a Python takes longer than looking at the environment.
    if is_current(choice):
        return choice._replace(python=os.path.realpath(python_of(choice.folder)))
    for version in STACKS:
        found = _find(version)
        if found:
            return _choice(root, version, found)
    return choice


def _choice(root: pathlib.Path, version: str, python: str | None) -> Choice:
    folder, lock = STACKS[version]
    return Choice(version, python, root / folder, root / lock)


def _find(version: str) -> str | None:
    """Returns the path of a Python `version`: the running one's, one on PATH or one of pyenv's."""
    if version_of(sys._base_executable) == version:
        return sys._base_executable
    for name in (f'python{version}', 'python3', 'python'):
        # Every folder of PATH: the first may hold a starter that knows of no such version.
        for folder in os.get_exec_path():
            path = shutil.which(name, path=folder or os.curdir)
            if path and version_of(path) == version:
                return os.path.abspath(path)
    # pyenv's starters know the versions that are chosen; others are installed beside them.
    for starters in map(pathlib.Path, os.get_exec_path()):
        installed = starters.parent.glob(f'versions/{version}.*/bin/python')
        for python in sorted(installed) if starters.name == 'shims' else ():
            if version_of(str(python)) == version:
                return str(python)
    return None


@functools.cache
def version_of(python: str) -> str:
    """Returns the version of a Python, such as '3.11', or '' where it cannot be run."""
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    try:
        result = subprocess.run(
            [python, '-I', '-c', code], capture_output=True, text=True, check=False
        )
    except OSError:
        return ''
    return result.stdout.strip()


def given(folder: str) -> tuple[str, str]:
    """Returns path and version of the Python of an environment that the user names.

    Raises:
        EnvironmentFailure: `folder` has no Python that fits.
    """
    python = str(python_of(pathlib.Path(folder).absolute()))
    version = version_of(python)
    if version not in STACKS:
        raise EnvironmentFailure(
            f'ARBORETUM_VENV names {folder}, which is no environment of Python {VERSIONS}.'
        )
    return python, version


def python_of(folder: pathlib.Path) -> pathlib.Path:
    """Returns the path of the Python of the environment `folder`."""
    return folder / 'bin' / 'python'


def is_current(choice: Choice) -> bool:
    """Returns True if the environment is whole and made from the lock as it is now."""
    try:
        digest, *names = (choice.folder / STAMP).read_text().splitlines()
        return (
            digest == _digest(choice.lock)
            and os.access(python_of(choice.folder), os.X_OK)
            and set(names) <= set(_top_level(choice))
        )
    except (OSError, ValueError):
        return False


def make(choice: Choice, tell: Callable[[str], None], hold: tuple[int, ...] = ()) -> None:
    """Makes an environment anew from the hashed requirements of its lock.

    Args:
        choice: what is in its folder is removed first.
        tell: is called with each sentence for the user.
        hold: file descriptors that the installers keep open, so that a lock on one of them lasts
            as long as any of them runs, also where this process was killed.

    Raises:
        EnvironmentFailure: the packages could not be installed; folder/install.log has the details.
    """
    folder = choice.folder
    digest = _digest(choice.lock)
    try:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
        folder.mkdir(parents=True)
        with open(folder / LOG, 'w', encoding='utf-8') as log:
            _install(choice, tell, installer.Runner(log, hold, choice.lock.parent))
        partial = folder / (STAMP + '.partial')
        partial.write_text('\n'.join([digest, *_top_level(choice), '']))
        partial.replace(folder / STAMP)
    except OSError as error:
        raise EnvironmentFailure(f'{folder} could not be made: {error}.') from error


def _install(choice: Choice, tell: Callable[[str], None], run: installer.Runner) -> None:
    folder, lock = choice.folder, choice.lock
    uv, env, no_index = installer.find(folder.parent / '.uv', lock, run)
    python = choice.python
    if python is None:
        wanted = choice.version if os.environ.get('ARBORETUM_PYTHON') else VERSIONS
        tell(f'there is no Python {wanted} on PATH; uv gets a Python {choice.version} ...')
        if not run([uv, 'python', 'install', choice.version], env):
            raise EnvironmentFailure(
                f'there is no Python {wanted} on PATH, and uv could not get one ({run.reason()});'
                f' {installer.INSTALL}.'
            )
        python = choice.version
    # Keeps the log that is in the folder.
    venv = [uv, 'venv', '--allow-existing', '--no-project', '--python', python, folder]
    # The locks override what some packages ask of others: their own pins are not looked at.  What
    # has no wheel is built with the lock's setuptools, not with one that no hash vouches for.
    packages = [uv, 'pip', 'install', '--python', python_of(folder), '--no-deps', *no_index]
    # By its name: many a uv takes the path to end at a space.
    packages += ['--require-hashes', '--build-constraints', lock.name, '-r', lock.name]
    packages += ['--compile-bytecode', '--no-progress']
    if not run(venv, env) or not run(packages, env):
        raise EnvironmentFailure(
            f'the packages of {lock.name} could not be installed ({run.reason()}); ./garden begins'
            f' anew when it is run again, and {folder / LOG} has the details.'
        )


def ensure(choice: Choice, tell: Callable[[str], None]) -> None:
    """Makes an environment where it is missing, half made or of another lock.

    The calling process keeps a shared lock for its life, through exec too, on a file beside the
    environment; making takes an exclusive one.  So two that begin together make one environment,
    and none is taken from under a run.

    Args:
        choice: the environment.
        tell: is called with each sentence for the user.

    Raises:
        EnvironmentFailure: as in `make`.
    """
    folder = choice.folder
    try:
        descriptor = os.open(f'{folder}.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if is_current(choice):
            return
        raise EnvironmentFailure(
            f'{folder} cannot be made: {error}; ARBORETUM_VENV may name an environment elsewhere.'
        ) from error
    os.set_inheritable(descriptor, True)
    _flock(descriptor, fcntl.LOCK_SH, tell)
    while not is_current(choice):
        _flock(descriptor, fcntl.LOCK_EX, tell)
        # Another one may have made it while this one waited.
        if not is_current(choice):
            packages = len(re.findall(r'^[\w.-]+==', choice.lock.read_text(), re.MULTILINE))
            tell(f'making the environment {folder} ({packages} packages; a minute or two) ...')
            start = time.monotonic()
            make(choice, tell, hold=(descriptor,))
            tell(f'the environment is ready after {time.monotonic() - start:.0f} s')
        _flock(descriptor, fcntl.LOCK_SH, tell)


def _flock(descriptor: int, kind: int, tell: Callable[[str], None]) -> None:
    # Some network file systems have no locks: then there are none.
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            tell('waiting for another garden, which makes or uses the environment ...')
            fcntl.flock(descriptor, kind)


def _digest(lock: pathlib.Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _top_level(choice: Choice) -> list[str]:
    names = os.listdir(choice.folder / f'lib/python{choice.version}/site-packages')
    return sorted(name for name in names if name != '__pycache__')


if __name__ == '__main__':
    try:
        made = choose(ROOT)._replace(folder=pathlib.Path(sys.argv[1]).absolute())
        make(made, lambda sentence: print(sentence, file=sys.stderr))
    except EnvironmentFailure as failure:
        sys.exit(f'environment: {failure}')
