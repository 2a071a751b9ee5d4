"""pyproject.toml: what an editable install would ask for and make importable."""

from __future__ import annotations

import email
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
FILES = ('pyproject.toml', 'requirements.in', 'LICENSE')
CODE = """
import sys
from setuptools import build_meta
from setuptools.config import pyprojecttoml
print(build_meta.prepare_metadata_for_build_editable(sys.argv[1]))
settings = pyprojecttoml.read_configuration('pyproject.toml')['tool']['setuptools']
print(*sorted(settings['packages']))
"""


def test_metadata_of_an_editable_install(tmp_path):
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / 'README.md').write_text('Read me.')
    for package in ('official', 'official/core', 'research', 'tests'):
        (tmp_path / package).mkdir()
        (tmp_path / package / '__init__.py').touch()
    result = subprocess.run(
        [sys.executable, '-I', '-c', CODE, tmp_path],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *_, folder, packages = result.stdout.splitlines()
    assert packages.split() == ['official', 'official.core', 'research']
    metadata = email.message_from_string((tmp_path / folder / 'METADATA').read_text())
    assert metadata['Name'] == 'arboretum'
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Requires-Python'] == '==3.11.*'
    required = metadata.get_all('Requires-Dist')
    assert 'tensorflow==2.15.1' in required
    lines = (ROOT / 'requirements.in').read_text().splitlines()
    assert len(required) == sum(bool(line) and not line.startswith('#') for line in lines)
