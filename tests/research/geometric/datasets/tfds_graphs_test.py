"""Tests of research.geometric.datasets.tfds_graphs: the round trip through TFDS is exact."""

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tensorflow_datasets as tfds

from research.geometric.datasets import tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from tests.research.geometric.datasets import alike

RANDOM = np.random.default_rng(0)
EDGES = np.array([[0, 1, 2, 2], [1, 0, 2, 2]])
NONE = np.zeros((2, 0), int)


class Sets(tfds_graphs.GraphBuilder, skip_registration=True):
    """A data set of the test's own."""

    VERSION = tfds.core.Version('1.0.0')
    dataset = None

    def read(self, raw_dir):
        assert raw_dir is None
        return self.dataset


class Files(Sets, skip_registration=True):
    """One that reads files."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """Put the files
        there."""

    def read(self, raw_dir):
        with open(f'{raw_dir}/nodes', encoding='utf8') as file:
            return GraphDataset([Graph(NONE, num_nodes=int(file.read()))])


def _normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def _sparse(nodes, features):
    # An explicit zero and a row without entries stay what they are.
    x = scipy.sparse.random(nodes, features, 0.5, 'csr', np.float32, RANDOM)
    x.data[:1] = 0
    return x


SETS = {
    'graph labels, sparse features, edge features, positions, overlapping splits': GraphDataset(
        [
            Graph(
                EDGES,
                x=_sparse(3, 5),
                edge_attr=_normal(4, 2),
                pos=_normal(3, 3),
                y=np.array(1),
                name='first',
            ),
            Graph(
                NONE, x=_sparse(2, 5), edge_attr=_normal(0, 2), pos=_normal(2, 3), y=np.array(-1)
            ),
            Graph(
                EDGES, x=_sparse(7, 5), edge_attr=_normal(4, 2), pos=_normal(7, 3), y=np.array(0)
            ),
        ],
        ('no', 'yes'),
        splits={'train 0': [0, 2], 'test 0': [1], 'train 1': [1, 2]},
    ),
    'node labels, one of them -1, sparse features, splits': GraphDataset.of(
        Graph(
            EDGES,
            x=_sparse(4, 300),
            y=np.array([0, 2, -1, 1]),
            class_names=('a', 'b', 'c'),
            splits={'train': [3, 0], 'validation': [], 'test': [1]},
        )
    ),
    'targets, dense features, edge types': GraphDataset(
        [
            Graph(EDGES, x=_normal(3, 2), edge_attr=np.array([0, 3, 1, 1]), y=_normal(2)),
            Graph(NONE, x=_normal(1, 2), edge_attr=np.zeros(0, int), y=_normal(2)),
        ]
    ),
    'edge weights': GraphDataset([Graph(EDGES, edge_attr=_normal(4), num_nodes=5)]),
    'positions alone': GraphDataset([Graph(NONE, pos=_normal(6, 2))]),
}


@pytest.mark.parametrize('what', SETS)
def test_round_trip_is_exact(tmp_path, what):
    class Set(Sets, skip_registration=True):
        """As above."""

        dataset = SETS[what]

    config = tfds_graphs.GraphConfig.of(SETS[what], 'some')
    builder = tfds_graphs.prepare(Set(config=config, data_dir=tmp_path))
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), SETS[what])
    # Without the class that wrote it, as anybody's TFDS reads it.
    builder = tfds.builder_from_directory(builder.data_path)
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), SETS[what])


def test_examples_are_ready_for_tensorflow(tmp_path):
    class Set(Sets, skip_registration=True):
        """As above."""

        dataset = SETS['node labels, one of them -1, sparse features, splits']

    graph = Set.dataset.graphs[0]
    builder = tfds_graphs.prepare(
        Set(config=tfds_graphs.GraphConfig.of(Set.dataset, 'some'), data_dir=tmp_path)
    )
    example = next(iter(builder.as_dataset(split=tfds_graphs.SPLIT)))
    x = tf.SparseTensor(example['x']['indices'], example['x']['values'], example['x']['shape'])
    np.testing.assert_array_equal(tf.sparse.to_dense(x), graph.x.toarray())
    np.testing.assert_array_equal(example['node_splits']['train'], [3, 0])
    assert builder.info.features['y'].feature.names == ['a', 'b', 'c']


def test_order_of_many_shards(tmp_path):
    class Set(Sets, skip_registration=True):
        """As above."""

        dataset = GraphDataset([Graph(NONE, num_nodes=1 + i) for i in range(40)])

    builder = Set(config=tfds_graphs.GraphConfig.of(Set.dataset, 'some'), data_dir=tmp_path)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=7, try_download_gcs=False)
    )
    assert builder.info.splits[tfds_graphs.SPLIT].num_shards == 7
    back = tfds_graphs.from_tfds(builder)
    assert [graph.num_nodes for graph in back.graphs] == list(range(1, 41))


def test_raw_files(tmp_path):
    raw, data = tmp_path / 'raw', tmp_path / 'data'
    make = lambda: Files(config=tfds_graphs.GraphConfig(name='some'), data_dir=data)
    with pytest.raises(
        ValueError,
        match='^files/some/1.0.0: no folder of raw files is given: Put the files there.$',
    ):
        tfds_graphs.prepare(make())
    empty = f'^{raw}: no such folder, or nothing in it, for the raw files of files/some/1.0.0.$'
    with pytest.raises(FileNotFoundError, match=empty):
        tfds_graphs.prepare(make(), str(raw))
    raw.mkdir()
    with pytest.raises(FileNotFoundError, match=empty):
        tfds_graphs.prepare(make(), str(raw))
    (raw / 'nodes').write_text('-1', 'utf8')
    with pytest.raises(ValueError, match='^graph: the graph is empty, it has -1 nodes.$'):
        tfds_graphs.prepare(make(), str(raw))
    with pytest.raises(FileNotFoundError, match='^.*/files/some/1.0.0: .* is not prepared there.$'):
        tfds_graphs.from_tfds(make())
    (raw / 'nodes').write_text('4', 'utf8')
    assert tfds_graphs.from_tfds(tfds_graphs.prepare(make(), str(raw))).graphs[0].num_nodes == 4
    # What is prepared is not read again.
    (raw / 'nodes').write_text('0', 'utf8')
    assert tfds_graphs.from_tfds(tfds_graphs.prepare(make())).graphs[0].num_nodes == 4


def test_data_that_are_not_as_declared(tmp_path):
    class Set(Sets, skip_registration=True):
        """As above."""

        dataset = SETS['targets, dense features, edge types']

    config = tfds_graphs.GraphConfig.of(Set.dataset, 'some')
    config.num_features = 3
    with pytest.raises(ValueError, match='^graphs: num_features is 2, but 3 in set/some/1.0.0.$'):
        tfds_graphs.prepare(Set(config=config, data_dir=tmp_path))
