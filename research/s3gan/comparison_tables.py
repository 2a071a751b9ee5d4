"""Tables 2 to 5 and 12 to 14 and Figures 7 and 8 of Lucic et al. 2019, with ours beside."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

from official.core import figures, page
from research.s3gan import published

FID, INCEPTION_SCORE = KEYS = ('test_fid', 'test_inception_score')
HEADS = ('FID', 'IS')
_ERRORS = {'TOP-1 ERROR': 'test_error_percent', 'TOP-5 ERROR': 'test_top5_error_percent'}


def statistics_of(result: Mapping, key: str) -> Mapping:
    """Mean and median of a metric of a result; of one seed both are its value."""
    value = result[key]
    return value if isinstance(value, Mapping) else {'mean': value, 'median': value}


def shown(result: Mapping | None, key: str, mean: bool, digits: int | None = None) -> str:
    """Mean and deviation, or median; to a decimal place, small values to two, or to `digits`."""
    if result is None or result.get(key) is None:
        return ''
    value = statistics_of(result, key)
    number = _number(value['mean' if mean else 'median'], digits)
    spread = f' ± {value["std"]:.{digits or 2}f}' if mean and 'std' in value else ''
    return number + spread


def _number(value: float, digits: int | None = None) -> str:
    return f'{value:.{(1 if abs(value) >= 10 else 2) if digits is None else digits}f}'


def medians(found: Mapping[str, Mapping], key: str) -> dict[str, float]:
    """The median over the seeds of every method that has this score."""
    return {
        method: statistics_of(result, key)['median']
        for method, result in found.items()
        if result.get(key) is not None
    }


def order(found: Mapping[str, Mapping]) -> str:
    """Methods in the paper's order with their places here.

    Args:
      found: method to the result of its run.
    """
    methods = [
        method
        for method in published.MEDIANS
        if all(found.get(method, {}).get(key) is not None for key in KEYS)
    ]
    if len(methods) < 2:
        return page.paragraph('Fewer than two methods with published figures have run.')
    columns, told = [], []
    for index, key in enumerate(KEYS):
        # Of FID the lowest is first, of Inception Score the highest.
        sign = 1 - 2 * index
        theirs = {method: published.MEDIANS[method][index] for method in methods}
        ours = {method: value for method, value in medians(found, key).items() if method in theirs}
        for scores in (theirs, ours):
            columns.append(
                {
                    method: (
                        scores[method],
                        1 + sum(sign * other < sign * scores[method] for other in scores.values()),
                    )
                    for method in methods
                }
            )
        pairs = [(a, b) for a, b in itertools.combinations(methods, 2) if theirs[a] != theirs[b]]
        same = sum(
            (theirs[a] < theirs[b]) == (ours[a] < ours[b]) and ours[a] != ours[b] for a, b in pairs
        )
        told.append(f'by {HEADS[index]} {same} of {len(pairs)} pairs')
    methods.sort(key=lambda method: columns[0][method])
    rows = [
        (
            published.heading(method),
            *(
                page.Numeral(text)
                for column in columns
                for text in (_number(column[method][0]), str(column[method][1]))
            ),
        )
        for method in methods
    ]
    heads = [
        text for head in HEADS for who in ('paper', 'ours') for text in (f'{head}, {who}', 'place')
    ]
    return page.table(rows, ('method', *heads)) + page.paragraph(
        f'Of two methods that differ in the paper, the better one is the better one here: '
        f'{", ".join(told)}. Medians of the seeds; of one seed each, near places are chance.'
    )


def tables(
    found: Mapping[str, Mapping], errors: Mapping[str, Mapping], collapsed: Collection[str] = ()
) -> str:
    """Tables 2 to 5 and 12 to 14 as printed, and below each row ours.

    Args:
      found: method to the result of its run.
      errors: the same of the feature extractors.
      collapsed: methods whose generator collapsed.
    """
    parts = {}
    for table in published.TABLES:
        percents = [f' {percent} %' for percent in table.percents] or ['']
        rows = []
        for name, row in table.rows:
            methods, theirs, ours = table.methods(row), [], []
            for index, key in enumerate(KEYS):
                for method in methods:
                    if table.means:
                        spread = published.MEANS[method][index]
                        theirs.append(f'{spread.mean:.1f} ± {spread.std:.2f}')
                    else:
                        theirs.append(f'{published.MEDIANS[method][index]:.1f}')
                    ours.append(
                        'collapsed'
                        if method in collapsed
                        else shown(found.get(method), key, table.means)
                    )
            rows += _pair(name, theirs, ours)
        kind = 'mean and standard deviation' if table.means else 'median'
        parts[table.number] = f'<h3>Table {table.number}: {table.title}, {kind}</h3>' + page.table(
            rows, ('', '', *(f'{head}{percent}' for head in HEADS for percent in percents))
        )
    rows = []
    for index, (name, key) in enumerate(_ERRORS.items()):
        rows += _pair(
            name,
            [f'{pair[index]:.2f}' for pair in published.ERRORS.values()],
            [shown(errors.get(method), key, True, 2) for method in published.ERRORS],
        )
    parts[3] = '<h3>Table 3: error of the classifiers that infer labels, %</h3>' + page.table(
        rows, ('', '', '5 %', '10 %', '20 %')
    )
    about = page.paragraph('Where ours is empty, the method has not run.', note=True)
    parts = [parts[number] for number in sorted(parts)]
    return about + ''.join(parts) + _not_in_tables(found, collapsed)


def _pair(name: str, theirs: Sequence[str], ours: Sequence[str]) -> list[list]:
    return [[name, 'paper', *map(page.Numeral, theirs)], ['', 'ours', *map(page.Numeral, ours)]]


def _not_in_tables(found, collapsed) -> str:
    """The methods that the text alone names, and those of which the paper prints nothing."""
    printed = {
        method
        for table in published.TABLES
        for _, row in table.rows
        for method in table.methods(row)
    }
    text = {
        'biggan': 'Sec. 5',
        's3gan_2_5': 'Sec. 5.4',
        **dict.fromkeys(published.COLLAPSED, 'Sec. 5.2'),
    }
    rows = []
    for method in [
        *text,
        *(
            method
            for method in (*found, *sorted(collapsed))
            if method not in printed and method not in text
        ),
    ]:
        score = published.MEDIANS.get(method)
        theirs = (
            [f'{value:.1f}' for value in score]
            if score
            else [published.COLLAPSED.get(method, ''), '']
        )
        ours = (
            ['collapsed', '']
            if method in collapsed
            else [shown(found.get(method), key, False) for key in KEYS]
        )
        rows.append(
            [
                published.heading(method),
                text.get(method, 'not in the paper'),
                *(page.Numeral(pair[index]) for index in range(2) for pair in (theirs, ours)),
            ]
        )
    heads = [f'{head}, {who}' for head in HEADS for who in ('paper', 'ours')]
    return '<h3>Not in these tables</h3>' + page.table(rows, ('', '', *heads))


def bars(found: Mapping[str, Mapping], collapsed: Collection[str] = ()) -> str:
    """Figures 7 and 8: median FID of each method, BigGAN's as a line; the paper's and ours.

    Args:
      found: method to the result of its run.
      collapsed: methods whose generator collapsed.
    """
    theirs = {method: score.fid for method, score in published.MEDIANS.items()}
    ours = medians(found, FID)
    charts = []
    for number, of_table in ((7, 2), (8, 4)):
        (table,) = (table for table in published.TABLES if table.number == of_table)
        methods = [method for _, row in table.rows for method in table.methods(row)]
        charts.append(_bars(f'Figure {number}, paper: median FID', methods, theirs, {}))
        if any(method in ours for method in methods):
            charts.append(
                _bars(
                    f'Figure {number}, ours: median FID',
                    methods,
                    ours,
                    dict.fromkeys(collapsed, 'collapsed'),
                )
            )
    return f'<div class=figures>{"".join(charts)}</div>' + page.paragraph(
        'The dotted line is BigGAN, which has all labels. Paper and ours have scales of their own: '
        'FIDs over features of different networks, or of different data sets, do not compare.',
        note=True,
    )


def _bars(
    title: str, methods: Sequence[str], fid: Mapping[str, float], notes: Mapping[str, str]
) -> str:
    """A horizontal bar for each method, from top to bottom."""
    with figures.figure(4.8, 1.1 + 0.24 * len(methods)) as drawing:
        axes = drawing.add_subplot(title=title)
        for row, method in enumerate(methods):
            if method in fid:
                (bar,) = axes.barh(row, fid[method], 0.7, color=figures.PALETTE[0])
                bar.set_gid(f'bar-{method}')
            text = f'{fid[method]:.1f}' if method in fid else notes.get(method, 'not run')
            axes.annotate(
                text,
                (fid.get(method, 0), row),
                (3, 0),
                textcoords='offset points',
                va='center',
                fontsize=8,
                bbox={'facecolor': 'white', 'linewidth': 0, 'pad': 0.8},
            )
        if 'biggan' in fid:
            line = axes.axvline(
                fid['biggan'],
                color=figures.INK,
                linewidth=1.2,
                linestyle=(0, (1, 1.5)),
                label=f'BigGAN: {fid["biggan"]:.1f}',
            )
            line.set_gid('biggan')
            drawing.legend(loc='outside lower left')
        axes.set_yticks(range(len(methods)), [published.heading(method) for method in methods])
        axes.tick_params('y', length=0, labelcolor=figures.INK)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.margins(x=0.14)
        axes.grid(False, axis='y')
        return figures.svg(
            drawing,
            f'{title}: '
            + '; '.join(
                f'{published.heading(method)} {fid[method]:.1f}'
                for method in methods
                if method in fid
            ),
        )
