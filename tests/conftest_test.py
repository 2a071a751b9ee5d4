"""Tests of the choice, the order and the processes of tests.

The last test reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

import ast
import os
import pathlib
import types

import pytest

from tests import conftest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def config(workers=False, quick=False, args=()):
    """A stand-in for pytest's configuration; the tests it leaves out are in `.left_out`."""
    left_out = []
    hook = types.SimpleNamespace(pytest_deselected=lambda items: left_out.extend(items))
    made = types.SimpleNamespace(
        hook=hook, left_out=left_out, args=list(args), getoption={'quick': quick}.get
    )
    if workers:
        made.workerinput = {}
    return made


def items(*names):
    return [types.SimpleNamespace(nodeid=name) for name in names]


@pytest.fixture(name='slow')
def slow_fixture(tmp_path, monkeypatch):
    monkeypatch.setattr(conftest, 'SLOW', tmp_path / 'slow.txt')
    conftest.SLOW.write_text('tests/b_test.py::test_1\ntests/c_test.py::test_1\n')
    with conftest.SLOW.open('a') as file:
        file.write('tests/c_test.py::test_2\n')


FOUND = (
    'tests/a_test.py::test_1',
    'tests/b_test.py::test_1[x[0]]',
    'tests/b_test.py::test_11',
    'tests/c_test.py::test_1',
)


def test_quick_leaves_out_what_is_slow(slow):
    found, given = items(*FOUND), config(quick=True)
    conftest.pytest_collection_modifyitems(given, found)
    assert [item.nodeid for item in found] == [FOUND[0], FOUND[2]]
    assert [item.nodeid for item in given.left_out] == [FOUND[1], FOUND[3]]


def test_workers_begin_with_the_slow_files_and_leave_out_nothing(slow):
    found = items(*FOUND)
    conftest.pytest_collection_modifyitems(config(workers=True), found)
    assert [item.nodeid for item in found] == [FOUND[3], FOUND[1], FOUND[2], FOUND[0]]
    found = items(*FOUND)
    conftest.pytest_collection_modifyitems(config(), found)
    assert [item.nodeid for item in found] == list(FOUND)


def test_single_files_start_no_workers(tmp_path):
    file = tmp_path / 'a_test.py'
    file.write_text('')
    several = os.cpu_count() * 3 // 2
    for args, expected in (
        ([str(file)], 0),
        ([f'{file}::test_1'], 0),
        ([str(tmp_path)], several),
        ([str(file), str(tmp_path)], several),
    ):
        assert conftest.pytest_xdist_auto_num_workers(config(args=args)) == expected


@pytest.mark.parametrize('quick', [False, True])
def test_seconds_are_those_of_all_parameters(slow, quick):
    finder = conftest.FindSlow(quick)
    for name, seconds in (('d::test[0]', 0.7), ('d::test[1]', 0.6), ('d::other', 0.9)):
        finder.pytest_runtest_logreport(types.SimpleNamespace(nodeid=name, duration=seconds))
    before = conftest.SLOW.read_text().splitlines()
    finder.pytest_sessionfinish()
    # What --quick has left out stays left out.
    expected = sorted([*(before if quick else ()), 'd::test'])
    assert conftest.SLOW.read_text().splitlines() == expected


def test_what_is_slow_exists():
    for name in conftest.SLOW.read_text().splitlines():
        path, _, function = name.rpartition('::')
        nodes = ast.walk(ast.parse((ROOT / path).read_text()))
        assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in nodes), (
            f'{conftest.SLOW.name} names {name}, which is not there'
        )
