"""Tests of research.geometric.datasets.tu, on small files and on real ones."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from research.geometric import batching
from research.geometric.datasets import graph_dataset, powerful_gnns, tu
from research.geometric.transforms import degree_features
from tests.research.geometric.datasets import alike, real

# A triangle with a tail, where node 2 has a self loop; one node alone; a pair.
FILES = {
    'A': '1, 2\n2, 1\n2, 3\n3, 2\n3, 1\n1, 3\n2, 2\n3, 4\n4, 3\n6, 7\n7, 6\n',
    'graph_indicator': '1\n1\n1\n1\n2\n3\n3\n',
    'graph_labels': '1\n-1\n1\n',
    'node_labels': '5\n3\n3\n8\n5\n5\n8\n',
    'node_attributes': '.5, 1\n1.5, 2\n2.5, 3\n3.5, 4\n4.5, 5\n5.5, 6\n6.5, 7\n',
    'edge_labels': '0\n0\n2\n2\n0\n0\n2\n7\n7\n2\n2\n',
    'edge_attributes': '\n'.join(f'{i}.25' for i in range(11)),
}


def _write(folder, files):
    folder.mkdir(exist_ok=True)
    for kind, text in files.items():
        (folder / f'DS_{kind}.txt').write_text(text, 'utf8')
    return folder


@pytest.fixture(name='folder')
def _folder(tmp_path):
    return _write(tmp_path / 'DS', FILES)


def test_hand_made_graphs(folder):
    dataset = tu.read(folder)
    first, second, third = dataset.graphs
    assert dataset.class_names == ('-1', '1')
    assert [int(graph.y) for graph in dataset.graphs] == [1, 0, 1]
    np.testing.assert_array_equal(
        first.edge_index, [[0, 1, 1, 2, 2, 0, 2, 3], [1, 0, 2, 1, 0, 2, 3, 2]]
    )
    assert second.edge_index.shape == (2, 0)
    np.testing.assert_array_equal(third.edge_index, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(first.x, [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(second.x, [[0, 1, 0]])
    np.testing.assert_array_equal(third.x, [[0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(first.edge_attr, [0, 0, 1, 1, 0, 0, 2, 2])
    np.testing.assert_array_equal(third.edge_attr, [1, 1])
    assert third.name == 'DS, graph 2'


def test_options(folder, monkeypatch):
    said = heard(monkeypatch)
    graph = tu.read(folder, node_attributes=True).graphs[2]
    np.testing.assert_array_equal(graph.x, [[5.5, 6, 0, 1, 0], [6.5, 7, 0, 0, 1]])
    graph = tu.read(folder, one_hot_edge_labels=True).graphs[2]
    np.testing.assert_array_equal(graph.edge_attr, [[0, 1, 0], [0, 1, 0]])
    graph = tu.read(folder, edge_attributes=True).graphs[2]
    np.testing.assert_array_equal(graph.edge_attr, [[9.25, 0, 1, 0], [10.25, 0, 1, 0]])
    assert said == [f'{folder}/DS_A.txt: 1 self loops of 11 edges are omitted.'] * 3
    graph = tu.read(folder, self_loops=True).graphs[0]
    np.testing.assert_array_equal(graph.edge_index[:, 6], [1, 1])
    assert graph.num_edges == 9 and len(said) == 3
    dataset = tu.read(folder, class_names=['-1', '0', '1'])
    assert dataset.class_names == ('-1', '0', '1')
    assert [int(graph.y) for graph in dataset.graphs] == [2, 0, 2]


def heard(monkeypatch):
    said = []
    monkeypatch.setattr(tu.logging, 'info', lambda text, *values: said.append(text % values))
    return said


def test_an_edge_listed_again_is_one(tmp_path, monkeypatch):
    said = heard(monkeypatch)
    files = {'A': '1, 2\n2, 1\n2, 1\n1, 2\n', 'graph_indicator': '1\n1\n', 'graph_labels': '7\n'}
    (graph,) = tu.read(_write(tmp_path, files)).graphs
    np.testing.assert_array_equal(graph.edge_index, [[0, 1], [1, 0]])
    assert said == [
        f'{tmp_path}/DS_A.txt: 2 of 4 edges are listed before, 0 of them with other '
        'attributes; the first of each counts.'
    ]
    # Of several in one direction, between others of the graph, the first; self loops as well.
    files = {
        'A': '2, 3\n2, 2\n3, 1\n2, 3\n3, 2\n2, 2\n1, 3\n2, 3\n',
        'graph_indicator': '1\n1\n1\n',
        'graph_labels': '7\n',
        'edge_labels': '5\n8\n5\n6\n7\n8\n5\n5\n',
    }
    (graph,) = tu.read(_write(tmp_path, files), self_loops=True).graphs
    np.testing.assert_array_equal(graph.edge_index, [[1, 1, 2, 2, 0], [2, 1, 0, 1, 2]])
    np.testing.assert_array_equal(graph.edge_attr, [0, 3, 0, 2, 0])
    assert '3 of 8 edges are listed before, 1 of them with other attributes' in said[-1]
    (graph,) = tu.read(tmp_path).graphs
    np.testing.assert_array_equal(graph.edge_index, [[1, 2, 2, 0], [2, 0, 1, 2]])
    np.testing.assert_array_equal(graph.edge_attr, [0, 0, 2, 0])


def test_graphs_without_nodes(tmp_path, monkeypatch):
    said = heard(monkeypatch)
    files = {
        'A': '1, 2\n2, 1\n',
        'graph_indicator': '2\n2\n4\n',
        'graph_labels': '0\n0\n1\n0\n1\n',
        'node_labels': '4\n6\n4\n',
        'edge_labels': '1\n0\n',
    }
    dataset = tu.read(_write(tmp_path, files))
    assert [graph.num_nodes for graph in dataset.graphs] == [0, 2, 0, 1, 0]
    assert [graph.num_edges for graph in dataset.graphs] == [0, 2, 0, 0, 0]
    assert [int(graph.y) for graph in dataset.graphs] == [0, 0, 1, 0, 1]
    np.testing.assert_array_equal(dataset.graphs[1].x, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(dataset.graphs[3].x, [[1, 0]])
    assert dataset.graphs[0].x.shape == (0, 2)
    assert said == [
        f'{tmp_path}/DS_graph_indicator.txt: 3 of 5 graphs have no nodes, the first is '
        'graph 1; they are kept.'
    ]
    # They go through a batch as graphs without nodes, and a readout of one is 0.
    batch = batching.Concatenated(dataset).batch(tf.constant([0, 3, 2, 1], tf.int64))
    assert batch.node_sets['nodes'].sizes.numpy().tolist() == [0, 1, 0, 2]
    dataset = tu.read(tmp_path, empty_graphs=False)
    assert [graph.name for graph in dataset.graphs] == ['DS, graph 1', 'DS, graph 3']
    assert [int(graph.y) for graph in dataset.graphs] == [0, 0]
    assert said[-1].endswith('they are omitted.')


def test_node_labels_left_unread(folder):
    (folder / 'DS_node_labels.txt').write_text('0, 0\n0, 0, 22, 1\n', 'utf8')
    assert tu.read(folder, node_labels=False).num_features == 0
    graph = tu.read(folder, node_labels=False, node_attributes=True).graphs[2]
    np.testing.assert_array_equal(graph.x, [[5.5, 6], [6.5, 7]])


def test_edges_in_any_order_of_graphs(folder):
    expected = tu.read(folder)
    for kind in ('A', 'edge_labels'):
        lines = FILES[kind].splitlines()
        (folder / f'DS_{kind}.txt').write_text('\n'.join(lines[9:] + lines[:9]), 'utf8')
    alike.assert_datasets_equal(tu.read(folder), expected)


def test_zip_and_folder_of_several(folder, tmp_path):
    expected = tu.read(folder)
    archive = shutil.make_archive(tmp_path / 'raw', 'zip', tmp_path, 'DS')
    alike.assert_datasets_equal(tu.read(archive), expected)
    other = tmp_path / 'OTHER_DS'
    other.mkdir()
    for kind, text in FILES.items():
        (other / f'OTHER_DS_{kind}.txt').write_text(text.replace('-1', '2'), 'utf8')
    with pytest.raises(ValueError) as error:
        tu.read(tmp_path)
    assert str(error.value) == (
        f'{tmp_path}: several data sets are there, DS/DS_graph_indicator.txt and '
        'OTHER_DS/OTHER_DS_graph_indicator.txt; give the name of one.'
    )
    alike.assert_datasets_equal(tu.read(tmp_path, 'DS'), expected)
    assert tu.read(tmp_path, 'OTHER_DS').class_names == ('1', '2')


def test_least_files_and_targets(tmp_path):
    files = {'A': '1,2\n2,1', 'graph_indicator': '1\n1\n2', 'graph_attributes': '.5,1\n-2,3'}
    one, two = tu.read(_write(tmp_path, files)).graphs
    np.testing.assert_array_equal([one.y, two.y], [[0.5, 1], [-2, 3]])
    assert one.x is None and one.edge_attr is None and two.num_edges == 0


def test_several_labels_a_node(tmp_path):
    files = {
        **{kind: FILES[kind] for kind in ('A', 'graph_indicator', 'graph_labels')},
        'node_labels': '0, 1\n1, 1\n0, 4\n0, 1\n0, 1\n0, 1\n0, 1\n',
    }
    graph = tu.read(_write(tmp_path, files)).graphs[0]
    np.testing.assert_array_equal(graph.x, [[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]])


@pytest.mark.parametrize(
    'kind, text, message',
    [
        ('A', '1, 2\n2, 8\n', 'line 2 has node 8, but nodes are 1 to 7.'),
        ('A', '1, 2\n0, 1\n', 'line 2 has node 0, but nodes are 1 to 7.'),
        ('A', '1, 2\n-3, 1\n', 'line 2 has node -3, but nodes are 1 to 7.'),
        ('A', '1, 2\n4, 5\n', 'line 2 is an edge from node 4 of graph 1 to node 5 of graph 2.'),
        ('A', '1, 2\n4\n', "line 2 has 1 values, not 2: '4'."),
        (
            'graph_indicator',
            '1\n1\n1\n1\n2\n1\n3\n',
            'line 6 goes from graph 2 to graph 1; graphs are numbered from 1, in ascending order.',
        ),
        (
            'graph_indicator',
            '0\n0\n0\n0\n1\n2\n2\n',
            'line 1 is graph 0; graphs are numbered from 1, in ascending order.',
        ),
        (
            'graph_indicator',
            '1\n1\n1\n1\n2\n3\n4\n',
            'the last graph is 4, but {folder}/DS_graph_labels.txt has 3 lines.',
        ),
        ('graph_indicator', '', 'truncated: the file is empty.'),
        ('graph_labels', '1\nb\n1\n', "line 2 is 'b', not whole numbers."),
        (
            'node_labels',
            '1\n1\n',
            '2 lines, but 7 nodes are in {folder}/DS_graph_indicator.txt. '
            'node_labels=False leaves this file unread.',
        ),
        (
            'node_labels',
            '1\n1\n1\n1\n1\n1.5\n1',
            "line 6 is '1.5', not whole numbers. node_labels=False leaves this file unread.",
        ),
        (
            'node_labels',
            '0, 0\n0, 0, 22, 1\n',
            "line 2 has 4 values, not 2: '0, 0, 22, 1'. node_labels=False leaves this file unread.",
        ),
        ('node_attributes', '1\n2\n3\n4\n5\ninf\n6', "line 6 is 'inf', not finite numbers."),
        ('edge_labels', '1\n' * 12, '12 lines, but 11 edges are in {folder}/DS_A.txt.'),
        ('edge_attributes', '1\n' * 10, '10 lines, but 11 edges are in {folder}/DS_A.txt.'),
    ],
)
def test_bad_files(folder, kind, text, message):
    path = folder / f'DS_{kind}.txt'
    path.write_text(text, 'utf8')
    with pytest.raises(ValueError) as error:
        tu.read(folder, node_attributes=True, edge_attributes=True)
    assert str(error.value) == f'{path}: {message.format(folder=folder)}'


def test_files_that_do_not_fit(folder, tmp_path):
    path = folder / 'DS_graph_labels.txt'
    path.write_text('1\n-1\n', 'utf8')
    with pytest.raises(ValueError) as error:
        tu.read(folder)
    assert str(error.value) == (
        f'{folder}/DS_graph_indicator.txt: the last graph is 3, but {path} has 2 lines.'
    )
    path.write_text('1\n-1\n4\n', 'utf8')
    with pytest.raises(ValueError) as error:
        tu.read(folder, class_names=('-1', '1'))
    assert str(error.value) == f'{path}: line 3: label 4 is unknown; known are -1, 1.'
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f'^{path}: no such file.$'):
        tu.read(folder)
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/no: no such file or folder.$'):
        tu.read(tmp_path / 'no')
    with pytest.raises(FileNotFoundError, match='^.*: no file NO_graph_indicator.txt there.$'):
        tu.read(folder, 'NO')
    (folder / 'DS_edge_labels.txt').write_text('1, 2\n' * 11, 'utf8')
    path.write_text(FILES['graph_labels'], 'utf8')
    with pytest.raises(ValueError, match='2 labels an edge cannot be types; ask for one-hot'):
        tu.read(folder)


@pytest.mark.parametrize(
    'name, times, sizes',
    [('MUTAG', 1, [63, 125]), ('PROTEINS', 1, [663, 450]), ('IMDB-BINARY', 2, [500, 500])],
)
def test_table_5(tmp_path, monkeypatch, name, times, sizes):
    """IMDB-BINARY as it is given out: each neighbour twice, which would be 193.06 edges."""
    said = heard(monkeypatch)
    folder = real.tu(tmp_path, name, times)
    dataset = tu.read(folder)
    found = graph_dataset.statistics(dataset)
    assert real.row(found) == real.TABLE_5[name]
    assert np.bincount([graph.y for graph in dataset.graphs]).tolist() == sizes
    # The files list each undirected edge both ways.
    listed = sum(graph.num_edges for graph in dataset.graphs)
    assert found.repeated == 0 and listed == round(2 * found.edges * found.graphs)
    if times == 2:
        assert round(listed / found.graphs, 2) == 193.06
        assert f'{listed} of {2 * listed} edges are listed before, 0 of them' in said[-1]
        assert degree_features.with_degree_features(dataset).num_features == 136
        same = [np.lexsort(graph.edge_index) for graph in dataset.graphs]
        whole = powerful_gnns.read(real.powerful_gnns(name))
        for graph, order, other in zip(dataset.graphs, same, whole.graphs, strict=True):
            np.testing.assert_array_equal(
                graph.edge_index[:, order], other.edge_index[:, np.lexsort(other.edge_index)]
            )
