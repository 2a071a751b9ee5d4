"""Tests of research.geometric.datasets.npz, on files of its format that the test writes."""

import collections
import re

import numpy as np
import pytest
import scipy.sparse

from research.geometric.datasets import npz, npz_builder, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset
from tests.research.geometric.datasets import alike

# One way alone, weights, a self loop, a stored zero; 3 and 4 are a component of their own.
ADJACENCY = np.array(
    [[0, 2, 0, 0, 0], [1, 0, 0, 0, 0], [0.5, 0, 1, 0, 0], [0] * 5, [0, 0, 0, 1, 0]]
)
FEATURES = np.array([[1, 0, 0], [0, 2, 0], [-1, 0, 0.5], [0, 0, 0], [0, 7, 1]])
LABELS = np.array([0, 2, 1, 0, 1])


def _arrays(**changes):
    adjacency, features = scipy.sparse.csr_matrix(ADJACENCY), scipy.sparse.csr_matrix(FEATURES)
    adjacency.data[0] = 2
    arrays = {'labels': LABELS}
    for name, matrix in (('adj', adjacency), ('attr', features)):
        for part in ('data', 'indices', 'indptr', 'shape'):
            arrays[f'{name}_{part}'] = getattr(matrix, part)
    arrays.update(changes)
    return {name: array for name, array in arrays.items() if array is not None}


def _write(folder, name='amazon_electronics_photo.npz', **changes):
    np.savez(folder / name, **_arrays(**changes))
    return str(folder / name)


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'attr_matrix': FEATURES.astype(np.float32), 'attr_data': None, 'attr_indices': None},
        {'class_names': np.array(['0', '1', '2'])},
        {'class_names': np.array(['0', '1', '2'], object)},
        # Arrays of objects that are not needed are not read, whatever they are.
        {'metadata': np.array(re.compile('a'), object)},
    ],
)
def test_standardises_as_its_authors_do(tmp_path, changes):
    graph = npz.read(_write(tmp_path, **changes))
    assert sorted(zip(*graph.edge_index.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (2, 0),
        (3, 4),
        (4, 3),
    ]
    np.testing.assert_array_equal(
        graph.x.toarray(), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1]]
    )
    assert graph.x.nnz == 5
    np.testing.assert_array_equal(graph.y, LABELS)
    assert graph.class_names == ('0', '1', '2')
    assert not graph.splits


def test_class_names(tmp_path):
    path = _write(tmp_path, class_names=np.array(['red', 'green', 'blue'], object))
    assert npz.read(path).class_names == ('red', 'green', 'blue')


def test_a_graph_without_features(tmp_path):
    """As polblogs of nettack: a directed graph, labels, and no array attr_*."""
    path = _write(
        tmp_path, **{f'attr_{part}': None for part in ('data', 'indices', 'indptr', 'shape')}
    )
    graph = npz.read(path)
    assert graph.x is None and graph.num_features == 0 and graph.num_nodes == 5
    np.testing.assert_array_equal(graph.y, LABELS)
    np.testing.assert_array_equal(graph.edge_index, npz.read(_write(tmp_path, 'b.npz')).edge_index)
    graph = npz.read(path, largest_component=True)
    assert graph.x is None and graph.y.tolist() == [0, 2, 1]


def test_stored_zeros_are_no_edges(tmp_path):
    graph = npz.read(_write(tmp_path, adj_data=np.array([0.0, 0, 0.5, 1, 1])))
    assert sorted(zip(*graph.edge_index.tolist(), strict=True)) == [(0, 2), (2, 0), (3, 4), (4, 3)]


def test_largest_component(tmp_path):
    graph = npz.read(_write(tmp_path), largest_component=True)
    assert graph.num_nodes == 3
    assert sorted(zip(*graph.edge_index.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (2, 0)]
    np.testing.assert_array_equal(graph.x.toarray(), [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert graph.y.tolist() == [0, 2, 1]
    # The same graph, its nodes in another order.
    order = [3, 1, 4, 0, 2]
    adjacency = scipy.sparse.csr_matrix(ADJACENCY[order][:, order])
    graph = npz.read(
        _write(
            tmp_path,
            labels=LABELS[order],
            attr_matrix=FEATURES[order],
            attr_data=None,
            **{f'adj_{part}': getattr(adjacency, part) for part in ('data', 'indices', 'indptr')},
        ),
        largest_component=True,
    )
    assert graph.y.tolist() == [2, 0, 1]
    assert sorted(zip(*graph.edge_index.tolist(), strict=True)) == [(0, 1), (1, 0), (1, 2), (2, 1)]


def test_names_of_the_files(tmp_path):
    path = _write(tmp_path)
    assert npz.load(tmp_path, 'amazon_photo').name == path
    with pytest.raises(ValueError, match="^no graph is called 'amazon_foto'; did you mean amazon_"):
        npz.load(tmp_path, 'amazon_foto')
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/ms_academic_cs.npz: no such file.$'):
        npz.load(tmp_path, 'coauthor_cs')
    with pytest.raises(
        FileNotFoundError,
        match='^data_dir None: no such folder; it is to hold the file ms_academic_cs.npz.$',
    ):
        npz.load(None, 'coauthor_cs')


def test_through_tfds(tmp_path):
    path = _write(tmp_path)
    dataset = GraphDataset.of(npz.read(path))
    builder = npz_builder.ShchurGraphs(config='amazon_photo', data_dir=tmp_path / 'data')
    config = builder.builder_config
    assert (config.num_features, len(config.class_names), config.sparse) == (745, 8, True)
    with pytest.raises(
        ValueError,
        match=re.escape(
            f"{path}: class_names is ('0', '1', '2'), but ('0', '1', '2', '3', '4', '5', '6', "
        ),
    ):
        tfds_graphs.prepare(builder, str(tmp_path))

    class Tiny(npz_builder.ShchurGraphs, skip_registration=True):
        """Of the sizes of this test."""

        BUILDER_CONFIGS = [tfds_graphs.GraphConfig.of(dataset, 'amazon_photo')]

    builder = tfds_graphs.prepare(Tiny(data_dir=tmp_path / 'data'), str(tmp_path))
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), dataset)


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'adj_indices': [1, 0, 0, 5, 3]},
            ', adj: row 2 has an entry in column 5, but columns are 0 to 4.',
        ),
        (
            {'adj_indices': [1, 0, 0, 2, -1]},
            ', adj: row 4 has an entry in column -1, but columns are 0 to 4.',
        ),
        ({'adj_shape': [5, 6]}, ': adj_shape is [5, 6], not square.'),
        ({'adj_shape': [6, 6]}, ', adj: the sparse matrix has 6 rows, but 6 row bounds, not 7.'),
        (
            {'attr_data': [1, 2, np.nan, 1, 1, 1]},
            ', attr: row 2, column 0 is nan, not a finite number.',
        ),
        (
            {'attr_matrix': np.full((5, 3), np.inf), 'attr_data': None},
            ', attr: row 0, column 0 is inf, not a finite number.',
        ),
        (
            {'attr_matrix': np.ones((4, 3)), 'attr_data': None},
            ': attr has 4 rows, but adj 5 nodes.',
        ),
        (
            {'attr_matrix': np.ones(5), 'attr_data': None},
            ': attr_matrix is float64 of shape (5,), not a matrix of numbers.',
        ),
        ({'labels': [0, 1, 0, 1]}, ': labels has 4 rows, but adj 5 nodes.'),
        ({'labels': [0, 1, -1, 1, 0]}, ': label -1 of row 2 is unknown; labels are 0 to 1.'),
        ({'class_names': ['a', 'b']}, ': label 2 of row 1 is unknown; labels are 0 to 1.'),
        ({'labels': [0.5] * 5}, ': labels is float64 of shape (5,), not one integer a node.'),
        ({'labels': None}, ': has no array labels; there is adj_data, adj_indices, adj_indptr, '),
        ({'attr_data': None}, ': has no array attr_data; did you mean a'),
        ({'adj_indptr': None}, ': has no array adj_indptr; did you mean a'),
        (
            {
                'labels': [],
                'adj_data': [],
                'adj_shape': [0, 0],
                'adj_indices': np.zeros(0, int),
                'adj_indptr': [0],
                'attr_matrix': np.ones((0, 3)),
                'attr_data': None,
            },
            ': labels is float64 of shape (0,), not one integer a node.',
        ),
        (
            {
                'labels': np.zeros(0, int),
                'adj_data': [],
                'adj_shape': [0, 0],
                'adj_indices': np.zeros(0, int),
                'adj_indptr': [0],
                'attr_matrix': np.ones((0, 3)),
                'attr_data': None,
            },
            ': the graph is empty, it has 0 nodes.',
        ),
        (
            {'labels': np.array([collections.OrderedDict()] * 5, object)},
            ', labels: the pickle asks for collections.OrderedDict, which is not among the classes '
            'that a file of arrays needs, so it is not read.',
        ),
    ],
)
def test_bad_files(tmp_path, changes, message):
    path = _write(tmp_path, **changes)
    with pytest.raises(ValueError) as error:
        npz.read(path)
    assert str(error.value).startswith(f'{path}{message}')
    assert '\n' not in str(error.value)


def test_truncated_files(tmp_path):
    path = tmp_path / 'file.npz'
    np.savez_compressed(path, **_arrays())
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f'^{path}: truncated or no npz file: '):
            npz.read(path)


def test_damaged_files(tmp_path):
    path = tmp_path / 'file.npz'
    np.savez(path, **_arrays())
    content = bytearray(path.read_bytes())
    content[content.index(b'\x93NUMPY') + 130] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'^{path}: truncated or no npz file: Bad CRC-32'):
        npz.read(path)
