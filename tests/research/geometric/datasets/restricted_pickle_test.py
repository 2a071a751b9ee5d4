"""Tests of research.geometric.datasets.restricted_pickle."""

import collections
import os
import pickle
import re

import numpy as np
import pytest
import scipy.sparse

from research.geometric.datasets import restricted_pickle

MATRIX = scipy.sparse.csr_matrix(np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]], np.float32))
VALUES = {
    'dict': {'a': [1, 2.5, None, True], 3: ('b', {4}, frozenset([5]), b'\xff', 1j)},
    'defaultdict': collections.defaultdict(list, {0: [1, 2], 1: [0]}),
    'integers': np.arange(6, dtype=np.int32).reshape(2, 3),
    'columns first': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    'text': np.array(['a', 'bc']),
    'objects': np.array(['a', None], object),
    'a scalar': np.float32(2.5),
}


def _write(tmp_path, content):
    path = tmp_path / 'file'
    path.write_bytes(content)
    return path


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4])
@pytest.mark.parametrize('what', VALUES)
def test_reads_arrays_and_containers(tmp_path, what, protocol):
    value = VALUES[what]
    got = restricted_pickle.load(_write(tmp_path, pickle.dumps(value, protocol)))
    assert type(got) is type(value)
    if isinstance(value, np.ndarray):
        assert got.dtype == value.dtype
        np.testing.assert_array_equal(got, value)
    else:
        assert got == value


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('kind', [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_reads_a_sparse_matrix(tmp_path, kind, protocol):
    got = restricted_pickle.load(_write(tmp_path, pickle.dumps(kind(MATRIX), protocol)))
    assert type(got) is scipy.sparse.csr_matrix
    np.testing.assert_array_equal(got.toarray(), MATRIX.toarray())


def test_reads_python_2(tmp_path):
    # defaultdict(list, {u'\xe9': [7L], '\xe9': 8}), as Python 2 writes it.
    content = (
        b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntRV\xe9\n(lI7\naL7L\nasS'\\xe9'\nI8\ns."
    )
    got = restricted_pickle.load(_write(tmp_path, content))
    assert got == {'\xe9': 8} and got.default_factory is list


class _Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'function, arguments',
    [
        (os.system, ('touch {}',)),
        (eval, ('open("{}", "w")',)),
        (exec, ('open("{}", "w")',)),
        (getattr, ('', 'join')),
        (open, ('{}', 'w')),
        (np.load, ('{}',)),
        (np.fromfile, ('{}',)),
        (np.testing._private.utils.runstring, ('open("{}", "w")', {})),
        (scipy.sparse.load_npz, ('{}',)),
        (collections.OrderedDict, ()),
    ],
)
@pytest.mark.parametrize('protocol', [2, 4])
def test_other_names_are_refused_and_not_called(tmp_path, function, arguments, protocol):
    touched = tmp_path / 'touched'
    arguments = [a.format(touched) if isinstance(a, str) else a for a in arguments]
    path = _write(tmp_path, pickle.dumps([1, _Calls(function, *arguments)], protocol))
    # The module's name differs with the protocol: os.system is posix system.
    with pytest.raises(
        ValueError,
        match=rf'^{path}: the pickle asks for [\w.]+\.'
        f'{function.__name__}, which is not among the classes',
    ):
        restricted_pickle.load(path)
    assert not touched.exists()


@pytest.mark.parametrize('name', ['ndarray.tofile', 'ndarray.__reduce__', 'dtype.__new__'])
def test_attributes_of_admitted_names_are_refused(tmp_path, name):
    content = b'\x80\x04\x8c\x05numpy' + b'\x8c' + bytes([len(name)]) + name.encode() + b'\x93.'
    with pytest.raises(restricted_pickle.RefusedError, match=re.escape(f'numpy.{name},')):
        restricted_pickle.load(_write(tmp_path, content))


def test_a_pickle_cannot_change_the_classes_that_it_names(tmp_path):
    # The class itself, then BUILD with the attributes to set: (None, {'toarray': list}).
    content = b'\x80\x02c%s\nN}X\x04\x00\x00\x00copyc__builtin__\nlist\ns\x86b.'
    restricted_pickle.load(_write(tmp_path, content % b'scipy.sparse.csr\ncsr_matrix'))
    assert scipy.sparse.csr_matrix.copy is not list
    for name in (b'numpy\nndarray', b'collections\ndefaultdict', b'builtins\ndict'):
        with pytest.raises(ValueError, match='^.*file: damaged pickle of .* bytes: '):
            restricted_pickle.load(_write(tmp_path, content % name))


@pytest.mark.parametrize('what', [*VALUES, 'sparse'])
def test_truncated_files(tmp_path, what):
    content = pickle.dumps(MATRIX if what == 'sparse' else VALUES[what], 2)
    for length in range(len(content)):
        path = _write(tmp_path, content[:length])
        with pytest.raises(
            ValueError, match=f'^{path}: (truncated|damaged) pickle of {length} bytes: .*[^.][.]$'
        ):
            restricted_pickle.load(path)


def test_damaged_and_missing_files(tmp_path):
    path = _write(tmp_path, b'\x89PNG\r\n')
    with pytest.raises(ValueError, match=f'^{path}: damaged pickle of 6 bytes: '):
        restricted_pickle.load(path)
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/none: no such file.$'):
        restricted_pickle.load(tmp_path / 'none')
