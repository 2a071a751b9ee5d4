"""Names of the project's modules.

Reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

import __future__

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ('benchmarks', 'official', 'research', 'tests', 'tools')


def _modules() -> list[pathlib.Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob('*.py'))]


def test_no_module_is_named_like_a_future_import():
    # `from package import annotations` is then one line away from `from __future__ import
    # annotations`, which the first name hides for the rest of the file.
    names = {path.stem: path for path in _modules()}
    assert 'modules_test' in names
    assert not {names[name] for name in __future__.all_feature_names if name in names}
