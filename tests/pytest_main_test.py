"""The main that Bazel's tests share: its exit status is pytest's."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

MAIN = pathlib.Path(__file__).with_name('pytest_main.py')
FILE = 'def test_good(): pass\ndef test_bad(): assert False\n'


@pytest.mark.parametrize('arguments, only, status, outcome', [
    ([], None, 1, '1 failed, 1 passed'),
    ([], 'test_good', 0, '1 passed, 1 deselected'),
    (['--collect-only'], None, 0, '2 tests collected'),
    (['no_such_test.py'], None, 4, 'file or directory not found: no_such_test.py'),
])  # fmt: skip
def test_exit_status(tmp_path, arguments, only, status, outcome):
    (tmp_path / 'some_test.py').write_text(FILE)
    env = {name: value for name, value in os.environ.items() if not name.startswith('PYTEST')}
    env.pop('TESTBRIDGE_TEST_ONLY', None)
    result = subprocess.run(
        [sys.executable, '-P', MAIN, 'some_test.py', *arguments],
        cwd=tmp_path,
        env=env | ({'TESTBRIDGE_TEST_ONLY': only} if only else {}),
        capture_output=True,
        text=True,
    )
    assert result.returncode == status, result.stdout + result.stderr
    assert outcome in result.stdout + result.stderr
