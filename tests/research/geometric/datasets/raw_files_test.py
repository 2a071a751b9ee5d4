"""Tests of research.geometric.datasets.raw_files."""

import zipfile

import numpy as np
import pytest

from research.geometric.datasets import raw_files


def test_folder_zip_and_file_read_alike(tmp_path):
    folder = tmp_path / 'raw'
    (folder / 'DS' / '__MACOSX').mkdir(parents=True)
    (folder / 'DS' / 'b.txt').write_bytes(b'two')
    (folder / 'a.txt').write_bytes(b'one')
    (folder / 'DS' / '.DS_Store').write_bytes(b'clutter')
    (folder / 'DS' / '__MACOSX' / 'c.txt').write_bytes(b'clutter')
    archive = tmp_path / 'raw.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        for path in folder.rglob('*'):
            file.write(path, path.relative_to(folder))
    for path, sign in ((folder, '/'), (archive, ', ')):
        files = raw_files.RawFiles(path)
        assert files.names == ['DS/b.txt', 'a.txt']
        assert [files.read(name) for name in files.names] == [b'two', b'one']
        assert files.where('DS/b.txt') == f'{path}{sign}DS/b.txt'
    alone = raw_files.RawFiles(folder / 'a.txt')
    assert (alone.names, alone.read('a.txt')) == (['a.txt'], b'one')


def test_missing_and_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/no: no such file or folder.$'):
        raw_files.RawFiles(tmp_path / 'no')
    path = tmp_path / 'raw.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.txt', b'1234567890' * 50)
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    with pytest.raises(ValueError, match=f'^{path}: truncated or no zip file.$'):
        raw_files.RawFiles(path)
    path.write_bytes(whole.replace(b'123', b'321', 1))
    with pytest.raises(ValueError, match=f'^{path}, a.txt: damaged: Bad CRC-32'):
        raw_files.RawFiles(path).read('a.txt')


def test_tables():
    for text in (b'1, 2\n3,4\n', b'1,2\r\n 3 , 4', b'\n1,2\n\n3,4\n\n', b'1.0, 2\n3,4e0\n'):
        table = raw_files.table(text, 'DS_A.txt', np.int64, 2)
        assert table.dtype == np.int64
        np.testing.assert_array_equal(table, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(
        raw_files.table(b' 1.5\n -2e-1', 'DS', np.float64), [[1.5], [-0.2]]
    )


@pytest.mark.parametrize(
    'text, dtype, columns, message',
    [
        (b' \n\n', np.int64, 1, 'truncated: the file is empty.'),
        (b'1\n2\n1.5\n', np.int64, 1, "line 3 is '1.5', not whole numbers."),
        (b'1, 2\n3, x\n', np.int64, 2, "line 2 is '3, x', not whole numbers."),
        (b'1, 2\n3\n', np.int64, 2, "line 2 has 1 values, not 2: '3'."),
        (b'1, 2\n3, 4\n', np.int64, 1, "line 1 has 2 values, not 1: '1, 2'."),
        (b'1, 2\n\n3, 4, 5\n', np.float64, None, "line 3 has 3 values, not 2: '3, 4, 5'."),
        (b'1, 2\n3,\n', np.float64, None, "line 2 is '3,', not finite numbers."),
        (b'1\nnan\n', np.float64, None, "line 2 is 'nan', not finite numbers."),
        (b'1\n-inf\n', np.float64, None, "line 2 is '-inf', not finite numbers."),
        (b'1 2\n', np.int64, 1, "line 1 is '1 2', not whole numbers."),
    ],
)
def test_bad_tables(text, dtype, columns, message):
    with pytest.raises(ValueError) as error:
        raw_files.table(text, 'DS.txt', dtype, columns)
    assert str(error.value) == f'DS.txt: {message}'
