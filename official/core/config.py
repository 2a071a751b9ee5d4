"""gin, the only configuration: one file wires one experiment, `--gin_param` overrides a value.

`read` finds what is wrong without importing what the file names, `load` imports it, checks every
class and parameter and hands the whole to gin. What gin 0.5.0 makes of a file that begins with
`from __gin__ import dynamic_registration`:

  * `@model.LadderNetwork` is a factory: a subclass of the class, so `isinstance(f, type)` holds,
    whose call fills in the file's bindings; the caller's keyword arguments win. What it returns
    is a plain LadderNetwork, Keras models and optimizers included: it trains, has its `get_config`
    and is saved like one made by hand.
  * `@schedules.Step()` is made anew for every call of what it is bound to.
  * `@baseline/model.LadderNetwork` sees `baseline/model.LadderNetwork.x = 1` and, where that says
    nothing, the bindings without scope. The scope is open while the factory runs, so factories
    called inside, and references with `()`, inherit it. One that is kept and called later does not:
    name the scope on every reference, as in
    `baseline/keras_experiment.KerasExperiment.model = @baseline/model.LadderNetwork`.
    An explicit scope replaces the open one, it does not nest in it.
  * `load` never locks gin's configuration: modules that use gin's decorators may be imported later.

gin's state is global; each `load` clears it, so a process may use several files one after another.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
from collections.abc import Iterator, Sequence
from typing import Any

import gin

from official.core import errors, gin_source, gin_types

RUN = 'official.core.runner.Run'
# What the launcher hands to an experiment; gin may not bind these.
FROM_LAUNCHER = ('run_dir', 'seed', 'data_dir', 'strategy')
_active: Config | None = None


@dataclasses.dataclass(frozen=True)
class Config:
    """A gin file with its overrides.

    Attributes:
      source: the file, read.
      gin_params: the overrides as asked.
    """

    source: gin_source.Source
    gin_params: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The gin file."""
        return self.source.path

    @property
    def name(self) -> str:
        """The path below the innermost folder `gin_configs`, such as `dqn/nature/pong`.

        A file elsewhere has the name of its folder and its own.
        """
        parts = os.path.splitext(os.path.abspath(self.path))[0].split(os.sep)
        below = [index + 1 for index, part in enumerate(parts[:-2]) if part == 'gin_configs']
        return os.path.join(*parts[below[-1] if below else -2 :])

    def bindings(self) -> dict[str, str]:
        """Returns full name and value of every binding."""
        return {key: _canonical(binding.value) for key, binding in self.source.bindings.items()}

    def deciding(self) -> dict[str, str]:
        """Returns the bindings that decide what is trained; two runs are the same if these are.

        They are those of `Run` and of all that its references lead to. The parameters that a class
        names in its attribute `changeable`, and what only they lead to, may change after the
        training: reporter, evaluator, more steps. Call `load` before, which imports the classes.
        """
        found: dict[str, str] = {}
        of: dict[str, list[gin_source.Binding]] = {}
        for binding in self.source.bindings.values():
            of.setdefault(binding.full, []).append(binding)
        todo, seen = [(RUN, frozenset[str]())], set()
        while todo:
            full, scopes = node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            for binding in of.get(full, ()):
                named = _resolve(self.source, binding.selector, binding.place)
                open_here = not binding.scope or set(binding.scope.split('/')) <= scopes
                if not open_here or binding.parameter in getattr(named, 'changeable', ()):
                    continue
                found[binding.key] = _canonical(binding.value)
                for part in self._parts(binding.value, found):
                    # A factory that is called inside another one inherits its scope.
                    todo.append((part.full, scopes | set(part.scopes)))
        return {key: found[key] for key in self.source.bindings if key in found}

    def _parts(self, value: Any, found: dict[str, str]) -> Iterator[gin_source.Reference]:
        """Yields the references in a value, through macros, which are added to `found`."""
        for part in gin_source.parts(value):
            if isinstance(part, gin_source.Macro):
                found[part.name] = _canonical(self.source.bindings[part.name].value)
                yield from self._parts(self.source.bindings[part.name].value, found)
            elif isinstance(part, gin_source.Reference):
                yield part

    def text(self) -> str:
        """The configuration as one gin file: the head of the file asked for, includes merged,
        overrides applied."""
        params = [f'# --gin_param={param}' for param in self.gin_params]
        asked = [f'# --gin_file={self.path}', *params, '']
        return '\n'.join([*self.source.head, *asked, self.source.text()])


def read(gin_file: str, gin_params: Sequence[str] = ()) -> Config:
    """Reads a gin file and overrides; see `gin_source.read` for the errors.

    Raises:
      ValueError: also if the file does not say which experiment to run, or binds what flags say.
    """
    source = gin_source.read(gin_file, tuple(gin_params))
    binding = source.bindings.get(f'{RUN}.experiment')
    if binding is None:
        raise ValueError(
            f'{source.path} wires no experiment: it needs a line such as '
            f'"runner.Run.experiment = @keras_experiment.KerasExperiment".'
        )
    if not isinstance(binding.value, gin_source.Reference) or binding.value.evaluate:
        raise ValueError(
            f'{binding.place}: {binding.key} is a class, as in @keras_experiment.KerasExperiment, '
            f'not {binding.value!r}.'
        )
    for other in source.bindings.values():
        if other.full == binding.value.full and other.parameter in FROM_LAUNCHER:
            flag = {'run_dir': 'model_dir'}.get(other.parameter, other.parameter)
            raise ValueError(f'{other.place}: {other.parameter} is set by the flag --{flag}.')
    return Config(source, tuple(gin_params))


def load(config: Config) -> None:
    """Imports what `config` names, checks it and makes it gin's configuration.

    Raises:
      ValueError: if a class, function or parameter does not exist, or a value is missing or of
        another type than the parameter's hint.
    """
    global _active
    source = config.source
    for statement in source.imports.values():
        importlib.import_module(statement.module)
    macros = {b.scope: b.value for b in source.bindings.values() if not b.selector}
    for binding in source.bindings.values():
        if binding.selector:
            named = _resolve(source, binding.selector, binding.place)
            _check_parameter(named, binding)
            gin_types.check(binding, gin_types.hint_of(named, binding.parameter), macros)
    for reference, binding in source.references():
        named = _resolve(source, reference.selector, binding.place)
        is_experiment = binding.key == f'{RUN}.experiment'
        if reference.evaluate or is_experiment:
            given = FROM_LAUNCHER if is_experiment else ()
            _check_complete(source, reference, named, given, binding.place)
    gin.clear_config()
    gin.parse_config(source.text())
    _active = config


def active() -> Config | None:
    """The configuration loaded last in this process, or None."""
    return _active


def clear() -> None:
    """Forgets the configuration, gin's too."""
    global _active
    gin.clear_config()
    _active = None


def operative_text() -> str:
    """Every value that was used so far, defaults included, as a gin file."""
    return gin.operative_config_str()


def _canonical(value: Any) -> str:
    """`repr` with every reference under its full name."""
    if isinstance(value, gin_source.Reference):
        return value.spelled(value.full)
    if isinstance(value, dict):
        pairs = (f'{_canonical(key)}: {_canonical(item)}' for key, item in value.items())
        return f'{{{", ".join(pairs)}}}'
    if isinstance(value, (list, tuple)):
        # A list for a tuple does not make another experiment.
        return f'({", ".join(map(_canonical, value))})'
    return repr(value)


def _resolve(source: gin_source.Source, selector: str, place: str) -> Any:
    """The class or function that `selector` names."""
    if selector.startswith('gin.'):
        return getattr(gin.config, selector.partition('.')[2])
    symbol, *rest = selector.split('.')
    statement = source.imports[symbol]
    if statement.is_from or statement.alias:
        found, so_far = importlib.import_module(statement.module), statement.module
    else:
        found, so_far = importlib.import_module(symbol), symbol
    for name in rest:
        if not hasattr(found, name):
            public = (n for n in dir(found) if not n.startswith('_'))
            near = errors.did_you_mean(name, (n for n in public if callable(getattr(found, n))))
            raise ValueError(f'{place}: {so_far} has no {name!r}{near}')
        found, so_far = getattr(found, name), f'{so_far}.{name}'
    if not callable(found):
        raise ValueError(f'{place}: {so_far} is neither a class nor a function.')
    return found


def _parameters(named: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters of a class or function by name, and whether any other is accepted.

    A class that passes `**kwargs` on has its bases' parameters too; Keras would find a mistyped one
    only when the object is made.
    """
    if not inspect.isclass(named):
        signatures = [inspect.signature(named)]
    else:
        signatures = []
        for base in inspect.getmro(named):
            if '__init__' in base.__dict__ and base is not object:
                signature = inspect.signature(base.__dict__['__init__'])
                parameters = list(signature.parameters.values())[1:]  # Without self.
                signatures.append(signature.replace(parameters=parameters))
    found: dict[str, inspect.Parameter] = {}
    for signature in signatures:
        passes_on = False
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter)
        if not passes_on:
            return found, False
    return found, len(signatures) == 1


def _check_parameter(named: Any, binding: gin_source.Binding) -> None:
    found, any_other = _parameters(named)
    if binding.parameter not in found and not any_other:
        near = errors.did_you_mean(binding.parameter, found)
        raise ValueError(
            f'{binding.place}: {binding.selector} has no parameter {binding.parameter!r}{near}'
        )


def _check_complete(
    source: gin_source.Source,
    reference: gin_source.Reference,
    named: Any,
    given: Sequence[str],
    place: str,
) -> None:
    bound = {b.parameter for b in source.bindings.values() if b.full == reference.full}
    first = named.__init__ if inspect.isclass(named) else named
    own = set(inspect.signature(first).parameters)
    missing = [
        name
        for name, parameter in _parameters(named)[0].items()
        if name in own
        and parameter.default is parameter.empty
        and name not in bound
        and name not in given
    ]
    if missing:
        raise ValueError(
            f'{place}: {reference.selector} needs a value for {", ".join(missing)}, as in '
            f'"{reference.selector}.{missing[0]} = ...".'
        )
