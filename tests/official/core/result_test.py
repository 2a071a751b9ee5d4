"""Result files: what is read, and the sentence that names what is wrong with one."""

import json
import statistics

import pytest

from official.core import result


def write(tmp_path, metrics, facts=None, **fields):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'version': 1, 'metrics': metrics, 'facts': facts or {}, **fields}))
    return path


def test_a_number_a_mean_and_values(tmp_path):
    found = result.read(
        write(
            tmp_path,
            {
                'error': 0.97,
                'accuracy': {'mean': 81.31, 'std': 0.77, 'count': 100},
                'fid': {'values': [11.8, 12.6]},
            },
            {'seeds': [0]},
        )
    )
    assert found.metrics['error'] == result.Metric(0.97)
    assert found.metrics['accuracy'] == result.Metric(81.31, 0.77, 100)
    fid = found.metrics['fid']
    assert (fid.mean, fid.count, fid.values) == (pytest.approx(12.2), 2, (11.8, 12.6))
    assert fid.std == statistics.stdev([11.8, 12.6])
    assert found.facts == {'seeds': [0]}


@pytest.mark.parametrize('metrics, says', [
    ({}, 'metrics is empty'),
    ([1], r'metrics = \[1\] must be an object'),
    ({'error': 'low'}, "metrics.error = 'low' must be a finite number"),
    ({'error': True}, 'metrics.error = True must be a finite number'),
    ({'error': float('nan')}, 'metrics.error = nan must be a finite number'),
    ({'error': {'mean': 1.0}}, 'metrics.error.count = None must be a positive integer'),
    ({'error': {'mean': 1.0, 'count': 0}}, 'metrics.error.count = 0 must be a positive integer'),
    ({'error': {'count': 2}}, 'metrics.error.mean = None must be a finite number'),
    ({'error': {'mean': 1, 'std': -1, 'count': 2}}, 'metrics.error.std = -1 must not be negative'),
    ({'error': {'mean': 1, 'sd': 1, 'count': 2}}, "metrics.error has the field 'sd'; there"),
    ({'error': {'values': []}}, 'metrics.error must have values, a list of numbers'),
    ({'error': {'values': [1], 'mean': 1}}, 'metrics.error must have values, a list of numbers'),
    ({'error': {'values': [1, None]}}, 'metrics.error.values = None must be a finite number'),
])  # fmt: skip
def test_bad_metrics_are_named(tmp_path, metrics, says):
    with pytest.raises(ValueError, match=rf'a\.json: {says}'):
        result.read(write(tmp_path, metrics))


def test_bad_files_are_named(tmp_path):
    path = write(tmp_path, {'error': 1.0}, version=2)
    with pytest.raises(ValueError, match=r'a\.json: version = 2 must be 1'):
        result.read(path)
    with pytest.raises(ValueError, match=r'a\.json must have the fields version, metrics'):
        result.read(write(tmp_path, {'error': 1.0}, reference={}))
    path.write_text('{')
    with pytest.raises(ValueError, match=r'a\.json is not valid JSON'):
        result.read(path)
    with pytest.raises(FileNotFoundError):
        result.read(tmp_path / 'none.json')
