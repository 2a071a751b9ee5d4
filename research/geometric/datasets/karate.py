"""Zachary's karate club, which ships with networkx: the graph that needs no files.

Zachary: An information flow model for conflict and fission in small groups, 1977. 34 members, 78
pairs of them who met outside the club.
"""

from __future__ import annotations

import os

import numpy as np

from official.core import checks
from research.geometric.datasets import edges
from research.geometric.graph import Graph

CLUBS = ('Mr. Hi', 'Officer')
# The four classes in which this graph is often drawn since Kipf & Welling 2017 (App. A) clustered
# it by modularity. These have .4156; the best, .4198, has the nodes 9, 23 and 27 elsewhere.
COMMUNITIES = (
    (0, 1, 2, 3, 7, 9, 11, 12, 13, 17, 19, 21),
    (4, 5, 6, 10, 16),
    (8, 14, 15, 18, 20, 22, 23, 26, 27, 29, 30, 32, 33),
    (24, 25, 28, 31),
)
COMMUNITY_NAMES = ('community 0', 'community 1', 'community 2', 'community 3')


def load(
    data_dir: str | os.PathLike | None = None, communities: bool = False, sparse: bool = False
) -> Graph:
    """The club, each member's feature its own number one-hot: 34 nodes, 34 features.

    The first node of each class trains (one label a class, as in Kipf & Welling 2017, App. A). Of
    the others of each class, in order, the second, fifth and so on validate and the rest test; the
    paper has no such split.

    Args:
      data_dir: None; every data source takes one.
      communities: label the four communities, not the two clubs that came of it.
      sparse: give `x` as a sparse matrix.

    Raises:
      ValueError: if there is a `data_dir`.
    """
    checks.no_data_dir('karate.load', data_dir)
    import networkx
    import scipy.sparse

    club = networkx.karate_club_graph()
    num_nodes = club.number_of_nodes()
    if communities:
        y = np.empty(num_nodes, np.int32)
        for label, members in enumerate(COMMUNITIES):
            y[list(members)] = label
        class_names = COMMUNITY_NAMES
    else:
        y = np.array([CLUBS.index(club.nodes[node]['club']) for node in range(num_nodes)])
        class_names = CLUBS
    members = [np.flatnonzero(y == label) for label in range(len(class_names))]
    train = np.sort([nodes[0] for nodes in members])
    validation = np.sort(np.concatenate([nodes[2::3] for nodes in members]))
    x = np.eye(num_nodes, dtype=np.float32)
    return Graph(
        edges.undirected(*np.array(club.edges).T, num_nodes),
        x=scipy.sparse.csr_matrix(x) if sparse else x,
        y=y,
        splits={
            'train': train,
            'validation': validation,
            'test': np.setdiff1d(np.arange(num_nodes), [*train, *validation]),
        },
        class_names=class_names,
        name='karate club',
    )
