"""Tests of research.geometric.datasets.karate."""

import numpy as np
import pytest

from research.geometric.datasets import graph_dataset, karate, karate_builder, splits, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset
from tests.research.geometric.datasets import alike


def _modularity(graph, labels):
    """Newman's Q = sum over i, j of (A_ij - k_i k_j / 2m) / 2m where i and j are of one class."""
    adjacency = np.zeros((graph.num_nodes,) * 2)
    adjacency[tuple(graph.edge_index)] = 1
    degrees, total = adjacency.sum(0), adjacency.sum()
    same = labels[:, None] == labels
    return ((adjacency - np.outer(degrees, degrees) / total) * same).sum() / total


def test_the_club():
    graph = karate.load()
    got = graph_dataset.statistics(GraphDataset.of(graph))
    assert got == (1, 34, 78, 34, 2, 2 / 34, 0)
    np.testing.assert_array_equal(graph.x, np.eye(34))
    degrees = np.bincount(graph.edge_index[1])
    # Zachary's table: the instructor, the officer, and the member with one friend.
    assert degrees[0] == 16 and degrees[33] == 17 and degrees[11] == 1
    # Each of the two leaders is in his own club.
    assert graph.y[0] == 0 and graph.y[33] == 1
    assert np.bincount(graph.y).tolist() == [17, 17]
    assert graph.class_names == ('Mr. Hi', 'Officer')


def test_the_four_communities():
    graph = karate.load(communities=True)
    assert sorted(sum(karate.COMMUNITIES, ())) == list(range(34))
    assert [tuple(np.flatnonzero(graph.y == label)) for label in range(4)] == list(
        karate.COMMUNITIES
    )
    assert round(_modularity(graph, graph.y), 4) == 0.4156
    best = graph.y.copy()
    best[9], best[[23, 27]] = 2, 3
    assert round(_modularity(graph, best), 4) == 0.4198


@pytest.mark.parametrize('communities', [False, True])
def test_one_label_a_class(communities):
    graph = karate.load(communities=communities)
    parts = splits.fixed_split(graph)
    classes = len(graph.class_names)
    assert graph.y[parts['train']].tolist() == list(range(classes))
    sizes = [len(parts[name]) for name in splits.NAMES]
    assert sizes == ([2, 10, 22] if classes == 2 else [4, 10, 20])
    for name in splits.NAMES:
        assert set(graph.y[parts[name]]) == set(range(classes))
    assert sum(sizes) == len(np.unique(np.concatenate(list(parts.values()))))


def test_sparse_features():
    np.testing.assert_array_equal(karate.load(sparse=True).x.toarray(), np.eye(34))


@pytest.mark.parametrize('config, communities', [('clubs', False), ('communities', True)])
def test_through_tfds(tmp_path, config, communities):
    builder = tfds_graphs.prepare(karate_builder.KarateClub(config=config, data_dir=tmp_path))
    alike.assert_datasets_equal(
        tfds_graphs.from_tfds(builder), GraphDataset.of(karate.load(communities=communities))
    )


def test_a_folder_that_nobody_reads_is_refused():
    with pytest.raises(
        ValueError, match='^--data_dir=mine would be ignored: karate.load reads no '
    ):
        karate.load('mine')
