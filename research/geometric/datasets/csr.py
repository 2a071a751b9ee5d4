"""Compressed sparse rows from a file, checked before SciPy's compiled code sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def from_fields(fields: Mapping[str, Any], name: str) -> Any:
    """The matrix of the attributes of a pickled `scipy.sparse.csr_matrix`; see `checked`.

    Raises:
      ValueError: an attribute is missing, or what `checked` finds.
    """
    shape = fields.get('_shape', fields.get('shape'))
    missing = [field for field in ('data', 'indices', 'indptr') if field not in fields]
    if shape is None or missing:
        raise ValueError(f'{name}: the sparse matrix has no {(missing or ["shape"])[0]}.')
    return checked(fields['data'], fields['indices'], fields['indptr'], shape, name)


def checked(data: Any, indices: Any, indptr: Any, shape: Any, name: str) -> Any:
    """A `scipy.sparse.csr_matrix` whose rows are in order, each column at most once a row.

    Args:
      data: the entries, finite numbers [n].
      indices: their columns, integers [n].
      indptr: where rows begin, and where the last ends, integers [rows + 1].
      shape: rows and columns.
      name: what an error message calls the matrix.

    Returns:
      The matrix, float32; entries of the same row and column are added.

    Raises:
      ValueError: the parts do not fit together, or an entry is not finite.
    """
    import scipy.sparse

    data, indices, indptr, shape = (np.asarray(part) for part in (data, indices, indptr, shape))
    for what, part, dimensions in (
        ('data', data, 1),
        ('indices', indices, 1),
        ('indptr', indptr, 1),
        ('shape', shape, 1),
    ):
        kinds = 'biuf' if what == 'data' else 'iu'
        if part.ndim != dimensions or part.dtype.kind not in kinds:
            raise ValueError(
                f'{name}: {what} of the sparse matrix is {part.dtype} of shape '
                f'{part.shape}, not a list of numbers.'
            )
    if shape.size != 2 or (shape < 0).any():
        raise ValueError(f'{name}: the sparse matrix has shape {shape.tolist()}.')
    rows, columns = shape.tolist()
    if len(indptr) != rows + 1:
        raise ValueError(
            f'{name}: the sparse matrix has {rows} rows, but {len(indptr)} row '
            f'bounds, not {rows + 1}.'
        )
    if len(data) != len(indices) or indptr[-1] != len(data):
        raise ValueError(
            f'{name}: the sparse matrix has {len(data)} entries, {len(indices)} '
            f'columns for them, and its rows end at {indptr[-1]}.'
        )
    bounds = indptr.astype(np.int64)
    backwards = np.flatnonzero(np.diff(bounds) < 0)
    if bounds[0] or backwards.size:
        row = 0 if bounds[0] else int(backwards[0])
        raise ValueError(
            f'{name}: row {row} of the sparse matrix goes from {bounds[row]} to {bounds[row + 1]}.'
        )
    row_of = lambda entry: int(np.searchsorted(bounds, entry, 'right')) - 1
    outside = np.flatnonzero((indices < 0) | (indices >= columns))
    if outside.size:
        raise ValueError(
            f'{name}: row {row_of(outside[0])} has an entry in column '
            f'{indices[outside[0]]}, but columns are 0 to {columns - 1}.'
        )
    wrong = np.flatnonzero(~np.isfinite(data))
    if wrong.size:
        raise ValueError(
            f'{name}: row {row_of(wrong[0])}, column {indices[wrong[0]]} is '
            f'{data[wrong[0]]}, not a finite number.'
        )
    matrix = scipy.sparse.csr_matrix(
        (data.astype(np.float32), indices.astype(np.int32), bounds), (rows, columns)
    )
    matrix.sum_duplicates()
    return matrix
