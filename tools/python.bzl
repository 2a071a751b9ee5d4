"""The one place that the Python rules of this repository come from.

The native rules are in every Bazel up to 7.  A move to rules_python changes this file only.
"""

_MAIN = "//tests:pytest_main.py"

def py_library(name, **kwargs):
    """A library of Python 3 sources."""
    native.py_library(name = name, srcs_version = "PY3", **kwargs)

def py_binary(name, **kwargs):
    """A program under the locked environment."""
    native.py_binary(name = name, python_version = "PY3", srcs_version = "PY3", **kwargs)

def py_test(name, deps = [], data = [], size = "medium", **kwargs):
    """The pytest file `name`.py, run by the main that all tests share.

    Args:
      name: The file's name without ".py".
      deps: What the file imports, without //tests, which every test has.
      data: What the file reads.
      size: Bazel's class of the test's duration; medium is at most five minutes.
      **kwargs: Other attributes, such as `tags`.
    """
    native.py_test(
        name = name,
        size = size,
        srcs = [name + ".py", _MAIN],
        main = _MAIN,
        args = ["%s/%s.py" % (native.package_name(), name)],
        # pytest finds the root of the tests and its own settings by pyproject.toml.
        data = data + ["//:pyproject.toml"],
        python_version = "PY3",
        srcs_version = "PY3",
        deps = depset(deps + ["//tests"]).to_list(),
        **kwargs
    )

def py_tests(tests):
    """The tests of a package that need no attribute but their dependencies.

    Args:
      tests: Name -> `deps` of each, as of py_test().
    """
    for name, deps in tests.items():
        py_test(name = name, deps = deps)
