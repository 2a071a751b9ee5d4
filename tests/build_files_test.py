"""The BUILD files name every Python and gin file, and the imports keep the rules of the house.

Reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

from __future__ import annotations

import pathlib

from tools import build_files

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_build_files_are_in_step():
    problems = build_files.Tree(ROOT).problems()
    assert not problems, '\n'.join(
        ['./garden python tools/build_files.py --fix mends what can be mended:', *problems]
    )


def test_every_package_of_the_house_is_seen():
    seen = build_files.Tree(ROOT).files
    assert {'official/core', 'research/ladder', 'gin_configs/ladder', 'tests/tools'} <= set(seen)
    assert 'build_files_test.py' in seen['tests']
