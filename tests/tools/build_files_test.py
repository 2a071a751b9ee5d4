"""Each rule on BUILD files and imports, on small made-up trees."""

from __future__ import annotations

import textwrap

import pytest

from tools import build_files


def plant(root, files):
    """Writes `files`, path -> text, under `root` and returns the tree."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(text))
    return build_files.Tree(root)


def build(package, *rules):
    load = 'load("//tools:python.bzl", "py_library", "py_test")'
    return '\n\n'.join([load, build_files.default_visibility(package), *rules]) + '\n'


CORE = build('official/core', 'py_library(name = "core", srcs = ["a.py", "b.py"])')


def test_nothing_wrong(tmp_path):
    tree = plant(tmp_path, {
        'official/core/a.py': 'from official.core import b\n',
        'official/core/b.py': 'import os\n',
        'official/core/BUILD': CORE,
        'tests/official/core/a_test.py': 'from official.core import a\n',
        'tests/official/core/BUILD': build(
            'tests/official/core',
            'py_tests(tests = {"a_test": ["//official/core"]})',
        ),
    })  # fmt: skip
    assert tree.problems() == []


def test_test_file_without_target(tmp_path):
    tree = plant(tmp_path, {'tests/x_test.py': '', 'tests/BUILD': build('tests')})
    assert tree.problems() == ['tests/x_test.py belongs to no target; one it has to be']


def test_test_file_in_a_library_is_never_run(tmp_path):
    library = 'py_library(name = "tests", srcs = ["x_test.py"])'
    tree = plant(tmp_path, {'tests/x_test.py': '', 'tests/BUILD': build('tests', library)})
    assert tree.problems() == ['tests/x_test.py has to be a py_test']


def test_file_without_build_file(tmp_path):
    tree = plant(tmp_path, {'official/data/idx.py': ''})
    assert tree.problems() == [
        'official/data has no BUILD file',
        'official/data/idx.py belongs to no target; one it has to be',
    ]


def test_source_that_is_gone(tmp_path):
    tree = plant(tmp_path, {'official/core/a.py': '', 'official/core/BUILD': CORE})
    assert tree.problems() == ['official/core/BUILD: core names b.py, not there']


@pytest.mark.parametrize('text', [
    'from official.core import a',
    'import official.core.a',
    'from official.core.a import f',
    'from .core import a',
    'def f():\n    from official.core import a',
])  # fmt: skip
def test_import_without_dependency(tmp_path, text):
    tree = plant(tmp_path, {
        'official/core/a.py': '',
        'official/core/b.py': '',
        'official/core/BUILD': CORE,
        'official/launch.py': text,
        'official/BUILD': build(
            'official', 'py_library(name = "official", srcs = ["launch.py"])'
        ),
    })  # fmt: skip
    assert tree.problems() == ['official/BUILD: official needs //official/core']


@pytest.mark.parametrize('text, needed', [
    ('"""The core."""\n', []),
    ('"""The core."""\nVERSION = 1\n', ['official/data/BUILD: data needs //official/core']),
])  # fmt: skip
def test_docstring_of_a_package_is_no_code(tmp_path, text, needed):
    tree = plant(tmp_path, {
        'official/core/__init__.py': text,
        'official/core/a.py': '',
        'official/core/BUILD': build(
            'official/core',
            'py_library(name = "core", srcs = ["__init__.py"])',
            'py_library(name = "apart", srcs = ["a.py"])',
        ),
        'official/data/b.py': 'from official.core import a\n',
        'official/data/BUILD': build(
            'official/data',
            'py_library(name = "data", srcs = ["b.py"], deps = ["//official/core:apart"])',
        ),
    })  # fmt: skip
    assert tree.problems() == needed


def test_start_of_a_package_is_a_dependency_of_all_in_it(tmp_path):
    tree = plant(tmp_path, {
        'official/__init__.py': '"""What several papers use."""\n',
        'official/BUILD': build(
            'official', 'py_library(name = "official", srcs = ["__init__.py"])'
        ),
        'official/core/a.py': '',
        'official/core/b.py': '',
        'official/core/BUILD': CORE,
    })  # fmt: skip
    assert tree.problems() == ['official/core/BUILD: core needs //official']


def test_gin_file_that_a_test_names_is_a_dependency(tmp_path):
    tree = plant(tmp_path, {
        'gin_configs/ladder/digits.gin': '',
        'gin_configs/ladder/BUILD': build(
            'gin_configs/ladder', 'py_library(name = "ladder", data = glob(["*.gin"]))'
        ),
        'gin_configs/BUILD': build(
            'gin_configs', 'py_library(name = "gin_configs", deps = ["//gin_configs/ladder"])'
        ),
        'tests/a_test.py': 'FLAG = "--gin_file=gin_configs/ladder/digits.gin"\n',
        'tests/b_test.py': 'FLAG = "--gin_file=gin_configs/ladder/no_such.gin"\n',
        'tests/BUILD': build(
            'tests',
            'py_test(name = "a_test")',
            'py_tests(tests = {"b_test": []})',
        ),
    })  # fmt: skip
    assert tree.problems() == ['tests/BUILD: a_test needs //gin_configs/ladder']


def test_module_that_a_test_runs_by_name_is_a_dependency(tmp_path):
    tree = plant(tmp_path, {
        'official/core/a.py': '',
        'official/core/b.py': '',
        'official/core/BUILD': CORE,
        'tests/a_test.py': 'COMMAND = ["python", "-m", "official.core.a"]\n',
        'tests/b_test.py': 'LOGGER = "official.core.no_module"\n',
        'tests/BUILD': build(
            'tests',
            'py_test(name = "a_test")',
            'py_tests(tests = {"b_test": []})',
        ),
    })  # fmt: skip
    assert tree.problems() == ['tests/BUILD: a_test needs //official/core']


def test_module_that_is_not_there(tmp_path):
    tree = plant(tmp_path, {
        'official/core/a.py': 'from official.core import c\n',
        'official/core/b.py': '',
        'official/core/BUILD': CORE,
    })  # fmt: skip
    assert tree.problems() == ['official/core/a.py imports official/core/c.py, which is not there']


@pytest.mark.parametrize('path, imported, allowed', [
    ('official/core/a.py', 'official/data/b.py', True),
    ('official/core/a.py', 'research/ladder/model.py', False),
    ('official/core/a.py', 'tests/a.py', False),
    ('research/ladder/model.py', 'official/core/a.py', True),
    ('research/ladder/model.py', 'research/ladder/layers.py', True),
    ('research/ladder/model.py', 'research/dqn/agent.py', False),
    ('research/ladder/model.py', 'tests/a.py', False),
    ('gin_configs/ladder/a.gin', 'research/ladder/model.py', True),
    ('gin_configs/ladder/a.gin', 'research/dqn/agent.py', False),
    ('benchmarks/ladder.py', 'research/ladder/model.py', True),
    ('benchmarks/ladder.py', 'tests/a.py', False),
    ('tools/garden.py', 'official/core/a.py', False),
    ('tests/research/a_test.py', 'research/dqn/agent.py', True),
])  # fmt: skip
def test_who_may_import_whom(path, imported, allowed):
    assert build_files.may_import(path, imported) is allowed


def test_forbidden_import_is_a_problem_and_no_dependency(tmp_path):
    files = {
        'official/core/a.py': 'from research.ladder import model\n',
        'official/core/b.py': '',
        'official/core/BUILD': CORE,
        'research/ladder/model.py': '',
        'research/ladder/BUILD': build(
            'research/ladder', 'py_library(name = "ladder", srcs = ["model.py"])'
        ),
    }
    tree = plant(tmp_path, files)
    assert tree.problems() == ['official/core/a.py may not import research/ladder/model.py']
    tree.fix()
    assert 'research' not in (tmp_path / 'official/core/BUILD').read_text()


def test_a_paper_is_visible_to_no_other_paper(tmp_path):
    line = build_files.default_visibility('research/ladder')
    assert '//research/ladder:__subpackages__' in line
    assert 'visibility:public' not in line and 'dqn' not in line
    tree = plant(tmp_path, {
        'research/ladder/model.py': '',
        'research/ladder/BUILD': 'package(default_visibility = ["//visibility:public"])\n'
        'py_library(name = "ladder", srcs = ["model.py"])\n',
    })  # fmt: skip
    assert tree.problems() == [f'research/ladder/BUILD: the package line has to be {line}']


def test_fix_makes_everything(tmp_path):
    tree = plant(tmp_path, {
        'official/core/a.py': '',
        'research/ladder/__init__.py': 'from research.ladder.model import Ladder\n',
        'research/ladder/model.py': 'from official.core import a\n',
        'gin_configs/ladder/table1/cell.gin': '',
        'gin_configs/ladder/digits.gin': 'from research.ladder import model\nmodel.Ladder.x = 1\n',
        'tests/conftest.py': '',
        'tests/research/ladder/helper.py': '',
        'tests/research/ladder/model_test.py': 'from research.ladder import Ladder\n'
        'from tests.research.ladder import helper\n',
    })  # fmt: skip
    tree.fix()
    assert tree.problems() == []
    assert '"//gin_configs/ladder"' in (tmp_path / 'gin_configs/BUILD').read_text()
    assert (tmp_path / 'gin_configs/ladder/BUILD').read_text() == textwrap.dedent("""\
        load("//tools:python.bzl", "py_library")

        package(default_visibility = [
            "//:__pkg__",
            "//gin_configs:__pkg__",
            "//tests:__subpackages__",
        ])

        py_library(
            name = "ladder",
            data = glob(["**/*.gin"]),
            deps = ["//research/ladder"],
        )
        """)
    assert (tmp_path / 'tests/research/ladder/BUILD').read_text() == textwrap.dedent("""\
        load("//tools:python.bzl", "py_library", "py_tests")

        package(default_visibility = ["//tests:__subpackages__"])

        py_library(
            name = "ladder",
            testonly = True,
            srcs = ["helper.py"],
        )

        py_tests(tests = {
            "model_test": [":ladder", "//research/ladder"],
        })
        """)


TABLE = """\
py_tests(tests = {
    # Of no other file.
    "a_test": [],
    "c_test": [
        "//official/core",
        "//official/data",
    ],
    "gone_test": ["//official/core"],
})

py_test(
    name = "old_test",
    tags = ["sandbox"],
)"""


def test_fix_keeps_a_table_of_tests(tmp_path):
    long = [f'official/rather_long_name_of_a_folder_{n}' for n in range(3)]
    files = {f'{package}/a.py': '' for package in ('official/core', 'official/data', *long)}
    tree = plant(tmp_path, {
        **files,
        'tests/a_test.py': 'import official.data.a\n',
        'tests/b_test.py': ''.join(f'import {package.replace("/", ".")}.a\n' for package in long),
        'tests/c_test.py': 'import official.core.a\n',
        'tests/d_test.py': 'import official.core.a\nimport official.data.a\n',
        'tests/BUILD': build('tests', TABLE),
    })  # fmt: skip
    tree.fix()
    assert tree.problems() == []
    assert (tmp_path / 'tests/BUILD').read_text() == textwrap.dedent("""\
        load("//tools:python.bzl", "py_tests")

        package(default_visibility = ["//tests:__subpackages__"])

        py_tests(tests = {
            # Of no other file.
            "a_test": ["//official/data"],
            "b_test": [
                "//official/rather_long_name_of_a_folder_0",
                "//official/rather_long_name_of_a_folder_1",
                "//official/rather_long_name_of_a_folder_2",
            ],
            "c_test": [
                "//official/core",
                "//official/data",
            ],
            "d_test": ["//official/core", "//official/data"],
        })
        """)
    tree.fix()
    assert 'b_test' in (tmp_path / 'tests/BUILD').read_text()


@pytest.mark.parametrize('length, lines', [(54, 1), (55, 4)])
def test_line_of_a_table_of_tests_is_at_most_100_columns(tmp_path, length, lines):
    package = 'official/' + length * 'x'
    tree = plant(tmp_path, {
        f'{package}/a.py': '',
        'official/b/a.py': '',
        'tests/a_test.py': f'import official.b.a\nimport {package.replace("/", ".")}.a\n',
        'tests/BUILD': '',
    })  # fmt: skip
    tree.fix()
    text = (tmp_path / 'tests/BUILD').read_text()
    written = text[text.index('    "a_test"') : text.index('})')]
    assert written.count('\n') == lines
    assert max(map(len, written.splitlines())) <= 100


def test_dependency_of_every_test_is_named_by_none(tmp_path):
    tree = plant(tmp_path, {
        'tests/conftest.py': '',
        'tests/a_test.py': '',
        'tests/b_test.py': '',
        'tests/BUILD': build(
            'tests',
            'py_library(name = "tests", srcs = ["conftest.py"])',
            'py_tests(tests = {"a_test": [], "b_test": [":tests"]})',
        ),
    })  # fmt: skip
    assert tree.problems() == ['tests/BUILD: b_test names //tests, as every test has it']


def test_entry_without_file(tmp_path):
    tree = plant(tmp_path, {
        'tests/a.py': '',
        'tests/BUILD': build(
            'tests',
            'py_library(name = "tests", srcs = ["a.py"])',
            'py_tests(tests = {"b_test": []})',
        ),
    })  # fmt: skip
    assert tree.problems() == ['tests/BUILD: b_test names b_test.py, not there']


def test_fix_keeps_what_a_person_wrote(tmp_path):
    written = """
        # Run by name.
        py_test(
            name = "a_test",
            size = "large",
            data = ["//:garden"],
            tags = ["exclusive"],
            deps = ["//gin_configs"],
        )
    """
    tree = plant(tmp_path, {
        'official/core/a.py': '',
        'official/core/gone.py': '',
        'tests/a_test.py': 'from official.core import a\n',
        'tests/BUILD': build('tests', textwrap.dedent(written).strip()),
    })  # fmt: skip
    tree.fix()
    (tmp_path / 'official/core/gone.py').unlink()
    tree = build_files.Tree(tmp_path)
    tree.fix()
    assert tree.problems() == []
    assert (
        (tmp_path / 'tests/BUILD')
        .read_text()
        .endswith(
            textwrap.dedent("""\
        # Run by name.
        py_test(
            name = "a_test",
            size = "large",
            data = ["//:garden"],
            tags = ["exclusive"],
            deps = [
                "//gin_configs",
                "//official/core",
            ],
        )
        """)
        )
    )
    assert 'srcs = ["a.py"]' in (tmp_path / 'official/core/BUILD').read_text()
    text = (tmp_path / 'tests/BUILD').read_text()
    tree.fix()
    assert (tmp_path / 'tests/BUILD').read_text() == text
