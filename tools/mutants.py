"""Mutants of a source text: each is one small change of Python or of gin.

Python: numbers, comparisons, arithmetic, signs, truth values, `and` and `or`, pairs of functions
such as minimum and maximum, two positional arguments exchanged, a keyword argument omitted.
Messages of errors, docstrings, annotations and the text's imports stay.  gin: a binding omitted, a
number or truth value changed; titles and references of results stay.
"""

from __future__ import annotations

import ast
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS = {
    ast.Lt: '<=',
    ast.LtE: '<',
    ast.Gt: '>=',
    ast.GtE: '>',
    ast.Eq: '!=',
    ast.NotEq: '==',
    ast.Is: 'is not',
    ast.IsNot: 'is',
    ast.In: 'not in',
    ast.NotIn: 'in',
}
_ARITHMETIC = {
    ast.Add: '-',
    ast.Sub: '+',
    ast.Mult: '/',
    ast.Div: '*',
    ast.FloorDiv: '*',
    ast.Pow: '*',
    ast.Mod: '*',
}
_NAMES = {
    'minimum': 'maximum',
    'maximum': 'minimum',
    'min': 'max',
    'max': 'min',
    'reduce_mean': 'reduce_sum',
    'reduce_sum': 'reduce_mean',
    'reduce_max': 'reduce_min',
    'argmax': 'argmin',
    'argmin': 'argmax',
    'zeros': 'ones',
    'ones': 'zeros',
    'zeros_like': 'ones_like',
    'ones_like': 'zeros_like',
    'any': 'all',
    'all': 'any',
    'reduce_any': 'reduce_all',
    'reduce_all': 'reduce_any',
    'sin': 'cos',
    'cos': 'sin',
}
# A binding whose value may go on over several lines, up to the next line that is not indented.
_BINDING = re.compile(
    r'^(?!include\b|import\b|from\b)([\w./@]+) =((?:.*)(?:\n[ \t]+.*|\n[)\]}].*)*)', re.M
)
_GIN_NUMBER = re.compile(r'(?<![\w.@\'/])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.\'/])')
_DOCUMENTATION = ('.title', '.reference')


class Mutant(NamedTuple):
    """One change of one file.

    Attributes:
      path: the file, relative to the repository.
      start, end: the characters that are replaced.
      new: the text in their place.
      what: the change in words.
      paper: whose tests hold the file; '' for the paper that the path names.
    """

    path: str
    start: int
    end: int
    new: str
    what: str
    paper: str = ''

    @property
    def of_paper(self) -> str:
        """The paper whose tests hold the file."""
        return self.paper or self.path.split('/')[1]

    def applied_to(self, text: str) -> str:
        """Returns the changed text."""
        return text[: self.start] + self.new + text[self.end :]

    def line(self, root: pathlib.Path) -> int:
        """Returns the number of the line at which the change begins, from 1."""
        return (root / self.path).read_text().count('\n', 0, self.start) + 1

    def name(self, root: pathlib.Path) -> str:
        """Returns a name that stays while the lines before the change stay."""
        return f'{self.path}:{self.line(root)}: {self.what}'


def of_file(path: str, text: str) -> list[Mutant]:
    """Returns every mutant of a file's text, in order.

    Args:
      path: of a Python or a gin file, relative to the repository.
      text: content of the file.
    """
    found = _of_gin(text) if path.endswith('.gin') else _of_python(text)
    return [Mutant(path, *one) for one in sorted(set(found))]


def _of_gin(text: str) -> Iterator[tuple[int, int, str, str]]:
    for match in _BINDING.finditer(text):
        name, value = match[1], match[2]
        if name.endswith(_DOCUMENTATION):
            continue
        yield match.start(), match.end(), '', f'{name} omitted'
        for number in _GIN_NUMBER.finditer(value):
            new = _other_number(number[0])
            start = match.start(2) + number.start()
            yield start, start + len(number[0]), new, f'{name}: {number[0]} to {new}'
        for truth in re.finditer(r'\b(True|False)\b', value):
            new = 'False' if truth[0] == 'True' else 'True'
            start = match.start(2) + truth.start()
            yield start, start + len(truth[0]), new, f'{name}: {truth[0]} to {new}'


def _other_number(text: str) -> str:
    if re.fullmatch(r'-?\d+', text):
        return str(int(text) + 1)
    return repr(2 * float(text) or 1.0)


def _of_python(text: str) -> Iterator[tuple[int, int, str, str]]:
    # `ast` counts columns in bytes of UTF-8.
    begins = [0]
    for line in text.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    lines = text.splitlines(keepends=True)

    def place(line: int, column: int) -> int:
        return begins[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def span(node: ast.AST) -> tuple[int, int]:
        return (place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset))

    def between(left: ast.AST, right: ast.AST, new: str) -> tuple[int, int, str, str]:
        # Only an operator, blanks and parentheses stand between two operands.
        start, end = span(left)[1], span(right)[0]
        old = text[start:end].strip('() \n\\\t')
        at = text.index(old, start)
        return at, at + len(old), new, f'{old} to {new}'

    def visit(node: ast.AST) -> Iterator[tuple[int, int, str, str]]:
        if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Assert)):
            return
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(
                operands[:-1], node.ops, node.comparators, strict=True
            ):
                yield between(left, right, _COMPARISONS[type(operator)])
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            if not _is_text(node.left) and not _is_text(node.right):
                yield between(node.left, node.right, _ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            new = 'or' if isinstance(node.op, ast.And) else 'and'
            for left, right in itertools.pairwise(node.values):
                yield between(left, right, new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            start, end = span(node)[0], span(node.operand)[0]
            if text[start:end].strip() in ('not', '-'):
                yield start, end, '', f'{text[start:end].strip()} omitted'
        elif isinstance(node, ast.Constant):
            yield from _of_constant(node, *span(node))
        elif isinstance(node, ast.Call):
            yield from _of_call(node, span, text)
        for field, child in ast.iter_fields(node):
            if field in ('annotation', 'returns', 'decorator_list'):
                continue
            for one in child if isinstance(child, list) else [child]:
                if isinstance(one, ast.AST):
                    yield from visit(one)

    yield from visit(ast.parse(text))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, 'value', None), str)


def _of_constant(node: ast.Constant, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    value = node.value
    if isinstance(value, bool):
        yield start, end, str(not value), f'{value} to {not value}'
    elif isinstance(value, (int, float)):
        new = repr(value + 1 if isinstance(value, int) else 2 * value or 1.0)
        yield start, end, new, f'{value} to {new}'


def _of_call(node: ast.Call, span, text: str) -> Iterator[tuple[int, int, str, str]]:
    function = node.func
    name = getattr(function, 'attr', getattr(function, 'id', ''))
    end = span(function)[1]
    if name in _NAMES:
        yield end - len(name), end, _NAMES[name], f'{name} to {_NAMES[name]}'
    # Two positional arguments exchanged.
    plain = [one for one in node.args if not isinstance(one, ast.Starred)]
    if len(node.args) == len(plain) >= 2 and name not in ('isinstance', 'getattr', 'zip', 'range'):
        (a, b), (c, d) = span(plain[0]), span(plain[1])
        if text[a:b] != text[c:d]:
            yield a, d, text[c:d] + text[b:c] + text[a:b], f'arguments of {name} exchanged'
    # A keyword argument omitted, with the comma before it.
    for keyword in node.keywords:
        start, stop = span(keyword)
        before = text[:start].rstrip()
        # Names of layers and weights decide nothing.
        if keyword.arg not in (None, 'name') and before.endswith(','):
            yield len(before) - 1, stop, '', f'{keyword.arg} of {name} omitted'
