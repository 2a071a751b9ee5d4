"""The figures that a run measured, as a versioned JSON file.

    {"version": 1,
     "metrics": {"test_error_percent": 0.97},
     "facts": {"seeds": [0], "step": 90000, "time": "62 min", ...}}

A metric is a number, or of several runs {"mean", "std", "count"} or {"values"}.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
from collections.abc import Mapping
from typing import Any

VERSION = 1
_FIELDS = ('version', 'metrics', 'facts')
_OF_SEVERAL = ('mean', 'std', 'count', 'values')


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric, of one run or of several.

    Attributes:
      mean: the value, or the mean over the runs.
      std: sample standard deviation over the runs; None of one run, or where it is not known.
      count: number of runs.
      values: value of each run; empty where only their mean is known.
    """

    mean: float
    std: float | None = None
    count: int = 1
    values: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of an experiment.

    Attributes:
      metrics: metric of each name.
      facts: seeds, steps, time, hardware and the like.
    """

    metrics: dict[str, Metric]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


def read(path: str | os.PathLike) -> Result:
    """Returns the result in a file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is not a result of this version; the message names file, field and value.
    """
    with open(path, encoding='utf-8') as file:
        try:
            contents = json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f'{path} is not valid JSON: {error}.') from None
    if not isinstance(contents, dict) or set(contents) != set(_FIELDS):
        raise ValueError(f'{path} must have the fields {", ".join(_FIELDS)} and no others.')
    if contents['version'] != VERSION:
        raise ValueError(f'{path}: version = {contents["version"]!r} must be {VERSION}.')
    for field in ('metrics', 'facts'):
        if not isinstance(contents[field], dict):
            raise ValueError(f'{path}: {field} = {contents[field]!r:.60} must be an object.')
    if not contents['metrics']:
        raise ValueError(f'{path}: metrics is empty.')
    metrics = {
        name: _metric(value, f'{path}: metrics.{name}')
        for name, value in contents['metrics'].items()
    }
    return Result(metrics, contents['facts'])


def _metric(value: Any, place: str) -> Metric:
    if not isinstance(value, Mapping):
        return Metric(_number(value, place))
    unknown = sorted(set(value) - set(_OF_SEVERAL))
    if unknown:
        known = ', '.join(_OF_SEVERAL)
        raise ValueError(f'{place} has the field {unknown[0]!r}; there are {known}.')
    if 'values' in value:
        if set(value) != {'values'} or not isinstance(value['values'], list) or not value['values']:
            raise ValueError(f'{place} must have values, a list of numbers, and nothing else.')
        values = tuple(_number(one, f'{place}.values') for one in value['values'])
        std = statistics.stdev(values) if len(values) > 1 else None
        return Metric(statistics.fmean(values), std, len(values), values)
    count = value.get('count')
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f'{place}.count = {count!r} must be a positive integer.')
    mean = _number(value.get('mean'), f'{place}.mean')
    std = _number(value['std'], f'{place}.std') if 'std' in value else None
    if std is not None and std < 0:
        raise ValueError(f'{place}.std = {std} must not be negative.')
    return Metric(mean, std, count)


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f'{place} = {value!r:.60} must be a finite number.')
    return value
