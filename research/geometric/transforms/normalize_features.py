"""Features of each node made to sum to 1."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from research.geometric.graph import Graph


def normalize_features(graph: Graph) -> Graph:
    """x_i / sum over f of x_if: bags of words as Table 1 of Fey & Lenssen 2019 has them.

    Sparse features stay sparse. A row whose sum is 0 stays as it is.

    Raises:
      ValueError: the graph has no features, or a negative one.
    """
    if graph.x is None:
        raise ValueError(f'{graph.name}: the graph has no features to normalize.')
    is_sparse = scipy.sparse.issparse(graph.x)
    lowest = graph.x.data.min(initial=0) if is_sparse else graph.x.min(initial=0)
    if lowest < 0:
        raise ValueError(
            f'{graph.name}: x has the negative value {lowest}, so that its rows '
            'cannot be made to sum to 1.'
        )
    sums = np.asarray(graph.x.sum(axis=1), np.float64).reshape(-1)
    scale = 1 / np.where(sums > 0, sums, 1)
    if is_sparse:
        return graph.replace(x=scipy.sparse.diags(scale) @ graph.x)
    return graph.replace(x=graph.x * scale[:, np.newaxis])
