import os
import zipfile

import numpy as np
import pytest
import scipy.sparse

from research.geometric import batching, graph_data, graph_tensor
from research.geometric.datasets.graph_dataset import GraphDataset
from tests.research.geometric import tiny_graphs


def make(count=24, **arguments):
    return graph_data.GraphData(
        3,
        None,
        **{
            'source': lambda data_dir: tiny_graphs.dataset(count),
            'num_folds': 4,
            'batch_size': 5,
            'fold': 1,
            **arguments,
        },
    )


def labels_of(batches):
    return np.concatenate([y[weight > 0] for _, y, weight in batches])


def test_parts_of_a_fold():
    data = make()
    assert data.num_classes == 2 and data.class_names == ('ring', 'star')
    assert data.num_features == 3 and data.num_edge_features is None
    assert data.steps_per_epoch == 3  # 12 graphs, 5 a batch.
    for split in ('train', 'validation', 'test'):
        members = data.members(split)
        np.testing.assert_array_equal(members, getattr(data.folds[1], split))
        np.testing.assert_array_equal(
            labels_of(data.evaluation(split)), data.graphs.labels[members]
        )
    with pytest.raises(ValueError, match="split 'valid' is none of train, validation, test"):
        data.evaluation('valid')


def test_training_batches_are_of_the_seed_and_the_step():
    data = make(padding=batching.largest)
    batches = list(data.train().take(6))
    again = list(data.train(start_step=4).take(2))
    for one, other in zip(batches[4:], again, strict=True):
        np.testing.assert_array_equal(
            graph_tensor.arrays(one[0]).x, graph_tensor.arrays(other[0]).x
        )
    np.testing.assert_array_equal(
        np.bincount(labels_of(batches[:3])), np.bincount(data.graphs.labels[data.fold.train])
    )
    calibration = list(data.calibration())
    assert len(calibration) == 3
    nodes = sum(int(graph.node_sets['nodes'].sizes[:5].numpy().sum()) for graph in calibration)
    assert nodes == data.graphs.node_counts[data.fold.train].sum()


def test_degrees_where_there_are_no_features():
    bare = GraphDataset(
        [graph.replace(x=None) for graph in tiny_graphs.dataset(24).graphs], ('ring', 'star')
    )
    data = make(source=lambda data_dir: bare)
    assert data.num_features == 9  # A star of nine nodes has a node of degree 8.
    assert scipy.sparse.issparse(data.dataset.graphs[0].x)
    graph, y, _ = next(iter(data.evaluation('test')))
    degrees = graph_tensor.arrays(graph).x.numpy().argmax(1)
    edges = graph_tensor.arrays(graph).edge_index.numpy()
    np.testing.assert_array_equal(degrees, np.bincount(edges[1]))
    assert (y.numpy() == 1).sum() == (degrees > 2).sum()


def test_zips(tmp_path):
    text = '2\n2 5\n0 1 1\n0 1 0\n3 7\n0 1 1\n0 2 0 2\n0 1 1\n'
    with zipfile.ZipFile(tmp_path / 'IMDBBINARY.zip', 'w') as archive:
        archive.writestr('IMDBBINARY/IMDBBINARY.txt', text)
    found = graph_data.powerful_gnns_zip(str(tmp_path), 'IMDB-BINARY')
    assert [graph.num_nodes for graph in found.graphs] == [2, 3]
    assert found.class_names == ('5', '7')
    with pytest.raises(FileNotFoundError, match='MUTAG needs --data_dir, the folder of MUTAG.zip'):
        graph_data.powerful_gnns_zip(None, 'MUTAG')
    with pytest.raises(FileNotFoundError, match='no MUTAG.zip; its zips are IMDBBINARY.zip'):
        graph_data.powerful_gnns_zip(str(tmp_path), 'MUTAG')
    with pytest.raises(FileNotFoundError, match='--data_dir=.*nowhere is no folder'):
        graph_data.powerful_gnns_zip(os.path.join(tmp_path, 'nowhere'), 'MUTAG')


def test_bad_input():
    with pytest.raises(ValueError, match='fold = 4 is none of the folds 0 to 3'):
        make(fold=4)
    with pytest.raises(ValueError, match='rings and stars: class 0 has 3 graphs, too few'):
        make(6)
    with pytest.raises(ValueError, match='batch_size = 0 must be at least 1'):
        make(batch_size=0)
    graphs = tiny_graphs.dataset(8).graphs
    for y in (None, np.array([0.5])):
        unlabelled = GraphDataset([graph.replace(y=y) for graph in graphs], (), 'B')
        with pytest.raises(ValueError, match='B: graphs are classified by one label each, but'):
            make(source=lambda data_dir: unlabelled)
