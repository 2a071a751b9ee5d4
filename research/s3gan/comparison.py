"""Methods of Lucic et al. 2019 beside each other and beside the paper's figures."""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Sequence

import tensorflow as tf

from official.core import experiment, figures, gin_source, history, page, report, run_folder, suite
from research.s3gan import comparison_tables as tables
from research.s3gan import evaluation, published

_OTHERS = {'precision': 'test_precision', 'recall': 'test_recall', 'diversity': 'test_diversity'}


class Comparison(experiment.Experiment):
    """Trains several methods and lays out Tables 2 to 5 and 12 to 14, Figures 7, 8 and 21.

    Each has the run folder that it has when it is trained by itself, inside this one. One that has
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
      files: gin files of one folder, that of a data set, named <method>.gin; see
        `official.core.suite.Suite` for `*`. The method says which cell is its.
      first: gin files of the feature extractors whose labels the others read. They run before.
      gin_params: what replaces values in every one of `files`, as `--gin_param` takes it.
      at_once: see `official.core.suite.Suite`.
      title: heading of the report.
      first_dir: folder of the run folders of `first`; by default where the launcher puts them and
        `label_file.inferred_labels` looks for them: `runs/s3gan/<data set>`.
      as_published: whether data set and features are the paper's, ImageNet at 128 pixels and
        Inception; if not, the report says that only orders may be compared.

    Raises:
      ValueError: if files are of several data sets, a name is none of a method, or `Suite` refuses
        an argument.
    """

    changeable = ('files', 'first', 'gin_params', 'at_once', 'title', 'first_dir', 'as_published')

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
        first_dir: str | None = None,
        as_published: bool = False,
    ):
        super().__init__(run_dir, seed, data_dir, strategy or tf.distribute.get_strategy())
        folders = sorted({os.path.dirname(path) for path in (*files, *first)})
        if len(folders) != 1:
            raise ValueError(
                'Comparison.files must be of one data set, or their scores cannot be '
                f'compared; they are in {", ".join(folders) or "none"}.'
            )
        self.data_set = os.path.basename(folders[0])
        first_dir = first_dir or os.path.join(gin_source.ROOT, 'runs', 's3gan', self.data_set)
        self.runs = suite.Suite(
            run_dir, seed, data_dir, strategy, files=files, gin_params=gin_params, at_once=at_once
        )
        self.first = suite.Suite(first_dir, seed, data_dir, strategy, files=first, at_once=at_once)
        self.title = title or os.path.basename(os.path.normpath(run_dir))
        self.as_published = as_published
        for method in (*self.runs.files, *self.first.files):
            published.heading(method)  # Raises where it is none.

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
                f'{name}: FID {tables.shown(one, tables.FID, True)}, '
                f'Inception Score {tables.shown(one, tables.INCEPTION_SCORE, True)}',
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
        found, errors = (result[part] for part in ('experiments', 'first'))
        collapsed = set(result['collapsed'])
        sections = [
            page.Section('Runs', self._runs(result)),
            page.Section('Order of the methods', tables.order(found)),
            page.Section('Tables', tables.tables(found, errors, collapsed)),
            page.Section('Figures 7 and 8', tables.bars(found, collapsed)),
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
        for name, one in result['experiments'].items():
            seconds = (
                one.get('train_seconds') and tables.statistics_of(one, 'train_seconds')['mean']
            )
            rows.append(
                [
                    page.Link(f'{name}/report.html', name),
                    published.heading(name),
                    one.get('num_seeds', 1),
                    one.get('step'),
                    *(page.Numeral(tables.shown(one, key, True)) for key in tables.KEYS),
                    *(page.Numeral(tables.shown(one, key, True, 3)) for key in _OTHERS.values()),
                    page.Numeral(report.duration(seconds) if seconds else ''),
                ]
            )
        text = page.table(
            rows,
            ('run', 'method', 'seeds', 'steps', *tables.HEADS, *_OTHERS, 'training'),
        )
        for name, how in result['collapsed'].items():
            text += page.paragraph(f'{name}: {how}')
        if result['missing']:
            text += page.paragraph('Not run: ' + ', '.join(result['missing']) + '.')
        return text

    def _curves(self) -> str:
        charts = []
        for head, key in zip(tables.HEADS, tables.KEYS, strict=True):
            values: dict[int, dict] = {}
            headings = []
            for name in self.runs.files:
                at_step: dict[int, list[float]] = {}
                for rows in self._histories(name):
                    for row in rows:
                        if row.get(key) is not None:
                            at_step.setdefault(row['step'], []).append(row[key])
                for step, scores in at_step.items():
                    values.setdefault(step, {'step': step})[published.heading(name)] = (
                        statistics.fmean(scores)
                    )
                if at_step:
                    headings.append(published.heading(name))
            if headings:
                records = [values[step] for step in sorted(values)]
                charts.append(
                    figures.curves(
                        records,
                        headings,
                        f'{head} against generator steps',
                        log=key == tables.FID,
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
