"""Reads pickles of arrays without running what they ask for.

A pickle names functions, and `pickle.load` calls them: a data file can run any code. Here only the
names below are known, each by itself, never a whole module, and none of them runs code.
"""

from __future__ import annotations

import collections
import io
import os
import pickle
from typing import Any

import numpy as np
from numpy.core import multiarray

from research.geometric.datasets import csr

_BUILTINS = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
}
# As Python 2 called them.
_BUILTINS.update(unicode=str, long=int)
_CSR = {
    f'{module} {name}'
    for module in ('scipy.sparse.csr', 'scipy.sparse._csr')
    for name in ('csr_matrix', 'csr_array')
}
_ADMITTED = {
    **{
        f'{module} {name}': kind
        for module in ('builtins', '__builtin__')
        for name, kind in _BUILTINS.items()
    },
    'collections defaultdict': collections.defaultdict,
    'numpy ndarray': np.ndarray,
    'numpy dtype': np.dtype,
    # NumPy 2 moved its module.
    **{
        f'numpy.{core}.multiarray {name}': getattr(multiarray, name)
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    },
}


class RefusedError(ValueError):
    """A pickle asks for what is not admitted."""


def load(path: str | os.PathLike) -> Any:
    """The object in a pickle file: numbers, text, containers, arrays, or one sparse matrix.

    Args:
      path: the file, of Python 2 (its text is read as Latin-1) or 3.

    Returns:
      The object; a `scipy.sparse.csr_matrix` is checked.

    Raises:
      FileNotFoundError: no such file.
      RefusedError: the file asks for another class or function than those admitted; a ValueError.
      ValueError: the file is cut short or damaged.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file.')
    with open(path, 'rb') as file:
        return loads(file.read(), os.fspath(path))


def loads(content: bytes, name: str) -> Any:
    """As `load`, from bytes; `name` is what an error message calls them."""
    unpickler = _Unpickler(content, name)
    try:
        value = unpickler.load()
    except RefusedError:
        raise
    except Exception as error:  # Damaged bytes make any constructor raise anything.
        cut = isinstance(error, EOFError) or 'truncated' in str(error)
        raise ValueError(
            f'{name}: {"truncated" if cut else "damaged"} pickle of {len(content)} '
            f'bytes: {str(error).rstrip(".") or type(error).__name__}.'
        ) from None
    return csr.from_fields(vars(value), name) if isinstance(value, unpickler.csr) else value


class _Unpickler(pickle.Unpickler):
    """Finds the admitted names and no other."""

    def __init__(self, content: bytes, name: str):
        super().__init__(io.BytesIO(content), encoding='latin1')
        self.name = name
        # A pickle can set attributes of the classes it names. Those above cannot be changed; in
        # the place of SciPy's it gets one of its own.
        self.csr = type('csr_matrix', (), {})

    def find_class(self, module: str, name: str) -> Any:
        asked = f'{module} {name}'
        if asked in _CSR:
            return self.csr
        if asked == '_codecs encode':  # The way of bytes in protocol 2 of Python 3.
            return self.latin1
        if asked not in _ADMITTED:
            raise RefusedError(
                f'{self.name}: the pickle asks for {module}.{name}, which is not '
                'among the classes that a file of arrays needs, so it is not read.'
            )
        return _ADMITTED[asked]

    def latin1(self, text: str, encoding: str = 'latin1') -> bytes:
        """What `_codecs.encode` does with the one encoding that pickles use."""
        if encoding != 'latin1':
            raise pickle.UnpicklingError(f'bytes as {encoding}')
        return text.encode('latin1')
