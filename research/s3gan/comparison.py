"""Methods of Lucic et al. 2019 beside each other and beside the paper's figures."""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
from collections.abc import Mapping, Sequence

import tensorflow as tf

from official.core import experiment, figures, gin_source, history, page, report, run_folder, suite
from research.s3gan import evaluation, published

_FID, _INCEPTION_SCORE = _KEYS = ('test_fid', 'test_inception_score')
_HEADS = ('FID', 'IS')
_ERRORS = {'TOP-1 ERROR': 'test_error_percent', 'TOP-5 ERROR': 'test_top5_error_percent'}
_OTHERS = {'precision': 'test_precision', 'recall': 'test_recall', 'diversity': 'test_diversity'}


class Comparison(experiment.Experiment):
    """Trains several methods and lays out Tables 2 to 5 and 12 to 14, Figures 7, 8 and 21.

    Each has the run folder that it has when it is trained by itself, beside this one. One that has
    been trained is not trained again, so trainings may be spread over machines, and this makes the
    page of them.

    Of each run the report takes `test_fid` and `test_inception_score`, of several seeds the median
    in Tables 2, 4 and 5 and mean and standard deviation in Tables 12 to 14, as the paper does.

    A training that ends because its generator has collapsed counts as done: the paper's BIGGAN-k%
    do (Sec. 5.2). It has no scores.

    Args:
      run_dir: see `Experiment`; of the page and `result.json`.
      seed: of every run.
      data_dir: see `Experiment`.
      strategy: one device.
      files: of one data set, named <data set>_<method>.gin; the method says which cell is its.
      first: gin files of the feature extractors whose labels the others read. They run before.
      gin_params: what replaces values in every one of `files`, as `--gin_param` takes it.
      at_once: see `official.core.suite.Suite`.
      title: heading of the report.
      runs_dir: where the run folders of `files` are; by default the folder that `run_dir` is in.
      first_dir: where those of `first` are; by default where the launcher puts them and
        `label_file.inferred_labels` is told to look: `runs/<folder of the gin file>`.
      as_published: whether data set and features are the paper's, ImageNet at 128 pixels and
        Inception; if not, the report says that only orders may be compared.

    Raises:
      ValueError: if files are of several data sets, a name is none of a method, or `Suite` refuses
        an argument.
    """

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        files: Sequence[str],
        first: Sequence[str] = (),
        gin_params: Sequence[str] = (),
        at_once: int = 1,
        title: str = '',
        runs_dir: str | None = None,
        first_dir: str | None = None,
        as_published: bool = False,
    ):
        super().__init__(run_dir, seed, data_dir, strategy or tf.distribute.get_strategy())
        runs_dir = runs_dir or os.path.dirname(os.path.abspath(run_dir))
        first_dir = first_dir or os.path.join(
            gin_source.ROOT, 'runs', os.path.basename(os.path.dirname(first[0] if first else ''))
        )
        self.runs = suite.Suite(
            runs_dir, seed, data_dir, strategy, files=files, gin_params=gin_params, at_once=at_once
        )
        self.first = suite.Suite(first_dir, seed, data_dir, strategy, files=first, at_once=at_once)
        self.title = title or os.path.basename(os.path.normpath(run_dir))
        self.as_published = as_published
        split = {name: published.split_name(name) for name in (*self.runs.files, *self.first.files)}
        self.methods = {name: method for name, (_, method) in split.items()}
        data_sets = sorted({data_set for data_set, _ in split.values()})
        if len(data_sets) != 1:
            raise ValueError(
                'Comparison.files must be of one data set, or their scores cannot be '
                f'compared; they are of {", ".join(data_sets) or "none"}.'
            )
        self.data_set = data_sets[0]

    def train(self) -> None:
        self.first.train()
        try:
            self.runs.train()
        except RuntimeError:
            failed = [
                name
                for name in self.runs.files
                if not run_folder.is_finished(os.path.join(self.runs.run_dir, name))
            ]
            if not all(map(self._collapse, failed)):
                raise

    def evaluate(self) -> dict:
        """Collects the results of those that are done and writes `result.json`.

        Returns:
          {'experiments': name to the result of its run folder, 'first': the same of `first`,
          'collapsed': name to how, 'missing': the other names}.
        """
        found, first = _results(self.runs), _results(self.first)
        without = [name for name in self.runs.files if name not in found]
        collapsed = {name: text for name in without if (text := self._collapse(name))}
        for name, one in found.items():
            print(
                f'{name}: FID {_shown(one, _FID, True)}, '
                f'Inception Score {_shown(one, _INCEPTION_SCORE, True)}',
                flush=True,
            )
        result = {
            'experiments': found,
            'first': first,
            'collapsed': collapsed,
            'missing': [name for name in without if name not in collapsed],
        }
        run_folder.write_text(
            os.path.join(self.run_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
        )
        return result

    def export(self) -> str:
        """Each run has exported its own model: the folder that holds them."""
        return self.runs.run_dir

    def report(self) -> str:
        result = run_folder.read_json(os.path.join(self.run_dir, run_folder.RESULT))
        found, errors = (
            {self.methods[name]: one for name, one in result[part].items()}
            for part in ('experiments', 'first')
        )
        collapsed = {self.methods[name] for name in result['collapsed']}
        sections = [
            page.Section('Runs', self._runs(result)),
            page.Section('Order of the methods', order(found)),
            page.Section('Tables', tables(found, errors, collapsed)),
            page.Section('Figures 7 and 8', bars(found, collapsed)),
            page.Section('Figure 21', self._curves()),
        ]
        return page.write_report(
            os.path.join(self.run_dir, 'report.html'), self.title, self._about(found), sections
        )

    def _collapse(self, name: str) -> str:
        """How a run that did not end has collapsed; '' if it has not."""
        for rows in self._histories(name):
            try:
                evaluation.CollapseCheck()(rows)
            except FloatingPointError as error:
                return str(error).split(':')[0] + '.'
        return ''

    def _histories(self, name: str) -> list[list[dict]]:
        """The history of a run, or of each of its seeds."""
        folder = os.path.join(self.runs.run_dir, name)
        seeds = sorted(
            part
            for part in (os.listdir(folder) if os.path.isdir(folder) else ())
            if re.fullmatch(r'seed_\d+', part)
        )
        histories = [history.read(os.path.join(folder, seed)) for seed in seeds] or [
            history.read(folder)
        ]
        return [rows for rows in histories if rows]

    def _about(self, found) -> str:
        if self.as_published:
            text = page.paragraph("The paper's figures beside ours.")
        else:
            text = page.paragraph(
                "The paper's figures beside ours, which are of a different data set, "
                f"{self.data_set}: the paper's are of ImageNet at 128 pixels, over the features "
                'of the Inception network, ours over the features of a small classifier. The '
                'numbers cannot be compared; only the order of the methods can.'
            )
        told = dict.fromkeys(one['measured_on'] for one in found.values() if 'measured_on' in one)
        return text + ''.join(
            page.paragraph(f'Ours are measured on {about}.', note=True) for about in told
        )

    def _runs(self, result) -> str:
        rows = []
        beside = os.path.relpath(self.runs.run_dir, self.run_dir)
        for name, one in result['experiments'].items():
            seconds = one.get('train_seconds') and _statistics(one, 'train_seconds')['mean']
            rows.append(
                [
                    page.Link(f'{beside}/{name}/report.html', name),
                    published.heading(self.methods[name]),
                    one.get('num_seeds', 1),
                    one.get('step'),
                    *(page.Numeral(_shown(one, key, True)) for key in _KEYS),
                    *(page.Numeral(_shown(one, key, True, 3)) for key in _OTHERS.values()),
                    page.Numeral(report.duration(seconds) if seconds else ''),
                ]
            )
        text = page.table(rows, ('run', 'method', 'seeds', 'steps', *_HEADS, *_OTHERS, 'training'))
        for name, how in result['collapsed'].items():
            text += page.paragraph(f'{name}: {how}')
        if result['missing']:
            text += page.paragraph('Not run: ' + ', '.join(result['missing']) + '.')
        return text

    def _curves(self) -> str:
        charts = []
        for head, key in zip(_HEADS, _KEYS, strict=True):
            values: dict[int, dict] = {}
            headings = []
            for name in self.runs.files:
                at_step: dict[int, list[float]] = {}
                for rows in self._histories(name):
                    for row in rows:
                        if row.get(key) is not None:
                            at_step.setdefault(row['step'], []).append(row[key])
                for step, scores in at_step.items():
                    values.setdefault(step, {'step': step})[
                        published.heading(self.methods[name])
                    ] = statistics.fmean(scores)
                if at_step:
                    headings.append(published.heading(self.methods[name]))
            if headings:
                records = [values[step] for step in sorted(values)]
                charts.append(
                    figures.curves(
                        records, headings, f'{head} against generator steps', log=key == _FID
                    )
                )
        if not charts:
            return page.paragraph('No run has recorded scores.')
        return f'<div class=figures>{"".join(charts)}</div>' + page.paragraph(
            'Means of the seeds that have a step. At checkpoints fewer samples are drawn than for '
            'the numbers above, which makes the FID higher.',
            note=True,
        )


def _results(runs: suite.Suite) -> dict[str, dict]:
    paths = {name: os.path.join(runs.run_dir, name, run_folder.RESULT) for name in runs.files}
    return {
        name: run_folder.read_json(path) for name, path in paths.items() if os.path.exists(path)
    }


def _statistics(result: Mapping, key: str) -> Mapping:
    value = result[key]
    return value if isinstance(value, Mapping) else {'mean': value, 'median': value}


def _shown(result: Mapping | None, key: str, mean: bool, digits: int | None = None) -> str:
    """Mean and deviation, or median; to a decimal place, small values to two, or to `digits`."""
    if result is None or result.get(key) is None:
        return ''
    value = _statistics(result, key)
    shown = value['mean' if mean else 'median']
    spread = f' ± {value["std"]:.{digits or 2}f}' if mean and 'std' in value else ''
    return _number(shown, digits) + spread


def _number(value: float, digits: int | None = None) -> str:
    return f'{value:.{(1 if abs(value) >= 10 else 2) if digits is None else digits}f}'


def medians(found: Mapping[str, Mapping], key: str) -> dict[str, float]:
    """The median over the seeds of every method that has this score."""
    return {
        method: _statistics(result, key)['median']
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
        if all(found.get(method, {}).get(key) is not None for key in _KEYS)
    ]
    if len(methods) < 2:
        return page.paragraph('Fewer than two methods with published figures have run.')
    columns, told = [], []
    for index, key in enumerate(_KEYS):
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
        told.append(f'by {_HEADS[index]} {same} of {len(pairs)} pairs')
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
        text for head in _HEADS for who in ('paper', 'ours') for text in (f'{head}, {who}', 'place')
    ]
    return page.table(rows, ('method', *heads)) + page.paragraph(
        f'Of two methods that differ in the paper, the better one is the better one here: '
        f'{", ".join(told)}. Medians of the seeds; of one seed each, near places are chance.'
    )


def tables(
    found: Mapping[str, Mapping], errors: Mapping[str, Mapping], collapsed: Sequence[str] = ()
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
            for index, key in enumerate(_KEYS):
                for method in methods:
                    if table.means:
                        spread = published.MEANS[method][index]
                        theirs.append(f'{spread.mean:.1f} ± {spread.std:.2f}')
                    else:
                        theirs.append(f'{published.MEDIANS[method][index]:.1f}')
                    ours.append(
                        'collapsed'
                        if method in collapsed
                        else _shown(found.get(method), key, table.means)
                    )
            rows += _pair(name, theirs, ours)
        kind = 'mean and standard deviation' if table.means else 'median'
        parts[table.number] = f'<h3>Table {table.number}: {table.title}, {kind}</h3>' + page.table(
            rows, ('', '', *(f'{head}{percent}' for head in _HEADS for percent in percents))
        )
    rows = []
    for index, (name, key) in enumerate(_ERRORS.items()):
        rows += _pair(
            name,
            [f'{pair[index]:.2f}' for pair in published.ERRORS.values()],
            [_shown(errors.get(method), key, True, 2) for method in published.ERRORS],
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
            else [_shown(found.get(method), key, False) for key in _KEYS]
        )
        rows.append(
            [
                published.heading(method),
                text.get(method, 'not in the paper'),
                *(page.Numeral(pair[index]) for index in range(2) for pair in (theirs, ours)),
            ]
        )
    heads = [f'{head}, {who}' for head in _HEADS for who in ('paper', 'ours')]
    return '<h3>Not in these tables</h3>' + page.table(rows, ('', '', *heads))


def bars(found: Mapping[str, Mapping], collapsed: Sequence[str] = ()) -> str:
    """Figures 7 and 8: median FID of each method, BigGAN's as a line; the paper's and ours.

    Args:
      found: method to the result of its run.
      collapsed: methods whose generator collapsed.
    """
    theirs = {method: score.fid for method, score in published.MEDIANS.items()}
    ours = medians(found, _FID)
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
