"""Clouds of points of four shapes that are easy to tell apart."""

import numpy as np

from research.geometric import graph as graph_lib
from research.geometric.datasets import graph_dataset

NAMES = ('sphere', 'balls', 'ring', 'sticks')


def cloud(label, num_points, random):
    """Points on a shape, turned about z and moved, float32 [num_points, 3]."""
    normal = random.normal(size=(num_points, 3))
    sphere = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    if label == 0:
        points = sphere
    elif label == 1:  # Two small ones.
        points = 0.3 * sphere
        points[:, 0] += random.choice([-1, 1], num_points)
    elif label == 2:
        angle = random.uniform(0, 2 * np.pi, num_points)
        points = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1) + 0.05 * normal
    else:  # Two crossed sticks.
        points = 0.05 * normal
        points[np.arange(num_points), random.integers(0, 2, num_points)] += random.uniform(
            -1, 1, num_points
        )
    turn = random.uniform(0, 2 * np.pi)
    turned = points @ np.array(
        [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    return (random.uniform(1, 3) * turned + random.normal(size=3)).astype(np.float32)


def dataset(per_class=8, num_points=64, seed=0, test_per_class=4):
    """A `GraphDataset` of NAMES, divided into 'train', 'test' and 'test_distinct'.

    The first test cloud of each class is not distinct.
    """
    random = np.random.default_rng(seed)
    graphs, splits = [], {'train': [], 'test': [], 'test_distinct': []}
    for place in range(per_class + test_per_class):
        for label in range(len(NAMES)):
            split = 'train' if place < per_class else 'test'
            splits[split].append(len(graphs))
            if place > per_class:
                splits['test_distinct'].append(len(graphs))
            graphs.append(
                graph_lib.Graph(
                    np.zeros((2, 0), np.int32),
                    pos=cloud(label, num_points, random),
                    y=label,
                    class_names=NAMES,
                    name=f'{NAMES[label]} {place}',
                )
            )
    return graph_dataset.GraphDataset(graphs, NAMES, 'shapes', splits)
