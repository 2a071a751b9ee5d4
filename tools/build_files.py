"""Keeps the BUILD files in step with the Python files: what is missing, and what may not be.

    ./garden python tools/build_files.py          says what is wrong, exit status 1
    ./garden python tools/build_files.py --fix    adds the missing rules, sources and dependencies

A folder has one py_library, named after it, of its Python files, and one py_test a test file;
another py_library, where one would go round in circles, is made by hand and then kept in step.  The
imports in a file, inside functions too, decide the dependencies; `VISIBLE_TO` is the rule of who
may import whom, which Bazel enforces through each package's default visibility.
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
    (r'research', '//visibility:private'),
    (r'gin_configs.*', '//:__pkg__ //gin_configs:__pkg__ //tests:__subpackages__'),
    (r'benchmarks.*', '//benchmarks:__subpackages__ //tests:__subpackages__'),
    (r'tests.*', '//tests:__subpackages__'),
    (r'tools.*', '//tests:__subpackages__'),
)
OWNERS = ('py_library', 'py_test')


class Rule:
    """One rule of a BUILD file: its kind, name, and lists with the place of each in the text."""

    def __init__(self, package: str, call: ast.Call, files: list[str]):
        self.package = package
        self.kind = call.func.id
        self.call = call
        self.values = {word.arg: word.value for word in call.keywords}
        self.name = ast.literal_eval(self.values['name'])
        self.sources = self._strings('srcs', files)
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
            paths = map(pathlib.PurePath, files)
            return [path.name for path in paths if any(map(path.match, patterns))]
        return ast.literal_eval(value)


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
                    package = path.parent.relative_to(root).as_posix()
                    self.files.setdefault(package, []).append(path.name)
        if (root / 'gin_configs').exists():
            self.files.setdefault('gin_configs', [])

    def build(self, package: str) -> pathlib.Path:
        """Returns the path of the BUILD file of `package`."""
        return self.root / package / 'BUILD'

    def rules(self, package: str) -> list[Rule]:
        """Returns the rules with a name of the BUILD file of `package`, none where it has none."""
        if not self.build(package).exists():
            return []
        tree = ast.parse(self.build(package).read_text(), str(self.build(package)))
        calls = [node.value for node in tree.body if isinstance(node.value, ast.Call)]
        named = [call for call in calls if any(word.arg == 'name' for word in call.keywords)]
        return [Rule(package, call, self.files[package]) for call in named]

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
            named = re.findall(r'gin_configs/\w+/\w+\.gin', text)
            modules = re.findall(r"""['"]((?:official|research)\.[\w.]+)['"]""", text)
            named += [module.replace('.', '/') + '.py' for module in modules]
            found += [name for name in named if (self.root / name).exists()]
        return sorted(set(found) - {path})

    def _files_of(self, module: str, name: str | None) -> list[str]:
        """Returns the files that `import module` or `from module import name` runs."""
        parts = module.split('.')
        packages = ['/'.join(parts[: n + 1]) + '/__init__.py' for n in range(len(parts))]
        found = [path for path in packages if self._has_code(path)]
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
        """Returns whether the file `path` is there and holds more than a docstring."""
        if not (self.root / path).exists():
            return False
        module = ast.parse((self.root / path).read_text(encoding='utf-8'), path)
        return len(module.body) > (ast.get_docstring(module) is not None)

    def wanted(self, rule: Rule, owners: dict[str, list[Rule]]) -> set[str]:
        """Returns the labels that the sources of `rule` import from; //gin_configs wants all."""
        paths: list[str] = []
        for name in [*rule.sources, *rule.configs]:
            path = f'{rule.package}/{name}'
            if (self.root / path).exists():
                paths += [other for other in self.imports(path) if may_import(path, other)]
        if rule.kind == 'py_test':
            parts = rule.package.split('/')
            above = ['/'.join(parts[: n + 1]) + '/conftest.py' for n in range(len(parts))]
            paths += [path for path in above if (self.root / path).exists()]
        if rule.package == 'gin_configs':
            paths += [path for path in owners if path.endswith('.gin')]
        return {owners[path][0].label for path in paths if path in owners} - {rule.label}

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
        """Adds missing BUILD files, rules, sources and dependencies; takes away sources gone."""
        for package, names in self.files.items():
            if not self.build(package).exists():
                self.build(package).write_text(f'\n{default_visibility(package)}\n')
            if package == 'gin_configs' and not self._rule(package, package):
                self._append(package, 'py_library(\n    name = "gin_configs",\n)')
            for name in names:
                if f'{package}/{name}' not in self.owners():
                    self._add(package, name)
            for rule in self.rules(package):
                if rule.kind in OWNERS and set(rule.sources) - set(names):
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
            self._append(package, f'py_test(\n    name = "{stem}",\n    srcs = ["{name}"],\n)')
        elif known:
            self._set(known, 'srcs', sorted({*known.sources, name}))
        elif suffix == 'gin':
            data = 'data = glob(["*.gin"])'
            self._append(package, f'py_library(\n    name = "{library}",\n    {data},\n)')
        else:
            only = '    testonly = True,\n' if package.split('/')[0] == 'tests' else ''
            lines = f'    name = "{library}",\n{only}    srcs = ["{name}"],\n'
            self._append(package, f'py_library(\n{lines})')

    def _append(self, package: str, rule: str) -> None:
        build = self.build(package)
        build.write_text(f'{build.read_text().rstrip()}\n\n{rule}\n')

    def _set(self, rule: Rule, key: str, values: list[str]) -> None:
        """Writes `values` as the list `key` of `rule`."""
        text = self.build(rule.package).read_text()
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        quoted = [f'"{value}"' for value in values]
        rendered = '[' + ''.join(f'\n        {value},' for value in quoted) + '\n    ]'
        if len(quoted) < 2:
            rendered = f'[{"".join(quoted)}]'
        old = rule.values.get(key)
        if old is not None:
            begin = starts[old.lineno - 1] + old.col_offset
            end = starts[old.end_lineno - 1] + old.end_col_offset
        else:
            begin = end = starts[rule.call.end_lineno - 1] + rule.call.end_col_offset - 1
            rendered = f'    {key} = {rendered},\n'
        self.build(rule.package).write_text(text[:begin] + rendered + text[end:])

    def _set_load(self, package: str) -> None:
        """Makes the BUILD file load the Python rules that it uses."""
        build = self.build(package)
        text = re.sub(r'^load\("//tools:python.bzl".*\)\n+', '', build.read_text(), flags=re.M)
        kinds = sorted(set(re.findall(r'^(py_\w+)\(', text, re.MULTILINE)))
        load = ', '.join(f'"{kind}"' for kind in ['//tools:python.bzl', *kinds])
        build.write_text(f'load({load})\n\n{text.lstrip()}' if kinds else text)


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
    """Returns whether the file `path` may import the file `imported`, by design."""
    top, *_ = path.split('/')
    other = imported.split('/')
    if top == 'tests' or other[0] == top == 'official' or other[0] == top == 'tools':
        return True
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
