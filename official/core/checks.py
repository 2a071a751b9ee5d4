"""Arguments that cannot be right, told before hours are spent."""

from __future__ import annotations

import numbers


def positive(owner: str, **counts: int) -> None:
    """Raises ValueError if a count is not a whole number from 1; `owner` is the class it is of."""
    at_least(owner, 1, **counts)


def at_least(owner: str, least: int, **counts: int) -> None:
    """Raises ValueError if a count is not a whole number from `least` on."""
    for name, count in counts.items():
        if not isinstance(count, numbers.Integral) or count < least:
            raise ValueError(
                f'{owner}.{name} = {count!r} must be a whole number of at least {least}.')


def within(owner: str, low: float, high: float, **values: float) -> None:
    """Raises ValueError if a number is outside [low, high]."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not low <= value <= high:
            raise ValueError(f'{owner}.{name} = {value!r} is outside [{low}, {high}].')
