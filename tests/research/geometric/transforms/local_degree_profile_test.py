"""Tests of research.geometric.transforms.local_degree_profile."""

import numpy as np

from research.geometric import graph
from research.geometric.transforms import local_degree_profile


def test_by_hand():
    # A star of 0 with 1, 2, 3, and an edge between 1 and 2; node 4 alone.
    edges = np.array([[0, 1], [0, 2], [0, 3], [1, 2]])
    edges = np.concatenate([edges, edges[:, ::-1]]).T
    x = local_degree_profile.local_degree_profile(graph.Graph(edges, num_nodes=5)).x
    np.testing.assert_allclose(
        x,
        [
            [3, 1, 2, 5 / 3, np.sqrt(2) / 3],  # Its neighbours have 2, 2 and 1.
            [2, 2, 3, 2.5, 0.5],
            [2, 2, 3, 2.5, 0.5],
            [1, 3, 3, 3, 0],
            [0, 0, 0, 0, 0],
        ],
        rtol=1e-6,
    )


def test_against_a_loop():
    random = np.random.default_rng(0)
    edges = random.integers(0, 30, (2, 80))
    some = graph.Graph(edges, num_nodes=31)
    incoming = [edges[0, edges[1] == node] for node in range(31)]
    expected = np.zeros((31, 5))
    for node, sources in enumerate(incoming):
        if len(sources):
            found = [len(incoming[source]) for source in sources]
            expected[node] = (len(sources), min(found), max(found), np.mean(found), np.std(found))
    np.testing.assert_allclose(
        local_degree_profile.local_degree_profile(some).x, expected, rtol=1e-5, atol=1e-6
    )


def test_no_edges():
    some = graph.Graph(np.zeros((2, 0), int), num_nodes=2)
    np.testing.assert_array_equal(
        local_degree_profile.local_degree_profile(some).x, np.zeros((2, 5))
    )
