"""The one place that the Python rules of this repository come from.

The native rules are in every Bazel up to 7.  A move to rules_python changes this file only.
"""

def py_library(name, **kwargs):
    """A library of Python 3 sources."""
    native.py_library(name = name, srcs_version = "PY3", **kwargs)

def py_binary(name, **kwargs):
    """A program under the locked environment."""
    native.py_binary(name = name, python_version = "PY3", srcs_version = "PY3", **kwargs)

def py_test(name, size = "medium", data = [], **kwargs):
    """A pytest file that runs itself; medium is at most five minutes.

    pyproject.toml, beside which pytest finds the root of the tests, has pytest's settings.
    """
    native.py_test(
        name = name,
        size = size,
        data = data + ["//:pyproject.toml"],
        python_version = "PY3",
        srcs_version = "PY3",
        **kwargs
    )
