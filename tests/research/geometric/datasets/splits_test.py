"""Tests of research.geometric.datasets.splits."""

import numpy as np
import pytest

from research.geometric.datasets import splits
from research.geometric.graph import Graph

NONE = np.zeros((2, 0), int)
LABELS = np.repeat([0, 1, 2, -1], [40, 30, 20, 10])[np.random.default_rng(0).permutation(100)]


def _graph(labels=LABELS, **fields):
    return Graph(
        NONE, y=labels, num_nodes=len(labels), class_names=('a', 'b', 'c'), name='some', **fields
    )


def test_random_split_draws_as_many_of_every_class():
    parts = splits.random_split(_graph(), seed=3, per_class=7, num_validation=25, num_test=30)
    assert np.bincount(LABELS[parts['train']]).tolist() == [7, 7, 7]
    assert {name: len(nodes) for name, nodes in parts.items()} == {
        'train': 21,
        'validation': 25,
        'test': 30,
    }
    together = np.concatenate(list(parts.values()))
    assert len(np.unique(together)) == 76
    assert (LABELS[together] >= 0).all()
    for nodes in parts.values():
        assert nodes.dtype == np.int64 and (np.diff(nodes) > 0).all()


def test_all_others_test():
    parts = splits.random_split(_graph(), per_class=7, num_validation=25, num_test=None)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(list(parts.values()))), np.flatnonzero(LABELS >= 0)
    )


def test_random_split_is_a_function_of_the_seed():
    draw = lambda seed: splits.random_split(
        _graph(), seed=seed, per_class=5, num_validation=20, num_test=20
    )
    first = draw(1)
    for name, nodes in draw(1).items():
        np.testing.assert_array_equal(nodes, first[name])
    for seed in (2, (1, 1)):
        for name, nodes in draw(seed).items():
            assert set(nodes) != set(first[name])


def test_random_splits_draw_every_node_alike():
    """Each node of a class trains as often as any other of it: within 5 deviations in 2 000."""
    times = np.zeros(100)
    validation = np.zeros(100)
    for seed in range(2000):
        parts = splits.random_split(
            _graph(), seed=seed, per_class=10, num_validation=20, num_test=20
        )
        times[parts['train']] += 1
        validation[parts['validation']] += 1
    for label, members in ((0, 40), (1, 30), (2, 20)):
        share = 10 / members
        expected, deviation = 2000 * share, np.sqrt(2000 * share * (1 - share))
        assert np.abs(times[label == LABELS] - expected).max() < 5 * deviation
        # A third of the 60 others validate.
        share = (1 - share) / 3
        deviation = np.sqrt(2000 * share * (1 - share))
        assert np.abs(validation[label == LABELS] - 2000 * share).max() < 5 * deviation
    assert not times[LABELS == -1].any()


@pytest.mark.parametrize(
    'fields, message',
    [
        (
            {'per_class': 21},
            'some: a training split of 63 asks for 21 examples of class 2, which has 20.',
        ),
        (
            {'per_class': 20, 'num_validation': 11, 'num_test': 20},
            'some: a random split asks for 11 validation and 20 test nodes, but 30 with a label '
            'are left after 60 for training.',
        ),
        (
            {'per_class': 0},
            'some: a random split of per_class = 0, num_validation = 500, num_test = '
            '1000 cannot be.',
        ),
    ],
)
def test_too_few_nodes(fields, message):
    with pytest.raises(ValueError) as error:
        splits.random_split(_graph(), **fields)
    assert str(error.value) == message


def test_a_class_without_nodes():
    with pytest.raises(
        ValueError,
        match='^some: a training split of 60 asks for 20 examples of class 2, which has 0.$',
    ):
        splits.random_split(_graph(np.repeat([0, 1], 30)))
    with pytest.raises(ValueError, match='^some: no node has a label'):
        splits.random_split(Graph(NONE, y=np.full(3, -1), num_nodes=3, name='some'))
    with pytest.raises(ValueError, match='^some: has no labels of its nodes'):
        splits.random_split(Graph(NONE, y=np.array(1), num_nodes=3, name='some'))


def test_fixed_split_is_the_graphs_own():
    own = {'train': [5, 2], 'validation': [0], 'test': [7, 9], 'other': [5]}
    graph = Graph(NONE, y=np.zeros(10, int), num_nodes=10, splits=own)
    got = splits.fixed_split(graph, seed=7)
    assert {name: nodes.tolist() for name, nodes in got.items()} == {
        name: own[name] for name in ('train', 'validation', 'test')
    }


@pytest.mark.parametrize(
    'own, message',
    [
        ({}, 'some: has no train nodes; give the graph a split, as with splits.csv, or draw one: '),
        (
            {'train': [1], 'validation': [2], 'test': []},
            'some: has no test nodes; give the graph a split, as with splits.csv, or draw one: ',
        ),
        (
            {'train': [1, 4], 'validation': [2, 4], 'test': [3]},
            "some: node 4 is in the splits 'train' and 'validation'.",
        ),
        (
            {'train': [1], 'validation': [0], 'test': [3]},
            "some: node 0 of split 'validation' has no label.",
        ),
    ],
)
def test_fixed_splits_that_cannot_be(own, message):
    graph = Graph(NONE, y=np.array([-1, 0, 0, 0, 0]), num_nodes=5, splits=own, name='some')
    with pytest.raises(ValueError) as error:
        splits.fixed_split(graph)
    assert str(error.value).startswith(message)
