"""ModelNet from its meshes: clouds of points with the class of the object."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from research.geometric.datasets import off
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from research.geometric.transforms.sample_points import sample_points

# ModelNet10's. "z is up" holds in all of its meshes.
CLASS_NAMES = (
    'bathtub',
    'bed',
    'chair',
    'desk',
    'dresser',
    'monitor',
    'night_stand',
    'sofa',
    'table',
    'toilet',
)
SPLITS = ('train', 'test')


def read_folder(
    path: str | os.PathLike,
    num_points: int = 1024,
    seed: int = 0,
    normals: bool = False,
    class_names: Sequence[str] = CLASS_NAMES,
) -> GraphDataset:
    """ModelNet10 as Princeton ships it, unpacked: CLASS/train/*.off and CLASS/test/*.off.

    Each mesh becomes `num_points` points, uniform on its surface, in the units of the file. The
    points of a mesh depend on the seed and its own name alone. Not only ModelNet10: with
    `class_names` of its folders, ModelNet40 too.

    Args:
      path: the folder of the classes' folders.
      num_points: N, points a mesh; 1024 in the paper.
      seed: of the points.
      normals: whether `x` are the unit normals, [N, 3].
      class_names: the folders, in the labels' order.

    Returns:
      Graphs without edges, `pos` [N, 3] and `y` the class; splits 'train' and 'test'.

    Raises:
      FileNotFoundError: no such folder, a class's folder or its meshes are missing.
      ValueError: a folder that is no class, or a damaged mesh.
    """
    path = os.fspath(path)
    _check_folder(path)
    for name in sorted(os.listdir(path)):
        if name not in class_names and os.path.isdir(os.path.join(path, name, 'train')):
            raise ValueError(
                f'{path}: folder {name!r} is none of the classes {", ".join(class_names)}.'
            )
    graphs, splits = [], {}
    for split in SPLITS:
        splits[split] = []
        for label, name in enumerate(class_names):
            folder = os.path.join(path, name, split)
            for file in _off_files(folder):
                splits[split].append(len(graphs))
                graphs.append(_cloud(file, label, num_points, seed, normals, class_names))
    return GraphDataset(graphs, tuple(class_names), path, splits)


def read_files(
    paths: Sequence[str | os.PathLike] | str | os.PathLike,
    num_points: int = 1024,
    seed: int = 0,
    normals: bool = False,
    class_names: Sequence[str] = CLASS_NAMES,
) -> GraphDataset:
    """Lone meshes, whose class is the beginning of their name: night_stand_0012.off.

    Args:
      paths: the files, or the folder they are in.
      num_points: see `read_folder`, as the others.
      seed: see there.
      normals: see there.
      class_names: see there.

    Returns:
      Graphs as of `read_folder`, without splits.

    Raises:
      FileNotFoundError: no such file or folder, or no mesh in it.
      ValueError: a name that begins with no class, or a damaged mesh.
    """
    name = 'meshes'
    if isinstance(paths, (str, os.PathLike)):
        name = os.fspath(paths)
        _check_folder(name)
        paths = _off_files(name)
    graphs = []
    for file in map(os.fspath, paths):
        label = os.path.basename(file).rpartition('_')[0]
        if label not in class_names:
            raise ValueError(
                f'{file}: class {label!r} is unknown; known are {", ".join(class_names)}.'
            )
        graphs.append(
            _cloud(file, list(class_names).index(label), num_points, seed, normals, class_names)
        )
    return GraphDataset(graphs, tuple(class_names), name)


def _check_folder(path: str) -> None:
    if not os.path.isdir(path):
        raise FileNotFoundError(f'{path}: no such folder.')


def _off_files(folder: str) -> list[str]:
    found = (
        sorted(
            name
            for name in os.listdir(folder)
            if name.lower().endswith('.off') and not name.startswith('.')
        )
        if os.path.isdir(folder)
        else []
    )
    if not found:
        raise FileNotFoundError(f'{folder}: no meshes (*.off) there.')
    return [os.path.join(folder, name) for name in found]


def _cloud(
    file: str, label: int, num_points: int, seed: int, normals: bool, class_names: Sequence[str]
) -> Graph:
    own = np.random.default_rng([seed, *os.path.basename(file).encode()])
    graph = sample_points(off.read(file), num_points, own, normals)
    return graph.replace(y=label, class_names=tuple(class_names))
