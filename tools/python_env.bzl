"""The Python environment of all Python targets, made from a lock.

python_env() makes an environment inside the external repository with tools/environment.py, as
`garden` makes its own, or uses one that exists.  The repository also holds the toolchain that makes
every py_binary and py_test run under it.  It is made anew when a lock, a script, an attribute or one
of these environment variables changes:

  ARBORETUM_PYTHON  the Python of the environment: 3.11, 3.12, 3.13, a name or a path
  ARBORETUM_VENV    an environment that exists already, to use as it is
"""

_BUILD = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "runtime",
    files = ["packages.txt"],
    interpreter = "python",
    python_version = "PY3",
    # Only starts each target's own starter; Bazel 4 would name "python", which Debian lacks.
    stub_shebang = "#!/usr/bin/env python3",
)

py_runtime_pair(
    name = "runtimes",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtimes",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

# As in `garden`: Keras 2 beside a TensorFlow whose own is Keras 3.
_KERAS_2 = "export TF_USE_LEGACY_KERAS=1\n"

# -P keeps the folder of the started file off sys.path.  That file is a link into the source tree,
# where neighbours that no target names would be found.
_PYTHON = """\
#!/bin/sh
{keras}exec "{python}" -P "$@"
"""

# Not "pip freeze": an environment that uv made has no pip.
_PACKAGES = """\
import importlib.metadata, sys
found = importlib.metadata.distributions()
names = sorted({'%s==%s' % (d.metadata['Name'], d.version) for d in found})
print('python==%d.%d.%d' % sys.version_info[:3], *names, sep='\\n')
"""

def _run(ctx, doing, arguments):
    """Returns what the command `arguments` prints; fails the build where it fails."""
    ctx.report_progress(doing)
    result = ctx.execute(arguments, timeout = 3600, quiet = True)
    if result.return_code:
        fail("python_env: %s failed\n%s%s" % (doing, result.stdout, result.stderr))
    return result.stdout

def _python_env_impl(ctx):
    # ctx.path of a label makes the file one that this repository depends on.
    script = [ctx.path(label) for label in ctx.attr.scripts + ctx.attr.locks][0]
    venv = ctx.os.environ.get("ARBORETUM_VENV", "")
    if venv:
        python = ctx.path(venv + "/bin/python")
        if not python.exists:
            fail("python_env: ARBORETUM_VENV names %s, which is no environment" % venv)
    else:
        # The script runs under any, and finds the one that is asked for.
        base = ctx.which("python3")
        if not base:
            fail("python_env: there is no python3 on PATH; ARBORETUM_VENV may name an environment")
        _run(ctx, "making the Python environment", [base, "-I", "-S", script, "venv"])
        python = ctx.path("venv/bin/python")
    packages = _run(ctx, "listing the packages", [python, "-I", "-c", _PACKAGES])
    version = ".".join(packages.split("\n")[0][len("python=="):].split(".")[:2])
    if version not in ctx.attr.python_versions:
        fail("python_env: %s is Python %s, not one of %s" % (python, version, ", ".join(ctx.attr.python_versions)))

    # An input of every test: a result from before a change of the environment is not reused.
    ctx.file("packages.txt", packages)
    keras = "" if version == "3.11" else _KERAS_2
    ctx.file("python", _PYTHON.format(keras = keras, python = python), executable = True)
    ctx.file("BUILD", _BUILD)
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)

python_env = repository_rule(
    implementation = _python_env_impl,
    attrs = {
        "locks": attr.label_list(mandatory = True, allow_files = True),
        "python_versions": attr.string_list(mandatory = True),
        # The first is run, and the others are what it imports.
        "scripts": attr.label_list(mandatory = True, allow_files = True),
    },
    environ = ["ARBORETUM_PYTHON", "ARBORETUM_VENV"],
)
