"""Files that a table generates: stale, missing and left-over ones are named and mended."""

import pytest

from tools import gin_files


@pytest.fixture(name='root')
def _root(tmp_path, monkeypatch):
    monkeypatch.setattr(gin_files, 'TABLES', {'cells': ('table.csv', 'game')})
    (tmp_path / 'cells').mkdir()
    (tmp_path / 'cells' / 'cell.template').write_text('# $name: $score.\n')
    (tmp_path / 'cells' / '_part.gin').write_text('# Shared.\n')
    (tmp_path / 'table.csv').write_text('name,game,score\nPong,pong,18.9\nQ*Bert,qbert,10596\n')
    return tmp_path


def test_what_is_missing_stale_or_left_over_is_named_and_mended(root):
    assert gin_files.differences(root) == ['cells/pong.gin', 'cells/qbert.gin']
    gin_files.fix(root)
    assert gin_files.differences(root) == []
    assert (root / 'cells' / 'qbert.gin').read_text() == '# Q*Bert: 10596.\n'
    (root / 'cells' / 'pong.gin').write_text('# Pong: 20.\n')
    (root / 'cells' / 'tennis.gin').write_text('# Tennis.\n')
    assert gin_files.differences(root) == ['cells/pong.gin', 'cells/tennis.gin']
    gin_files.fix(root)
    assert {path.name for path in (root / 'cells').glob('*.gin')} == {
        'pong.gin', 'qbert.gin', '_part.gin',
    }  # fmt: skip


def test_a_column_that_the_table_lacks_is_named(root):
    (root / 'cells' / 'cell.template').write_text('$human\n')
    with pytest.raises(ValueError, match=r"cell.template: table.csv has no column 'human'"):
        gin_files.generated(root)
