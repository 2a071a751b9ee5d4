"""The lock files: everything pinned and hashed, the extra agreeing, the environment as locked."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
STACK = {
    'tensorflow': '2.15.1',
    'keras': '2.15.0',
    'tf-agents': '0.19.0',
    'tensorflow-gnn': '1.0.3',
    'tensorflow-addons': '0.23.0',
    'gin-config': '0.5.0',
}


def asked(path: str) -> list[str]:
    """Returns the requirements of an .in file."""
    lines = (ROOT / path).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def pins(path: str) -> dict[str, str]:
    """Returns package -> version of a lock, after a look at the hashes of each."""
    found = {}
    for block in re.split(r'\n(?=[a-z])', (ROOT / path).read_text().split('\n', 2)[2]):
        name, version = re.match(r'([\w.-]+)==([^\s\\;]+)', block).groups()
        assert re.search(r'--hash=sha256:[0-9a-f]{64}\b', block), f'{name} has no hash'
        found[name] = version
    return found


@pytest.mark.parametrize('path', ['requirements', 'requirements-reverb'])
def test_what_is_asked_for_is_pinned(path):
    locked = pins(f'{path}.lock')
    for requirement in asked(f'{path}.in'):
        name, exact = re.match(r'([\w.-]+)(?:==(.*))?', requirement).groups()
        assert locked[name.lower()] == exact or not exact, requirement


def test_stack_is_the_one_that_works_together():
    assert STACK.items() <= pins('requirements.lock').items()


def test_extra_agrees_with_the_lock():
    locked = pins('requirements.lock')
    extra = pins('requirements-reverb.lock')
    assert extra['dm-reverb'] == '0.14.0'
    both = locked.keys() & extra.keys()
    assert 'numpy' in both
    assert {name: extra[name] for name in both} == {name: locked[name] for name in both}


def test_environment_is_the_locked_one():
    locked = pins('requirements.lock')
    found = {name: importlib.metadata.version(name) for name in locked}
    assert found == locked


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
