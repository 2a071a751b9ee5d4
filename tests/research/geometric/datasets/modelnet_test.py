"""Tests of research.geometric.datasets.modelnet."""

import shutil

import numpy as np
import pytest

from research.geometric.datasets import modelnet, modelnet_builder, tfds_graphs
from tests.research.geometric.datasets import alike

NAMES = ('chair', 'night_stand')


def _write(path, height):
    """A square at a height, so that points tell which mesh they are from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'OFF4 1 0\n0 0 {height}\n1 0 {height}\n1 1 {height}\n0 1 {height}\n4 0 1 2 3\n', 'utf8'
    )


@pytest.fixture(name='folder')
def _folder(tmp_path):
    folder = tmp_path / 'ModelNet'
    for height, name in enumerate(NAMES):
        _write(folder / name / 'train' / f'{name}_0002.off', height + 0.5)
        _write(folder / name / 'train' / f'{name}_0001.off', height + 0.25)
        _write(folder / name / 'test' / f'{name}_0003.off', height + 0.75)
        (folder / name / 'train' / '.DS_Store').write_text('clutter', 'utf8')
    (folder / 'README.txt').write_text('about', 'utf8')
    return folder


def test_folder(folder):
    dataset = modelnet.read_folder(folder, num_points=7, class_names=NAMES)
    assert {name: ids.tolist() for name, ids in dataset.splits.items()} == {
        'train': [0, 1, 2, 3],
        'test': [4, 5],
    }
    assert [(int(graph.y), *np.unique(graph.pos[:, 2])) for graph in dataset.graphs] == [
        (0, 0.25),
        (0, 0.5),
        (1, 1.25),
        (1, 1.5),
        (0, 0.75),
        (1, 1.75),
    ]
    assert all(graph.pos.shape == (7, 3) and graph.x is None for graph in dataset.graphs)
    assert dataset.graphs[0].name == f'{folder}/chair/train/chair_0001.off'


def test_points_depend_on_seed_and_mesh_alone(folder):
    dataset = modelnet.read_folder(folder, 7, class_names=NAMES)
    shutil.rmtree(folder / 'chair')
    alone = modelnet.read_folder(folder, 7, class_names=NAMES[1:])
    np.testing.assert_array_equal(alone.graphs[0].pos, dataset.graphs[2].pos)
    other = modelnet.read_folder(folder, 7, seed=1, class_names=NAMES[1:])
    assert np.abs(other.graphs[0].pos - alone.graphs[0].pos).max() > 0.01
    assert np.abs(dataset.graphs[0].pos[:, :2] - dataset.graphs[1].pos[:, :2]).max() > 0.01
    normals = modelnet.read_folder(folder, 7, normals=True, class_names=NAMES[1:])
    np.testing.assert_array_equal(normals.graphs[0].x, np.tile([0, 0, 1], (7, 1)))


def test_lone_files(folder):
    files = [
        folder / 'night_stand' / 'test' / 'night_stand_0003.off',
        folder / 'chair' / 'test' / 'chair_0003.off',
    ]
    dataset = modelnet.read_files(files, 5)
    assert [int(graph.y) for graph in dataset.graphs] == [6, 2]
    assert dataset.class_names == modelnet.CLASS_NAMES and not dataset.splits
    alike.assert_graphs_equal(
        modelnet.read_files(folder / 'chair' / 'test', 5).graphs[0], dataset.graphs[1]
    )


def test_bad_folders_and_files(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/no: no such folder.$'):
        modelnet.read_folder(tmp_path / 'no')
    with pytest.raises(
        ValueError, match=f"^{folder}: folder 'night_stand' is none of the classes chair.$"
    ):
        modelnet.read_folder(folder, class_names=['chair'])
    with pytest.raises(FileNotFoundError, match=f'^{folder}/bathtub/train: no meshes'):
        modelnet.read_folder(folder)
    with pytest.raises(FileNotFoundError, match=f'^{folder}: no meshes'):
        modelnet.read_files(folder)
    lone = tmp_path / 'lamp_0001.off'
    _write(lone, 0)
    with pytest.raises(ValueError, match=f"^{lone}: class 'lamp' is unknown; known are bathtub"):
        modelnet.read_files([lone])
    damaged = folder / 'chair' / 'test' / 'chair_0003.off'
    damaged.write_text('OFF\n4 1 0\n0 0 0\n', 'utf8')
    with pytest.raises(ValueError, match=f'^{damaged}: truncated: 4 vertices and 1 faces'):
        modelnet.read_folder(folder, class_names=NAMES)


def test_builder(folder, tmp_path):
    for height, name in enumerate(modelnet.CLASS_NAMES):
        for split in ('train', 'test'):
            _write(folder / name / split / f'{name}_0009.off', 10 + height)
    builder = tfds_graphs.prepare(
        modelnet_builder.ModelNet10(config='off', data_dir=tmp_path / 'tfds'), str(folder)
    )
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), modelnet.read_folder(folder))
