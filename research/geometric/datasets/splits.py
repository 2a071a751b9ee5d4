"""Which nodes train, validate and test: the data set's own split, or a random one.

Both are functions split(graph, seed=) that give a dict of 'train', 'validation' and 'test' nodes.
"""

from __future__ import annotations

import numpy as np

from official.data import sampling
from research.geometric.graph import Graph

NAMES = ('train', 'validation', 'test')


def fixed_split(graph: Graph, seed: int | tuple[int, ...] = 0) -> dict[str, np.ndarray]:
    """The split that came with the graph.

    Args:
      graph: a graph with splits.
      seed: not used.

    Raises:
      ValueError: one of the three parts is missing or empty, has a node without a label, or shares
        a node with another part.
    """
    del seed
    parts = {}
    for name in NAMES:
        nodes = graph.splits.get(name, ())
        if not len(nodes):
            raise ValueError(
                f'{graph.name}: has no {name} nodes; give the graph a split, as with '
                'splits.csv, or draw one: NodeData.split = @splits.random_split.'
            )
        unlabelled = nodes[_labels(graph)[nodes] < 0]
        if unlabelled.size:
            raise ValueError(f'{graph.name}: node {unlabelled[0]} of split {name!r} has no label.')
        for other, others in parts.items():
            shared = np.intersect1d(nodes, others)
            if shared.size:
                raise ValueError(
                    f'{graph.name}: node {shared[0]} is in the splits {other!r} and {name!r}.'
                )
        parts[name] = nodes
    return parts


def random_split(
    graph: Graph,
    seed: int | tuple[int, ...] = 0,
    per_class: int = 20,
    num_validation: int = 500,
    num_test: int | None = 1000,
) -> dict[str, np.ndarray]:
    """A random split with as many training nodes of every class (Fey & Lenssen 2019, Table 1).

    Validation and test nodes are drawn from all others, so their classes are as frequent as there.
    A node without a label, -1, is in no part.

    Args:
      graph: a graph with labels of its nodes.
      seed: the same seed draws the same nodes with every NumPy version.
      per_class: training nodes of each class.
      num_validation: validation nodes.
      num_test: test nodes; None: all that are left.

    Returns:
      Nodes in ascending order, int64.

    Raises:
      ValueError: a class, or all of them after training, has too few nodes.
    """
    labels = _labels(graph)
    num_classes = len(graph.class_names) or int(labels.max(initial=-1)) + 1
    if not num_classes:
        raise ValueError(f'{graph.name}: no node has a label, so none can be drawn.')
    if per_class < 1 or num_validation < 0 or (num_test or 0) < 0:
        raise ValueError(
            f'{graph.name}: a random split of per_class = {per_class}, num_validation '
            f'= {num_validation}, num_test = {num_test} cannot be.'
        )
    seed = seed if isinstance(seed, tuple) else (seed,)
    train = sampling.balanced_indices(
        labels, per_class * num_classes, num_classes, seed, f'{graph.name}: a training split of'
    )
    others = np.setdiff1d(np.flatnonzero(labels >= 0), train)
    wanted = num_validation + (num_test or 0)
    if len(others) < wanted:
        raise ValueError(
            f'{graph.name}: a random split asks for {num_validation} validation and '
            f'{num_test or 0} test nodes, but {len(others)} with a label are left after '
            f'{len(train)} for training.'
        )
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((*seed, 1))))
    others = random.permutation(others)
    end = len(others) if num_test is None else wanted
    return {
        'train': train,
        'validation': np.sort(others[:num_validation]),
        'test': np.sort(others[num_validation:end]),
    }


def _labels(graph: Graph) -> np.ndarray:
    y = graph.y
    if y is None or y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f'{graph.name}: has no labels of its nodes, so they cannot be split.')
    return y
