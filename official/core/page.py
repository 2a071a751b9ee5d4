"""One self-contained HTML page: headings, tables, a confusion matrix, and how it is written.

A page needs nothing but itself: the style is inline, pictures are data: URIs (figures.py draws
them), there is no script, and its content security policy lets a browser load nothing else.
"""

from __future__ import annotations

import dataclasses
import html
import numbers
from collections.abc import Sequence
from typing import NamedTuple, cast

from official.core import run_folder

_LARGEST_MATRIX = 30  # Classes; with more, the cells no longer fit on a screen.

_STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #dde3ea; --card: #f6f8fa;
  --accent: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 64rem; background: #fff;
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; -webkit-text-size-adjust: 100%; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .7rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 44rem; margin: .5rem 0; }
nav { color: var(--soft); font-size: .9rem; }
nav a { display: inline-block; margin-right: 1rem; }
a { color: var(--accent); text-decoration: none; }
.note { color: var(--soft); font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr));
  gap: .8rem; margin: 1rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem .9rem; }
.card b { display: block; font-size: 1.9rem; line-height: 1.25; font-weight: 650; }
.card.main { border-color: var(--accent); border-width: 2px; }
.card span { display: block; color: var(--soft); font-size: .85rem; line-height: 1.35; }
.figures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.small.figures { gap: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(max(9.5rem, 22%), 1fr)); }
figure { margin: 0; break-inside: avoid; }
figure img { display: block; width: 100%; max-width: 34rem; height: auto; }
figcaption { color: var(--soft); font-size: .85rem; max-width: 34rem; }
summary { cursor: pointer; color: var(--accent); }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .92rem; }
td, th { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.confusion td { text-align: center; min-width: 2.4rem; padding: .35rem .3rem;
  border: 1px solid #fff; font-variant-numeric: tabular-nums; }
.confusion th { border: 0; white-space: nowrap; padding: .3rem .5rem; }
.confusion td, .confusion th { vertical-align: middle; }
.confusion thead th { text-align: center; }
.confusion thead th:first-child { white-space: normal; width: 5rem; line-height: 1.2; }
.confusion .zero { color: #a9b4be; }
.images td, .images th { border: 0; padding: .15rem; text-align: center;
  vertical-align: middle; }
.images tbody th { text-align: right; padding-right: .5rem; position: sticky; left: 0;
  background: #fff; }
.images img { display: block; width: 3.7rem; max-width: none; image-rendering: pixelated; }
.images.large img { width: 5.6rem; image-rendering: auto; }
.images td:empty { min-width: 1.5rem; }
.images thead th { font-size: .75rem; font-weight: 500; padding: .15rem 0; }
.swatch { display: inline-block; width: 1.3rem; height: .28rem; margin: 0 .35rem 0 .9rem;
  vertical-align: middle; border-radius: 2px; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem 1rem; font: .8rem/1.45 ui-monospace, Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  .confusion td { min-width: 1.75rem; padding: .3rem .1rem; font-size: .8rem; }
  .confusion th { padding: .3rem; font-size: .85rem; }
  .images img { width: 3rem; }
  .images.large img { width: 4.5rem; }
}
@media print {
  body { padding: 0; max-width: none; font-size: 10pt; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; }
  .small.figures { grid-template-columns: repeat(4, 1fr); }
  .scroll { overflow: visible; }
  .images tbody th { position: static; }
  .images img { width: 1.35cm; }
  .images.large img { width: 1.55cm; }
  tr, .card { break-inside: avoid; }
}
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page with its own heading.

    Attributes:
      title: plain text.
      html: the body, HTML whose text is escaped already.
    """

    title: str
    html: str


def paragraph(text: str, note: bool = False) -> str:
    """A paragraph of plain text; `note` sets it small and grey."""
    return f'<p{" class=note" if note else ""}>{html.escape(text)}</p>'


def number(value: float) -> str:
    """A number as a reader wants it: integers in groups of three, others to 4 digits."""
    if isinstance(value, numbers.Integral) or (abs(value) < 1e15 and value == int(value)):
        return f'{int(value):,}'.replace(',', '\N{NARROW NO-BREAK SPACE}')
    return f'{value:.4g}'


class Link(NamedTuple):
    """A cell of a table that leads somewhere.

    Attributes:
      href: where, relative to the page.
      text: plain text.
    """

    href: str
    text: str


class Numeral(NamedTuple):
    """A cell of a table that holds a number as it is to be read: '8.0', '11.0 ± 0.31'.

    Attributes:
      text: plain text.
    """

    text: str


def _cell(value: object, tag: str = 'td') -> str:
    if isinstance(value, Numeral):
        return f'<{tag} class=number>{html.escape(value.text)}</{tag}>'
    if isinstance(value, Link):
        return f'<{tag}><a href="{html.escape(value.href)}">{html.escape(value.text)}</a></{tag}>'
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return f'<{tag} class=number>{number(cast(float, value))}</{tag}>'
    return f'<{tag}>{html.escape("" if value is None else str(value))}</{tag}>'


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> str:
    """A table; numbers are set to the right, None is an empty cell.

    Args:
      rows: cells, row by row; the first cell of a row names the row.
      header: names of the columns.
    """
    head = ''
    if header:
        # A column of numbers has its name over the numbers.
        last = rows[-1] if rows else header
        cells = ''.join(
            f'<th{" class=number" if isinstance(value, (numbers.Real, Numeral)) else ""}>'
            f'{html.escape(name)}</th>'
            for name, value in zip(header, last, strict=True)
        )
        head = f'<thead><tr>{cells}</tr></thead>'
    body = ''.join(f'<tr>{_cell(row[0], "th")}{"".join(map(_cell, row[1:]))}</tr>' for row in rows)
    return f'<div class=scroll><table>{head}<tbody>{body}</tbody></table></div>'


def confusion_matrix(matrix: Sequence[Sequence[int]], class_names: Sequence[str]) -> str:
    """The confusion matrix with the error of each class; of many classes, what is confused most.

    Args:
      matrix: counts [true class, predicted class].
      class_names: a name for each class.

    Raises:
      ValueError: the matrix is not square with one row for each class name.
    """
    names = [str(name) for name in class_names]
    if len(matrix) != len(names) or any(len(row) != len(names) for row in matrix):
        widths = sorted({len(row) for row in matrix})
        raise ValueError(
            f'a confusion matrix of {len(matrix)} rows of {widths} counts does not '
            f'fit {len(names)} class names.'
        )
    if len(names) > _LARGEST_MATRIX:
        return _most_confused(matrix, names)
    head = ''.join(f'<th>{html.escape(name)}</th>' for name in names)
    rows = []
    for true, counts in enumerate(matrix):
        total = sum(counts)
        cells = ''.join(
            _count(count, total, true == predicted) for predicted, count in enumerate(counts)
        )
        error = f'{100 * (1 - counts[true] / total):.2f} %' if total else ''
        rows.append(
            f'<tr><th>{html.escape(names[true])}</th>{cells}<th class=number>{error}</th></tr>'
        )
    return (
        '<div class=scroll><table class=confusion><thead><tr><th>true \\ predicted</th>'
        f'{head}<th>error</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _count(count: int, total: int, correct: bool) -> str:
    if not count:
        return '<td class=zero>0</td>'
    share = count / total
    # The root keeps a single confused example visible beside a thousand right ones.
    color, strength = (
        ('11,92,173', 0.08 + 0.37 * share) if correct else ('214,94,0', 0.12 + 0.68 * share**0.5)
    )
    return f'<td style="background:rgba({color},{strength:.3f})">{number(count)}</td>'


def _most_confused(matrix, names, most: int = 20) -> str:
    pairs = sorted(
        (
            (count, -true, -predicted)
            for true, counts in enumerate(matrix)
            for predicted, count in enumerate(counts)
            if count and true != predicted
        ),
        reverse=True,
    )
    rows = [(names[-true], names[-predicted], count) for count, true, predicted in pairs[:most]]
    return table(rows, ('true', 'predicted', 'examples')) + paragraph(
        f'The {len(rows)} most frequent confusions among {len(names)} classes.', note=True
    )


def document(title: str, summary: str, sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
      title: plain text.
      summary: HTML below the title, before the list of sections.
      sections: the sections in order.
    """
    links = ''.join(
        f'<a href="#section-{index}">{html.escape(section.title)}</a> '
        for index, section in enumerate(sections)
    )
    body = ''.join(
        f'<section id="section-{index}"><h2>{html.escape(section.title)}</h2>'
        f'{section.html}</section>\n'
        for index, section in enumerate(sections)
    )
    title = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f'<h1>{title}</h1>\n{summary}\n<nav>{links}</nav>\n{body}</body>\n</html>\n'
    )


def write_report(path: str, title: str, summary: str, sections: Sequence[Section]) -> str:
    """Writes the page so that `path` holds either the old page or the whole new one.

    Args:
      path: the file to write.
      title: plain text.
      summary: HTML below the title.
      sections: the sections in order.

    Returns:
      `path`.

    Raises:
      OSError: the folder does not exist or cannot be written.
    """
    run_folder.write_text(path, document(title, summary, sections))
    return path
