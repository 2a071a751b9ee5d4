"""ModelNet10 from grids of 30 x 30 x 30 voxels: clouds of points with the class of the object."""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import NamedTuple

import numpy as np
from absl import logging

from research.geometric.datasets import modelnet, voxels
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.transforms.sample_points import sample_points

CLASS_NAMES = modelnet.CLASS_NAMES
SPLITS = modelnet.SPLITS


class Grids(NamedTuple):
    """The grids of one split as they are in the file.

    Attributes:
      occupied: bool [n, X, Y, Z]; the last axis points up.
      labels: int64 [n], places in `CLASS_NAMES`.
    """

    occupied: np.ndarray
    labels: np.ndarray


def read(
    path: str | os.PathLike, num_points: int = 1024, seed: int = 0, normals: bool = False
) -> GraphDataset:
    """Points from the npz file with the arrays X_train, y_train, X_test and y_test.

    A grid becomes the mesh of its exposed faces (`voxels.surface`) and that `num_points` points,
    uniform by area; one unit is the side of a voxel. The points of a grid depend on the seed and
    its place in the file alone.

    - A surface of voxels is rougher than the mesh it was made from: staircases on slopes, and
      nothing thinner than a voxel.
    - Empty grids are left out: 7 of 3991 to train on and 1 of 908 to test on; the log says so.
    - Coarse grids make different objects equal: 'test_distinct' are the test graphs whose grid
      equals that of no training object, so that accuracy can be given with and without the others
      (`repeated_test_grids`).

    Args:
      path: the file.
      num_points: N, points a grid; 1024 in the paper.
      seed: of the points.
      normals: whether `x` are the unit normals, [N, 3].

    Returns:
      Graphs without edges, `pos` [N, 3] and `y` the class; splits 'train', 'test' and
      'test_distinct'.

    Raises:
      FileNotFoundError: no such file.
      ValueError: see `load_grids`.
    """
    grids = load_grids(path)
    repeated = set(repeated_test_grids(grids).tolist())
    stem = os.path.basename(os.fspath(path))
    graphs, splits, empty = [], {split: [] for split in (*SPLITS, 'test_distinct')}, 0
    for part, split in enumerate(SPLITS):
        for place, (occupied, label) in enumerate(zip(*grids[split], strict=True)):
            if not occupied.any():
                empty += 1
                continue
            mesh = voxels.surface(occupied, f'{stem}, {split} grid {place}')
            own = np.random.default_rng([seed, part, place])
            cloud = sample_points(mesh, num_points, own, normals)
            splits[split].append(len(graphs))
            if split == 'test' and place not in repeated:
                splits['test_distinct'].append(len(graphs))
            graphs.append(cloud.replace(y=label, class_names=CLASS_NAMES))
    if empty:
        logging.info('%s: %d empty grids are left out.', path, empty)
    return GraphDataset(graphs, CLASS_NAMES, f'ModelNet10 in {os.fspath(path)}', splits)


def load_grids(path: str | os.PathLike) -> dict[str, Grids]:
    """The grids of 'train' and 'test', empty ones too.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a truncated file, an array that is missing, of another shape or with other values
        than 0 and 1, a label that is no class, or counts that differ.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file.')
    if not zipfile.is_zipfile(path):
        raise ValueError(f'{path}: truncated or no npz file.')
    grids = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for split in SPLITS:
                occupied = _array(arrays, f'X_{split}', 4, path)
                grids[split] = Grids(
                    _checked_bool(occupied, f'X_{split}', path),
                    _array(arrays, f'y_{split}', 1, path),
                )
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f'{path}: damaged: {error}.') from None
    for split, (occupied, labels) in grids.items():
        if len(occupied) != len(labels):
            raise ValueError(
                f'{path}: X_{split} has {len(occupied)} grids, but y_{split} {len(labels)} labels.'
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASS_NAMES)))
        if wrong.size:
            raise ValueError(
                f'{path}: y_{split}, row {wrong[0]}: label {labels[wrong[0]]} is '
                f'unknown; labels are 0 to {len(CLASS_NAMES) - 1}.'
            )
    return grids


def _array(arrays, key: str, dimensions: int, path: str) -> np.ndarray:
    if key not in arrays:
        raise ValueError(f'{path}: no array {key!r}; there are {", ".join(arrays.files)}.')
    try:
        array = arrays[key]
    except ValueError as error:  # A damaged header, or a pickle.
        raise ValueError(f'{path}: {key} cannot be read: {error}') from None
    if array.ndim != dimensions or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f'{path}: {key} is {array.dtype} of shape {array.shape}, not integers of '
            f'{dimensions} dimensions.'
        )
    return array


def _checked_bool(grids: np.ndarray, key: str, path: str) -> np.ndarray:
    occupied = grids.astype(bool)
    for place, grid in enumerate(grids):  # One by one: the array has half a gigabyte.
        if grid.min(initial=0) < 0 or grid.max(initial=0) > 1:
            wrong = np.argwhere((grid < 0) | (grid > 1))[0]
            raise ValueError(
                f'{path}: {key}, grid {place}, voxel {tuple(wrong.tolist())} is '
                f'{grid[tuple(wrong)]}, not 0 or 1.'
            )
    return occupied


def repeated_test_grids(grids: dict[str, Grids]) -> np.ndarray:
    """The places in the file of the test grids that equal some training grid: int64 [n].

    72 of ModelNet10's 908, one of them empty, which `read` leaves out anyway.
    """
    packed = {
        split: [
            row.tobytes()
            for row in np.packbits(some.occupied.reshape(len(some.occupied), -1), axis=1)
        ]
        for split, some in grids.items()
    }
    seen = set(packed['train'])
    return np.asarray(
        [place for place, grid in enumerate(packed['test']) if grid in seen], np.int64
    )
