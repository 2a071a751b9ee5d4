"""The citation graphs Cora, CiteSeer and PubMed, from the raw files of Planetoid.

Yang, Cohen, Salakhutdinov: Revisiting semi-supervised learning with graph embeddings, 2016; the
data are of Sen et al. 2008 and Namata et al. 2012. Eight files a graph, ind.<name>.<part>, pickles
of Python 2 but for test.index:

  x, y        features and one-hot labels of the training nodes, 20 a class
  allx, ally  those of all nodes but the test nodes, the training nodes first
  tx, ty      those of the test nodes, in the order of test.index
  graph       a dict from a node to the list of its neighbours
  test.index  the test nodes, one a line
"""

from __future__ import annotations

import os

import numpy as np

from official.core import errors
from research.geometric.datasets import edges, restricted_pickle
from research.geometric.graph import Graph

# In the order of the one-hot labels: the sources' classes, told apart by how many nodes each has.
CLASS_NAMES = {
    'cora': (
        'Theory',
        'Reinforcement learning',
        'Genetic algorithms',
        'Neural networks',
        'Probabilistic methods',
        'Case based',
        'Rule learning',
    ),
    'citeseer': ('AI', 'ML', 'IR', 'DB', 'Agents', 'HCI'),
    'pubmed': (
        'Diabetes mellitus, experimental',
        'Diabetes mellitus type 1',
        'Diabetes mellitus type 2',
    ),
}
NUM_VALIDATION = 500
_PICKLES = ('x', 'y', 'tx', 'ty', 'allx', 'ally', 'graph')


def load(data_dir: str | os.PathLike | None, name: str) -> Graph:
    """One citation graph with its fixed split.

    An edge is there once in each direction, self loops and repetitions are not (Table 5 of Fey &
    Lenssen 2019 counts so). The training nodes are the first, the validation nodes the 500 after
    them (Kipf & Welling 2017, Sec. 5.2), the test nodes those of test.index.

    - 15 nodes of CiteSeer are edges' ends but in neither test.index nor the other files: their
      features are zeros and their label is -1, none. Others give them class 0, which matters where
      a random split can draw them; `splits.random_split` draws no node without a label.

    Args:
      data_dir: folder of the files.
      name: 'cora', 'citeseer' or 'pubmed', or another graph in these files, whose classes are
        then called by their numbers.

    Returns:
      The graph, `x` a sparse matrix of the values in the files, not normalised.

    Raises:
      FileNotFoundError: no such folder or file.
      ValueError: a file is cut short or damaged, asks for a class that it must not, or does not
        fit the others.
    """
    parts = _read(data_dir, name)
    path = lambda part: _path(data_dir, name, part)
    num_train, num_others = parts['y'].shape[0], parts['allx'].shape[0]
    test = parts['test.index']
    num_nodes = int(test.max(initial=num_others - 1)) + 1
    _check_test(test, num_others, parts['graph'], path('test.index'))
    y = np.full(num_nodes, -1, np.int32)
    y[:num_others] = _labels(parts['ally'], path('ally'))
    y[test] = _labels(parts['ty'], path('ty'))
    _labels(parts['y'], path('y'))
    return Graph(
        _edges(parts['graph'], num_nodes, path('graph')),
        x=_features(parts['allx'], parts['tx'], test, num_nodes),
        y=y,
        splits={
            'train': np.arange(num_train),
            'validation': np.arange(num_train, min(num_train + NUM_VALIDATION, num_others)),
            'test': np.sort(test),
        },
        class_names=CLASS_NAMES.get(name) or tuple(map(str, range(parts['y'].shape[1]))),
        name=path('*'),
    )


def _path(data_dir, name: str, part: str) -> str:
    return os.path.join(data_dir, f'ind.{name}.{part}')


def _read(data_dir, name: str) -> dict:
    """The eight files, each of its type, their sizes in step."""
    if data_dir is None or not os.path.isdir(data_dir):
        raise FileNotFoundError(
            f'data_dir {data_dir}: no such folder; it is to hold the files '
            f'ind.{name}.{{x,y,tx,ty,allx,ally,graph,test.index}}.'
        )
    files = os.listdir(data_dir)
    if not any(file.startswith(f'ind.{name}.') for file in files):
        known = [
            file[len('ind.') : -len('.graph')]
            for file in files
            if file.startswith('ind.') and file.endswith('.graph')
        ]
        raise FileNotFoundError(
            f'{_path(data_dir, name, "graph")}: no such file{errors.did_you_mean(name, known)}'
        )
    parts = {part: restricted_pickle.load(_path(data_dir, name, part)) for part in _PICKLES}
    parts['test.index'] = _read_index(_path(data_dir, name, 'test.index'))
    for part in ('x', 'tx', 'allx', 'y', 'ty', 'ally'):
        matrix = parts[part]
        sparse = part.endswith('x')
        kind = 'sparse matrix' if sparse else 'matrix of integers'
        fits = (
            hasattr(matrix, 'indptr')
            if sparse
            else isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.dtype.kind in 'iub'
        )
        if not fits:
            raise ValueError(
                f'{_path(data_dir, name, part)}: holds a {type(matrix).__name__}, not a {kind}.'
            )
    if not isinstance(parts['graph'], dict):
        raise ValueError(
            f'{_path(data_dir, name, "graph")}: holds a '
            f'{type(parts["graph"]).__name__}, not a dict of neighbours.'
        )
    rows = lambda part: len(parts[part]) if part == 'test.index' else parts[part].shape[0]
    columns = lambda part: parts[part].shape[1]
    for what, size, pairs in (
        ('rows', rows, (('x', 'y'), ('allx', 'ally'), ('tx', 'ty'), ('tx', 'test.index'))),
        ('columns', columns, (('x', 'allx'), ('tx', 'allx'), ('y', 'ally'), ('ty', 'ally'))),
    ):
        for one, other in pairs:
            if size(one) != size(other):
                raise ValueError(
                    f'{_path(data_dir, name, one)}: {size(one)} {what}, but '
                    f'{size(other)} in ind.{name}.{other}.'
                )
    if rows('x') > rows('allx'):
        raise ValueError(
            f'{_path(data_dir, name, "x")}: {rows("x")} rows, but only '
            f'{rows("allx")} in ind.{name}.allx, which has them all.'
        )
    return parts


def _read_index(path: str) -> np.ndarray:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file.')
    nodes = []
    with open(path, encoding='utf8', errors='replace') as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise ValueError(f'{path}, line {number}: {text!r} is no node.')
            nodes.append(int(text))
    return np.array(nodes, np.int64)


def _check_test(test: np.ndarray, num_others: int, graph: dict, path: str) -> None:
    seen = set()
    # Nodes that no file has must have neighbours, or a slip in one line would be a huge graph.
    last = max([num_others + len(test) - 1, *(node for node in graph if isinstance(node, int))])
    for line, node in enumerate(test.tolist(), 1):
        if node < num_others:
            raise ValueError(
                f'{path}, line {line}: node {node} is one of the {num_others} that '
                'are no test nodes.'
            )
        if node > last:
            raise ValueError(
                f'{path}, line {line}: node {node} is outside the graph, whose nodes '
                f'are 0 to {last}.'
            )
        if node in seen:
            raise ValueError(f'{path}, line {line}: node {node} is there already.')
        seen.add(node)


def _labels(one_hot: np.ndarray, path: str) -> np.ndarray:
    wrong = np.flatnonzero((one_hot.sum(axis=1) != 1) | (one_hot.max(axis=1, initial=0) != 1))
    if wrong.size:
        raise ValueError(
            f'{path}: row {wrong[0]} is {one_hot[wrong[0]].tolist()}, not one-hot, so '
            'its label is unknown.'
        )
    return one_hot.argmax(axis=1)


def _features(others, tests, test: np.ndarray, num_nodes: int):
    import scipy.sparse

    others, tests = others.tocoo(), tests.tocoo()
    rows = np.concatenate([others.row, test[tests.row]])
    columns = np.concatenate([others.col, tests.col])
    values = np.concatenate([others.data, tests.data])
    return scipy.sparse.csr_matrix((values, (rows, columns)), (num_nodes, others.shape[1]))


def _edges(graph: dict, num_nodes: int, path: str) -> np.ndarray:
    sources, targets = [], []
    for node, neighbours in graph.items():
        if not _are_nodes([node], num_nodes):
            raise ValueError(f'{path}: node {node!r} is none of 0 to {num_nodes - 1}.')
        if not isinstance(neighbours, list) or not _are_nodes(neighbours, num_nodes):
            wrong = (
                neighbours
                if not isinstance(neighbours, list)
                else next(other for other in neighbours if not _are_nodes([other], num_nodes))
            )
            raise ValueError(
                f'{path}: row {node} has the neighbour {wrong!r}, but nodes are 0 to '
                f'{num_nodes - 1}.'
            )
        sources += [node] * len(neighbours)
        targets += neighbours
    return edges.undirected(sources, targets, num_nodes)


def _are_nodes(values: list, num_nodes: int) -> bool:
    return all(isinstance(value, (int, np.integer)) and 0 <= value < num_nodes for value in values)
