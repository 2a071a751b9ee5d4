"""Results laid out as Tables 2 to 5 and Figure 6(d) of Ge et al. 2019, the paper's beside them."""

from __future__ import annotations

import dataclasses
import html as html_lib
from collections.abc import Mapping, Sequence

from official.core import figures, page
from research.match_rcnn import published, retrieval_protocol, subsets

_PAPER, _RELEASE = 'paper', 'with the data set'
_BOXES = {'truth': 'ground truth box', 'detected': 'detected box'}
_TOP_NAMES = {'top1': 'top-1', 'top10': 'top-10', 'top20': 'top-20'}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
      title: which it is and of what.
      header: names of the columns, the first of the rows' names.
      rows: name and values of each row; None: not known.
      note: what the values are.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    note: str = ''

    def html(self) -> str:
        """As a piece of a page."""
        rows = [
            (name, *(page.Numeral(shown(value)) for value in values)) for name, *values in self.rows
        ]
        note = page.paragraph(self.note, note=True) if self.note else ''
        return page.table(rows, self.header) + note

    def text(self) -> str:
        """As lines of plain text, columns below each other."""
        cells = [self.header] + [(name, *map(shown, values)) for name, *values in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            '  '.join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
                ]
            )
            for row in cells
        ]
        return '\n'.join([self.title, *(line.rstrip() for line in lines), self.note]).rstrip()


def precision_tables(metrics: Mapping, beside_paper: bool = True) -> list[Table]:
    """Tables 2 to 4, those for which something was measured.

    Args:
      metrics: what `evaluation.evaluate` returns.
      beside_paper: with the paper's rows, which are of DeepFashion2; else, of other classes,
        without them.
    """
    kinds = (
        (2, 'Clothes detection', (('box', 'box', published.BOX),)),
        (
            3,
            'Landmark estimation',
            (
                ('landmarks_visible', 'pt, visible', published.LANDMARKS_VISIBLE),
                ('landmarks', 'pt, visible and occluded', published.LANDMARKS),
            ),
        ),
        (4, 'Clothes segmentation', (('mask', 'mask', published.MASK),)),
    )
    tables = []
    for number, title, parts in kinds:
        rows = []
        for metric in published.METRICS:
            for name, what, paper in parts:
                if name in metrics:
                    measured = [metrics[name][column][metric] for column in subsets.COLUMNS]
                    printed = [paper[metric][column] for column in subsets.COLUMNS]
                    release = [None] * (len(printed) - 1) + [published.RELEASE[name][metric]]
                    rows.append((f'{metric} {what}', *measured))
                    if beside_paper:
                        rows += [(_PAPER, *printed), (_RELEASE, *release)]
        if rows:
            tables.append(
                Table(
                    f'{title} (Table {number})',
                    ('', *subsets.COLUMNS),
                    tuple(rows),
                    'A detection that fits no item is wrong in every subset.',
                )
            )
    return tables


def retrieval_table(of_features: Mapping[str, Mapping]) -> Table | None:
    """Table 5, with a row for whatever else was measured.

    Args:
      of_features: by features, as `published.FEATURES` has them or any other name, what
        `evaluation.evaluate` returns.

    Returns:
      None if there was no retrieval.
    """
    rows, counts = [], []
    for features, metrics in of_features.items():
        for boxes, name in _BOXES.items():
            result = metrics.get(f'retrieval_{boxes}')
            if result is None:
                continue
            rows.append(
                (
                    f'{features}, {name}',
                    *(result['levels'][column] for column in subsets.COLUMNS[:-1]),
                    *(result['overall'][k] for k in published.TOP),
                )
            )
            if features in published.RETRIEVAL:
                rows.append((_PAPER, *published.RETRIEVAL[features][boxes].values()))
            counts.append((result['level_queries'], result['level_shop_items'], result['queries']))
    if not rows:
        return None
    few, least, every = counts[0]
    return Table(
        'Consumer-to-shop retrieval (Table 5)',
        ('', *subsets.COLUMNS[:-1], *_TOP_NAMES.values()),
        tuple(rows),
        f'Levels: top-{retrieval_protocol.LEVELS_K} accuracy of the {few} queries with at least '
        f'{least} shop item{"s" * (least > 1)} of their identity. The last '
        f'columns: of all {every} queries. A query that is not detected is not found.'
        + _release(of_features),
    )


def _release(of_features) -> str:
    """Figures published with the data set for these features."""
    known = {
        features: published.RELEASE_RETRIEVAL[features]
        for features in of_features
        if features in published.RELEASE_RETRIEVAL
    }
    if not known:
        return ''
    return (
        ' Published with the data set, detected boxes, top-'
        + ', '.join(str(k) for k in retrieval_protocol.KS)
        + ': '
        + '; '.join(
            f'{features} {", ".join(map(shown, row.values()))}' for features, row in known.items()
        )
        + '.'
    )


def accuracy_curve(metrics: Mapping, features: str = 'pose+class') -> str:
    """Figure 6(d): top-k accuracy over k with detected and with ground truth boxes, as HTML.

    Args:
      metrics: what `evaluation.evaluate` returns; with retrieval.
      features: whose published figures are drawn too, if there are some.
    """
    from matplotlib.ticker import FixedLocator

    with figures.figure() as drawing:
        axes = drawing.add_subplot(
            title='Retrieval (Figure 6d)', xlabel='k', ylabel='top-k accuracy'
        )
        told = []
        # The palette has colours to spare.
        for color, (boxes, name) in zip(figures.PALETTE, _BOXES.items(), strict=False):
            result = metrics.get(f'retrieval_{boxes}')
            if result is None:
                continue
            values = [result['overall'][f'top{k}'] for k in retrieval_protocol.KS]
            (line,) = axes.plot(
                retrieval_protocol.KS,
                values,
                'o-',
                color=color,
                markersize=4,
                label=f'{name}: {values[-1]:.3f}',
            )
            line.set_gid(f'curve-{boxes}')
            told.append(f'{name} {", ".join(f"{value:.3f}" for value in values)}')
            paper = published.RETRIEVAL.get(features)
            if paper:
                axes.plot(
                    [int(k[3:]) for k in published.TOP],
                    [paper[boxes][k] for k in published.TOP],
                    'x',
                    color=color,
                    markersize=5,
                    label=f'{_PAPER}: {paper[boxes]["top20"]:.3f}',
                    gid=f'paper-{boxes}',
                )
        axes.xaxis.set_major_locator(FixedLocator(retrieval_protocol.KS))
        axes.set_ylim(0, 1)
        drawing.legend(loc='outside lower left', ncols=2, handlelength=1.6)
        ks = ', '.join(map(str, retrieval_protocol.KS))
        return figures.svg(drawing, f'Top-k accuracy at k = {ks}: {"; ".join(told)}')


def html(tables: Sequence[Table]) -> str:
    """Tables below each other, with their titles."""
    return ''.join(f'<h3>{html_lib.escape(table.title)}</h3>{table.html()}' for table in tables)


def shown(value: float | None) -> str:
    """A share with three decimals; nothing for None."""
    return '' if value is None else f'{value:.3f}'
