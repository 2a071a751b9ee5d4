"""The locks: everything that is asked for pinned and hashed, the environment as locked."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parent.parent
FIRST, SECOND = 'requirements.lock', 'requirements_py312.lock'
# Lock -> the Pythons that it is for, and what it is made from.
LOCKS = {
    FIRST: (('3.11',), ('requirements.in', 'requirements_dev.in')),
    SECOND: (
        ('3.12', '3.13'),
        ('requirements.in', 'requirements_py312.in', 'requirements_dev.in'),
    ),
}
STACKS = {
    FIRST: {
        'tensorflow': '2.15.1', 'keras': '2.15.0', 'tf-agents': '0.19.0',
        'tensorflow-gnn': '1.0.3', 'tensorflow-addons': '0.23.0', 'gin-config': '0.5.0',
        'dm-reverb': '0.14.0',
    },
    SECOND: {
        'tensorflow': '2.21.0', 'tf-keras': '2.21.0', 'tf-agents': '0.19.0',
        'tensorflow-gnn': '1.0.3', 'gin-config': '0.5.0',
    },
}  # fmt: skip
CASES = [(lock, version) for lock, (versions, _) in LOCKS.items() for version in versions]


def asked(lock: str, version: str) -> list[Requirement]:
    """Returns the requirements that `lock` is made from and whose markers allow `version`."""
    lines = [line for name in LOCKS[lock][1] for line in (ROOT / name).read_text().splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith('#')]
    place = {'python_version': version}
    return [r for r in requirements if not r.marker or r.marker.evaluate(place)]


def pins(lock: str) -> dict[str, str]:
    """Returns package -> version of a lock, after a look at the hashes of each."""
    found = {}
    text = (ROOT / lock).read_text()
    for block in re.split(r'\n(?=[a-z])', text.split('\n', 2)[2]):
        name, version = re.match(r'([\w.-]+)==([^\s\\;]+)', block).groups()
        assert re.search(r'--hash=sha256:[0-9a-f]{64}\b', block), f'{name} has no hash'
        found[name] = version
    return found


@pytest.mark.parametrize('lock, version', CASES)
def test_what_is_asked_for_is_pinned(lock, version):
    locked = pins(lock)
    requirements = asked(lock, version)
    assert len(requirements) > 30
    for requirement in requirements:
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


def test_second_lock_is_for_both_of_its_pythons():
    # A package with a marker of its own between 3.12 and 3.13 would be in one only.
    assert ';' not in re.sub(r'(?m)^ *#.*', '', (ROOT / SECOND).read_text())
    assert list(map(str, asked(SECOND, '3.12'))) == list(map(str, asked(SECOND, '3.13')))


@pytest.mark.parametrize('lock', LOCKS)
def test_stack_is_the_one_that_works_together(lock):
    assert STACKS[lock].items() <= pins(lock).items()


def test_second_stack_leaves_out_what_is_not_to_be_had_there():
    assert not {'tensorflow-addons', 'dm-reverb'} & set(pins(SECOND))


@pytest.mark.parametrize('lock', LOCKS)
def test_command_that_made_the_lock_reads_all_that_it_is_made_from(lock):
    versions, inputs = LOCKS[lock]
    command = (ROOT / lock).read_text().splitlines()[1].split()
    assert command[-len(inputs) - 2 :] == [*inputs, '-o', lock]
    assert f'--python-version {versions[0]} --override requirements_overrides.in' in ' '.join(
        command
    )


def test_environment_is_the_locked_one():
    running = f'{sys.version_info[0]}.{sys.version_info[1]}'
    locked = pins(next(lock for lock, version in CASES if version == running))
    found = {name: importlib.metadata.version(name) for name in locked}
    assert found == locked
