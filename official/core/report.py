"""The report of a run: what its folder holds, as one self-contained report.html.

Read are result.json, history.jsonl and operative_config.gin, of the run itself, of its `baseline`
and of its `seed_*` folders where there are any. Knows no paper: what a paper adds are sections.
"""

from __future__ import annotations

import contextlib
import html
import importlib.metadata
import math
import numbers
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
from absl import logging

from official.core import figures, files, history, page, results, run_folder
from official.core.page import Section

# Numbers in result.json that say how the run went; the other numbers are what it measured.
_FACTS = {
    'step': 'training steps',
    'seed': 'seed',
    'num_seeds': 'seeds',
    'train_seconds': 'training time',
}
_MOST_SEEDS = 20  # In a table that is open; more would hide what comes after it.
_OF_REFERENCE = ('cell', 'std', 'note')


def run_report(run_dir: str, title: str, sections: Sequence[Section] = ()) -> str:
    """Writes run_dir/report.html.

    Args:
      run_dir: a run folder, or one whose result.json has `num_seeds`: of several runs.
      title: title of the page, plain text.
      sections: what the paper's reporter adds, after the confusion matrix.

    Returns:
      The path of the report.

    Raises:
      FileNotFoundError: there is no result.json or, but for several seeds, no history.jsonl.
      ValueError: one of the files read is damaged; the message names it, and the line.
      OSError: the report cannot be written.
    """
    path = os.path.join(run_dir, 'result.json')
    result = read_result(path)
    several = 'num_seeds' in result
    if not several and not history.read(run_dir):
        raise FileNotFoundError(f'{run_dir} has no history.jsonl: train the run before its report.')
    parts = drawn('The curves', lambda: (_seeds if several else _curves)(run_dir, result))
    try:
        summary = measured_against_paper(result)
        if result.get('confusion_matrix') is not None:
            parts.append(_confusion(result))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is not the result of a run: {error}') from error
    parts.extend(sections)
    parts.append(Section('Run', run_facts(result)))
    config = os.path.join(run_dir, 'operative_config.gin')
    if tf.io.gfile.exists(config):
        parts.append(
            Section(
                'Operative configuration',
                f'<pre>{html.escape(files.read_text(config).strip())}</pre>',
            )
        )
    return page.write_report(os.path.join(run_dir, 'report.html'), title, summary, parts)


def read_result(path: str) -> dict:
    """A result.json.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not a JSON object, or of another run than its folder.
    """
    if not tf.io.gfile.exists(path):
        raise FileNotFoundError(f'{path} does not exist: evaluate the run before its report.')
    result = files.read_json(path)
    run_folder.check_part(path, result.get('run'), os.path.dirname(path))
    return result


def drawn(what: str, draw: Callable[[], Sequence[Section]]) -> list[Section]:
    """Returns the sections that `draw` makes, or one that says why it could not.

    A picture that fails must not end a run of hours: its traceback is in the log, its message in
    the report.

    Args:
      what: names the pictures, plain text.
      draw: makes the sections.
    """
    try:
        return list(draw())
    except Exception as error:
        logging.exception('%s could not be drawn.', what)
        return [
            Section(
                'Not drawn',
                page.paragraph(f'{what} could not be drawn: {type(error).__name__}: {error}'),
            )
        ]


def measured_against_paper(result: Mapping) -> str:
    """The headline: what was measured, the paper's figure and the baseline's, then the rest.

    Args:
      result: as in result.json. Its measured numbers are all but step, seed and seconds; one is
        a number, or of several seeds {'mean', 'std', 'median', 'values'}. 'baseline' is a result
        too; 'reference' is {'cell': where the paper prints it, <name>: number, 'std', 'note'}.
        The headline is the number that the reference names, else the first.
    """
    measured = _metrics(result)
    reference, baseline = result.get('reference') or {}, result.get('baseline') or {}
    printed = [name for name in _metrics(reference) if name not in _OF_REFERENCE]
    names = list(dict.fromkeys([*(name for name in printed if name in measured), *measured]))
    if not names:
        return page.paragraph('The result names no measured number.')
    headline = names[0]
    cards = [
        _card(
            f'Measured {results.label(headline)}',
            headline,
            measured[headline],
            _runs(result),
            main=True,
        )
    ]
    if printed:
        published = {'mean': reference[printed[0]], 'std': reference.get('std')}
        note = '; '.join(str(reference[key]) for key in ('cell', 'note') if reference.get(key))
        cards.append(_card(f'Paper, {results.label(printed[0])}', printed[0], published, note))
    if headline in _metrics(baseline):
        cards.append(_card('Baseline', headline, baseline[headline], _runs(baseline)))
    text = f'<div class=cards>{"".join(cards)}</div>'
    # With a note the two may not be comparable, and a difference would say they are.
    if headline in printed and not reference.get('note'):
        text += page.paragraph(_difference(headline, measured[headline], reference))
    if result.get('measured_on'):
        text += page.paragraph(f'Measured on {result["measured_on"]}.', note=True)
    others = [
        (
            results.label(name),
            _shown(name, measured[name]),
            _shown(name, baseline[name]) if name in baseline else '',
        )
        for name in names[1:]
    ]
    if others:
        head = ('also measured', 'this run', 'baseline')
        keep = 3 if any(row[2] for row in others) else 2
        text += page.table([row[:keep] for row in others], head[:keep])
    return text


def _metrics(result: Mapping) -> dict:
    def is_number(value):
        return isinstance(value, numbers.Real) and not isinstance(value, bool)

    return {
        name: value
        for name, value in result.items()
        if name not in _FACTS
        and (is_number(value) or (isinstance(value, Mapping) and is_number(value.get('mean'))))
    }


def _statistics(value) -> Mapping:
    return value if isinstance(value, Mapping) else {'mean': value}


def _shown(name: str, value) -> str:
    group = _statistics(value)
    mean, std = group['mean'], group.get('std')
    percent = name.endswith('_percent')

    def form(number):
        return f'{number:.2f}' if percent else page.number(number)

    return form(mean) + (f' ± {form(std)}' if std is not None else '') + (' %' if percent else '')


def _card(title: str, name: str, value, note: str, main: bool = False) -> str:
    group = _statistics(value)
    big = _shown(name, group['mean'])
    small = []
    if group.get('std') is not None:
        small.append(f'± {_shown(name, group["std"])} standard deviation')
    if group.get('median') is not None:
        small.append(f'median {_shown(name, group["median"])}')
    lines = ''.join(f'<span>{html.escape(line)}</span>' for line in (*small, note) if line)
    return (
        f'<div class="card{" main" if main else ""}"><span>{html.escape(title)}</span>'
        f'<b>{html.escape(big)}</b>{lines}</div>'
    )


def _runs(result: Mapping) -> str:
    if 'num_seeds' in result:
        return f'mean of {result["num_seeds"]} {_unit(result)}s'
    return ', '.join(
        f'{name} {page.number(result[key])}'
        for key, name in (('seed', 'seed'), ('step', 'step'))
        if key in result
    )


def _unit(result: Mapping) -> str:
    return result.get('unit', 'seed')


def _difference(name: str, value, reference: Mapping) -> str:
    gap = _statistics(value)['mean'] - reference[name]
    if not math.isfinite(gap):
        return 'The measured number is not finite.'
    percent = name.endswith('_percent')
    unit = ' percentage points' if percent else ''
    if round(abs(gap), 2 if percent else 10) == 0:
        return f"The {results.label(name)} equals the paper's."
    size = f'{abs(gap):.2f}' if percent else page.number(abs(gap))
    side = 'above' if gap > 0 else 'below'
    text = f"The {results.label(name)} is {size}{unit} {side} the paper's"
    std = reference.get('std')
    if std:
        text += (
            ', within one of its standard deviations'
            if abs(gap) <= std
            else f', {abs(gap) / std:.1f} of its standard deviations'
        )
    return text + '.'


def _curves(run_dir: str, result: Mapping) -> list[Section]:
    records = history.read(run_dir)
    of_baseline = history.read(os.path.join(run_dir, 'baseline'))
    compare = {'baseline': of_baseline} if of_baseline else {}
    keys = [
        key
        for key in dict.fromkeys(key for record in records for key in record)
        if key not in _FACTS
        and any(isinstance(record.get(key), numbers.Real) for record in records)
    ]
    errors = [key for key in keys if 'error' in key]
    costs = [key for key in keys if key not in errors and re.search('cost|loss', key)]
    charts = []
    if errors:
        charts.append(
            figures.curves(
                records,
                errors,
                'Error',
                log=_spans_decades(records, errors),
                compare=compare,
                y_label='%' if errors[0].endswith('_percent') else '',
                lines=_horizontal(result, errors),
            )
        )
    if costs:
        charts.append(figures.curves(records, costs, 'Costs', log=_positive(records, costs)))
    times = [key for key in keys if key.startswith('seconds_')]
    if times:
        charts.append(figures.curves(records, times, 'Seconds', y_label='s'))
    for key in keys:
        if key not in errors and key not in costs and key not in times:
            title = results.label(key)
            charts.append(figures.curves(records, [key], title[:1].upper() + title[1:]))
    if not charts:
        return [Section('Curves', page.paragraph('The run recorded no values.'))]
    return [
        Section(
            'Curves',
            f'<div class=figures>{"".join(charts)}</div>'
            + page.paragraph('The number after a name is the last value.', note=True),
        )
    ]


def _spans_decades(records: Sequence[Mapping], keys: Sequence[str]) -> bool:
    values = [
        record[key]
        for record in records
        for key in keys
        if record.get(key) is not None and record[key] > 0
    ]
    return bool(values) and max(values) > 10 * min(values)


def _positive(records: Sequence[Mapping], keys: Sequence[str]) -> bool:
    return all(
        record[key] > 0
        for record in records
        for key in keys
        if record.get(key) is not None and math.isfinite(record[key])
    )


def _horizontal(result: Mapping, errors: Sequence[str]) -> dict[str, float]:
    """The paper's figure, if it is of the kind that the chart of errors shows."""
    reference = result.get('reference') or {}
    return {
        f'paper, {results.label(name)}': value
        for name, value in _metrics(reference).items()
        if 'error' in name
        and not reference.get('note')
        and name.endswith('_percent') == errors[0].endswith('_percent')
    }


def _confusion(result: Mapping) -> Section:
    matrix = result['confusion_matrix']
    names = result.get('class_names') or [str(number) for number in range(len(matrix))]
    return Section('Confusion matrix', page.confusion_matrix(matrix, names))


def _seeds(run_dir: str, result: Mapping) -> list[Section]:
    """The sections of a report of several seeds: each seed's value, and its error over steps."""
    names = [
        name
        for name, value in _metrics(result).items()
        if isinstance(value, Mapping) and value.get('values')
    ]
    reference, baseline = result.get('reference') or {}, result.get('baseline') or {}
    unit, charts = _unit(result), []
    for name in names:
        groups = {'measured': result[name]}
        if name in _metrics(reference):
            groups['paper'] = {'mean': reference[name], 'std': reference.get('std')}
        if name in _metrics(baseline):
            groups['baseline'] = _statistics(baseline[name])
        title = results.label(name)
        charts.append(
            figures.strip_plot(
                groups,
                title[:1].upper() + title[1:],
                '%' if name.endswith('_percent') else title,
                f'a {unit}',
            )
        )
    merged: dict[int, dict] = {}
    key: str | None = None
    for seed in sorted(name.rstrip('/') for name in tf.io.gfile.listdir(run_dir)):
        if not re.fullmatch(r'seed_\d+', seed):
            continue
        for record in history.read(os.path.join(run_dir, seed)):
            key = key or next((name for name in record if 'error' in name), None)
            if record.get(key) is not None:
                merged.setdefault(record['step'], {'step': record['step']})[seed] = record[key]
    if key is not None and merged:
        records = [merged[step] for step in sorted(merged)]
        seeds = sorted(
            {name for record in records for name in record} - {'step'},
            key=lambda name: (len(name), name),
        )
        title = results.label(key)
        charts.append(
            figures.curves(
                records,
                seeds,
                f'{title[:1].upper()}{title[1:]} of each seed',
                log=_spans_decades(records, seeds),
                y_label='%' if key.endswith('_percent') else '',
            )
        )
    count = max((len(result[name]['values']) for name in names), default=0)
    numbered = result.get('seeds') or range(count)
    rows = [
        (seed, *(_shown(name, result[name]['values'][index]) for name in names))
        for index, seed in enumerate(numbered)
    ]
    values = page.table(rows, (unit, *map(results.label, names))) if names else ''
    if len(rows) > _MOST_SEEDS:
        values = f'<details><summary>All {len(rows)} {unit}s</summary>{values}</details>'
    return [Section(f'{unit.capitalize()}s', f'<div class=figures>{"".join(charts)}</div>{values}')]


def run_facts(result: Mapping) -> str:
    """Facts of the run: seed, steps, time, versions; no name or path of the machine."""
    rows = []
    for key, name in _FACTS.items():
        if isinstance(result.get(key), numbers.Real):
            value = result[key]
            if key == 'num_seeds':
                name = f'{_unit(result)}s'
            rows.append((name, duration(value) if key.endswith('_seconds') else page.number(value)))
    baseline = result.get('baseline') or {}
    if isinstance(baseline.get('train_seconds'), numbers.Real):
        rows.append(('training time of the baseline', duration(baseline['train_seconds'])))
    for package in ('tensorflow', 'keras'):
        # Not found: a build of TensorFlow under another name.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            rows.append((package, importlib.metadata.version(package)))
    rows.append(('Python', platform.python_version()))
    rows.append(
        ('platform', f'{platform.system()} {platform.machine()}, {os.cpu_count()} processors')
    )
    return page.table(rows)


def duration(seconds: float) -> str:
    """A duration as one reads it: 12.3 s, 1 min 43 s, 2 h 5 min."""
    if not math.isfinite(seconds):
        return 'unknown'
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f'{minutes} min {rest} s'
    return f'{minutes // 60} h {minutes % 60} min'
