"""Stand-ins for repositories that an old Bazel would download by itself.

A Bazel before 5 (Debian 12 has 4.2.3) resolves C++ and Java toolchains for a Python build too, and
loads @rules_cc and @rules_java for them, and @remote_coverage_tools for every test.  The rules of
the first two are built into a Bazel of that age and the third serves `bazel coverage` alone, so
these stand-ins are enough, and a build needs no network.
"""

_CC = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "objc_library",
]

_JAVA = [
    "java_binary",
    "java_import",
    "java_library",
    "java_plugin",
    "java_proto_library",
    "java_runtime",
    "java_test",
    "java_toolchain",
]

_FORWARD = """\
def {rule}(**kwargs):
    native.{rule}(**kwargs)
"""

_COVERAGE = """\
package(default_visibility = ["//visibility:public"])

sh_binary(
    name = "coverage_report_generator",
    srcs = ["none.sh"],
)

sh_binary(
    name = "lcov_merger",
    srcs = ["none.sh"],
)
"""

def _forwarding_repo_impl(ctx):
    rules = [_FORWARD.format(rule = rule) for rule in ctx.attr.rules]
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file(ctx.attr.package + "/BUILD", "exports_files([\"defs.bzl\"])\n")
    ctx.file(ctx.attr.package + "/defs.bzl", "\n".join(rules))

_forwarding_repo = repository_rule(
    implementation = _forwarding_repo_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "rules": attr.string_list(mandatory = True),
    },
)

def _no_coverage_repo_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD", _COVERAGE)
    ctx.file("none.sh", "#!/bin/sh\necho 'no coverage tools here' >&2\nexit 1\n", executable = True)

_no_coverage_repo = repository_rule(implementation = _no_coverage_repo_impl)

def offline_repos():
    """Declares the stand-ins, on a Bazel that would ask for them."""

    # Debian's Bazel does not know its own version; native.subpackages came with Bazel 5.
    if hasattr(native, "subpackages"):
        return
    _forwarding_repo(name = "rules_cc", package = "cc", rules = _CC)
    _forwarding_repo(name = "rules_java", package = "java", rules = _JAVA)
    _no_coverage_repo(name = "remote_coverage_tools")
