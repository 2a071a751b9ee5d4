"""Tests of research.s3gan.label_file."""

import json
import os
import pathlib

import numpy as np
import pytest

from research.s3gan import label_file

TRUE = np.array([0, 1, 2, 1, 0, 2], np.int64)
SOFT = np.array(
    [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0, 0, 1], [0.4, 0.3, 0.3], [1, 0, 0], [0.1, 0.2, 0.7]],
    np.float32,
)


def write(path, soft=True, **changes):
    label_file.write(
        str(path),
        **{
            'true_labels': TRUE,
            'hard': SOFT.argmax(1),
            'num_labels': 3,
            'source': 'a test',
            'probabilities': SOFT if soft else None,
            **changes,
        },
    )
    return str(path)


def read(path, labels=TRUE, **options):
    return label_file.inferred_labels(labels, 3, 0, str(path), **options)


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path / 'new' / 'folder' / 'labels.npz')
    hard = read(path)
    assert hard.labels.tolist() == [0, 1, 2, 0, 0, 2] and hard.labels.dtype == np.int32
    assert hard.num_labels == 3 and hard.indices.tolist() == list(range(6))
    soft = read(path, soft=True)
    np.testing.assert_array_equal(soft.labels, SOFT)
    assert soft.labels.dtype == np.float32 and soft.num_labels == 3
    # The same set, whatever kind of integers its labels are.
    assert read(path, TRUE.astype(np.int32)).labels.tolist() == hard.labels.tolist()
    assert os.listdir(os.path.dirname(path)) == ['labels.npz']


def test_clusters_are_labels_of_any_number(tmp_path):
    path = write(
        tmp_path / 'clusters_50.npz', soft=False, num_labels=50, hard=np.array([49, 0, 3, 3, 7, 1])
    )
    clusters = read(path)
    assert clusters.num_labels == 50 and clusters.labels.tolist() == [49, 0, 3, 3, 7, 1]
    with pytest.raises(ValueError) as error:
        read(path, soft=True)
    assert str(error.value) == (
        f'{path} has hard labels only, and soft = True asks for probabilities.'
    )


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path / 'labels.npz')

    def fails(file, **arrays):
        file.write(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr(np, 'savez', fails)
    with pytest.raises(OSError):
        write(path, hard=np.zeros(6, int))
    monkeypatch.undo()
    assert read(path).labels.tolist() == [0, 1, 2, 0, 0, 2]


def test_how_to_make_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        read('./runs/s3gan/imagenet/features_10/labels.npz')
    assert str(error.value) == (
        './runs/s3gan/imagenet/features_10/labels.npz: no such file of inferred labels. Make it by '
        './garden train --gin_file=gin_configs/s3gan/imagenet/features_10.gin, with the same '
        '--data_dir.'
    )
    for path in '/elsewhere/s3gan/x/labels.npz', 'runs/labels.npz', 'labels.npz':
        with pytest.raises(FileNotFoundError, match=f'^{path}: no such file of inferred labels.$'):
            read(path)


def test_files_of_other_images(tmp_path):
    path = write(tmp_path / 'labels.npz')
    with pytest.raises(ValueError) as error:
        read(path, np.append(TRUE, 0))
    assert str(error.value) == (
        f'{path} has labels of 6 images, and the data set has 7: it belongs to another one.'
    )
    with pytest.raises(ValueError) as error:
        read(path, TRUE[::-1])  # The same images in another order.
    assert str(error.value) == (
        f'{path} belongs to another data set than this one of as many images.'
    )


def test_the_fingerprint_is_frozen():
    # SHA-256 of the labels as little-endian int32, so that files outlive versions and machines.
    assert (
        label_file.fingerprint(np.array([1, 2]))
        == label_file.fingerprint(np.array([1, 2], '>i2'))
        == ('34fb5c825de7ca4aea6e712f19d439c1da0c92c37b423936c5f618545ca4fa1f')
    )


def repack(path, **changes):
    """The file with other arrays; None leaves one out. `about` may be any JSON."""
    with np.load(path) as file:
        arrays = {**file, **changes}
    with open(path, 'wb') as file:
        np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


def about(path, **changes):
    with np.load(path) as file:
        found = {**json.loads(str(file['about'])), **changes}
    return json.dumps({name: value for name, value in found.items() if value is not None})


def truncate(path):
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) // 2)


def flip(path):
    """One wrong byte among the labels, which the archive's checksum finds."""
    contents = bytearray(pathlib.Path(path).read_bytes())
    contents[contents.index(SOFT.argmax(1).astype('<i4').tobytes())] ^= 1
    with open(path, 'wb') as file:
        file.write(contents)


def npy(path):
    with open(path, 'wb') as file:
        np.save(file, TRUE)


@pytest.mark.parametrize(
    'damage',
    [
        truncate,
        flip,
        npy,
        lambda path: open(path, 'wb').close(),
        lambda path: pathlib.Path(path).write_text('labels'),
        lambda path: (os.remove(path), os.mkdir(path)),
        lambda path: repack(path, hard=None),
        lambda path: repack(path, about=None),
        lambda path: repack(path, about='{'),
        lambda path: repack(path, about='[1]'),
        lambda path: repack(path, about=about(path, fingerprint=None)),
        lambda path: repack(path, about=about(path, version=None)),
        lambda path: repack(path, hard=np.zeros(5, np.int32)),
        lambda path: repack(path, hard=np.array([0, 1, 2, 3, 0, 0], np.int32)),
        lambda path: repack(path, hard=np.array([0, 1, 2, -1, 0, 0], np.int32)),
        lambda path: repack(path, probabilities=SOFT[:, :2]),
        lambda path: repack(path, probabilities=SOFT[:5]),
        lambda path: repack(path, probabilities=np.where(SOFT == 1, np.nan, SOFT)),
        lambda path: repack(path, probabilities=np.where(SOFT == 1, np.inf, SOFT)),
        lambda path: repack(path, probabilities=SOFT + np.array([[-0.2, 0.1, 0.1]], np.float32)),
        lambda path: repack(path, probabilities=SOFT * np.float32(0.9)),
        lambda path: repack(path, hard=np.array([None] * 6, object)),
    ],
)
def test_damaged_files(tmp_path, damage):
    path = write(tmp_path / 'labels.npz')
    damage(path)
    with pytest.raises(ValueError, match=f'^{path} is damaged: [^\n]*$'):
        read(path, soft=True)


def test_another_version(tmp_path):
    path = write(tmp_path / 'labels.npz')
    repack(path, about=about(path, version=2))
    with pytest.raises(ValueError, match=f'^{path} has version 2; this code reads 1.$'):
        read(path)
