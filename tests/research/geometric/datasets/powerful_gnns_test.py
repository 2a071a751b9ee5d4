"""Tests of research.geometric.datasets.powerful_gnns, on small files and on real ones."""

import shutil

import numpy as np
import pytest

from research.geometric.datasets import graph_dataset, powerful_gnns
from tests.research.geometric.datasets import alike, real

# A path of three nodes, whose middle one has a self loop; one node alone.
TEXT = """2
3 5
7 1 1
2 3 0 1 2
2 1 1
1 3
2 0
"""


def _write(folder, text=TEXT):
    path = folder / 'DS.txt'
    path.write_text(text, 'utf8')
    return path


def test_hand_made_graphs(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        powerful_gnns.logging, 'info', lambda text, *values: said.append(text % values)
    )
    path = _write(tmp_path)
    dataset = powerful_gnns.read(path)
    one, two = dataset.graphs
    assert dataset.class_names == ('3', '5')
    assert (one.y, two.y, one.name) == (1, 0, 'DS, graph 0')
    np.testing.assert_array_equal(one.edge_index, [[0, 1, 1, 2], [1, 0, 2, 1]])
    np.testing.assert_array_equal(one.x, [[0, 1], [1, 0], [1, 0]])
    np.testing.assert_array_equal(two.x, [[1, 0]])
    assert two.edge_index.shape == (2, 0) and not dataset.splits
    assert said == [f'{path}: 1 self loops are omitted.']
    kept = powerful_gnns.read(path, self_loops=True).graphs[0]
    np.testing.assert_array_equal(kept.edge_index, [[0, 1, 1, 1, 2], [1, 0, 1, 2, 1]])
    assert len(said) == 1


def test_edges_that_one_end_lists_or_twice(tmp_path):
    path = _write(tmp_path, '1\n3 0\n0 2 2 1\n0 0\n0 2 0 0\n')
    graph = powerful_gnns.read(path).graphs[0]
    np.testing.assert_array_equal(graph.edge_index, [[0, 0, 1, 2], [1, 2, 0, 0]])
    assert graph.x is None  # All tags are the same.


def test_attributes(tmp_path):
    path = _write(tmp_path, '1\n2 1\n4 1 1 .5 -2\n4 1 0 1e1 3\n')
    assert powerful_gnns.read(path).graphs[0].x is None
    graph = powerful_gnns.read(path, node_attributes=True).graphs[0]
    np.testing.assert_array_equal(graph.x, [[0.5, -2], [10, 3]])
    np.testing.assert_array_equal(graph.edge_index, [[0, 1], [1, 0]])


def _with_folds(tmp_path):
    folder = tmp_path / 'DS'
    (folder / '10fold_idx').mkdir(parents=True)
    _write(folder)
    for fold, (train, test) in {1: ('1', '0'), 10: ('0\n', '1\n'), 2: ('0\n1', '')}.items():
        (folder / '10fold_idx' / f'train_idx-{fold}.txt').write_text(train, 'utf8')
        if test:
            (folder / '10fold_idx' / f'test_idx-{fold}.txt').write_text(test, 'utf8')
    return folder


def test_folds_and_zip(tmp_path):
    folder = _with_folds(tmp_path)
    dataset = powerful_gnns.read(folder)
    assert {name: ids.tolist() for name, ids in dataset.splits.items()} == {
        'train_1': [1],
        'test_1': [0],
        'train_2': [0, 1],
        'train_10': [0],
        'test_10': [1],
    }
    assert list(dataset.splits) == ['train_1', 'test_1', 'train_2', 'train_10', 'test_10']
    archive = shutil.make_archive(tmp_path / 'raw', 'zip', tmp_path, 'DS')
    alike.assert_datasets_equal(powerful_gnns.read(archive), dataset)
    other = tmp_path / 'OTHER'
    other.mkdir()
    shutil.copy(folder / 'DS.txt', other / 'OTHER.txt')
    with pytest.raises(ValueError, match='several text files are there, DS/DS.txt and OTHER/OT'):
        powerful_gnns.read(tmp_path)
    assert not powerful_gnns.read(tmp_path, 'OTHER').splits
    assert set(powerful_gnns.read(tmp_path, 'DS').splits) == set(dataset.splits)


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'line 1 must be the number of graphs alone.'),
        ('2 1\n', 'line 1 must be the number of graphs alone.'),
        ('0\n', 'line 1 says 0 graphs.'),
        ('1\n1 0\n0 x\n', "line 3 has 'x', which is no number."),
        ('1\n1 0\n\n0 0 12abc 3', "line 4 has '12abc', which is no number."),
        ('1\n1 0\n0 0 nan\n', 'line 3 has nan, not a finite number.'),
        ('1\n2 0\n0 1 .5\n0 0\n', 'line 3 has 0.5, not a whole number.'),
        ('2\n1 0\n0 0\n', 'truncated: line 1 says 2 graphs, the file ends after 1.'),
        (
            '1\n3 0\n0 0\n0 0\n',
            'truncated: graph 0, line 2, has 3 nodes, the file ends after 2 of them.',
        ),
        ('1\n1 0\n0 0\n1 0\n0 0\n', 'line 1 says 1 graphs, but line 4 comes after them.'),
        ('2\n1 0\n0 0\n1 0 0\n0 0\n', 'line 4 has 3 numbers, not the 2 that graph 1 starts with.'),
        ('1\n0 0\n', 'no graph has a node.'),
        ('1\n-1 0\n', 'line 2: graph 0 has -1 nodes.'),
        ('1\n1 0\n0\n', 'line 3 has one number, not a tag and the number of neighbours.'),
        ('1\n2 0\n0 1 1\n0 2 0\n', 'line 4 says 2 neighbours, but 1 numbers follow.'),
        ('1\n2 0\n0 1 1\n0 1 0 1\n', 'line 4 says 1 neighbours, but 2 numbers follow.'),
        ('1\n2 0\n0 1 1\n0 -1\n', 'line 4 says -1 neighbours, but 0 numbers follow.'),
        ('1\n2 0\n0 1 1\n0 1 2\n', 'line 4 has neighbour 2, but nodes are 0 to 1.'),
        ('2\n1 0\n0 0\n2 0\n0 1 1\n0 1 -1\n', 'line 6 has neighbour -1, but nodes are 0 to 1.'),
    ],
)
def test_bad_text(tmp_path, text, message):
    path = _write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        powerful_gnns.read(path)
    assert str(error.value) == f'{path}: {message}'


def test_unknown_labels_folds_and_files(tmp_path):
    folder = _with_folds(tmp_path)
    with pytest.raises(ValueError) as error:
        powerful_gnns.read(folder / 'DS.txt', class_names=['0', '5'])
    assert str(error.value) == f'{folder}/DS.txt: line 6: label 3 is unknown; known are 0, 5.'
    fold = folder / '10fold_idx' / 'test_idx-1.txt'
    fold.write_text('1\n', 'utf8')
    with pytest.raises(ValueError, match=f'^{folder}: graph 1 is in both parts of fold 1.$'):
        powerful_gnns.read(folder)
    fold.write_text('0\n2\n', 'utf8')
    with pytest.raises(ValueError, match=f'^{fold}: line 2 is graph 2, but graphs are 0 to 1.$'):
        powerful_gnns.read(folder)
    with pytest.raises(FileNotFoundError, match=f'^{folder}: no file NO.txt there.$'):
        powerful_gnns.read(folder, 'NO')


@pytest.mark.parametrize(
    'name, sizes, labels',
    [('MUTAG', [63, 125], '02'), ('PROTEINS', [663, 450], '01'), ('IMDB-BINARY', [500, 500], '01')],
)
def test_table_5(name, sizes, labels):
    dataset = powerful_gnns.read(real.powerful_gnns(name))
    found = graph_dataset.statistics(dataset)
    assert real.row(found) == real.TABLE_5[name] and found.repeated == 0
    assert np.bincount([graph.y for graph in dataset.graphs]).tolist() == sizes
    assert dataset.class_names == tuple(labels)  # Those of the TFDS builder.
    assert len(dataset.splits) == 20
    tested = np.concatenate([dataset.splits[f'test_{fold}'] for fold in range(1, 11)])
    assert len(np.unique(tested)) == len(tested)
    assert len(tested) == {'MUTAG': 180, 'PROTEINS': 1110}.get(name, found.graphs)


def test_graphs_without_nodes(tmp_path):
    path = _write(tmp_path, '3\n0 5\n2 3\n0 1 1\n7 1 0\n0 5\n')
    dataset = powerful_gnns.read(path)
    assert [graph.num_nodes for graph in dataset.graphs] == [0, 2, 0]
    assert [int(graph.y) for graph in dataset.graphs] == [1, 0, 1]
    np.testing.assert_array_equal(dataset.graphs[1].edge_index, [[0, 1], [1, 0]])
    assert dataset.graphs[0].x.shape == (0, 2)
