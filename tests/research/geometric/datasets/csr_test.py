"""Tests of research.geometric.datasets.csr."""

import numpy as np
import pytest

from research.geometric.datasets import csr


def test_checked_adds_what_is_there_twice():
    got = csr.checked([1, 2, 3, 4], [2, 0, 2, 1], [0, 3, 3, 4], (3, 3), 'x')
    np.testing.assert_array_equal(got.toarray(), [[2, 0, 4], [0, 0, 0], [0, 4, 0]])
    assert got.indices.tolist() == [0, 2, 1] and got.dtype == np.float32


@pytest.mark.parametrize(
    'change, message',
    [
        ({'indices': [1, 3, 0]}, 'x: row 2 has an entry in column 3, but columns are 0 to 2.'),
        ({'indices': [-1, 2, 0]}, 'x: row 0 has an entry in column -1, but columns are 0 to 2.'),
        (
            {'indices': [1, 2]},
            'x: the sparse matrix has 3 entries, 2 columns for them, and its rows end at 3.',
        ),
        (
            {'data': [1, 2]},
            'x: the sparse matrix has 2 entries, 3 columns for them, and its rows end at 3.',
        ),
        ({'data': [1.0, np.nan, 2.0]}, 'x: row 2, column 0 is nan, not a finite number.'),
        ({'data': [-np.inf, 1.0, 2.0]}, 'x: row 0, column 1 is -inf, not a finite number.'),
        (
            {'data': ['a', 'b', 'c']},
            'x: data of the sparse matrix is <U1 of shape (3,), not a list of numbers.',
        ),
        ({'indptr': [0, 1, 3]}, 'x: the sparse matrix has 3 rows, but 3 row bounds, not 4.'),
        ({'indptr': [0, 2, 1, 3]}, 'x: row 1 of the sparse matrix goes from 2 to 1.'),
        ({'indptr': [1, 1, 1, 3]}, 'x: row 0 of the sparse matrix goes from 1 to 1.'),
        (
            {'indptr': [0, 1, 1, 4]},
            'x: the sparse matrix has 3 entries, 3 columns for them, and its rows end at 4.',
        ),
        ({'_shape': (3, -3)}, 'x: the sparse matrix has shape [3, -3].'),
        ({'_shape': None}, 'x: the sparse matrix has no shape.'),
        ({'indptr': None}, 'x: the sparse matrix has no indptr.'),
    ],
)
def test_sparse_matrices_whose_parts_do_not_fit(change, message):
    fields = {'data': [2, 1, 3], 'indices': [1, 0, 2], 'indptr': [0, 1, 1, 3], '_shape': (3, 3)}
    fields = {key: value for key, value in {**fields, **change}.items() if value is not None}
    with pytest.raises(ValueError) as error:
        csr.from_fields(fields, 'x')
    assert str(error.value) == message
