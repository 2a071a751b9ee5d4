"""Small data sets of graphs, made of a seed: rings and stars of few nodes, in two classes."""

import numpy as np

from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph


def ring_or_star(label, nodes, random, channels=3):
    """A ring (label 0) or a star (label 1); the features do not tell which."""
    if label:
        one = np.stack([np.zeros(nodes - 1, np.int32), np.arange(1, nodes, dtype=np.int32)])
    else:
        one = np.stack([np.arange(nodes), (np.arange(nodes) + 1) % nodes]).astype(np.int32)
    types = random.integers(0, channels, nodes)
    return Graph(
        np.concatenate([one, one[::-1]], axis=1),
        np.eye(channels)[types],
        y=np.int32(label),
        class_names=('ring', 'star'),
        name=f'{nodes} nodes',
    )


def dataset(count=40, seed=0, fewest=4, most=9, channels=3):
    """`count` graphs of `fewest` to `most` nodes, two classes in turn."""
    random = np.random.default_rng(seed)
    sizes = random.integers(fewest, most + 1, count)
    return GraphDataset(
        [ring_or_star(i % 2, int(size), random, channels) for i, size in enumerate(sizes)],
        ('ring', 'star'),
        'rings and stars',
    )
