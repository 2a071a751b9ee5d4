"""Keeps the figures of the README and the model cards in step with the measured results.

A passage of a page that holds figures is made from the comment before it, a Jinja template:

    <!-- figures {{ here('ladder/table1/mnist_100_full') }} % -->0.97 %<!-- end -->

Templates have these functions; `name` is that of a gin file below gin_configs/, without its ending:

    here(name, metric, digits)     the measured figure of results/<name>.json, '81.3 ± 0.8 (20)'
    paper(name, metric, digits)    the figure of the gin file's `reference`, '81.5 ± 0.6'
    value(name, metric)            the measured figure as a number, for '%.3f'|format
    fact(name, key)                a fact of results/<name>.json
    row(table, column, value)      the row of a CSV file in which `column` is `value`

Usage:
  ./garden python -m tools.cards          # names the passages that differ; status 1 if any does
  ./garden python -m tools.cards --fix    # writes them
"""

from __future__ import annotations

import argparse
import csv
import functools
import pathlib
import re
import sys
from typing import Any

import jinja2

from official.core import result

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ('README.md', 'research/*/README.md')
_PASSAGE = re.compile(r'(<!-- figures(.*?)-->)(.*?)(<!-- end -->)', re.DOTALL)


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the pages that may hold figures."""
    return [path for pattern in PAGES for path in sorted(root.glob(pattern))]


def rendered(text: str, figures: Figures) -> str:
    """Returns `text` with every passage made anew from its template.

    Raises:
      ValueError: a template names a result, metric or fact that does not exist.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.globals |= {
        name: getattr(figures, name) for name in ('here', 'paper', 'value', 'fact', 'row')
    }

    def render(match: re.Match) -> str:
        head, template, _, end = match.groups()
        try:
            made = environment.from_string(template.strip()).render()
        except jinja2.TemplateError as error:
            raise ValueError(f'{template.strip()!r:.100}: {error}') from None
        # A table stands on lines of its own, or Markdown would not see it.
        return f'{head}\n\n{made.strip()}\n\n{end}' if '\n' in template else head + made + end

    return _PASSAGE.sub(render, text)


class Figures:
    """The figures of one tree: what was measured, and what the papers print.

    Args:
      root: folder that holds results/ and gin_configs/.
    """

    def __init__(self, root: pathlib.Path):
        self.root = root
        # Kept here and not on the class, which would keep every tree.
        self._result = functools.cache(self._read_result)
        self._reference = functools.cache(self._read_reference)

    def here(self, name: str, metric: str | None = None, digits: int = 2, of: int = 0) -> str:
        """Returns a measured figure, or 'not run' where there is no result.

        Args:
          name: name of the gin file.
          metric: name of the metric; by default the first.
          digits: digits after the point.
          of: number of runs that the paper has; another number is added in brackets.
        """
        if not self._path(name).exists():
            return 'not run'
        found = self._metric(name, metric)
        if found.values:
            return ', '.join(f'{value:.{digits}f}' for value in found.values)
        text = f'{found.mean:.{digits}f}'
        if found.std is not None:
            text += f' ± {found.std:.{digits}f}'
        return f'{text} ({found.count})' if of and found.count != of else text

    def value(self, name: str, metric: str | None = None) -> float:
        """Returns the mean of a measured figure."""
        return self._metric(name, metric).mean

    def fact(self, name: str, key: str) -> Any:
        """Returns a fact of a result."""
        facts = self._result(name).facts
        if key not in facts:
            raise ValueError(f'{self._path(name)} has no fact {key!r}.')
        return facts[key]

    def paper(self, name: str, metric: str | None = None, digits: int = 2) -> str:
        """Returns the figure that the paper prints, with its deviation if it prints one."""
        reference = self._reference(name)
        metric = metric or next(key for key in reference if key not in ('cell', 'std', 'note'))
        if metric not in reference:
            raise ValueError(f'gin_configs/{name}.gin: reference has no {metric!r}.')
        text = f'{reference[metric]:.{digits}f}'
        return text + (f' ± {reference["std"]:.{digits}f}' if 'std' in reference else '')

    def row(self, table: str, column: str, value: str) -> dict[str, str]:
        """Returns the row of a CSV file in which `column` is `value`."""
        with open(self.root / table, encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                if row[column] == value:
                    return row
        raise ValueError(f'{table} has no row with {column} = {value!r}.')

    def _path(self, name: str) -> pathlib.Path:
        return self.root / 'results' / f'{name}.json'

    def _read_result(self, name: str) -> result.Result:
        return result.read(self._path(name))

    def _metric(self, name: str, metric: str | None) -> result.Metric:
        metrics = self._result(name).metrics
        metric = metric or next(iter(metrics))
        if metric not in metrics:
            raise ValueError(f'{self._path(name)} has no metric {metric!r}.')
        return metrics[metric]

    def _read_reference(self, name: str) -> dict[str, Any]:
        # Late: reading a file takes milliseconds, importing what it names takes seconds.
        import gin

        from official.core import config

        read = config.read(str(self.root / 'gin_configs' / f'{name}.gin'))
        bound = [b for b in read.source.bindings.values() if b.parameter == 'reference']
        if not bound:
            raise ValueError(f'gin_configs/{name}.gin has no reference.')
        if isinstance(bound[0].value, dict):
            return bound[0].value
        config.load(read)
        try:
            return gin.query_parameter(bound[0].key).scoped_configurable_fn()
        finally:
            config.clear()


def differences(root: pathlib.Path) -> list[str]:
    """Returns a sentence for each passage that is not what its template makes."""
    figures, found = Figures(root), []
    for page in pages(root):
        text = page.read_text(encoding='utf-8')
        there = [match.group(3) for match in _PASSAGE.finditer(text)]
        made = [match.group(3) for match in _PASSAGE.finditer(rendered(text, figures))]
        found += [
            f'{page.relative_to(root)}: {old.strip()!r:.60} should be {new.strip()!r:.60}.'
            for old, new in zip(there, made, strict=True)
            if old != new
        ]
    return found


def fix(root: pathlib.Path) -> None:
    """Writes the passages of every page anew."""
    figures = Figures(root)
    for page in pages(root):
        text = page.read_text(encoding='utf-8')
        made = rendered(text, figures)
        if made != text:
            page.write_text(made, encoding='utf-8')


def main() -> int:
    parser = argparse.ArgumentParser(description='Keeps the figures of the pages in step.')
    parser.add_argument('--fix', action='store_true', help='write the passages')
    if parser.parse_args().fix:
        fix(ROOT)
        return 0
    found = differences(ROOT)
    if found:
        found.append('Run ./garden python -m tools.cards --fix.')
    print('\n'.join(found) or 'The pages are in step.')
    return bool(found)


if __name__ == '__main__':
    sys.exit(main())
