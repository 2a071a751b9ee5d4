"""Cora-Full, Coauthor and Amazon: the npz files of Shchur et al. 2018.

Shchur, Mumme, Bojchevski, Günnemann: Pitfalls of graph neural network evaluation, 2018; Cora-Full
is of Bojchevski & Günnemann 2018. A file holds a sparse adjacency matrix, sparse or dense
features, labels, and names that vary from file to file:

  adj_data, adj_indices, adj_indptr, adj_shape       the adjacency matrix
  attr_data, attr_indices, attr_indptr, attr_shape   the features; or attr_matrix, where dense;
                                                     absent in graphs without, such as polblogs
  labels                                             a number a node
  class_names                                        may be there
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib

import numpy as np

from official.core import errors
from research.geometric.datasets import csr, edges, restricted_pickle
from research.geometric.graph import Graph

FILES = {
    'cora_full': 'cora_full.npz',
    'coauthor_cs': 'ms_academic_cs.npz',
    'coauthor_physics': 'ms_academic_phy.npz',
    'amazon_computers': 'amazon_electronics_computers.npz',
    'amazon_photo': 'amazon_electronics_photo.npz',
}


def load(data_dir: str | os.PathLike | None, name: str, largest_component: bool = False) -> Graph:
    """One of the five graphs; see `read`.

    Args:
      data_dir: folder of the npz files, under the names in which the authors give them.
      name: 'cora_full', 'coauthor_cs', 'coauthor_physics', 'amazon_computers' or 'amazon_photo'.
      largest_component: as in `read`.

    Raises:
      ValueError: another name, or what `read` finds.
      FileNotFoundError: no such folder or file.
    """
    if name not in FILES:
        raise ValueError(f'no graph is called {name!r}{errors.did_you_mean(name, FILES)}')
    if data_dir is None or not os.path.isdir(data_dir):
        raise FileNotFoundError(
            f'data_dir {data_dir}: no such folder; it is to hold the file {FILES[name]}.'
        )
    return read(os.path.join(data_dir, FILES[name]), largest_component)


def read(path: str | os.PathLike, largest_component: bool = False) -> Graph:
    """The graph of one file, standardised as its authors do.

    Edges lose their direction, weight and repetitions, self loops go, and features are 1 where the
    file has a positive number and else 0. There is no fixed split: see `splits.random_split`.

    - The authors keep the largest connected component alone, and of Cora-Full the classes of at
      least 50 nodes; here the first is an option, off by default, the second is not done.

    Args:
      path: the npz file.
      largest_component: keep only the nodes of the largest connected component, in their order.

    Returns:
      The graph, `x` sparse, or None of a file without features.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is cut short or damaged, lacks an array, has one that does not fit the
        others, or asks for a class that it must not.
    """
    path = os.fspath(path)
    arrays = _Arrays(path)
    adjacency = arrays.matrix('adj')
    num_nodes = adjacency.shape[0]
    if adjacency.shape[1] != num_nodes:
        raise ValueError(f'{path}: adj_shape is {list(adjacency.shape)}, not square.')
    x = arrays.matrix('attr') if arrays.has_any('attr_') else None
    labels, class_names = _labels(arrays)
    if not num_nodes:
        raise ValueError(f'{path}: the graph is empty, it has 0 nodes.')
    for field, rows in (('attr', x), ('labels', labels)):
        count = num_nodes if rows is None else rows.shape[0]
        if count != num_nodes:
            raise ValueError(f'{path}: {field} has {count} rows, but adj {num_nodes} nodes.')
    adjacency.eliminate_zeros()
    if x is not None:
        x.data = (x.data > 0).astype(np.float32)
        x.eliminate_zeros()
    if largest_component:
        keep = _largest_component(adjacency)
        adjacency, labels, num_nodes = adjacency[keep][:, keep], labels[keep], len(keep)
        x = None if x is None else x[keep]
    entries = adjacency.tocoo()
    return Graph(
        edges.undirected(entries.row, entries.col, num_nodes),
        x=x,
        y=labels,
        num_nodes=num_nodes,
        class_names=class_names,
        name=path,
    )


class _Arrays:
    """The arrays of an npz file, by name."""

    def __init__(self, path: str):
        if not os.path.isfile(path):
            raise FileNotFoundError(f'{path}: no such file.')
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                self._contents = {
                    name.removesuffix('.npy'): file.read(name) for name in file.namelist()
                }
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise ValueError(
                f'{path}: truncated or no npz file: {str(error).rstrip(".")}.'
            ) from None

    def has(self, name: str) -> bool:
        return name in self._contents

    def has_any(self, start: str) -> bool:
        return any(name.startswith(start) for name in self._contents)

    def array(self, name: str) -> np.ndarray:
        if name not in self._contents:
            raise ValueError(
                f'{self.path}: has no array {name}{errors.did_you_mean(name, self._contents)}'
            )
        where, stream = f'{self.path}, {name}', io.BytesIO(self._contents[name])
        try:
            return np.load(stream, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            if 'Object arrays' not in str(error):
                raise ValueError(f'{where}: damaged array: {str(error).rstrip(".")}.') from None
        # An array of Python objects is a pickle after npy's header.
        stream.seek(0)
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        read_header(stream)
        return np.asarray(restricted_pickle.loads(stream.read(), where))

    def matrix(self, name: str):
        """A sparse matrix, from its parts or from a dense one."""
        import scipy.sparse

        if self.has(f'{name}_matrix') and not self.has(f'{name}_data'):
            dense = self.array(f'{name}_matrix')
            if dense.ndim != 2 or dense.dtype.kind not in 'biuf':
                raise ValueError(
                    f'{self.path}: {name}_matrix is {dense.dtype} of shape '
                    f'{dense.shape}, not a matrix of numbers.'
                )
            parts = scipy.sparse.csr_matrix(dense)
            return csr.checked(
                parts.data, parts.indices, parts.indptr, parts.shape, f'{self.path}, {name}'
            )
        parts = (self.array(f'{name}_{part}') for part in ('data', 'indices', 'indptr', 'shape'))
        return csr.checked(*parts, f'{self.path}, {name}')


def _labels(arrays: _Arrays) -> tuple[np.ndarray, tuple[str, ...]]:
    labels = arrays.array('labels')
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'{arrays.path}: labels is {labels.dtype} of shape {labels.shape}, not '
            'one integer a node.'
        )
    if arrays.has('class_names'):
        class_names = tuple(str(name) for name in arrays.array('class_names').ravel())
    else:
        class_names = tuple(map(str, range(int(labels.max(initial=-1)) + 1)))
    # -1 is no label elsewhere; these files label every node.
    wrong = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    if wrong.size:
        raise ValueError(
            f'{arrays.path}: label {labels[wrong[0]]} of row {wrong[0]} is unknown; '
            f'labels are 0 to {len(class_names) - 1}.'
        )
    return labels, class_names


def _largest_component(adjacency) -> np.ndarray:
    from scipy.sparse import csgraph

    _, component = csgraph.connected_components(adjacency, directed=True, connection='weak')
    return np.flatnonzero(component == np.bincount(component).argmax())
