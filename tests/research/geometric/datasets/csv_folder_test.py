"""Tests of research.geometric.datasets.csv_folder."""

import numpy as np
import pytest

from research.geometric.datasets import csv_builder, csv_folder, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset
from tests.research.geometric.datasets import alike

FILES = {
    'nodes': 'id,age,height\nann,31,1.5\n"Smith, Ben",45,2\ncem,-2.5e1,1.75\n7,0,0\n',
    'edges': 'source,target\nann,"Smith, Ben"\ncem,ann\nann,cem\ncem,cem\n',
    'labels': 'id,label\ncem,no\nann,yes\n7,no\n',
    'splits': 'id,split\nann,train\n7,test\ncem,train\n',
}


def _write(folder, **changes):
    for part, content in {**FILES, **changes}.items():
        if content is not None:
            (folder / f'{part}.csv').write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
    return str(folder)


def _edges(graph):
    return list(zip(*graph.edge_index.tolist(), strict=True))


def test_reads_the_files(tmp_path):
    graph = csv_folder.load(_write(tmp_path))
    np.testing.assert_array_equal(graph.x, [[31, 1.5], [45, 2], [-25, 1.75], [0, 0]])
    # The edge between 2 and 0 is there both ways already; the self loop is one edge.
    assert _edges(graph) == [(0, 1), (1, 0), (2, 0), (0, 2), (2, 2)]
    assert graph.edge_attr is None
    assert graph.class_names == ('no', 'yes')
    assert graph.y.tolist() == [1, -1, 0, 0]
    assert {name: nodes.tolist() for name, nodes in graph.splits.items()} == {
        'train': [0, 2],
        'test': [3],
    }
    assert graph.name == str(tmp_path)


def test_directed_edges_are_as_they_are(tmp_path):
    graph = csv_folder.load(_write(tmp_path), undirected=False)
    assert _edges(graph) == [(0, 1), (2, 0), (0, 2), (2, 2)]


def test_edge_features(tmp_path):
    edges = 'source,target,weight\nann,cem,.5\n7,7,2\ncem,7,3\n'
    graph = csv_folder.load(_write(tmp_path, edges=edges))
    assert _edges(graph) == [(0, 2), (2, 0), (3, 3), (2, 3), (3, 2)]
    np.testing.assert_array_equal(graph.edge_attr, np.float32([0.5, 0.5, 2, 3, 3]))
    edges = 'source,target,a,b\nann,cem,1,2\ncem,ann,3,4\n'
    graph = csv_folder.load(_write(tmp_path, edges=edges), undirected=False)
    np.testing.assert_array_equal(graph.edge_attr, [[1, 2], [3, 4]])


def test_files_of_spreadsheets(tmp_path):
    """A byte order mark, Windows line ends, blank lines and spaces around."""
    graph = csv_folder.load(
        _write(
            tmp_path,
            nodes='\ufeffid, f\r\na , 1\r\n\r\nb,2 \r\n',
            edges='source,target\r\na, b\r\n',
            labels='id,label\r\nb, 1\r\n',
            splits=None,
        )
    )
    np.testing.assert_array_equal(graph.x, [[1], [2]])
    assert _edges(graph) == [(0, 1), (1, 0)]
    assert graph.y.tolist() == [-1, 0] and graph.class_names == ('1',)
    assert not graph.splits


def test_nodes_without_features_or_edges(tmp_path):
    graph = csv_folder.load(
        _write(
            tmp_path,
            nodes='id\na\nb\n',
            edges='source,target,w\n',
            labels='id,label\na,x\n',
            splits=None,
        )
    )
    assert graph.x is None and graph.num_nodes == 2
    assert graph.num_edges == 0 and graph.edge_attr is None


@pytest.mark.parametrize(
    'labels, names',
    [
        (('10', '9', '-1'), ('-1', '9', '10')),
        (('10', '9', 'a'), ('10', '9', 'a')),
    ],
)
def test_order_of_the_classes(tmp_path, labels, names):
    rows = ''.join(
        f'{node},{label}\n' for node, label in zip(('ann', 'cem', '7'), labels, strict=True)
    )
    graph = csv_folder.load(_write(tmp_path, labels=f'id,label\n{rows}'))
    assert graph.class_names == names
    assert tuple(graph.class_names[graph.y[node]] for node in (0, 2, 3)) == labels


def test_classes_that_may_be_there(tmp_path):
    graph = csv_folder.load(_write(tmp_path), class_names=['yes', 'perhaps', 'no'])
    assert graph.y.tolist() == [0, -1, 2, 2]
    with pytest.raises(ValueError) as error:
        csv_folder.load(str(tmp_path), class_names=['yes', 'perhaps'])
    assert str(error.value) == (
        f"{tmp_path}/labels.csv, line 2: label 'no' is unknown; there is yes, perhaps."
    )


@pytest.mark.parametrize('edges', [FILES['edges'], 'source,target,w\nann,cem,2\n'])
def test_through_tfds(tmp_path, edges):
    raw = tmp_path / 'raw'
    raw.mkdir()
    _write(raw, edges=edges)
    builder = csv_builder.prepare(raw, 'club', tmp_path / 'data')
    assert builder.info.full_name == 'csv_graph/club/1.0.0'
    alike.assert_datasets_equal(
        tfds_graphs.from_tfds(builder), GraphDataset.of(csv_folder.load(raw))
    )


@pytest.mark.parametrize(
    'part, content, message',
    [
        ('nodes', 'id,f\nann,1\ncem\n', "line 3: 1 fields, but the header has 2: 'cem'."),
        ('nodes', 'id,f\nann,1\ncem,2,3\n', "line 3: 3 fields, but the header has 2: 'cem,2,3'."),
        ('nodes', 'id,f\nann,1\ncem,"2', 'line 3: truncated or no CSV: unexpected end of data.'),
        ('nodes', 'id,f\nann,one\n', "line 2: column 'f' is 'one', not a number."),
        ('nodes', 'id,f\nann,\n', "line 2: column 'f' is '', not a number."),
        ('nodes', 'id,f,g\nann,1,nan\n', "line 2: column 'g' is nan, not a finite number."),
        ('nodes', 'id,f\nann,-inf\n', "line 2: column 'f' is -inf, not a finite number."),
        ('nodes', 'id,f\nann,1e39\n', "line 2: column 'f' is 1e39, not a finite number."),
        ('nodes', 'id,f\nann,1\n\nann,2\n', "line 4: node 'ann' is there already."),
        (
            'nodes',
            'name,f\nann,1\n',
            "line 1: the columns are 'name,f', not 'id', then the features.",
        ),
        ('nodes', b'\xef\xbb\xbfid,f\nann,1\nK\xf6ln,2\n', 'line 3: byte 0xf6 is not UTF-8.'),
        ('nodes', '', "line 1: the columns are '', not 'id', then the features."),
        ('edges', 'source,target\nann,cem\nann,dan\n', "line 3: node 'dan' is not in nodes.csv."),
        ('edges', 'source,target\n-1,cem\n', "line 2: node '-1' is not in nodes.csv"),
        ('edges', 'source,target\nann\n', "line 2: 1 fields, but the header has 2: 'ann'."),
        (
            'edges',
            'source,target,w\nann,cem,nan\n',
            "line 2: column 'w' is nan, not a finite number.",
        ),
        (
            'edges',
            'source,target,w\nann,cem,1\n7,ann,1\ncem,ann,2\n',
            "line 4: the edge between 'cem' and 'ann' is at line 2 already.",
        ),
        (
            'edges',
            'from,to\nann,cem\n',
            "line 1: the columns are 'from,to', not 'source,target', then the features.",
        ),
        ('labels', 'id,label\nann,yes\ndan,no\n', "line 3: node 'dan' is not in nodes.csv."),
        ('labels', 'id,label\nann,yes\nann,yes\n', "line 3: node 'ann' has a label already."),
        ('labels', 'id,label\nann,\n', "line 2: label '' is unknown."),
        ('labels', 'id,label\nann\n', "line 2: 1 fields, but the header has 2: 'ann'."),
        ('labels', 'id,label,more\n', "line 1: the columns are 'id,label,more', not 'id,label'."),
        (
            'splits',
            'id,split\nann,valid\n',
            "line 2: split 'valid' is none of train, validation, test.",
        ),
        (
            'splits',
            'id,split\nann,train\nann,test\n',
            "line 3: node 'ann' is in split 'train' already.",
        ),
    ],
)
def test_bad_rows(tmp_path, part, content, message):
    _write(tmp_path, **{part: content})
    with pytest.raises(ValueError) as error:
        csv_folder.load(tmp_path)
    assert str(error.value).startswith(f'{tmp_path}/{part}.csv, {message}')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'part, content, message',
    [
        ('nodes', 'id,f\n', 'the graph is empty, no row follows the header.'),
        ('labels', 'id,label\n', 'no row follows the header, so no node has a label.'),
    ],
)
def test_bad_files(tmp_path, part, content, message):
    _write(tmp_path, **{part: content})
    with pytest.raises(ValueError) as error:
        csv_folder.load(tmp_path)
    assert str(error.value) == f'{tmp_path}/{part}.csv: {message}'


@pytest.mark.parametrize('part', ['nodes', 'edges', 'labels'])
def test_missing_files(tmp_path, part):
    _write(tmp_path, **{part: None})
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/{part}.csv: no such file.$'):
        csv_folder.load(tmp_path)


@pytest.mark.parametrize('folder', [None, 'none'])
def test_no_folder(folder):
    with pytest.raises(
        FileNotFoundError,
        match=f'^data_dir {folder}: no such folder; it is to '
        'hold nodes.csv, edges.csv and labels.csv.$',
    ):
        csv_folder.load(folder)
