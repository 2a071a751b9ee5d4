"""Compares the values of a gin file with the type hints of what they are bound to.

gin itself hands on what it reads, and `'False'` counts as true.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from official.core import gin_source

_SEQUENCES = (collections.abc.Sequence, collections.abc.Iterable, list, tuple)
_MAPPINGS = (collections.abc.Mapping, dict)
_NAMES = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text in quotes',
    type(None): 'None',
}


def hint_of(named: Any, parameter: str) -> Any:
    """Returns the type hint of a parameter of a class or function, or None without a usable one."""
    for base in inspect.getmro(named) if inspect.isclass(named) else (named,):
        function = base.__dict__.get('__init__') if inspect.isclass(base) else base
        if not inspect.isfunction(function) or parameter not in function.__annotations__:
            continue
        try:
            return typing.get_type_hints(function).get(parameter)
        except Exception:  # A hint may name what is imported for type checkers only.
            return None
    return None


def check(binding: gin_source.Binding, hint: Any, macros: dict[str, Any]) -> None:
    """Raises ValueError if the value of a binding is of another type than `hint` says.

    An integer is a number, a list a tuple. What a reference with `()` makes is not known, and
    classes other than Python's own are not compared.

    Args:
      binding: of a parameter.
      hint: the parameter's type hint; None fits everything.
      macros: value of each macro of the file by name.
    """
    if hint is not None and not _fits(binding.value, hint, macros):
        raise ValueError(
            f'{binding.place}: {binding.selector}.{binding.parameter} = {binding.value!r} must be '
            f'{_described(hint)}.'
        )


def _fits(value: Any, hint: Any, macros: dict[str, Any]) -> bool:
    if isinstance(value, gin_source.Macro):
        return value.name not in macros or _fits(macros[value.name], hint, macros)
    if isinstance(value, gin_source.Reference) and value.evaluate:
        return True
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, member, macros) for member in inner)
    if kind in (Callable, collections.abc.Callable, type):
        return isinstance(value, gin_source.Reference)
    if isinstance(value, gin_source.Reference):
        return kind not in (*_NAMES, *_SEQUENCES, *_MAPPINGS)
    if kind in (bool, str, type(None)):
        return isinstance(value, kind)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    if kind in _MAPPINGS:
        return isinstance(value, dict)
    if kind in _SEQUENCES:
        if not isinstance(value, (list, tuple)):
            return False
        if kind is tuple and inner and inner[-1] is not ...:
            return len(value) == len(inner) and all(
                _fits(item, each, macros) for item, each in zip(value, inner, strict=True)
            )
        return not inner or all(_fits(item, inner[0], macros) for item in value)
    return True


def _described(hint: Any) -> str:
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return ' or '.join(map(_described, inner))
    if kind in (Callable, collections.abc.Callable, type):
        return 'a class or function (@module.Name without quotes)'
    if kind in _MAPPINGS:
        return 'a dict'
    if kind in _SEQUENCES:
        if not inner:
            return 'a tuple'
        parts = [_described(each) for each in inner if each is not ...]
        if kind is tuple and inner[-1] is not ...:
            return f'a tuple of {len(parts)}: {", ".join(parts)}'
        return f'a tuple, each {parts[0]}'
    return _NAMES.get(kind, getattr(kind, '__name__', str(kind)))
