"""The hooks of .pre-commit-config.yaml: tools of the lock, which pass on the tree as it is.

Reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
HOOKS = {hook['id']: hook for repo in CONFIG['repos'] for hook in repo['hooks']}


def test_each_hook_runs_in_the_environment():
    """A hook of a repository of its own would have a version of its own."""
    assert {repo['repo'] for repo in CONFIG['repos']} == {'local'}
    assert set(HOOKS) == {'ruff-check', 'ruff-format', 'mypy', 'build-files'}
    required = (ROOT / 'requirements_dev.in').read_text().splitlines()
    for hook in HOOKS.values():
        assert hook['language'] == 'system' and hook['entry'].startswith('./garden python ')
        for module in re.findall(r' -m (\w+)', hook['entry']):
            assert module in required
        for script in re.findall(r'\S+\.py', hook['entry']):
            assert (ROOT / script).exists()


@pytest.mark.parametrize(
    'name, extra',
    [
        ('ruff-check', ['--no-fix', '--no-cache', '.']),
        ('ruff-format', ['--check', '--no-cache', '.']),
    ],
)
def test_every_file_passes(name, extra):
    command = HOOKS[name]['entry'].split()[2:]
    done = subprocess.run(
        [sys.executable, *command, *extra], cwd=ROOT, capture_output=True, text=True
    )
    assert not done.returncode, done.stdout + done.stderr


def test_a_python_file_reaches_every_hook():
    for name, hook in HOOKS.items():
        if 'files' in hook:
            assert re.search(hook['files'], 'official/core/model.py'), name
        else:
            assert 'python' in hook['types_or'], name
