"""The lock: everything that is asked for pinned and hashed, the environment as locked."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
STACK = {
    'tensorflow': '2.15.1',
    'keras': '2.15.0',
    'tf-agents': '0.19.0',
    'tensorflow-gnn': '1.0.3',
    'tensorflow-addons': '0.23.0',
    'gin-config': '0.5.0',
    'dm-reverb': '0.14.0',
}


def asked() -> list[str]:
    """Returns the requirements of requirements.in."""
    lines = (ROOT / 'requirements.in').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def pins() -> dict[str, str]:
    """Returns package -> version of the lock, after a look at the hashes of each."""
    found = {}
    text = (ROOT / 'requirements.lock').read_text()
    for block in re.split(r'\n(?=[a-z])', text.split('\n', 2)[2]):
        name, version = re.match(r'([\w.-]+)==([^\s\\;]+)', block).groups()
        assert re.search(r'--hash=sha256:[0-9a-f]{64}\b', block), f'{name} has no hash'
        found[name] = version
    return found


def test_what_is_asked_for_is_pinned():
    locked = pins()
    for requirement in asked():
        name, exact = re.match(r'([\w.-]+)(?:==(.*))?', requirement).groups()
        assert locked[name.lower()] == exact or not exact, requirement


def test_stack_is_the_one_that_works_together():
    assert STACK.items() <= pins().items()


def test_environment_is_the_locked_one():
    locked = pins()
    found = {name: importlib.metadata.version(name) for name in locked}
    assert found == locked
