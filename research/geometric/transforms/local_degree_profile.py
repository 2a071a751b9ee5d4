"""Degrees of a node and its neighbours as features (Cai & Wang 2018)."""

from __future__ import annotations

import numpy as np

from research.geometric.graph import Graph
from research.geometric.transforms.degree import degrees


def local_degree_profile(graph: Graph) -> Graph:
    """`x` becomes (d_i, min, max, mean, std of d_j over the neighbours j of i), [N, 5].

    Cai & Wang 2018, "A simple yet effective baseline for non-attributed graph classification".
    d_i is the number of edges that come into i; the neighbours are their sources. The
    deviation is that of the whole population. A node without neighbours gets zeros.

    - Features that the graph has are left.
    """
    source, target = graph.edge_index
    found = degrees(graph).astype(np.float64)
    of_neighbours = found[source]
    order = np.argsort(target, kind='stable')
    has = found > 0
    starts = (np.cumsum(found) - found).astype(np.int64)[has]
    x = np.zeros((graph.num_nodes, 5))
    x[:, 0] = found
    if starts.size:
        ordered = of_neighbours[order]
        x[has, 1] = np.minimum.reduceat(ordered, starts)
        x[has, 2] = np.maximum.reduceat(ordered, starts)
        x[has, 3] = np.add.reduceat(ordered, starts) / found[has]
        squares = (ordered - x[target[order], 3]) ** 2
        x[has, 4] = np.sqrt(np.add.reduceat(squares, starts) / found[has])
    return graph.replace(x=x)
