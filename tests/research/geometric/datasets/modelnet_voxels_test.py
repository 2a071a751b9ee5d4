"""Tests of research.geometric.datasets.modelnet_voxels."""

import numpy as np
import pytest

from research.geometric.datasets import modelnet_builder, modelnet_voxels, tfds_graphs
from tests.research.geometric.datasets import alike


def _arrays():
    """Five grids to train on, the second empty; four to test on, the last two empty or seen."""
    train, test = np.zeros((5, 4, 4, 4), np.int32), np.zeros((4, 4, 4, 4), np.int32)
    for place in (0, 2, 3, 4):
        train[place, place % 4, 1, : place + 1] = 1
    test[0, 0, 0, 0] = test[1, 3, 3] = 1
    test[3] = train[2]
    return {
        'X_train': train,
        'y_train': np.array([0, 1, 2, 3, 9]),
        'X_test': test,
        'y_test': np.array([4, 5, 6, 7]),
    }


def _write(folder, **changes):
    path = folder / 'modelnet10_vox30.npz'
    np.savez_compressed(path, **{**_arrays(), **changes})
    return path


def test_hand_made_grids(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        modelnet_voxels.logging, 'info', lambda text, *values: said.append(text % values)
    )
    path = _write(tmp_path)
    dataset = modelnet_voxels.read(path, 200)
    assert said == [f'{path}: 2 empty grids are left out.']
    assert [int(graph.y) for graph in dataset.graphs] == [0, 2, 3, 9, 4, 5, 7]
    assert {name: ids.tolist() for name, ids in dataset.splits.items()} == {
        'train': [0, 1, 2, 3],
        'test': [4, 5, 6],
        'test_distinct': [4, 5],
    }
    assert dataset.graphs[1].name == 'modelnet10_vox30.npz, train grid 2'
    # Test grid 1 is a wall: its points lie on its six sides.
    points = dataset.graphs[5].pos
    low, high = np.array([3, 3, 0]), np.array([4, 4, 4])
    assert (points >= low).all() and (points <= high).all()
    on_a_side = np.isclose(points, low, atol=1e-6) | np.isclose(points, high, atol=1e-6)
    assert on_a_side.any(axis=1).all()
    # A seen grid has points of its own.
    assert np.abs(dataset.graphs[6].pos - dataset.graphs[1].pos).max() > 0.01
    np.testing.assert_array_equal(modelnet_voxels.read(path, 200).graphs[5].pos, points)


def test_repeated_test_grids(tmp_path):
    grids = modelnet_voxels.load_grids(_write(tmp_path))
    # The empty grid too: one to train on is empty.
    assert modelnet_voxels.repeated_test_grids(grids).tolist() == [2, 3]


def test_builder(tmp_path):
    path = _write(tmp_path)
    builder = tfds_graphs.prepare(
        modelnet_builder.ModelNet10(config='voxels', data_dir=tmp_path / 'tfds'), str(tmp_path)
    )
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), modelnet_voxels.read(path))


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'X_test': np.zeros((4, 64), int)},
            'X_test is int64 of shape (4, 64), not integers of 4 dimensions.',
        ),
        (
            {'X_test': np.zeros((4, 4, 4, 4))},
            'X_test is float64 of shape (4, 4, 4, 4), not integers of 4 dimensions.',
        ),
        ({'X_test': _arrays()['X_test'] * 3}, 'X_test, grid 0, voxel (0, 0, 0) is 3, not 0 or 1.'),
        (
            {'y_train': np.array([0, 1, 2, 10, 4])},
            'y_train, row 3: label 10 is unknown; labels are 0 to 9.',
        ),
        (
            {'y_test': np.array([-1, 1, 2, 3])},
            'y_test, row 0: label -1 is unknown; labels are 0 to 9.',
        ),
        ({'y_test': np.array([1, 2, 3])}, 'X_test has 4 grids, but y_test 3 labels.'),
    ],
)
def test_bad_arrays(tmp_path, changes, message):
    path = _write(tmp_path, **changes)
    with pytest.raises(ValueError) as error:
        modelnet_voxels.load_grids(path)
    assert str(error.value) == f'{path}: {message}'


def test_bad_files(tmp_path):
    path = tmp_path / 'a.npz'
    with pytest.raises(FileNotFoundError, match=f'^{path}: no such file.$'):
        modelnet_voxels.read(path)
    np.savez(path, X_train=_arrays()['X_train'])
    with pytest.raises(ValueError, match=f"^{path}: no array 'y_train'; there are X_train.$"):
        modelnet_voxels.read(path)
    np.savez(path, **{**_arrays(), 'y_train': np.array(['a'] * 5, object)})
    with pytest.raises(ValueError, match=f'^{path}: y_train cannot be read: Object arrays'):
        modelnet_voxels.read(path)
    whole = _write(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f'^{path}: truncated or no npz file.$'):
        modelnet_voxels.read(path)
    np.savez(path, **_arrays())
    whole = bytearray(path.read_bytes())
    whole[500] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(ValueError, match=f'^{path}: damaged: Bad CRC-32'):
        modelnet_voxels.read(path)
