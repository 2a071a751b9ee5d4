"""Tests of research.geometric.transforms.degree_features."""

import numpy as np
import pytest
import scipy.sparse

from research.geometric import graph
from research.geometric.datasets import graph_dataset, powerful_gnns
from research.geometric.transforms import degree_features
from tests.research.geometric.datasets import real


def _star(leaves):
    """A node with edges from as many others, one way."""
    return graph.Graph(
        np.stack([np.arange(1, leaves + 1), np.zeros(leaves, int)]),
        y=np.array(0),
        num_nodes=leaves + 1,
    )


def _dataset(*leaves):
    return graph_dataset.GraphDataset(
        [_star(count) for count in leaves], ('a',), splits={'train': [0]}
    )


def test_below_one_thousand_is_one_hot():
    dataset = degree_features.with_degree_features(_dataset(2, 999))
    assert dataset.num_features == 1000
    np.testing.assert_array_equal(dataset.graphs[0].x.argmax(axis=1), [2, 0, 0])
    assert dataset.graphs[1].x[0, 999] == 1
    assert all((some.x.sum(axis=1) == 1).all() for some in dataset.graphs)
    assert dataset.splits['train'].tolist() == [0] and dataset.class_names == ('a',)
    sparse = degree_features.with_degree_features(_dataset(2, 999), sparse=True)
    assert scipy.sparse.issparse(sparse.graphs[0].x)
    np.testing.assert_array_equal(sparse.graphs[1].x.toarray(), dataset.graphs[1].x)


def test_from_one_thousand_is_normalized():
    dataset = degree_features.with_degree_features(_dataset(2, 1000))
    # 1004 nodes of degrees 2, 1000 and 0.
    mean = 1002 / 1004
    deviation = np.sqrt((4 + 1e6) / 1004 - mean**2)
    np.testing.assert_allclose(
        dataset.graphs[0].x, (np.array([[2], [0], [0]]) - mean) / deviation, rtol=1e-5
    )
    everything = np.concatenate([some.x for some in dataset.graphs])
    assert everything.shape == (1004, 1)
    assert everything.mean() == pytest.approx(0, abs=1e-6)
    assert everything.std() == pytest.approx(1, abs=1e-5)


def test_features_that_are_there_stay():
    with_x = graph_dataset.GraphDataset([_star(2).replace(x=np.ones((3, 4)))], ('a',))
    assert degree_features.with_degree_features(with_x) is with_x


def test_imdb_binary():
    """Its highest degree is 135; REDDIT-BINARY, of more than 1 000, has one feature as above."""
    dataset = powerful_gnns.read(real.powerful_gnns('IMDB-BINARY'))
    assert degree_features.with_degree_features(dataset).num_features == 136
