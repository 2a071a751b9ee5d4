"""The Python environment, made from a lock file: standard library only.

    python tools/environment.py FOLDER LOCK    makes FOLDER (Bazel's repository rule calls this)
    ensure(folder, lock)                       the same where it is needed (`garden` calls this)

uv does the installing: it takes a quarter of pip's time.  It is itself a package of the lock, which
pip installs first; where uv fails (a proxy or a key ring that it does not know), pip does it all.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

# Written last, so that an environment with a stamp is whole.  Holds the digest of the lock and the
# top level of site-packages, one name a line.
STAMP = 'made_from_lock'
LOG = 'install.log'

# What pip and uv print when no index answers; pip with no retries only says "from versions: none".
NO_NETWORK = re.compile(
    'Connection refused|NewConnectionError|[Nn]ame resolution|Name or service not known|dns error|'
    'Network is unreachable|No route to host|timed out|ConnectTimeout|Could not connect|'
    'error sending request|ProxyError|Tunnel connection failed|'
    'from versions: none'
)


class EnvironmentFailure(Exception):
    """The environment could not be made; the message is one sentence for the user."""


def python_of(folder: pathlib.Path) -> pathlib.Path:
    """Returns the path of the Python of the environment `folder`."""
    return folder / 'bin' / 'python'


def is_current(folder: pathlib.Path, lock: pathlib.Path) -> bool:
    """Returns whether `folder` is a whole environment made from `lock` as it is now."""
    try:
        digest, *names = (folder / STAMP).read_text().splitlines()
        return (
            digest == _digest(lock)
            and os.access(python_of(folder), os.X_OK)
            and set(names) <= set(_top_level(folder))
        )
    except (OSError, ValueError):
        return False


def make(folder: pathlib.Path, lock: pathlib.Path, hold: tuple[int, ...] = ()) -> None:
    """Makes the environment `folder` anew from the hashed requirements of `lock`.

    Args:
        folder: what is there is removed first.
        lock: requirements with hashes, uv among them.
        hold: file descriptors that the installers keep open, so that a lock on one of them lasts
            as long as any of them runs, also where this process was killed.

    Raises:
        EnvironmentFailure: the packages could not be installed; folder/install.log has the details.
    """
    digest = _digest(lock)
    try:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
        folder.mkdir(parents=True)
        with open(folder / LOG, 'w', encoding='utf-8') as log:
            _install(folder, lock, lambda command, env: _run(command, env, log, hold))
        partial = folder / (STAMP + '.partial')
        partial.write_text('\n'.join([digest, *_top_level(folder), '']))
        partial.replace(folder / STAMP)
    except OSError as error:
        raise EnvironmentFailure(f'{folder} could not be made: {error}.') from error


def ensure(folder: pathlib.Path, lock: pathlib.Path, tell: Callable[[str], None]) -> None:
    """Makes the environment `folder` where it is missing, half made or of another lock.

    The calling process keeps a shared lock for its life, through exec too, on a file beside
    `folder`; making takes an exclusive one.  So two that begin together make one environment, and
    none is taken from under a run.

    Args:
        folder: the environment.
        lock: requirements with hashes.
        tell: is called with each sentence for the user.

    Raises:
        EnvironmentFailure: as in `make`.
    """
    try:
        descriptor = os.open(f'{folder}.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if is_current(folder, lock):
            return
        raise EnvironmentFailure(
            f'{folder} cannot be made: {error}; ARBORETUM_VENV may name an environment elsewhere.'
        ) from error
    os.set_inheritable(descriptor, True)
    _flock(descriptor, fcntl.LOCK_SH, tell)
    while not is_current(folder, lock):
        _flock(descriptor, fcntl.LOCK_EX, tell)
        # Another one may have made it while this one waited.
        if not is_current(folder, lock):
            packages = len(re.findall(r'^[\w.-]+==', lock.read_text(), re.MULTILINE))
            tell(f'making the environment {folder} ({packages} packages; a minute or two) ...')
            start = time.monotonic()
            make(folder, lock, hold=(descriptor,))
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


def _top_level(folder: pathlib.Path) -> list[str]:
    version = f'python{sys.version_info[0]}.{sys.version_info[1]}'
    names = os.listdir(folder / 'lib' / version / 'site-packages')
    return sorted(name for name in names if name != '__pycache__')


def _install(
    folder: pathlib.Path,
    lock: pathlib.Path,
    run: Callable[[list, dict[str, str]], bool],
) -> None:
    env = _clean_environ()
    pip = _make_empty(folder, env, run)
    quiet = ['--quiet', '--no-input', '--disable-pip-version-check']
    install = ['install', '--require-hashes', *quiet]
    # First what installs and builds the others: a package without a wheel is built with the lock's
    # setuptools, not with one that no hash vouches for.
    first = folder / 'first.lock'
    first.write_text(_block(lock, 'uv') + _block(lock, 'setuptools'))
    if not run([*pip, *install, '--only-binary=:all:', '-r', first], env):
        raise EnvironmentFailure(_failure(folder, lock))
    python = python_of(folder)
    every = ['--no-build-isolation', '-r', lock]
    settings, flags = _uv_settings(_pip_settings(pip, env), env)
    uv = [python, '-I', '-m', 'uv', 'pip', 'install', '--python', python, '--no-progress', *flags]
    if run([*uv, '--require-hashes', '--compile-bytecode', *every], env | settings):
        return
    if not run([*pip, *install, *every], env):
        raise EnvironmentFailure(_failure(folder, lock))


def _make_empty(
    folder: pathlib.Path,
    env: dict[str, str],
    run: Callable[[list, dict[str, str]], bool],
) -> list:
    """Makes an environment without packages in `folder` and returns a pip command for it.

    Debian leaves ensurepip out of its Python, and other Pythons come without pip: either will do.
    """
    venv = [sys.executable, '-I', '-m', 'venv']
    if _has_pip() and run([*venv, '--without-pip', folder], env):
        return [sys.executable, '-I', '-m', 'pip', '--python', python_of(folder)]
    if importlib.util.find_spec('ensurepip') and run([*venv, folder], env):
        return [python_of(folder), '-I', '-m', 'pip']
    raise EnvironmentFailure(
        f'{sys.executable} has neither pip nor ensurepip to install packages with'
        ' (Debian: apt-get install python3-pip).'
    )


def _has_pip() -> bool:
    """Returns whether the running Python has a pip that knows the option --python."""
    try:
        version = re.match(r'(\d+)\.(\d+)', importlib.metadata.version('pip'))
    except importlib.metadata.PackageNotFoundError:
        return False
    return bool(version) and tuple(map(int, version.groups())) >= (22, 3)


def _run(command: list, env: dict[str, str], log, hold: tuple[int, ...]) -> bool:
    """Runs `command` with its output in the file `log`; returns whether it succeeded."""
    log.write('$ ' + ' '.join(map(str, command)) + '\n')
    log.flush()
    with _interrupts_noted() as interrupts:
        child = subprocess.Popen(
            [str(part) for part in command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=hold,
        )
        # Not one long wait: it would not be ended by an interrupt just before its system call.
        while child.poll() is None and not interrupts:
            time.sleep(0.05)
        if child.returncode is None:
            # A terminal interrupts the installer too, which may have something to clear away.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.25)
            child.kill()
            child.wait()
    return child.returncode == 0


@contextlib.contextmanager
def _interrupts_noted() -> Iterator[list[int]]:
    """Yields a list that each interrupt adds to; KeyboardInterrupt follows at the end.

    At once, while Popen is at work, it would leave an installer that nobody could stop.
    """
    noted: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    # A shell starts what runs in the background with interrupts ignored: that stays so.
    if before is signal.SIG_IGN:
        yield noted
        return
    signal.signal(signal.SIGINT, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
    if noted:
        raise KeyboardInterrupt


def _clean_environ() -> dict[str, str]:
    """Returns the environment variables without those that would lead an installer astray."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith('PYTHON') and name not in ('PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT')
    }
    return env | {'PIP_USER': '0', 'PIP_REQUIRE_VIRTUALENV': '0'}


def _block(lock: pathlib.Path, name: str) -> str:
    """Returns the lines of `lock` that pin the package `name`, with its hashes."""
    found = re.search(rf'^{name}==.*(?:\n[ \t].*)*', lock.read_text(), re.MULTILINE)
    if not found:
        raise EnvironmentFailure(f'{lock} pins no {name}, which the others are installed with.')
    return found.group() + '\n'


def _pip_settings(pip: list, env: dict[str, str]) -> dict[str, list[str]]:
    """Returns the user's pip configuration: option name to its values."""
    # Without pip's --python, which would start it twice.
    command = [str(part) for part in [*pip[:4], 'config', 'list']]
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout
    settings: dict[str, list[str]] = {}
    # A later section is the stronger one.
    for section in ('global', 'install', ':env:'):
        for name, value in re.findall(rf'^{section}\.([\w-]+)=(.*)$', listed, re.MULTILINE):
            with contextlib.suppress(ValueError, SyntaxError):
                settings[name] = str(ast.literal_eval(value)).split()
    return settings


def _uv_settings(
    pip: dict[str, list[str]], env: dict[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Returns pip's configuration as uv's environment variables and flags; uv's own go first."""
    settings = {
        # As pip: the best match of all indexes, which the hashes make safe.
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
        'UV_PYTHON_DOWNLOADS': 'never',
    }
    if not any(name.startswith('UV_') and 'INDEX' in name for name in env):
        settings |= {
            'UV_DEFAULT_INDEX': ' '.join(pip.get('index-url', [])),
            'UV_INDEX': ' '.join(pip.get('extra-index-url', [])),
        }
    settings |= {
        'UV_FIND_LINKS': ','.join(pip.get('find-links', [])),
        'UV_INSECURE_HOST': ' '.join(pip.get('trusted-host', [])),
        'SSL_CERT_FILE': ' '.join(pip.get('cert', [])),
        'ALL_PROXY': ' '.join(pip.get('proxy', [])),
    }
    flags = ['--no-index'] if pip.get('no-index', ['0'])[0].lower() in ('1', 'true', 'yes') else []
    return {name: text for name, text in settings.items() if text and name not in env}, flags


def _failure(folder: pathlib.Path, lock: pathlib.Path) -> str:
    """Returns one sentence on why the last installer failed."""
    log = (folder / LOG).read_text(encoding='utf-8', errors='replace')
    last = log[log.rindex('\n$ ') :] if '\n$ ' in log else log
    if 'No space left on device' in last:
        why = 'the disk is full'
    elif NO_NETWORK.search(last):
        why = 'no package index answers'
    else:
        lines = [line.strip() for line in last.splitlines() if line.strip()]
        errors = [line for line in lines if 'error' in line.lower()] or lines
        why = errors[-1]
    return (
        f'the packages of {lock.name} could not be installed ({why.rstrip(".")}); ./garden begins'
        f' anew when it is run again, and {folder / LOG} has the details.'
    )


if __name__ == '__main__':
    try:
        make(pathlib.Path(sys.argv[1]).absolute(), pathlib.Path(sys.argv[2]).absolute())
    except EnvironmentFailure as failure:
        sys.exit(f'environment: {failure}')
