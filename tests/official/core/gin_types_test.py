from collections.abc import Callable, Mapping, Sequence
from typing import Optional

import pytest

from official.core import gin_source, gin_types

_CLASS = gin_source.Reference((), 'toy.Model', False)
_OBJECT = gin_source.Reference((), 'toy.Model', True)


def _binding(value):
    return gin_source.Binding('', 'toy.Toy', 'tests.toy.Toy', 'x', value, 'a.gin:3')


@pytest.mark.parametrize(
    'hint, value',
    [
        (bool, True),
        (int, 3),
        (float, 3),
        (float, 0.5),
        (str, 'x'),
        (dict, {}),
        (Callable, _CLASS),
        (Callable, _OBJECT),
        (type, _CLASS),
        (int, _OBJECT),
        (Optional[int], None),  # noqa: UP045  The older spelling is tested, too.
        (int | None, 3),
        (Sequence[int], (1, 2)),
        (Sequence[int], [1]),
        (tuple[int, ...], ()),
        (tuple[int, str], [1, 'x']),
        (Sequence[int | Callable], (1, _CLASS)),
        (Mapping[str, int], {'a': 1}),
        (object, 'anything'),
        (None, 'anything'),
        (gin_source.Source, _OBJECT),
        (int, gin_source.Macro('three')),
    ],
)
def test_what_fits(hint, value):
    gin_types.check(_binding(value), hint, {'three': 3})


@pytest.mark.parametrize(
    'hint, value, expected',
    [
        (bool, 'False', "'False' must be True or False."),
        (bool, 1, '1 must be True or False.'),
        (int, True, 'True must be a whole number.'),
        (int, 1e4, '10000.0 must be a whole number.'),
        (int, '3', "'3' must be a whole number."),
        (float, None, 'None must be a number.'),
        (float, True, 'True must be a number.'),
        (str, 5, '5 must be a text in quotes.'),
        (dict | None, 'Table 1', "'Table 1' must be a dict or None."),
        (
            Optional[Callable],  # noqa: UP045  The older spelling is tested, too.
            'x',
            "'x' must be a class or function (@module.Name without quotes) or None.",
        ),
        (int, _CLASS, '@toy.Model must be a whole number.'),
        (Sequence[str], 'x.gin', "'x.gin' must be a tuple, each a text in quotes."),
        (Sequence[int], (1, 'x'), "(1, 'x') must be a tuple, each a whole number."),
        (tuple[int, int], (1,), '(1,) must be a tuple of 2: a whole number, a whole number.'),
        (int, gin_source.Macro('text'), '%text must be a whole number.'),
    ],
)
def test_what_does_not(hint, value, expected):
    with pytest.raises(ValueError) as caught:
        gin_types.check(_binding(value), hint, {'text': 'four'})
    assert str(caught.value) == f'a.gin:3: toy.Toy.x = {expected}'


class _Base:
    def __init__(self, width: int = 1, depth: 'Nowhere' = 2):  # noqa: F821  Names nothing.
        pass


class _Derived(_Base):
    def __init__(self, rate: float = 0.5, **kwargs):
        super().__init__(**kwargs)


def test_hints_of_bases_and_of_functions():
    def function(flag: bool):
        pass

    assert gin_types.hint_of(function, 'flag') is bool
    assert gin_types.hint_of(_Derived, 'rate') is float
    assert gin_types.hint_of(_Derived, 'other') is None
    # A hint of what is imported for type checkers only makes no file unreadable.
    assert gin_types.hint_of(_Base, 'width') is None
