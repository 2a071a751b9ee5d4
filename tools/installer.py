"""uv, which makes the environments: found or downloaded, and set up as the user's pip is.

A uv on PATH is taken where it is recent enough.  Otherwise the uv that the locks pin is downloaded
once, and only used where its hash is right: by pip where there is one; from the user's index where
there is none; and from its makers where no index is configured.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import glob
import hashlib
import html
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import NamedTuple, TextIO

# Earlier ones are not tried: some lack options that are used here.
OLDEST_UV = (0, 8)
INSTALL = (
    'install a Python with pip (Debian, Ubuntu: apt-get install python3-pip; Fedora: dnf install'
    ' python3.13 python3-pip; Arch: pacman -S python-pip) or uv, and run ./garden again'
)
# uv's variables that hold addresses of indexes.
INDEXES = ('UV_DEFAULT_INDEX', 'UV_INDEX_URL', 'UV_INDEX', 'UV_EXTRA_INDEX_URL')
# What pip and uv print when no index answers; pip with no retries only says "from versions: none".
NO_NETWORK = re.compile(
    'Connection refused|NewConnectionError|[Nn]ame resolution|Name or service not known|dns error|'
    'Network is unreachable|No route to host|timed out|ConnectTimeout|Could not connect|'
    'error sending request|ProxyError|Tunnel connection failed|'
    'from versions: none'
)
# Variables that would lead an installer astray: they are meant for other projects.
ASTRAY = re.compile('PYTHON|PIP_(TARGET|PREFIX|ROOT)$|UV_(CONSTRAINT|OVERRIDE|NO_VERIFY_HASHES)$')


class EnvironmentFailure(Exception):
    """The environment could not be made; the message is one sentence for the user."""


class Uv(NamedTuple):
    """A uv to call."""

    program: str
    env: dict[str, str]  # Environment variables.
    no_index: list[str]  # Flags of what installs packages.


class Runner:
    """Runs installers, with their output in a log.

    Args:
        log: receives the commands and what they print.
        hold: file descriptors that the installers keep open.
        folder: where they run; the user's may hold the uv.toml of another project.
    """

    def __init__(self, log: TextIO, hold: tuple[int, ...] = (), folder: str | os.PathLike = '.'):
        self.log = log
        self.hold = hold
        self.folder = folder

    def __call__(self, command: list, env: dict[str, str]) -> bool:
        """Returns True if `command` succeeded."""
        self.log.write('$ ' + ' '.join(map(str, command)) + '\n')
        self.log.flush()
        with _interrupts_noted() as interrupts:
            child = subprocess.Popen(
                [str(part) for part in command],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=subprocess.STDOUT,
                pass_fds=self.hold,
            )
            # Not one long wait: it would not be ended by an interrupt just before its system call.
            while child.poll() is None and not interrupts:
                time.sleep(0.02)
            if child.returncode is None:
                # A terminal interrupts the installer too, which may have something to clear away.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=0.25)
                child.kill()
                child.wait()
        return child.returncode == 0

    def reason(self) -> str:
        """Returns in a few words why the last command failed."""
        text = pathlib.Path(self.log.name).read_text(encoding='utf-8', errors='replace')
        last = text[text.rindex('\n$ ') :] if '\n$ ' in text else text
        if 'No space left on device' in last:
            return 'the disk is full'
        if NO_NETWORK.search(last):
            return 'no server answers'
        lines = [line.strip() for line in last.splitlines() if line.strip()]
        errors = [line for line in lines if 'error' in line.lower()] or lines
        return errors[-1].rstrip('.')


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


def find(folder: pathlib.Path, lock: pathlib.Path, run: Runner) -> Uv:
    """Returns a uv that is set up as the user's pip is, downloading it where needed.

    Args:
        folder: where a uv that is downloaded is kept.
        lock: requirements with hashes, uv among them.
        run: runs pip.

    Raises:
        EnvironmentFailure: there is no uv and none could be downloaded.
    """
    env = {name: value for name, value in os.environ.items() if not ASTRAY.match(name)}
    settings = pip_settings(env)
    env = {**env, **uv_variables(settings, env)}
    no_index = settings.get('no-index', ['0'])[0].lower() in ('1', 'true', 'yes', 'on')
    flags = ['--no-index'] if no_index else []
    there = shutil.which('uv')
    if there and _version(there) >= OLDEST_UV:
        return Uv(there, env, flags)
    pin = _block(lock, 'uv')
    kept = folder / f'uv-{pin.partition("==")[2].split()[0]}'
    if not kept.exists():
        folder.mkdir(exist_ok=True)
        _download(kept, pin, env, run)
    return Uv(str(kept), env, flags)


def _version(uv: str) -> tuple[int, ...]:
    with contextlib.suppress(OSError):
        said = subprocess.run([uv, '--version'], capture_output=True, text=True, check=False).stdout
        return tuple(map(int, re.findall(r'\d+', said)[:2]))
    return ()


def _block(lock: pathlib.Path, name: str) -> str:
    """Returns the lines of `lock` that pin the package `name`, with its hashes."""
    found = re.search(rf'^{name}==.*(?:\n[ \t].*)*', lock.read_text(), re.MULTILINE)
    if not found:
        raise EnvironmentFailure(f'{lock} pins no {name}, which the others are installed with.')
    return found.group() + '\n'


def _download(uv: pathlib.Path, pin: str, env: dict[str, str], run: Runner) -> None:
    """Downloads the uv that the requirement `pin` names to the file `uv`."""
    pip = _pip()
    with tempfile.TemporaryDirectory(dir=uv.parent) as folder:
        work = pathlib.Path(folder)
        reason = 'there is no pip and no index is configured'
        if pip:
            requirements = work / 'uv.lock'
            requirements.write_text(pin)
            download = ['download', '--require-hashes', '--no-deps', '--only-binary=:all:']
            download += ['--no-input', '--quiet', '--disable-pip-version-check', '--dest', work]
            download += ['-r', requirements]
            if not run([*pip, *download], {**env, 'PIP_REQUIRE_VIRTUALENV': '0'}):
                reason = run.reason()
        if not list(work.glob('*.whl')):
            reason = _from_index(work, pin, env) or reason
        for wheel in work.glob('*.whl'):
            _unpack(wheel, work / 'uv')
            (work / 'uv').replace(uv)
            return
    if not run(['sh', pathlib.Path(__file__).parent / 'get_uv', uv.parent], env):
        raise EnvironmentFailure(
            f'uv, which makes the environment, could not be downloaded ({reason}); {INSTALL}.'
        )


def _pip() -> list[str] | None:
    """Returns a pip to call: the running Python's, another one's, or the one that ensurepip holds.

    The running Python may be that of an environment without pip; then its base is asked.
    """
    python = sys._base_executable
    wheels = glob.glob('/usr/share/python-wheels/pip-*.whl') if sys.base_prefix == '/usr' else []
    spec = importlib.util.find_spec('ensurepip')
    if spec and spec.submodule_search_locations:
        wheels += glob.glob(os.path.join(spec.submodule_search_locations[0], '_bundled/pip-*.whl'))
    pips = [[python, '-I', '-m', 'pip'], ['pip3'], ['pip']]
    # A wheel can be run as it is.
    pips += [[python, '-I', os.path.join(wheel, 'pip')] for wheel in wheels]
    for pip in pips:
        with contextlib.suppress(OSError):
            if not subprocess.run([*pip, '--version'], capture_output=True, check=False).returncode:
                return pip
    return None


def _from_index(work: pathlib.Path, pin: str, env: dict[str, str]) -> str:
    """Downloads the wheel that `pin` names into `work` from the user's indexes, as pip would.

    Returns:
        Why none was downloaded from the last index, or ''.
    """
    version = pin.partition('==')[2].split()[0]
    wanted = re.compile(rf'uv-{re.escape(version)}-.*(-any|manylinux.*{platform.machine()})\.whl$')
    # An index of uv may have a name: "corporate=https://...".
    indexes = [
        re.sub(r'^\w+=', '', index) for name in INDEXES for index in env.get(name, '').split()
    ]
    reason = ''
    for index in indexes:
        page = index.rstrip('/') + '/uv/'
        try:
            for link in re.findall(r'href="([^"#]+)', _read(page, env).decode()):
                address = urllib.parse.urljoin(page, html.unescape(link))
                name = urllib.parse.unquote(address.rpartition('/')[2])
                if wanted.match(name):
                    wheel = _read(address, env)
                    if f'--hash=sha256:{hashlib.sha256(wheel).hexdigest()}' in pin:
                        (work / name).write_bytes(wheel)
                        return ''
                    reason = f'{name} has another hash than the lock says'
        except (OSError, ValueError) as error:
            # Not the password of an index.
            reason = f'{re.sub("//[^/]*@", "//", page)}: {error}'
    return reason


def _read(address: str, env: dict[str, str]) -> bytes:
    """Returns what `address` holds, asked for with the user's password, proxy and certificates."""
    parts = urllib.parse.urlsplit(address)
    user, at, host = parts.netloc.rpartition('@')
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host)))
    if at:
        encoded = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_header('Authorization', f'Basic {encoded}')
    context = ssl.create_default_context(cafile=env.get('SSL_CERT_FILE'))
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if 'ALL_PROXY' in env:
        proxies = dict.fromkeys(('http', 'https'), env['ALL_PROXY'])
        handlers.append(urllib.request.ProxyHandler({**proxies, **urllib.request.getproxies()}))
    with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
        return response.read()


def _unpack(wheel: pathlib.Path, uv: pathlib.Path) -> None:
    """Writes the program that a wheel of uv holds to the file `uv`."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith('.data/scripts/uv'))
        uv.write_bytes(archive.read(name))
    uv.chmod(0o755)


def pip_settings(env: dict[str, str]) -> dict[str, list[str]]:
    """Returns the user's pip configuration: option name to its values.

    Read here and not by pip, as there may be none.
    """
    home = pathlib.Path(env.get('HOME') or os.path.expanduser('~'))
    own = env.get('PIP_CONFIG_FILE')
    files = [
        f'{folder}/pip/pip.conf' for folder in env.get('XDG_CONFIG_DIRS', '/etc/xdg').split(':')
    ]
    files += ['/etc/pip.conf', f'{home}/.pip/pip.conf']
    files += [f'{env.get("XDG_CONFIG_HOME") or home / ".config"}/pip/pip.conf']
    settings: dict[str, list[str]] = {}
    # A later file is the stronger one, and so is a later section.
    for file in [] if own == os.devnull else [*files, *filter(None, [own])]:
        parser = configparser.RawConfigParser()
        with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read(file, encoding='utf-8')
        for section in ('global', 'install'):
            if parser.has_section(section):
                for name, value in parser.items(section):
                    settings[name.replace('_', '-')] = value.split()
    for name, value in env.items():
        if name.startswith('PIP_') and value:
            settings[name[4:].lower().replace('_', '-')] = value.split()
    return settings


def uv_variables(pip: dict[str, list[str]], env: dict[str, str]) -> dict[str, str]:
    """Returns pip's configuration as uv's environment variables; uv's own in `env` go first."""
    variables = {
        # As pip: the best match of all indexes, which the hashes make safe.
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
        # No link to a Python that uv gets: the user's PATH stays as it is.
        'UV_PYTHON_INSTALL_BIN': '0',
    }
    if not any(name in env for name in INDEXES):
        variables |= {
            'UV_DEFAULT_INDEX': ' '.join(pip.get('index-url', [])),
            'UV_INDEX': ' '.join(pip.get('extra-index-url', [])),
        }
    variables |= {
        'UV_FIND_LINKS': ','.join(pip.get('find-links', [])),
        'UV_INSECURE_HOST': ' '.join(pip.get('trusted-host', [])),
        'UV_HTTP_TIMEOUT': ' '.join(pip.get('default-timeout', pip.get('timeout', []))),
        'SSL_CERT_FILE': ' '.join(pip.get('cert', [])),
        'SSL_CLIENT_CERT': ' '.join(pip.get('client-cert', [])),
        'ALL_PROXY': ' '.join(pip.get('proxy', [])),
    }
    if shutil.which('keyring'):
        variables['UV_KEYRING_PROVIDER'] = 'subprocess'
    store = ssl.get_default_verify_paths()
    if not pip.get('cert') and (store.cafile or (store.capath and os.listdir(store.capath))):
        # As pip: an administrator's certificates count.
        variables |= {'UV_SYSTEM_CERTS': '1', 'UV_NATIVE_TLS': '1'}
    return {name: text for name, text in variables.items() if text and name not in env}
