"""Tests of official.data.idx."""

import gzip
import re

import numpy as np
import pytest

from official.data import idx

# Two images of 2 x 3 bytes, written out by hand: magic 2051, then 2, 2, 3, then the pixels.
IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(12)])
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 4, 9, 0, 1, 5])


def _write(tmp_path, content, name='file'):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize('pack', [bytes, gzip.compress])
def test_reads_plain_and_compressed(tmp_path, pack):
    images = idx.read(_write(tmp_path, pack(IMAGES)), 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, np.arange(12).reshape(2, 2, 3))
    assert idx.read(_write(tmp_path, pack(LABELS)), 1).tolist() == [9, 0, 1, 5]


def _fails(path, num_dimensions, message):
    with pytest.raises(ValueError, match='^' + re.escape(f'{path}: {message}')):
        idx.read(path, num_dimensions)


def test_wrong_magic(tmp_path):
    path = _write(tmp_path, LABELS)
    _fails(path, 3, 'IDX magic number 2049, expected 2051 (unsigned bytes, 3 dimensions).')
    floats = _write(tmp_path, bytes([0, 0, 13, 1]) + LABELS[4:])
    _fails(floats, 1, 'IDX magic number 3329, expected 2049 (unsigned bytes, 1 dimension).')


def test_truncated_payload(tmp_path):
    path = _write(tmp_path, IMAGES[:-1])
    _fails(path, 3, 'truncated: the header says 2 x 2 x 3 = 12 bytes, the file holds 11.')


def test_too_long(tmp_path):
    path = _write(tmp_path, LABELS + b'!')
    _fails(path, 1, 'too long: the header says 4 = 4 bytes, the file holds 5.')


@pytest.mark.parametrize('length', [0, 3, 15])
def test_truncated_header(tmp_path, length):
    path = _write(tmp_path, IMAGES[:length])
    _fails(path, 3, f'truncated: {length} bytes, the IDX header alone has 16.')


@pytest.mark.parametrize('missing', [1, 8, 20])
def test_truncated_gzip(tmp_path, missing):
    packed = gzip.compress(IMAGES)[:-missing]
    _fails(
        _write(tmp_path, packed),
        3,
        f'truncated: the gzip stream ends early, after {len(packed)} bytes.',
    )


def test_damaged_gzip(tmp_path):
    packed = bytearray(gzip.compress(IMAGES))
    packed[-8] ^= 1  # its checksum
    _fails(_write(tmp_path, bytes(packed)), 3, 'damaged gzip file: ')
    _fails(_write(tmp_path, b'\x1f\x8bnothing of the kind'), 3, 'damaged gzip file: ')


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        idx.read(tmp_path / 'nowhere', 1)
