"""Small copies of the repository in which `garden` makes environments without a network.

The locks of a copy pin wheels that `plant` makes: `thing`, with a `pytest` that says how it was
called, and a `uv`, which counts its installs, does as $FAKE_UV says, and calls the real one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import urllib.parse
import zipfile

import uv

from tools import environment

ROOT = pathlib.Path(__file__).parent.parent.parent
# The Python that environments are made with; the tests run in an environment made with it.
BASE = sys._base_executable
VERSION = environment.version_of(BASE)
FOLDER, LOCK = environment.STACKS[VERSION]
OTHER_VERSION = '3.12' if VERSION != '3.12' else '3.13'
RELEASES = 'https://github.com/astral-sh/python-build-standalone/releases/download'
COPIED = (
    'garden', 'tools/garden.py', 'tools/environment.py', 'tools/installer.py', 'tools/get_uv',
    'official/command.py', 'official/listing.py',
)  # fmt: skip
GIN = '--gin_file=gin_configs/ladder/digits_100.gin'

SAY = """
import os, sys
print({name!r}, *sys.argv[1:], sep='|')
print('cwd', os.getcwd(), sep='|')
"""
LAUNCH = (
    SAY.format(name='launch')
    + """
names = ('TF_CPP_MIN_LOG_LEVEL', 'NO_GCE_CHECK', 'TF_USE_LEGACY_KERAS')
print('quiet', *(os.environ.get(name) for name in names), sep='|')
import thing
"""
)
UV = f"""#!/bin/sh
if [ "$1 $2" = 'pip install' ]; then
    echo $$ >>"$FAKE_UV_LOG"
    case ${{FAKE_UV:-}} in
        fail:*) echo "${{FAKE_UV#fail:}}"; exit 1 ;;
        until:*) while ! [ -e "${{FAKE_UV#until:}}" ]; do /bin/sleep 0.02; done ;;
    esac
fi
exec {uv.find_uv_bin()} "$@"
"""


@dataclasses.dataclass
class Repository:
    """A copy of the repository in `root`; `bin` is all of PATH, `wheels` all of PyPI."""

    root: pathlib.Path
    bin: pathlib.Path
    wheels: pathlib.Path

    @property
    def venv(self) -> pathlib.Path:
        return self.root / FOLDER

    @property
    def uv_log(self) -> pathlib.Path:
        return self.root / 'uv.log'

    @property
    def uv_calls(self) -> int:
        return len(self.uv_log.read_text().splitlines()) if self.uv_log.exists() else 0

    def environ(self, **more: str) -> dict[str, str]:
        base = {
            'PATH': str(self.bin),
            'HOME': str(self.root),
            'PIP_CONFIG_FILE': os.devnull,
            'PIP_FIND_LINKS': str(self.wheels),
            'PIP_NO_INDEX': '1',
            'FAKE_UV_LOG': str(self.uv_log),
        }
        return {**base, **more}

    def start(self, *arguments: str, cwd=None, **more: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(self.root / 'garden'), *arguments],
            cwd=cwd or self.root,
            env=self.environ(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, cwd=None, **more: str) -> tuple[int, str, str]:
        """Returns exit status, output and errors of `garden *arguments`."""
        process = self.start(*arguments, cwd=cwd, **more)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def lock(self) -> None:
        """Writes both locks for the wheels that there are."""
        lines = []
        for wheel in sorted(self.wheels.iterdir()):
            name, version, *_ = wheel.name.split('-')
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lines.append(f'{name}=={version} \\\n    --hash=sha256:{digest}\n')
        for name in {lock for _, lock in environment.STACKS.values()}:
            (self.root / name).write_text(''.join(lines))

    def wheel(self, name: str, version: str, files: dict[str, str]) -> None:
        info = f'{name}-{version}.dist-info'
        texts = {
            f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
            f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
            **files,
        }
        texts[f'{info}/RECORD'] = ''.join(f'{path},,\n' for path in [*texts, f'{info}/RECORD'])
        with zipfile.ZipFile(self.wheels / f'{name}-{version}-py3-none-any.whl', 'w') as archive:
            for path, text in texts.items():
                archive.writestr(path, text)

    def program(self, name: str, text: str) -> pathlib.Path:
        path = self.bin / name
        path.write_text('#!/bin/sh\n' + text)
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str) -> pathlib.Path:
        """Puts a Python `name` on PATH that says it is `version`."""
        script = (
            f'case "$*" in *print*version_info*) echo {version} ;; *) exec {BASE} "$@" ;; esac\n'
        )
        return self.program(name, script)


def plant(folder: pathlib.Path) -> Repository:
    """Makes a copy of the repository, with a PATH and wheels of its own, in `folder`."""
    root = folder / 'a copy'
    made = Repository(root, folder / 'bin', folder / 'wheels')
    for path in (root / 'tools', root / 'official', root / 'gin_configs/ladder', made.bin):
        path.mkdir(parents=True)
    made.wheels.mkdir()
    for path in COPIED:
        shutil.copy(ROOT / path, root / path)
    (root / 'official/__init__.py').write_text('')
    (root / 'official/launch.py').write_text(LAUNCH)
    (root / 'gin_configs/ladder/digits_100.gin').write_text('# The tour.\n')
    pytest_module = SAY.format(name='pytest')
    made.wheel('thing', '1.0', {'thing/__init__.py': '', 'pytest/__main__.py': pytest_module})
    made.wheel('uv', '1.0', {'uv-1.0.data/scripts/uv': UV})
    made.lock()
    # As pip would have downloaded it.
    (root / '.uv').mkdir()
    (root / '.uv/uv-1.0').write_text(UV)
    (root / '.uv/uv-1.0').chmod(0o755)
    for name in ('sh', 'dirname', 'readlink'):
        (made.bin / name).symlink_to(shutil.which(name, path='/usr/bin:/bin'))
    made.program(f'python{VERSION}', f'exec {BASE} "$@"\n')
    return made


def python_mirror(folder: pathlib.Path, version: str) -> dict[str, str]:
    """Makes a mirror with a Python for uv to download, and returns the variables that name it.

    The Python is the tests' own behind a script, in an archive as uv expects it.
    """
    home = folder / 'python'
    (home / f'lib/python{version}').mkdir(parents=True)
    # Without it, or without its comment, uv takes the Python for damaged.
    (home / f'lib/python{version}/_sysconfigdata__linux_.py').write_text(
        '# system configuration generated and used by the sysconfig module\nbuild_time_vars = {}\n'
    )
    program = home / f'bin/python{version}'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {BASE} "$@"\n')
    program.chmod(0o755)
    name = f'cpython-{version}.99+20260101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz'
    archive = folder / 'mirror/20260101' / name
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, 'w:gz') as tar:
        tar.add(home, 'python')
    major, minor = map(int, version.split('.'))
    entry = {
        'name': 'cpython', 'arch': {'family': platform.machine(), 'variant': None}, 'os': 'linux',
        'libc': 'gnu', 'major': major, 'minor': minor, 'patch': 99, 'prerelease': '',
        'url': f'{RELEASES}/20260101/{urllib.parse.quote(name)}', 'variant': None,
        'sha256': hashlib.sha256(archive.read_bytes()).hexdigest(), 'build': '20260101',
    }  # fmt: skip
    (folder / 'list.json').write_text(json.dumps({'a Python': entry}))
    return {
        'UV_PYTHON_DOWNLOADS_JSON_URL': f'file://{folder}/list.json',
        'UV_PYTHON_INSTALL_MIRROR': f'file://{folder}/mirror',
    }


def one_sentence(errors: str) -> str:
    """Returns the only line of `errors`, which has to be one that garden wrote."""
    lines = errors.splitlines()
    assert len(lines) == 1 and lines[0].startswith('garden: '), errors
    return lines[0]
