"""Small copies of the repository in which `garden` makes environments without a network.

The lock of a copy pins wheels that `plant` makes: `setuptools` (empty), `thing` (with a `pytest`
that says how it was called) and a `uv` that counts its calls and does as $FAKE_UV says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).parent.parent.parent
# The Python that environments are made with; the tests run in an environment made with it.
BASE = sys._base_executable
GIN = '--gin_file=gin_configs/ladder/digits_100.gin'

SAY = """
import os, sys
print({name!r}, *sys.argv[1:], sep='|')
print('cwd', os.getcwd(), sep='|')
"""
LAUNCH = (
    SAY.format(name='launch')
    + """
print('quiet', os.environ['TF_CPP_MIN_LOG_LEVEL'], os.environ['NO_GCE_CHECK'], sep='|')
import thing
"""
)
UV = """
import os, pathlib, sys, sysconfig, time, zipfile
with open(os.environ['FAKE_UV_LOG'], 'a') as log:
    log.write(f'{os.getpid()}\\n')
does, _, path = os.environ.get('FAKE_UV', 'install').partition(':')
if does == 'fail':
    sys.exit('uv does not know this proxy')
while does == 'until' and not os.path.exists(path):
    time.sleep(0.02)
for wheel in pathlib.Path(os.environ['UV_FIND_LINKS']).glob('thing*.whl'):
    zipfile.ZipFile(wheel).extractall(sysconfig.get_path('purelib'))
"""


@dataclasses.dataclass
class Repository:
    """A copy of the repository in `root`; `bin` is all of PATH, `wheels` all of PyPI."""

    root: pathlib.Path
    bin: pathlib.Path
    wheels: pathlib.Path

    @property
    def venv(self) -> pathlib.Path:
        return self.root / '.venv'

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
        """Writes requirements.lock for the wheels that there are."""
        lines = []
        for wheel in sorted(self.wheels.iterdir()):
            name, version, *_ = wheel.name.split('-')
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lines.append(f'{name}=={version} \\\n    --hash=sha256:{digest}\n')
        (self.root / 'requirements.lock').write_text(''.join(lines))

    def wheel(self, name: str, version: str, files: dict[str, str]) -> None:
        info = f'{name}-{version}.dist-info'
        texts = {
            **files,
            f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
            f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
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
        script = f'case "$*" in *version_info*) echo {version} ;; *) exec {BASE} "$@" ;; esac\n'
        return self.program(name, script)


def plant(folder: pathlib.Path) -> Repository:
    """Makes a copy of the repository, with a PATH and wheels of its own, in `folder`."""
    root = folder / 'a copy'
    made = Repository(root, folder / 'bin', folder / 'wheels')
    for path in (root / 'tools', root / 'official', root / 'gin_configs/ladder', made.bin):
        path.mkdir(parents=True)
    made.wheels.mkdir()
    for path in ('garden', 'tools/garden.py', 'tools/environment.py', 'tools/listing.py'):
        shutil.copy(ROOT / path, root / path)
    (root / 'official/__init__.py').write_text('')
    (root / 'official/launch.py').write_text(LAUNCH)
    (root / 'gin_configs/ladder/digits_100.gin').write_text('# The tour.\n')
    made.wheel('setuptools', '1.0', {'setuptools/__init__.py': ''})
    pytest_module = SAY.format(name='pytest')
    made.wheel('thing', '1.0', {'thing/__init__.py': '', 'pytest/__main__.py': pytest_module})
    made.wheel('uv', '1.0', {'uv/__init__.py': '', 'uv/__main__.py': UV})
    made.lock()
    for name in ('sh', 'dirname', 'readlink'):
        (made.bin / name).symlink_to(shutil.which(name, path='/usr/bin:/bin'))
    made.program('python3.11', f'exec {BASE} "$@"\n')
    return made


def one_sentence(errors: str) -> str:
    """Returns the only line of `errors`, which has to be one that garden wrote."""
    lines = errors.splitlines()
    assert len(lines) == 1 and lines[0].startswith('garden: '), errors
    return lines[0]
