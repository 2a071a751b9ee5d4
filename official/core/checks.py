"""Arguments that cannot be right, reported before hours are spent."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable


def positive(owner: str, **counts: int) -> None:
    """Raises ValueError if a count is not a whole number from 1; `owner` is the class it is of."""
    at_least(owner, 1, **counts)


def at_least(owner: str, least: int, **counts: int) -> None:
    """Raises ValueError if a count is not a whole number from `least` on."""
    for name, count in counts.items():
        whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
        if not whole or count < least:
            raise ValueError(
                f'{owner}.{name} = {count!r} must be a whole number of at least {least}.'
            )


def within(owner: str, low: float, high: float, **values: float) -> None:
    """Raises ValueError if a number is outside [low, high] or not finite."""
    for name, value in values.items():
        if not _is_number(value) or not low <= value <= high:
            end = ']' if math.isfinite(high) else ')'
            raise ValueError(f'{owner}.{name} = {value!r} is outside [{low}, {high}{end}.')


def above_zero(owner: str, **values: float) -> None:
    """Raises ValueError if a value is not a finite number above 0, as a rate must be."""
    for name, value in values.items():
        if not _is_number(value) or value <= 0:
            raise ValueError(f'{owner}.{name} = {value!r} must be a finite number above 0.')


def share(owner: str, **values: float) -> None:
    """Raises ValueError if a value is not a number in [0, 1), as a decay must be."""
    for name, value in values.items():
        if not _is_number(value) or not 0 <= value < 1:
            raise ValueError(f'{owner}.{name} = {value!r} is outside [0, 1).')


def switch(owner: str, **values: bool) -> None:
    """Raises ValueError if a value is neither True nor False: the text 'False' counts as true."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f'{owner}.{name} = {value!r} must be True or False.')


def called(owner: str, optional: bool = False, **values: Callable | None) -> None:
    """Raises ValueError if a value is not something to call; with `optional`, None passes."""
    for name, value in values.items():
        if not callable(value) and not (optional and value is None):
            raise ValueError(
                f'{owner}.{name} = {value!r} must be a class or a function, in gin @module.Name.'
            )


def mapping(owner: str, **values: dict | None) -> None:
    """Raises ValueError if a value is neither None nor a dict."""
    for name, value in values.items():
        if value is not None and not isinstance(value, dict):
            raise ValueError(f'{owner}.{name} = {value!r} must be a dict.')


def no_data_dir(owner: str, data_dir: str | None) -> None:
    """Raises ValueError if a data folder is given to what reads none.

    Training on other data than those in the folder would look like success.
    """
    if data_dir is not None:
        raise ValueError(f'--data_dir={data_dir} would be ignored: {owner} reads no folder.')


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
