"""Results of runs: averaged over seeds, and as lines for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

# Numbers in a result that are no metrics.
_NOT_METRICS = ('seed', 'step')
_NOT_SHOWN = ('train_seconds',)
_MEASURED_ON = 'measured_on'  # A text: on what, and how often.
_SAME_FOR_ALL = ('reference', 'class_names', _MEASURED_ON)


def average(results: Sequence[dict], unit: str = 'seed') -> dict:
    """Returns mean, standard deviation, median and values of every metric over several seeds.

    Args:
      results: what `result.json` holds, a dict for each of two or more seeds.
      unit: what they are where they are not seeds: folds, whose number is under 'seed'.

    Returns:
      {'num_seeds': n, 'seeds': [...], '<metric>': {'mean', 'std', 'median', 'values'}, ...}, where
      std is the sample standard deviation (n - 1 in the denominator). A 'baseline' is averaged
      likewise; 'reference' and 'class_names' are taken over. 'unit' is there if it is not 'seed'.
    """
    seeds = {'num_seeds': len(results), 'seeds': [result.get('seed') for result in results]}
    if unit != 'seed':
        seeds['unit'] = unit
    return {**seeds, **_average(results)}


def _average(results: Sequence[dict]) -> dict:
    averaged: dict[str, Any] = {}
    for name, value in results[0].items():
        values: list[Any] = [result.get(name) for result in results]
        if name in _SAME_FOR_ALL:
            averaged[name] = value
        elif all(isinstance(v, dict) for v in values):
            averaged[name] = _average(values)
        elif name not in _NOT_METRICS and all(_is_number(v) for v in values):
            averaged[name] = {
                'mean': statistics.fmean(values),
                'std': statistics.stdev(values),
                'median': statistics.median(values),
                'values': values,
            }
    return averaged


def lines(result: dict) -> list[str]:
    """Returns a result as lines: `test error 1.13 % (±0.04 %, median 1.12 %, 10 seeds)`.

    Args:
      result: of one seed, or of several as `average` gives it.
    """
    unit = result.get('unit', 'seed')
    shown = _lines(result, '', unit)
    baseline, reference = result.get('baseline'), result.get('reference')
    if _MEASURED_ON in result:
        shown.append(f'measured on {result[_MEASURED_ON]}')
    if isinstance(baseline, dict):
        shown += _lines(baseline, 'baseline ', unit)
    if isinstance(reference, dict):
        notes = [reference['cell']] if 'cell' in reference else []
        for name, value in reference.items():
            if _is_number(value) and name != 'std':
                of_mean = 'std' in reference and not name.startswith('median_')
                std = [f'±{_number(name, reference["std"])}'] if of_mean else []
                shown.append(_line(f'paper {name}', value, std + notes))
    return shown


def label(name: str) -> str:
    """The text that a metric has in lines, pages and charts: 'test_fid' is 'test FID'.

    A name's end, `_percent`, is left out: it says the unit.
    """
    words = name.removesuffix('_percent').split('_')
    return ' '.join('FID' if word == 'fid' else word for word in words)


def _lines(result: dict, prefix: str, unit: str) -> list[str]:
    shown = []
    for name, value in result.items():
        if name in _NOT_METRICS or name in _NOT_SHOWN or name == 'num_seeds':
            continue
        if _is_number(value):
            shown.append(_line(prefix + name, value, []))
        elif isinstance(value, dict) and 'median' in value:
            notes = [
                f'±{_number(name, value["std"])}',
                f'median {_number(name, value["median"])}',
                f'{len(value["values"])} {unit}s',
            ]
            shown.append(_line(prefix + name, value['mean'], notes))
    return shown


def _line(name: str, value: float, notes: list[str]) -> str:
    return f'{label(name)} {_number(name, value)}' + (f' ({", ".join(notes)})' if notes else '')


def _number(name: str, value: float) -> str:
    return f'{value:.2f} %' if name.endswith('_percent') else f'{value:.4g}'


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
