"""Runs pytest on the arguments: the main of every `py_test` of tools/python.bzl."""

from __future__ import annotations

import os
import sys

import pytest

if __name__ == '__main__':
    # The value of `bazel test --test_filter`.
    only = os.environ.get('TESTBRIDGE_TEST_ONLY')
    sys.exit(pytest.main([*sys.argv[1:], *(['-k', only] if only else [])]))
