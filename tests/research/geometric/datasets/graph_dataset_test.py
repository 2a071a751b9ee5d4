"""Tests of research.geometric.datasets.graph_dataset."""

import numpy as np
import pytest
import scipy.sparse

from research.geometric.datasets import graph_dataset
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph


def _graph(edges, nodes, label, name='graph', **fields):
    edges = np.array(edges, np.int32).reshape(-1, 2).T
    fields.setdefault('x', np.ones((nodes, 3)))
    return Graph(edges, y=np.array(label), name=name, **fields)


def test_statistics_of_graphs():
    graphs = [
        # A triangle, one of its edges twice, with a self loop; and one edge, one way alone.
        _graph([(0, 1), (1, 0), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2), (1, 1)], 4, 0),
        _graph([(1, 0)], 2, 1),
        _graph([], 3, 1),
    ]
    dataset = GraphDataset(graphs, ('no', 'yes'), splits={'train': [2, 0], 'test': [1]})
    assert graph_dataset.statistics(dataset) == (3, 3, 4 / 3, 3, 2, 2 / 3, 1 / 3)
    assert graph_dataset.statistics(dataset, 'test').label_rate == 1 / 3
    assert graph_dataset.statistics(dataset, 'other').label_rate is None


def test_statistics_of_nodes():
    graph = Graph(
        np.array([[0, 1], [1, 0]]),
        x=scipy.sparse.eye(5, 7),
        y=np.zeros(5, int),
        class_names=('a', 'b'),
        splits={'train': [4, 0, 3]},
    )
    assert graph_dataset.statistics(GraphDataset.of(graph)) == (1, 5, 1, 7, 2, 0.6, 0)


def test_part():
    graphs = [_graph([], n, 0, f'g{n}') for n in (1, 2, 3)]
    dataset = GraphDataset(graphs, ('a',), 'set', {'train': [2, 0]})
    assert [g.name for g in dataset.part('train').graphs] == ['g1', 'g3']
    assert dataset.graphs[0].class_names == ('a',)
    with pytest.raises(ValueError, match="^set: no split 'test'; there are train.$"):
        dataset.part('test')


@pytest.mark.parametrize(
    'graphs, fields, message',
    [
        ([], {}, '^set: the data set is empty, it has no graphs.$'),
        ([_graph([], 1, 2, 'g0')], {}, '^g0: label 2 of row 0 is unknown; labels are 0 to 1.$'),
        ([_graph([], 1, 0, 'g0')], {'class_names': ()}, '^set: g0 has a label, but class_names is'),
        (
            [_graph([], 1, 0, 'g0'), _graph([], 1, 0, 'g1', x=np.ones((1, 4)))],
            {},
            '^set: x of g1 is dense, 4 features, but of g0 dense, 3 features.$',
        ),
        (
            [_graph([], 1, 0, 'g0'), _graph([], 1, [0], 'g1')],
            {},
            '^set: y of g1 is labels of the nodes, but of g0 a label.$',
        ),
        (
            [_graph([], 1, 0)],
            {'splits': {'train': [0, 1]}},
            "^set: split 'train' has graph 1, but graphs are 0 to 0.$",
        ),
        ([_graph([], 1, 0)], {'splits': {'train': [-1]}}, "^set: split 'train' has graph -1"),
        (
            [_graph([], 1, 0)],
            {'splits': {'train': [0, 0]}},
            "^set: split 'train' has graph 0 twice.$",
        ),
    ],
)
def test_bad_input(graphs, fields, message):
    fields = {'class_names': ('no', 'yes'), 'name': 'set', **fields}
    with pytest.raises(ValueError, match=message):
        GraphDataset(graphs, **fields)
