"""Names and public signatures of the project's modules.

Reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

import __future__

import ast
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ('benchmarks', 'official', 'research', 'tests', 'tools')


def _modules() -> list[pathlib.Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob('*.py'))]


def _untyped(path: pathlib.Path) -> Iterator[str]:
    """Names what is without a type in the public signatures of a module."""
    tree = ast.parse(path.read_text(encoding='utf-8'), str(path))
    todo = [(node, False) for node in tree.body]
    while todo:
        node, in_class = todo.pop()
        private = getattr(node, 'name', '_').startswith('_')
        if isinstance(node, ast.ClassDef) and not private:
            todo += [(member, True) for member in node.body]
        if not isinstance(node, ast.FunctionDef):
            continue
        if private and not (in_class and node.name in ('__init__', '__call__')):
            continue
        signature = node.args
        arguments = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs]
        decorators = [ast.unparse(one) for one in node.decorator_list]
        if in_class and 'staticmethod' not in decorators:
            arguments = arguments[1:]  # Without self.
        arguments += [one for one in (signature.vararg, signature.kwarg) if one]
        names = [one.arg for one in arguments if one.annotation is None]
        if node.returns is None and node.name != '__init__':
            names.append('result')
        if names:
            where = f'{path.relative_to(ROOT)}:{node.lineno}'
            yield f'{where}: {node.name} has no type for {", ".join(names)}'


def test_public_signatures_have_types():
    modules = [
        path for path in _modules() if path.parts[len(ROOT.parts)] in ('official', 'research')
    ]
    assert len(modules) > 200
    untyped = [line for path in modules for line in _untyped(path)]
    assert not untyped, '\n'.join(untyped)


def test_a_signature_without_types_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), 'ROOT', tmp_path)
    (tmp_path / 'x.py').write_text(
        'class A:\n'
        '    def __init__(self, a, b: int): ...\n'
        '    def f(self, *others, c: int, **more: int) -> int: ...\n'
        '    def g(self) -> int: ...\n'
        '    def _h(self, a): ...\n'
        'class _B:\n'
        '    def f(self, a): ...\n'
        'def f(self: int): ...\n'
    )
    assert sorted(_untyped(tmp_path / 'x.py')) == [
        'x.py:2: __init__ has no type for a',
        'x.py:3: f has no type for others',
        'x.py:8: f has no type for result',
    ]


def test_no_module_is_named_like_a_future_import():
    # `from package import annotations` is then one line away from `from __future__ import
    # annotations`, which the first name hides for the rest of the file.
    names = {path.stem: path for path in _modules()}
    assert 'modules_test' in names
    assert not {names[name] for name in __future__.all_feature_names if name in names}
