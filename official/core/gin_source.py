"""Reads a gin file without importing what it names: syntax, imports, includes, overrides.

Everything that can be wrong before TensorFlow is imported is found here, in milliseconds. The
result is flat: includes are merged and overrides applied, every name is also known by its full
path, so that two files that wire the same experiment are seen to be the same.

A file may include several others, and these others again. A file that several include is read once.
A file's own bindings replace those that it includes, and a later include replaces an earlier one.
The imports of an included file hold in the including one; gin itself wants them in every file.

A name that the file imports twice, a parameter bound twice in one file and a scope that no
reference opens are errors: all three are slips that gin itself lets pass.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import pkgutil
import re
import sys
import tokenize
from collections.abc import Iterator
from typing import Any

from gin import config_parser

from official.core import errors

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FIRST = 'from __gin__ import dynamic_registration'
_TOO_DEEP = 'brackets are nested too deeply to be read.'
_UNREADABLE = re.compile(r"Failed to parse token '(.*)'", re.DOTALL)


@dataclasses.dataclass(eq=False)
class Reference:
    """`@scope/module.Name`, the class or function, or with `()` what calling it gives."""

    scopes: tuple[str, ...]
    selector: str
    evaluate: bool
    full: str = ''  # The name with its whole module path; filled when the file's imports are known.

    def spelled(self, name: str) -> str:
        return f'@{"/".join([*self.scopes, name])}{"()" if self.evaluate else ""}'

    def __repr__(self):
        return self.spelled(self.selector)


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%name`, the value of the line `name = value`."""

    name: str

    def __repr__(self):
        return f'%{self.name}'


@dataclasses.dataclass(frozen=True)
class Binding:
    """`scope/selector.parameter = value`; a macro's line has a scope alone."""

    scope: str
    selector: str
    full: str
    parameter: str
    value: Any
    place: str  # Where it stands, for messages: 'file:line' or the flag.

    @property
    def key(self) -> str:
        """The binding's name with the whole module path."""
        return self._key(self.full)

    def line(self) -> str:
        """The binding as gin reads it."""
        return f'{self._key(self.selector)} = {self.value!r}'

    def _key(self, name: str) -> str:
        if not name:
            return self.scope
        return f'{self.scope + "/" if self.scope else ""}{name}.{self.parameter}'


@dataclasses.dataclass
class Source:
    """A gin file, flat.

    Attributes:
      path: the file.
      head: its first comment lines, each with its `#`.
      imports: symbol -> gin's import statement.
      bindings: full name -> binding, in the order of the files.
      included: real paths of the included files.
    """

    path: str
    head: list[str] = dataclasses.field(default_factory=list)
    imports: dict[str, config_parser.ImportStatement] = dataclasses.field(default_factory=dict)
    bindings: dict[str, Binding] = dataclasses.field(default_factory=dict)
    included: set[str] = dataclasses.field(default_factory=set)

    def full(self, selector: str, place: str) -> str:
        """The whole module path of `selector`.

        Raises:
          ValueError: if the file does not import its first part.
        """
        symbol, _, rest = selector.partition('.')
        if symbol == 'gin':  # gin's own macro and singleton.
            return selector
        if symbol not in self.imports:
            near = errors.did_you_mean(symbol, self.imports)
            raise ValueError(f'{place}: {symbol!r} of {selector!r} is not imported{near}')
        statement = self.imports[symbol]
        if statement.is_from or statement.alias:
            return f'{statement.module}.{rest}' if rest else statement.module
        return selector

    def references(self) -> Iterator[tuple[Reference, Binding]]:
        """Every reference with the binding it stands in."""
        for binding in self.bindings.values():
            for part in parts(binding.value):
                if isinstance(part, Reference):
                    yield part, binding

    def names(self) -> dict[str, str]:
        """Full name -> name in the file, of everything the file binds or refers to."""
        names = {b.full: b.selector for b in self.bindings.values() if b.selector}
        return names | {reference.full: reference.selector for reference, _ in self.references()}

    def text(self) -> str:
        """The whole configuration as one gin text without includes."""
        imports = [statement.format() for statement in self.imports.values()]
        lines = [binding.line() for binding in self.bindings.values()]
        return '\n'.join([_FIRST, *imports, '', *lines]) + '\n'


def read(gin_file: str, gin_params: tuple[str, ...] = ()) -> Source:
    """Returns the configuration of `gin_file` with the overrides `gin_params`.

    Args:
      gin_file: path, from the current folder or from the project's.
      gin_params: `Class.parameter=value`, where the class is one that the file uses, named as far
        as need be to tell it from the others.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if something in it, or in an override, cannot be right. Each message is one
        sentence that begins with the file and line, or the override.
    """
    path = find(gin_file)
    source = Source(path)
    _read_into(source, path, ())
    for text in gin_params:
        _override(source, text)
    _check_macros(source)
    _check_scopes(source)
    return source


def find(gin_file: str, place: str = '') -> str:
    """Returns the path of `gin_file`, looked for in the current folder, then in the project's."""
    for path in (gin_file, os.path.join(ROOT, gin_file)):
        if os.path.isfile(path):
            return path
    kind = 'is a folder, not a gin file' if os.path.isdir(gin_file) else 'does not exist'
    folder = gin_file if os.path.isdir(gin_file) else os.path.dirname(gin_file)
    near: list[str] = []
    for base in (folder or '.', os.path.join(ROOT, folder)):
        if not near and os.path.isdir(base):
            near = [os.path.join(folder, n) for n in os.listdir(base) if n.endswith('.gin')]
    if not near:
        near = [
            os.path.relpath(os.path.join(base, name), ROOT)
            for base, _, names in os.walk(os.path.join(ROOT, 'gin_configs'))
            for name in names
            if name.endswith('.gin')
        ]
    meant = errors.did_you_mean(gin_file, near)
    raise FileNotFoundError(f'{place + ": " if place else ""}{gin_file} {kind}{meant}')


class _Delegate(config_parser.ParserDelegate):
    """Makes the objects that stand for references and macros."""

    def configurable_reference(self, scoped_configurable_name, evaluate):
        *scopes, selector = scoped_configurable_name.split('/')
        return Reference(tuple(scopes), selector, evaluate)

    def macro(self, macro_name):
        return Macro(macro_name)


def _statements(text: str, place) -> Iterator[Any]:
    """Yields gin's statements of `text`; `place(line)` names a line in messages."""
    try:
        yield from config_parser.ConfigParser(text, _Delegate())
    except RecursionError:
        lines = text.splitlines()
        deepest = max(range(len(lines)), key=lambda i: sum(map(lines[i].count, '([{')))
        raise ValueError(f'{place(deepest + 1)}: {_TOO_DEEP}') from None
    except tokenize.TokenError as error:
        # Each version of Python has its own words, and another line, for the same mistake.
        message, (line, _) = error.args
        lines = text.splitlines()
        if 'too many nested' in message:
            raise ValueError(f'{place(line)}: {_TOO_DEEP}') from None
        if 'EOF' not in message:  # From 3.12 on, for a quote without the other one.
            line_text = lines[line - 1].strip()
            raise ValueError(
                f'{place(line)}: cannot read {line_text!r} (Unable to parse value.).'
            ) from None
        inside = 'string' if 'string' in message else 'statement'
        raise ValueError(f'{place(len(lines))}: the text ends within a {inside}.') from None
    except SyntaxError as error:
        line = (error.text or '').strip() or text.strip().split('\n')[-1]  # Where it ends.
        unreadable = _UNREADABLE.search(error.msg)
        if unreadable:
            raise ValueError(
                f'{place(error.lineno)}: cannot read the value {unreadable[1]} in {line!r}; a text '
                f'needs quotes, a class an @, a macro a %.'
            ) from None
        raise ValueError(f'{place(error.lineno)}: cannot read {line!r} ({error.msg}).') from None


def _read_into(source: Source, path: str, includers: tuple[str, ...]) -> bool:
    """Adds a file to `source`; returns True if it, or what it includes, registers dynamically.

    Args:
      source: what was read before.
      path: the file.
      includers: the files that lead here, the one asked for first.
    """
    text = _text(path)
    if not includers:
        source.head = list(
            itertools.takewhile(lambda line: line.startswith('#'), text.splitlines())
        )
    mine: dict[str, str] = {}
    dynamic = False
    for statement in _statements(text, lambda line: f'{path}:{line}'):
        place = f'{path}:{statement.location.line_num}'
        if isinstance(statement, config_parser.IncludeStatement):
            if mine:
                raise ValueError(f'{place}: an include must stand before the first binding.')
            dynamic |= _include(source, statement.filename, place, (*includers, path))
            continue
        if isinstance(statement, config_parser.ImportStatement):
            if statement.module == '__gin__.dynamic_registration':
                dynamic = True
                continue
            _import(source, statement, place)
        elif isinstance(statement, config_parser.BindingStatement):
            binding = _binding(source, statement, place)
            if binding.key in mine:
                raise ValueError(
                    f'{place}: {binding.key} is bound a second time (first at {mine[binding.key]}).'
                )
            mine[binding.key] = place
            # A file's own binding comes after, and in place of, the one it included.
            source.bindings.pop(binding.key, None)
            source.bindings[binding.key] = binding
        if not dynamic:
            raise ValueError(f'{place}: the first statement must be "{_FIRST}" or an include.')
    return dynamic


def _include(source: Source, name: str, place: str, includers: tuple[str, ...]) -> bool:
    path = find(name, place)
    same = os.path.realpath(path)
    if same in map(os.path.realpath, includers):
        raise ValueError(f'{place}: {name} includes itself.')
    if same in source.included:
        return True
    source.included.add(same)
    return _read_into(source, path, includers)


def _text(path: str) -> str:
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return content.decode('utf-8-sig')  # Some editors put a byte order mark first.
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not a text file in UTF-8 ({error}).') from None


def _import(source: Source, statement: config_parser.ImportStatement, place: str) -> None:
    _check_module(statement.module, place)
    symbol = statement.bound_name()
    if symbol == 'gin':
        raise ValueError(f"{place}: 'gin' is gin's own name; import it with `as`.")
    other = source.imports.get(symbol)
    if other and other.module == statement.module:
        return
    if other:
        if other.is_from or other.alias or statement.is_from or statement.alias:
            raise ValueError(
                f'{place}: {symbol!r} is {other.module} already; import {statement.module} with '
                f'`as`.'
            )
        # `import a.b` and `import a.c` share the symbol `a`; gin needs both lines.
        symbol = statement.module
    source.imports[symbol] = statement


def _check_module(name: str, place: str) -> None:
    path = None
    parts = name.split('.')
    for i, part in enumerate(parts):
        parent = '.'.join(parts[:i])
        found, inner = _module_path('.'.join(parts[: i + 1]), path)
        if not found:
            near = errors.did_you_mean(part, (module.name for module in pkgutil.iter_modules(path)))
            where = f'{parent} has no module {part!r}' if parent else f'there is no module {part!r}'
            raise ValueError(f'{place}: {where}{near}')
        path = inner


def _module_path(name: str, path) -> tuple[bool, list[str]]:
    """Returns True if the module `name` is in its package's `path`, and its own path as a package.

    Unlike `importlib.util.find_spec` this imports no package on the way.
    """
    if name in sys.modules:
        return True, list(getattr(sys.modules[name], '__path__', []))
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except KeyError:  # A package without __init__.py asks for its parent in sys.modules.
            return True, [os.path.join(folder, name.rpartition('.')[2]) for folder in path]
        if spec is not None:
            return True, list(spec.submodule_search_locations or [])
    return False, []


def _binding(source: Source, statement: config_parser.BindingStatement, place: str) -> Binding:
    scope, selector, parameter, value, _ = statement
    if not parameter:  # A macro; its name stands where the class would.
        scope, selector, full = f'{scope + "/" if scope else ""}{selector}', '', ''
    else:
        full = source.full(selector, place)
    for part in parts(value):
        if isinstance(part, Reference):
            part.full = source.full(part.selector, place)
        elif isinstance(part, float) and not math.isfinite(part):
            # Python reads 1e999 as infinity and writes it as `inf`, which gin does not read.
            raise ValueError(
                f'{place}: {selector or scope}{"." if parameter else ""}'
                f'{parameter or ""} = {part} is not a finite number.'
            )
    return Binding(scope, selector, full, parameter, value, place)


def _override(source: Source, text: str) -> None:
    place = f'--gin_param={text}'
    statements = list(_statements(text, lambda line: place)) if '=' in text else []
    if len(statements) != 1 or not isinstance(statements[0], config_parser.BindingStatement):
        raise ValueError(f'{place}: an override is one Class.parameter=value.')
    statement = statements[0]
    if statement.arg_name:
        statement = statement._replace(selector=_used(source, statement.selector, place))
        binding = _binding(source, statement, place)
    else:
        binding = _binding(source, statement, place)
        macros = [b.scope for b in source.bindings.values() if not b.selector]
        if binding.scope not in macros:
            short = [f'{b.selector}.{b.parameter}' for b in source.bindings.values() if b.selector]
            near = errors.did_you_mean(binding.scope, [*macros, *short])
            raise ValueError(f'{place}: the file has no macro {binding.scope!r}{near}')
    source.bindings[binding.key] = binding


def _used(source: Source, selector: str, place: str) -> str:
    """The name in the file of what `selector`, the end of a full name, stands for."""
    names = source.names()
    dotted = f'.{selector}'
    found = {
        full: name
        for full, name in names.items()
        if f'.{full}'.endswith(dotted) or f'.{name}'.endswith(dotted)
    }
    if not found:
        near = errors.did_you_mean(selector, names.values())
        raise ValueError(f'{place}: the file does not use {selector!r}{near}')
    if len(found) > 1:
        raise ValueError(f'{place}: {selector!r} may be {" or ".join(sorted(found.values()))}.')
    return next(iter(found.values()))


def _check_macros(source: Source) -> None:
    defined = [b.scope for b in source.bindings.values() if not b.selector]
    for binding in source.bindings.values():
        for part in parts(binding.value):
            if not isinstance(part, Macro) or part.name in defined:
                continue
            if part.name == 'gin.REQUIRED':
                raise ValueError(
                    f'{binding.place}: a value is needed: --gin_param={binding.selector}.'
                    f'{binding.parameter}=...'
                )
            near = errors.did_you_mean(part.name, defined)
            raise ValueError(f'{binding.place}: no line defines the macro %{part.name}{near}')


def _check_scopes(source: Source) -> None:
    opened = set()
    for reference, _ in source.references():
        opened |= {'/'.join(reference.scopes[: i + 1]) for i in range(len(reference.scopes))}
    for binding in source.bindings.values():
        if binding.selector and binding.scope and binding.scope not in opened:
            near = errors.did_you_mean(binding.scope, opened)
            raise ValueError(
                f'{binding.place}: no reference @{binding.scope}/... opens the scope '
                f'{binding.scope!r}{near}'
            )


def parts(value: Any) -> Iterator[Any]:
    """Every value inside nested dicts, lists and tuples."""
    if isinstance(value, dict):
        for pair in value.items():
            yield from parts(pair)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from parts(item)
    else:
        yield value
