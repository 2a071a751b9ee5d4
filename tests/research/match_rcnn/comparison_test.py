"""One table of several runs."""

import json

import pytest

from research.match_rcnn import comparison, published, subsets


def _retrieval(value):
    return {
        'overall': {f'top{k}': value for k in (1, 5, 10, 15, 20)},
        'levels': dict.fromkeys(subsets.COLUMNS, value),
        'queries': 9,
        'level_queries': 7,
        'level_shop_items': 6,
        'missed': 0,
    }


def _run(folder, features, value, raw=True):
    folder.mkdir()
    tables = {'retrieval_truth': _retrieval(value), 'retrieval_detected': _retrieval(value / 2)}
    if raw:
        tables |= {'pixels_truth': _retrieval(0.25), 'pixels_detected': _retrieval(0.125)}
    result = {'step': 1, 'seed': 0, 'tables': tables, 'features': features}
    (folder / 'result.json').write_text(json.dumps(result))
    return str(folder)


def test_rows_are_in_the_papers_order_with_raw_pixels_last(tmp_path):
    runs = [_run(tmp_path / 'a', 'pose+class', 0.75), _run(tmp_path / 'b', 'class', 0.5)]
    rows = comparison.table_5(runs).rows
    assert [row[0] for row in rows] == [
        'class, ground truth box',
        'paper',
        'class, detected box',
        'paper',
        'pose+class, ground truth box',
        'paper',
        'pose+class, detected box',
        'paper',
        'raw pixels, ground truth box',
        'raw pixels, detected box',
    ]
    assert set(rows[0][1:]) == {0.5} and set(rows[6][1:]) == {0.375}
    assert set(rows[8][1:]) == {0.25}
    assert rows[1][1:] == tuple(published.RETRIEVAL['class']['truth'].values())


def test_what_cannot_be_compared_is_named(tmp_path, capsys):
    run = _run(tmp_path / 'a', 'class', 0.5)
    with pytest.raises(FileNotFoundError, match='nowhere: there is no such run folder'):
        comparison.table_5(['nowhere'])
    with pytest.raises(ValueError, match='another run has the features class'):
        comparison.table_5([run, _run(tmp_path / 'b', 'class', 0.5)])
    (tmp_path / 'c').mkdir()
    assert comparison.table_5([str(tmp_path / 'c')]) is None
    assert comparison.table_5([str(tmp_path / 'c'), run]) == comparison.table_5([run])
    assert f'{tmp_path}/c has no result yet' in capsys.readouterr().err
    (tmp_path / 'c' / 'result.json').write_text('{"step": 1, "seed": 0}')
    with pytest.raises(ValueError, match='has no retrieval'):
        comparison.table_5([str(tmp_path / 'c')])
