"""Mutants of small texts, written out by hand."""

from __future__ import annotations

import ast

import pytest

from tools import mutants


def changed(path: str, text: str) -> set[str]:
    return {mutant.applied_to(text) for mutant in mutants.of_file(path, text)}


@pytest.mark.parametrize(
    'text, expected',
    [
        ('a < b <= c\n', {'a <= b <= c\n', 'a < b < c\n'}),
        ('(a) == (b)\n', {'(a) != (b)\n'}),
        ('x is not None\n', {'x is None\n'}),
        ('a + b - c\n', {'a - b - c\n', 'a + b + c\n'}),
        ('(a * b) / c\n', {'(a / b) / c\n', '(a * b) * c\n'}),
        ('not a and b\n', {'a and b\n', 'not a or b\n'}),
        ('x = -y\n', {'x = y\n'}),
        (
            'x = [1, 0.5, 0.0, True]\n',
            {
                'x = [2, 0.5, 0.0, True]\n',
                'x = [1, 1.0, 0.0, True]\n',
                'x = [1, 0.5, 1.0, True]\n',
                'x = [1, 0.5, 0.0, False]\n',
            },
        ),
        ('tf.maximum(a, b)\n', {'tf.minimum(a, b)\n', 'tf.maximum(b, a)\n'}),
        ('f(a, key=b)\n', {'f(a)\n'}),
        ('f(\n    a, b,\n    c)\n', {'f(\n    b, a,\n    c)\n'}),
        ("y = 'é' and x < z\n", {"y = 'é' or x < z\n", "y = 'é' and x <= z\n"}),
    ],
)
def test_of_python(text, expected):
    assert changed('a.py', text) == expected
    for one in expected:
        ast.parse(one)


@pytest.mark.parametrize(
    'text',
    [
        '"""At most 3 + 4."""\n',
        "raise ValueError(f'{a + 1} < 2')\n",
        "x = f'{a + 1}'\n",
        "x = 'a' + b\n",
        'def f(x: int | None) -> int | None:\n    return x\n',
        "f(a, name='b')\n",
        'isinstance(a, b)\n',
        'from a import b\n',
    ],
)
def test_what_decides_no_number_stays(text):
    assert changed('a.py', text) == set()


def test_of_gin():
    text = (
        "include 'a_1.gin'\n"
        'from a import b\n'
        '\n'
        "b.C.title = 'Table 1'\n"
        'b.C.rate = 2.5e-4\n'
        'b.C.sizes = (\n'
        '    3,\n'
        ')\n'
        'b.C.flag = True\n'
        "b.C.reference = {\n    'x': 7,\n}\n"
    )
    assert changed('a.gin', text) == {
        text.replace('b.C.rate = 2.5e-4', ''),
        text.replace('2.5e-4', '0.0005'),
        text.replace('b.C.sizes = (\n    3,\n)', ''),
        text.replace('    3,', '    4,'),
        text.replace('b.C.flag = True', ''),
        text.replace('True', 'False'),
    }


def test_lines_and_names(tmp_path):
    (tmp_path / 'a.py').write_text('\nx = 1\n')
    (mutant,) = mutants.of_file('a.py', '\nx = 1\n')
    assert mutant.line(tmp_path) == 2
    assert mutant.name(tmp_path) == 'a.py:2: 1 to 2'
