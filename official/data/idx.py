"""The IDX file format of the original MNIST files, plain or gzip-compressed.

A file is two zero bytes, one byte for the element type (8: unsigned byte), one for the number of
dimensions, the sizes as big-endian 32-bit integers, and the elements in row-major order.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib

import numpy as np

_UNSIGNED_BYTE = 8


def read(path: str | os.PathLike, num_dimensions: int) -> np.ndarray:
    """Reads a whole IDX file of unsigned bytes.

    Args:
      path: the file; whether it is compressed is seen from its content, not from its name.
      num_dimensions: the number of dimensions it must have (3 for MNIST's images, 1 for labels).

    Returns:
      uint8 array of the shape in the header.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is cut short, damaged, too long or of another type.
    """
    content = _content(path)
    expected_magic = _UNSIGNED_BYTE << 8 | num_dimensions
    if len(content) >= 4:
        magic = int.from_bytes(content[:4], 'big')
        if magic != expected_magic:
            raise ValueError(
                f'{path}: IDX magic number {magic}, expected {expected_magic} '
                f'(unsigned bytes, {num_dimensions} dimension{"s" * (num_dimensions > 1)}).'
            )
    header_bytes = 4 + 4 * num_dimensions
    if len(content) < header_bytes:
        raise ValueError(
            f'{path}: truncated: {len(content)} bytes, the IDX header alone has {header_bytes}.'
        )
    shape = struct.unpack(f'>{num_dimensions}I', content[4:header_bytes])
    promised = 1
    for size in shape:
        promised *= size
    present = len(content) - header_bytes
    if present != promised:
        raise ValueError(
            f'{path}: {"truncated" if present < promised else "too long"}: the header says '
            f'{" x ".join(map(str, shape))} = {promised} bytes, the file holds {present}.'
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)


def _content(path) -> bytes:
    with open(path, 'rb') as file:
        content = file.read()
    if not content.startswith(b'\x1f\x8b'):  # gzip's own magic
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise ValueError(
            f'{path}: truncated: the gzip stream ends early, after {len(content)} bytes.'
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f'{path}: damaged gzip file: {error}.') from None
