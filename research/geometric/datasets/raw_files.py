"""Files of a data set that come as a folder or as a zip, and tables of numbers in them."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np


class RawFiles:
    """The files below a folder or in a zip, or one file alone; what macOS adds is left out.

    Args:
      path: the folder, the zip, or the file.

    Attributes:
      names: paths in the folder or the zip, with '/', ascending.

    Raises:
      FileNotFoundError: there is no such folder or file.
      ValueError: the zip is damaged.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        if os.path.isdir(self.path):
            self._is_zip, found = (
                False,
                [
                    os.path.relpath(os.path.join(folder, name), self.path).replace(os.sep, '/')
                    for folder, _, names in os.walk(self.path)
                    for name in names
                ],
            )
        elif not os.path.exists(self.path):
            raise FileNotFoundError(f'{self.path}: no such file or folder.')
        elif self.path.lower().endswith('.zip'):
            self._is_zip = True
            with self._opened() as archive:
                found = [name for name in archive.namelist() if not name.endswith('/')]
        else:
            self._is_zip, found = False, [os.path.basename(self.path)]
            self.path = os.path.dirname(self.path)
        self.names = sorted(
            name
            for name in found
            if '__MACOSX' not in name.split('/') and not name.rpartition('/')[2].startswith('.')
        )

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except zipfile.BadZipFile:
            raise ValueError(f'{self.path}: truncated or no zip file.') from None

    def where(self, name: str) -> str:
        """What an error message calls the file."""
        return f'{self.path}, {name}' if self._is_zip else os.path.join(self.path, name)

    def read(self, name: str) -> bytes:
        """The content of one of `names`.

        Raises:
          ValueError: the zip is damaged there.
        """
        if not self._is_zip:
            with open(self.where(name), 'rb') as file:
                return file.read()
        with self._opened() as archive:
            try:
                return archive.read(name)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ValueError(f'{self.where(name)}: damaged: {error}.') from None


def table(content: bytes, where: str, dtype: Any, columns: int | None = None) -> np.ndarray:
    """Lines of numbers with commas between them; blank lines do not count.

    Args:
      content: of the file.
      where: what an error message calls the file.
      dtype: np.int64 or np.float64; whole numbers may be written as 1.0.
      columns: numbers a line; by default as many as in the first.

    Returns:
      [lines, columns].

    Raises:
      ValueError: no line, a line with another count, what is no number, or not a finite one.
    """
    if not content.strip():
        raise ValueError(f'{where}: truncated: the file is empty.')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', DeprecationWarning)  # 1.5 would be read as 1.
            values = np.loadtxt(io.BytesIO(content), dtype, comments=None, delimiter=',', ndmin=2)
        if columns in (None, values.shape[1]) and np.isfinite(values).all():
            return values
    except (ValueError, DeprecationWarning, OverflowError):
        pass
    return _line_by_line(content, where, dtype, columns)


def _line_by_line(content: bytes, where: str, dtype, columns: int | None) -> np.ndarray:
    """The same, slowly, to say where it goes wrong."""
    whole = np.issubdtype(dtype, np.integer)
    rows = []
    for number, line in enumerate(content.decode('utf-8', 'replace').splitlines(), 1):
        fields = [field.strip() for field in line.split(',')]
        if fields == ['']:
            continue
        columns = columns or len(fields)
        if len(fields) != columns:
            raise ValueError(
                f'{where}: line {number} has {len(fields)} values, not {columns}: {line.strip()!r}.'
            )
        try:
            values = [float(field) for field in fields]
        except ValueError:
            values = [np.nan]
        if not np.isfinite(values).all() or (whole and any(value % 1 for value in values)):
            raise ValueError(
                f'{where}: line {number} is {line.strip()!r}, not '
                f'{"whole" if whole else "finite"} numbers.'
            )
        rows.append(values)
    return np.asarray(rows, np.float64).astype(dtype)
