"""Keeps the BUILD files in step with the Python files: what is missing, and what may not be.

    ./garden python tools/build_files.py          says what is wrong, exit status 1
    ./garden python tools/build_files.py --fix    adds the missing rules, sources and dependencies

A folder has one py_library, named after it, of its Python files; another one, where imports would
go round in circles, is made by hand and then kept in step.  Each test file is an entry of the
folder's py_tests, or a py_test where it needs `data`, `size` or `tags`, which are written by hand.
The imports in a file, inside functions too, decide the dependencies; `VISIBLE_TO` is the rule of
who may import whom, which Bazel enforces through each package's default visibility.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Folders with Python or gin files; the first part of every import of our own.
ROOTS = ('benchmarks', 'gin_configs', 'official', 'research', 'tests', 'tools')
# Package pattern -> who may depend on it; the first that matches counts.
VISIBLE_TO = (
    (r'official.*', '//visibility:public'),
    (
        r'research/(\w+).*',
        r'//benchmarks:__subpackages__ //gin_configs/\1:__subpackages__ '
        r'//research/\1:__subpackages__ //tests:__subpackages__',
    ),
    (r'research', '//research:__subpackages__ //tests:__subpackages__'),
    (r'gin_configs.*', '//:__pkg__ //gin_configs:__pkg__ //tests:__subpackages__'),
    (r'benchmarks.*', '//benchmarks:__subpackages__ //tests:__subpackages__'),
    (r'tests.*', '//tests:__subpackages__'),
    (r'tools.*', '//tests:__subpackages__'),
)
OWNERS = ('py_library', 'py_test')
# Folders whose own `__init__.py` runs before anything in them: every library in them names its
# target, and others have it through those.
PACKAGES = ('official', 'research')
# Runs within that of official.
WITHOUT_PACKAGE = '//official/compat'
# The dependency that tools/python.bzl gives to every test.
OF_EVERY_TEST = '//tests'
COLUMNS = 100


class Rule:
    """One rule of a BUILD file: its kind, name, and lists with the place of each in the text.

    Args:
      package: Folder of the BUILD file, from the root.
      call: The call that makes the rule; of py_tests(), which makes several.
      values: Attribute -> expression.
      files: Names of the package's Python and gin files.
    """

    def __init__(self, package: str, call: ast.Call, values: dict[str, ast.expr], files: list[str]):
        self.package = package
        self.call = call
        self.values = values
        self.in_table = call.func.id == 'py_tests'
        self.kind = 'py_test' if self.in_table else call.func.id
        self.name = ast.literal_eval(self.values['name'])
        is_test = self.kind == 'py_test'
        self.sources = [f'{self.name}.py'] if is_test else self._strings('srcs', files)
        self.configs = [name for name in self._strings('data', files) if name.endswith('.gin')]
        self.deps = [absolute_label(label, package) for label in self._strings('deps', files)]

    @property
    def label(self) -> str:
        """The absolute label, as short as it goes."""
        return absolute_label(':' + self.name, self.package)

    def _strings(self, key: str, files: list[str]) -> list[str]:
        value = self.values.get(key)
        if value is None:
            return []
        if isinstance(value, ast.Call) and value.func.id == 'glob':
            patterns = ast.literal_eval(value.args[0])
            return [
                name
                for name in files
                if any(_matches(pathlib.PurePath(name), pattern) for pattern in patterns)
            ]
        return ast.literal_eval(value)


def _matches(path: pathlib.PurePath, pattern: str) -> bool:
    deep = pattern.startswith('**/')
    return (deep or len(path.parts) == 1) and path.match(pattern.removeprefix('**/'))


def absolute_label(label: str, package: str) -> str:
    """Returns '//a/b' or '//a/b:name' for `label` as it is written in `package`."""
    if label.startswith(':'):
        label = f'//{package}{label}'
    path, colon, name = label.partition(':')
    return path if colon and name == path.rsplit('/', 1)[-1] else label


def written_label(label: str, package: str) -> str:
    """Returns how the absolute `label` is written in `package`: ':name' for a neighbour."""
    path, _, name = label.partition(':')
    if path == f'//{package}':
        return ':' + (name or path.rsplit('/', 1)[-1])
    return label


class Tree:
    """The Python, gin and BUILD files under `root`, and what is wrong with them."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        # Kept here and not on the class, which would keep every tree.
        self.imports = functools.cache(self._read_imports)
        # Package -> names of its Python and gin files.
        self.files: dict[str, list[str]] = {}
        for top in ROOTS:
            for path in sorted((root / top).rglob('*')):
                if path.suffix in ('.py', '.gin') and '__pycache__' not in path.parts:
                    package = path.parent.relative_to(root)
                    if top == 'gin_configs':
                        # A paper's files are one package, whatever folders they are in.
                        package = pathlib.PurePath(*package.parts[:2])
                    name = path.relative_to(root / package).as_posix()
                    self.files.setdefault(package.as_posix(), []).append(name)
        if (root / 'gin_configs').exists():
            self.files.setdefault('gin_configs', [])

    def build(self, package: str) -> pathlib.Path:
        """Returns the path of the BUILD file of `package`."""
        return self.root / package / 'BUILD'

    def rules(self, package: str) -> list[Rule]:
        """Returns the rules with a name of the BUILD file of `package`, none where it has none."""
        found = []
        for call in self._calls(package):
            values = {word.arg: word.value for word in call.keywords}
            if call.func.id == 'py_tests':
                table = values['tests']
                for key, deps in zip(table.keys, table.values, strict=True):
                    entry = {'name': key, 'deps': deps}
                    found.append(Rule(package, call, entry, self.files[package]))
            elif 'name' in values:
                found.append(Rule(package, call, values, self.files[package]))
        return found

    def _calls(self, package: str) -> list[ast.Call]:
        if not self.build(package).exists():
            return []
        tree = ast.parse(self.build(package).read_text(), str(self.build(package)))
        return [node.value for node in tree.body if isinstance(node.value, ast.Call)]

    def owners(self) -> dict[str, list[Rule]]:
        """Returns the libraries and tests that name each file: path from the root -> rules."""
        found: dict[str, list[Rule]] = {}
        for package in self.files:
            for rule in self.rules(package):
                if rule.kind in OWNERS:
                    for name in [*rule.sources, *rule.configs]:
                        found.setdefault(f'{package}/{name}', []).append(rule)
        return found

    def _read_imports(self, path: str) -> list[str]:
        """Returns the files of our own that `path` imports or, in a test, names, from the root.

        A module that does not exist is returned as the path it would have.
        """
        text = (self.root / path).read_text(encoding='utf-8')
        if path.endswith('.gin'):
            # The import statements of a gin file are Python's.
            text = '\n'.join(re.findall(r'^(?:import|from) .*$', text, re.MULTILINE))
        modules = []
        for node in ast.walk(ast.parse(text, path)):
            if isinstance(node, ast.Import):
                modules += [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = path.split('/')[: -node.level] if node.level else []
                module = '.'.join([*above, *filter(None, [node.module])])
                modules += [(module, alias.name) for alias in node.names]
        found = []
        for module, name in modules:
            if module.split('.')[0] in ROOTS:
                found += self._files_of(module, name)
        if path.startswith('tests/'):
            # What a test names, it runs: a gin file, or a module as in python -m official.launch.
            named = re.findall(r'gin_configs/\w+/[\w/]+\.gin', text)
            modules = re.findall(r"""['"]((?:official|research)\.[\w.]+)['"]""", text)
            named += [module.replace('.', '/') + '.py' for module in modules]
            found += [name for name in named if (self.root / name).exists()]
        return sorted(set(found) - {path})

    def _files_of(self, module: str, name: str | None) -> list[str]:
        """Returns the files that `import module` or `from module import name` runs."""
        parts = module.split('.')
        packages = ['/'.join(parts[: n + 1]) + '/__init__.py' for n in range(len(parts))]
        above = [f'{package}/__init__.py' for package in PACKAGES]
        found = [path for path in packages if path not in above and self._has_code(path)]
        candidates = [[*parts, name], parts] if name else [parts]
        for candidate in candidates:
            path = '/'.join(candidate)
            if (self.root / f'{path}.py').exists():
                return [*found, f'{path}.py']
            if (self.root / path / '__init__.py').exists():
                path += '/__init__.py'
                return [*found, path] if self._has_code(path) else found
        # A name that neither a file nor code of the package explains.
        missing = candidates[0] if (self.root / '/'.join(parts)).is_dir() else parts
        return [*found, '/'.join(missing) + '.py']

    def _has_code(self, path: str) -> bool:
        """Returns True if the file `path` is there and holds more than a docstring."""
        if not (self.root / path).exists():
            return False
        module = ast.parse((self.root / path).read_text(encoding='utf-8'), path)
        return len(module.body) > (ast.get_docstring(module) is not None)

    def wanted(self, rule: Rule, owners: dict[str, list[Rule]]) -> set[str]:
        """Returns the labels that `rule` has to name, as its sources import from them.

        //gin_configs wants all of its packages.
        """
        paths: list[str] = []
        for name in [*rule.sources, *rule.configs]:
            path = f'{rule.package}/{name}'
            if (self.root / path).exists():
                paths += [other for other in self.imports(path) if may_import(path, other)]
        if rule.kind == 'py_test':
            parts = rule.package.split('/')
            above = ['/'.join(parts[: n + 1]) + '/conftest.py' for n in range(len(parts))]
            paths += [path for path in above if (self.root / path).exists()]
        top = rule.package.split('/')[0]
        if top in PACKAGES and rule.label != WITHOUT_PACKAGE:
            package = f'{top}/__init__.py'
            # The target itself stands for what its file imports.
            paths += [package] if rule.sources != ['__init__.py'] or rule.package != top else []
        if rule.package == 'gin_configs':
            paths += [path for path in owners if path.endswith('.gin')]
        given = {rule.label, OF_EVERY_TEST} if rule.kind == 'py_test' else {rule.label}
        return {owners[path][0].label for path in paths if path in owners} - given

    def problems(self) -> list[str]:
        """Returns a sentence for each thing that is wrong."""
        owners = self.owners()
        found = []
        for package, names in self.files.items():
            found += self._visibility_problems(package)
            for name in names:
                found += self._file_problems(f'{package}/{name}', owners)
            for rule in self.rules(package):
                if rule.kind in OWNERS:
                    gone = sorted(set(rule.sources) - set(names))
                    found += [f'{package}/BUILD: {rule.name} names {x}, not there' for x in gone]
                    missing = sorted(self.wanted(rule, owners) - set(rule.deps))
                    found += [f'{package}/BUILD: {rule.name} needs {label}' for label in missing]
                if rule.kind == 'py_test' and OF_EVERY_TEST in rule.deps:
                    found.append(
                        f'{package}/BUILD: {rule.name} names {OF_EVERY_TEST}, as every test has it'
                    )
        return found

    def _visibility_problems(self, package: str) -> list[str]:
        if not self.build(package).exists():
            return [f'{package} has no BUILD file']
        if default_visibility(package) not in self.build(package).read_text():
            return [f'{package}/BUILD: the package line has to be {default_visibility(package)}']
        return []

    def _file_problems(self, path: str, owners: dict[str, list[Rule]]) -> list[str]:
        found = []
        rules = owners.get(path, [])
        if len(rules) != 1:
            targets = ', '.join(rule.label for rule in rules) or 'no target'
            found.append(f'{path} belongs to {targets}; one it has to be')
        elif path.endswith('_test.py') and rules[0].kind != 'py_test':
            found.append(f'{path} has to be a py_test')
        for imported in self.imports(path):
            if not may_import(path, imported):
                found.append(f'{path} may not import {imported}')
            elif not (self.root / imported).exists():
                found.append(f'{path} imports {imported}, which is not there')
        return found

    def fix(self) -> None:
        """Adds missing BUILD files, rules, sources and dependencies; takes away what is gone."""
        for package, names in self.files.items():
            if not self.build(package).exists():
                self.build(package).write_text(f'\n{default_visibility(package)}\n')
            if package == 'gin_configs' and not self._rule(package, package):
                self._append(package, 'py_library(\n    name = "gin_configs",\n)')
            for name in names:
                if f'{package}/{name}' not in self.owners():
                    self._add(package, name)
            # The last one first: a change moves what is behind it.
            for rule in reversed(self.rules(package)):
                if rule.kind in OWNERS and set(rule.sources) - set(names):
                    if rule.kind == 'py_test':
                        self._remove(rule)
                    else:
                        self._set(rule, 'srcs', [name for name in rule.sources if name in names])
        owners = self.owners()
        for package in self.files:
            for name in [rule.name for rule in self.rules(package) if rule.kind in OWNERS]:
                # Read again: each change moves the rules behind it.
                rule = self._rule(package, name)
                missing = self.wanted(rule, owners) - set(rule.deps)
                if missing:
                    labels = [written_label(label, package) for label in {*rule.deps, *missing}]
                    self._set(rule, 'deps', sorted(labels, key=lambda x: (x[0] == '/', x)))
            self._set_load(package)

    def _rule(self, package: str, name: str) -> Rule | None:
        return next((rule for rule in self.rules(package) if rule.name == name), None)

    def _add(self, package: str, name: str) -> None:
        """Gives the file `name` to the rule it belongs to, which is made if need be."""
        stem, _, suffix = name.rpartition('.')
        library = package.rsplit('/', 1)[-1]
        known = self._rule(package, library)
        if stem.endswith('_test'):
            self._add_test(package, stem)
        elif known:
            self._set(known, 'srcs', sorted({*known.sources, name}))
        elif suffix == 'gin':
            data = 'data = glob(["**/*.gin"])'
            self._append(package, f'py_library(\n    name = "{library}",\n    {data},\n)')
        else:
            only = '    testonly = True,\n' if package.split('/')[0] == 'tests' else ''
            lines = f'    name = "{library}",\n{only}    srcs = ["{name}"],\n'
            self._append(package, f'py_library(\n{lines})')

    def _add_test(self, package: str, name: str) -> None:
        """Adds the test `name` to the package's table of tests, in order."""
        tables = [call for call in self._calls(package) if call.func.id == 'py_tests']
        if not tables:
            return self._append(package, f'py_tests(tests = {{\n    "{name}": [],\n}})')
        table = tables[0].keywords[0].value
        behind = [key.lineno for key in table.keys if ast.literal_eval(key) > name]
        lines = self.build(package).read_text().splitlines(keepends=True)
        lines.insert(min(behind, default=table.end_lineno) - 1, f'    "{name}": [],\n')
        self.build(package).write_text(''.join(lines))

    def _append(self, package: str, rule: str) -> None:
        build = self.build(package)
        build.write_text(f'{build.read_text().rstrip()}\n\n{rule}\n')

    def _remove(self, rule: Rule) -> None:
        """Takes the lines of `rule` away."""
        first, last = rule.call, rule.call
        if rule.in_table:
            first, last = rule.values['name'], rule.values['deps']
        lines = self.build(rule.package).read_text().splitlines(keepends=True)
        del lines[first.lineno - 1 : last.end_lineno]
        text = re.sub(r'\n{3,}', '\n\n', ''.join(lines))
        self.build(rule.package).write_text(text.rstrip() + '\n')

    def _set(self, rule: Rule, key: str, values: list[str]) -> None:
        """Writes `values` as the list `key` of `rule`."""
        lines = self.build(rule.package).read_text().splitlines(keepends=True)
        old = rule.values.get(key)
        # A line of a table of tests is as long as it may be, another list has a line per value.
        most = COLUMNS - old.col_offset - len(',') if rule.in_table else 0
        rendered = rendered_list(values, most)
        if old is None:
            line = rule.call.end_lineno - 1
            lines[line] = f'    {key} = {rendered},\n{lines[line]}'
        else:
            begin, end = old.lineno - 1, old.end_lineno - 1
            rendered = lines[begin][: old.col_offset] + rendered + lines[end][old.end_col_offset :]
            lines[begin : end + 1] = [rendered]
        self.build(rule.package).write_text(''.join(lines))

    def _set_load(self, package: str) -> None:
        """Makes the BUILD file load the Python rules that it uses."""
        build = self.build(package)
        text = re.sub(r'^load\("//tools:python.bzl".*\)\n+', '', build.read_text(), flags=re.M)
        kinds = sorted(set(re.findall(r'^(py_\w+)\(', text, re.MULTILINE)))
        load = ', '.join(f'"{kind}"' for kind in ['//tools:python.bzl', *kinds])
        build.write_text(f'load({load})\n\n{text.lstrip()}' if kinds else text)


def rendered_list(values: list[str], most: int) -> str:
    """Returns `values` as an attribute of a BUILD file: on one line up to `most` characters."""
    quoted = [f'"{value}"' for value in values]
    short = f'[{", ".join(quoted)}]'
    if len(values) < 2 or len(short) <= most:
        return short
    return '[\n' + ''.join(f'        {value},\n' for value in quoted) + '    ]'


def default_visibility(package: str) -> str:
    """Returns the package line of the BUILD file of `package`."""
    for pattern, labels in VISIBLE_TO:
        match = re.fullmatch(pattern, package)
        if match:
            quoted = [f'"{label}"' for label in match.expand(labels).split()]
            break
    if len(quoted) == 1:
        return f'package(default_visibility = [{quoted[0]}])'
    return 'package(default_visibility = [' + ''.join(f'\n    {q},' for q in quoted) + '\n])'


def may_import(path: str, imported: str) -> bool:
    """Returns True if the file `path` may import the file `imported`, by design."""
    top, *_ = path.split('/')
    other = imported.split('/')
    if top == 'tests' or other[0] == top == 'official' or other[0] == top == 'tools':
        return True
    if top == 'tools':
        # `garden` runs before there is an environment; it has the verbs of the wheel's command.
        return imported == 'official/command.py' or path == 'tools/cards.py'
    if top == 'benchmarks':
        return other[0] in ('benchmarks', 'official', 'research')
    if top in ('research', 'gin_configs'):
        # A paper knows the foundation and itself.
        return other[0] == 'official' or other[:2] == ['research', path.split('/')[1]]
    return False


if __name__ == '__main__':
    if sys.argv[1:] == ['--fix']:
        Tree(ROOT).fix()
    PROBLEMS = Tree(ROOT).problems()
    print('\n'.join(PROBLEMS) or 'The BUILD files are in step.')
    sys.exit(bool(PROBLEMS))
