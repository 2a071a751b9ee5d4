"""Tests of research.geometric.datasets.planetoid, on small files and on the real ones."""

import decimal
import pickle
import re

import numpy as np
import pytest
import scipy.sparse
import tensorflow_datasets as tfds

from research.geometric.datasets import (
    graph_dataset,
    planetoid,
    planetoid_builder,
    splits,
    tfds_graphs,
)
from research.geometric.datasets.graph_dataset import GraphDataset
from tests.research.geometric.datasets import alike
from tests.research.geometric.datasets import real as real_files

NAMES = ('cora', 'citeseer', 'pubmed')


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
    return real_files.planetoid(tmp_path_factory.mktemp('raw'))


@pytest.fixture(scope='module')
def real(folder):
    """The three graphs; the features of PubMed are stand-ins."""
    return {name: planetoid.load(folder, name) for name in NAMES}


# Nodes 0 and 1 train, 2 and 3 are others, 4, 5 and 7 test; 6 is in no file, but 0 cites it.
FEATURES = np.array(
    [[1, 0, 0], [0, 2, 0], [0, 0, 3], [4, 5, 0], [0, 6, 0], [0, 0, 7], [8, 0, 9]], np.float32
)
LABELS = np.array([0, 1, 1, 0, 1, 0, 1])
TEST = [7, 4, 5]  # The order of tx and ty.


def _sparse(rows):
    return scipy.sparse.csr_matrix(FEATURES[rows])


def _one_hot(rows):
    return np.eye(2, dtype=np.int32)[LABELS[rows]]


def _parts():
    return {
        'x': _sparse([0, 1]),
        'y': _one_hot([0, 1]),
        'allx': _sparse([0, 1, 2, 3]),
        'ally': _one_hot([0, 1, 2, 3]),
        'tx': _sparse([6, 4, 5]),
        'ty': _one_hot([6, 4, 5]),
        # A repetition, an edge one way alone, a self loop, a node without neighbours.
        'graph': {0: [1, 1, 6], 1: [0], 2: [2, 3], 3: [], 4: [5], 5: [4], 7: [0], 6: [0]},
        'test.index': ''.join(f'{node}\n' for node in TEST),
    }


def _write(folder, **changes):
    for part, content in {**_parts(), **changes}.items():
        path = folder / f'ind.tiny.{part}'
        if isinstance(content, str):
            path.write_text(content, 'utf8')
        else:
            path.write_bytes(pickle.dumps(content, 2))
    return folder


def test_assembles_the_files(tmp_path):
    graph = planetoid.load(_write(tmp_path), 'tiny')
    np.testing.assert_array_equal(graph.x.toarray(), [*FEATURES[:6], [0, 0, 0], FEATURES[6]])
    assert graph.y.tolist() == [0, 1, 1, 0, 1, 0, -1, 1]
    assert sorted(zip(*graph.edge_index.tolist(), strict=True)) == [
        (0, 1),
        (0, 6),
        (0, 7),
        (1, 0),
        (2, 3),
        (3, 2),
        (4, 5),
        (5, 4),
        (6, 0),
        (7, 0),
    ]
    assert {name: nodes.tolist() for name, nodes in graph.splits.items()} == {
        'train': [0, 1],
        'validation': [2, 3],
        'test': [4, 5, 7],
    }
    assert graph.class_names == ('0', '1')
    assert graph.name == f'{tmp_path}/ind.tiny.*'


def test_through_tfds(tmp_path):
    """Raw files, prepared, and back: exact."""
    raw = tmp_path / 'raw'
    raw.mkdir()
    dataset = GraphDataset.of(planetoid.load(_write(raw), 'tiny'))
    builder = tfds_graphs.prepare(
        planetoid_builder.Planetoid(
            config=tfds_graphs.GraphConfig.of(dataset, 'tiny'), data_dir=tmp_path / 'data'
        ),
        str(raw),
    )
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), dataset)


@pytest.mark.parametrize('name, rate', [('cora', 0.052), ('citeseer', 0.036), ('pubmed', 0.003)])
def test_table_5(real, name, rate):
    got = graph_dataset.statistics(GraphDataset.of(real[name]))
    assert real_files.row(got) == real_files.TABLE_5[name]
    assert round(got.label_rate, 3) == rate and got.repeated == 0


@pytest.mark.parametrize(
    'name, entries, isolated, unlabelled, counts',
    [
        (
            'cora',
            49216,
            0,
            0,
            {
                'Theory': 351,
                'Reinforcement learning': 217,
                'Genetic algorithms': 418,
                'Neural networks': 818,
                'Probabilistic methods': 426,
                'Case based': 298,
                'Rule learning': 180,
            },
        ),
        (
            'citeseer',
            105165,
            48,
            15,
            {'Agents': 596, 'AI': 249, 'DB': 701, 'IR': 668, 'ML': 590, 'HCI': 508},
        ),
        (
            'pubmed',
            19717,
            0,
            0,
            {
                'Diabetes mellitus, experimental': 4103,
                'Diabetes mellitus type 1': 7739,
                'Diabetes mellitus type 2': 7875,
            },
        ),
    ],
)
def test_facts_of_the_files(real, name, entries, isolated, unlabelled, counts):
    """Counts that the data's README and the sources of the data state."""
    graph = real[name]
    assert graph.x.nnz == entries
    source, target = graph.edge_index
    assert (source != target).all()
    assert set(zip(source, target, strict=True)) == set(zip(target, source, strict=True))
    assert len(set(zip(source, target, strict=True))) == graph.num_edges
    assert len(np.setdiff1d(np.arange(graph.num_nodes), source)) == isolated
    without = graph.y == -1
    assert without.sum() == unlabelled
    assert not graph.x[without].nnz
    assert dict(zip(graph.class_names, np.bincount(graph.y[~without]), strict=True)) == counts
    sizes = {split: len(nodes) for split, nodes in graph.splits.items()}
    assert sizes == {'train': 20 * len(counts), 'validation': 500, 'test': 1000}
    assert (np.bincount(graph.y[graph.splits['train']]) == 20).all()
    parts = splits.fixed_split(graph)
    assert len(np.unique(np.concatenate(list(parts.values())))) == sum(sizes.values())


def test_features_are_words(real):
    assert set(np.unique(real['cora'].x.data)) == {1}
    assert set(np.unique(real['citeseer'].x.data)) == {1}


@pytest.mark.parametrize('name', NAMES)
def test_the_real_ones_through_tfds(real, folder, tmp_path, name):
    builder = planetoid_builder.Planetoid(config=name, data_dir=tmp_path)
    tfds_graphs.prepare(builder, str(folder))
    back = tfds_graphs.from_tfds(tfds.builder(f'planetoid/{name}', data_dir=tmp_path))
    alike.assert_datasets_equal(back, GraphDataset.of(real[name]))


def _replaced(part, row, column, value):
    matrix = _parts()[part].copy()
    if scipy.sparse.issparse(matrix):
        matrix = matrix.tolil()
    matrix[row, column] = value
    return matrix.tocsr() if scipy.sparse.issparse(matrix) else matrix


@pytest.mark.parametrize(
    'part, content, message',
    [
        (
            'graph',
            {**_parts()['graph'], 3: [0, 8]},
            'ind.tiny.graph: row 3 has the neighbour 8, but nodes are 0 to 7.',
        ),
        (
            'graph',
            {**_parts()['graph'], 3: [-1]},
            'ind.tiny.graph: row 3 has the neighbour -1, but nodes are 0 to 7.',
        ),
        (
            'graph',
            {**_parts()['graph'], 3: [0.5]},
            'ind.tiny.graph: row 3 has the neighbour 0.5, but nodes are 0 to 7.',
        ),
        (
            'graph',
            {**_parts()['graph'], 3: None},
            'ind.tiny.graph: row 3 has the neighbour None, but nodes are 0 to 7.',
        ),
        ('graph', {**_parts()['graph'], -2: [0]}, 'ind.tiny.graph: node -2 is none of 0 to 7.'),
        ('graph', {**_parts()['graph'], 'a': [0]}, "ind.tiny.graph: node 'a' is none of 0 to 7."),
        ('graph', [[1], [0]], 'ind.tiny.graph: holds a list, not a dict of neighbours.'),
        (
            'allx',
            _replaced('allx', 2, 1, np.nan),
            'ind.tiny.allx: row 2, column 1 is nan, not a finite number.',
        ),
        (
            'tx',
            _replaced('tx', 0, 2, -np.inf),
            'ind.tiny.tx: row 0, column 2 is -inf, not a finite number.',
        ),
        ('allx', FEATURES[:4], 'ind.tiny.allx: holds a ndarray, not a sparse matrix.'),
        ('ally', LABELS[:4], 'ind.tiny.ally: holds a ndarray, not a matrix of integers.'),
        ('allx', _sparse([0, 1, 2]), 'ind.tiny.allx: 3 rows, but 4 in ind.tiny.ally.'),
        ('tx', _sparse([6, 4]), 'ind.tiny.tx: 2 rows, but 3 in ind.tiny.ty.'),
        ('y', _one_hot([0]), 'ind.tiny.x: 2 rows, but 1 in ind.tiny.y.'),
        ('tx', _sparse([6, 4, 5])[:, :2], 'ind.tiny.tx: 2 columns, but 3 in ind.tiny.allx.'),
        ('ty', np.eye(3, dtype=int)[:3], 'ind.tiny.ty: 3 columns, but 2 in ind.tiny.ally.'),
        (
            'ally',
            _replaced('ally', 1, 0, 1),
            'ind.tiny.ally: row 1 is [1, 1], not one-hot, so its label is unknown.',
        ),
        (
            'ty',
            _replaced('ty', 2, 0, 0),
            'ind.tiny.ty: row 2 is [0, 0], not one-hot, so its label is unknown.',
        ),
        (
            'ally',
            _replaced('ally', 3, 0, 2),
            'ind.tiny.ally: row 3 is [2, 0], not one-hot, so its label is unknown.',
        ),
        ('test.index', '7\n4\n', 'ind.tiny.tx: 3 rows, but 2 in ind.tiny.test.index.'),
        ('test.index', '7\n4\nfive\n', "ind.tiny.test.index, line 3: 'five' is no node."),
        ('test.index', '7\n-4\n5\n', "ind.tiny.test.index, line 2: '-4' is no node."),
        ('test.index', '7\n4\n4\n', 'ind.tiny.test.index, line 3: node 4 is there already.'),
        (
            'test.index',
            '7\n3\n5\n',
            'ind.tiny.test.index, line 2: node 3 is one of the 4 that are no test nodes.',
        ),
        (
            'test.index',
            '70000000\n4\n5\n',
            'ind.tiny.test.index, line 1: node 70000000 is outside the '
            'graph, whose nodes are 0 to 7.',
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, part, content, message):
    _write(tmp_path, **{part: content})
    with pytest.raises(ValueError) as error:
        planetoid.load(tmp_path, 'tiny')
    assert str(error.value) == f'{tmp_path}/{message}'


def test_an_empty_graph(tmp_path):
    none = np.zeros(0, int)
    _write(
        tmp_path,
        graph={},
        **{'test.index': ''},
        **{
            part: _sparse(none) if part.endswith('x') else _one_hot(none)
            for part in ('x', 'y', 'tx', 'ty', 'allx', 'ally')
        },
    )
    with pytest.raises(ValueError, match=r'^.*/ind.tiny.\*: the graph is empty, it has 0 nodes.$'):
        planetoid.load(tmp_path, 'tiny')


@pytest.mark.parametrize('part', ['x', 'y', 'tx', 'ty', 'allx', 'ally', 'graph'])
def test_truncated_files(tmp_path, part):
    path = _write(tmp_path) / f'ind.tiny.{part}'
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f'^{path}: truncated pickle of '):
        planetoid.load(tmp_path, 'tiny')


def test_a_pickle_that_asks_for_another_class(tmp_path):
    _write(tmp_path, graph=decimal.Decimal(1))
    with pytest.raises(
        ValueError,
        match=re.escape(f'{tmp_path}/ind.tiny.graph: the pickle asks for decimal.Decimal, which'),
    ):
        planetoid.load(tmp_path, 'tiny')


def test_missing_files(tmp_path):
    for folder in (None, tmp_path / 'none'):
        with pytest.raises(
            FileNotFoundError,
            match=f'^data_dir {folder}: no such folder; it is '
            'to hold the files ind.tiny.{x,y,.*}.$',
        ):
            planetoid.load(folder, 'tiny')
    _write(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=f'^{tmp_path}/ind.tyni.graph: no such file; there is tiny.$'
    ):
        planetoid.load(tmp_path, 'tyni')
    for part in _parts():
        (tmp_path / f'ind.tiny.{part}').rename(tmp_path / 'away')
        with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/ind.tiny.{part}: no such file'):
            planetoid.load(tmp_path, 'tiny')
        (tmp_path / 'away').rename(tmp_path / f'ind.tiny.{part}')
