"""Graclus: pairs of nodes that a normalized cut would not part (Dhillon, Guan & Kulis 2007).

`graclus` is made once for a graph, `parallel_graclus` in each step of a training; either gives
clusters of one or two nodes for `pooled.pool_clusters`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from official.modeling import random
from research.geometric import segments
from research.geometric.pooling import ordering

# Half of the edges that are left lose an end in a few rounds; this many are never needed.
_MAX_ROUNDS = 100


def graclus(
    edge_index: Any, num_nodes: int, edge_weight: Any = None, seed: int = 0, volume: Any = None
) -> np.ndarray:
    """Greedy matching by the normalized cut (Dhillon et al. 2007, coarsening phase), in NumPy.

    Nodes are visited in random order. One that is not matched yet is matched with the unmatched
    neighbour j for which

        w_ij / vol_i + w_ij / vol_j

    is highest, of equal ones with the lowest index; where there is none it stays alone.

    - An edge counts in both directions: w_ij is the mean of both, of duplicates the sum.

    Args:
      edge_index: integers [2, E].
      num_nodes: N.
      edge_weight: [E], positive, or None for 1.
      seed: of the order.
      volume: vol, [N]; the degrees, self loops counted, by default.

    Returns:
      Cluster of each node, int32 [N], numbered by their lowest nodes.

    Raises:
      ValueError: if a weight is not positive.
    """
    adjacency, degree = _symmetric(edge_index, num_nodes, edge_weight)
    volume = degree if volume is None else np.asarray(volume, np.float64)
    adjacency = _without_loops(adjacency)
    # A node without edges has no volume, and is never asked for one.
    inverse = 1 / np.where(volume > 0, volume, 1)
    row_of = np.repeat(np.arange(num_nodes), np.diff(adjacency.indptr))
    scores = adjacency.data * (inverse[row_of] + inverse[adjacency.indices])
    mate = np.full(num_nodes, -1)
    for node in np.random.default_rng(seed).permutation(num_nodes):
        if mate[node] >= 0:
            continue
        row = slice(adjacency.indptr[node], adjacency.indptr[node + 1])
        free = np.flatnonzero(mate[adjacency.indices[row]] < 0)
        best = node
        if free.size:
            best = adjacency.indices[row][free[np.argmax(scores[row][free])]]
        mate[node], mate[best] = best, node
    lowest = np.minimum(mate, np.arange(num_nodes))
    return np.unique(lowest, return_inverse=True)[1].astype(np.int32)


class Level(NamedTuple):
    """One level of `hierarchy`.

    Attributes:
      cluster: node of this level for each node of the level before, int32.
      edge_index: int32 [2, E], each pair of neighbours in both directions, no self loops.
      edge_weight: float32 [E].
      num_nodes: nodes of this level.
    """

    cluster: np.ndarray
    edge_index: np.ndarray
    edge_weight: np.ndarray
    num_nodes: int


def hierarchy(
    edge_index: Any, num_nodes: int, levels: int, edge_weight: Any = None, seed: int = 0
) -> list[Level]:
    """A graph coarsened several times (Dhillon et al. 2007, coarsening phase), in NumPy.

    Weights between two clusters add up, and so do volumes, in which edges inside a cluster stay.

    Args:
      edge_index: integers [2, E].
      num_nodes: N.
      levels: how many.
      edge_weight: [E], positive, or None for 1.
      seed: level l is matched with seed + l.

    Raises:
      ValueError: if a weight is not positive.
    """
    import scipy.sparse

    found = []
    adjacency, volume = _symmetric(edge_index, num_nodes, edge_weight)
    for level in range(levels):
        coo = adjacency.tocoo()
        cluster = graclus(np.stack([coo.col, coo.row]), num_nodes, coo.data, seed + level, volume)
        members = scipy.sparse.csr_matrix((np.ones(num_nodes), (cluster, np.arange(num_nodes))))
        num_nodes = members.shape[0]
        adjacency = _without_loops(members @ adjacency @ members.T)
        volume = members @ volume
        coo = adjacency.tocoo()
        found.append(
            Level(
                cluster,
                np.stack([coo.col, coo.row]).astype(np.int32),
                coo.data.astype(np.float32),
                num_nodes,
            )
        )
    return found


def _symmetric(edge_index, num_nodes, edge_weight):
    """(A + A^T) / 2 and its row sums."""
    import scipy.sparse

    source, target = np.asarray(edge_index)
    weight = np.ones(len(source)) if edge_weight is None else np.asarray(edge_weight, np.float64)
    wrong = np.flatnonzero(~(weight > 0))
    if wrong.size:
        raise ValueError(f'edge_weight, row {wrong[0]} is {weight[wrong[0]]}, not positive.')
    matrix = scipy.sparse.coo_matrix((weight, (target, source)), [num_nodes] * 2).tocsr()
    matrix = (matrix + matrix.T) / 2
    return matrix, np.asarray(matrix.sum(1))[:, 0]


def _without_loops(matrix):
    """CSR without the diagonal, columns of a row in order."""
    import scipy.sparse

    coo = matrix.tocoo()
    off = coo.row != coo.col
    matrix = scipy.sparse.csr_matrix((coo.data[off], (coo.row[off], coo.col[off])), coo.shape)
    matrix.sort_indices()
    return matrix


def parallel_graclus(
    edge_index: tf.Tensor,
    num_nodes: int | tf.Tensor,
    key: tf.Tensor,
    edge_weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """Matching in rounds (Fagginger Auer & Bisseling 2011), in the graph, by the normalized cut.

    In each round a coin makes nodes blue or red. A blue one that is not matched yet proposes to the
    red neighbour with the highest w_ij / vol_i + w_ij / vol_j, of equal ones to one at random; a
    red one accepts the highest proposal, of equal ones that of the highest index. It ends when no
    two neighbours are alone.

    - An edge counts in both directions, but duplicates are edges of their own.
    - Volumes are those of the edges given: on a graph that `pool_clusters` has made, the edges
      inside its clusters are missing from them.

    Each round visits all edges, and there are about ten: of dense graphs make a `hierarchy` once.

    Args:
      edge_index: integers [2, E].
      num_nodes: N.
      key: int32 [1, 2]; each key gives another matching.
      edge_weight: [E], or None for 1; no pair is made by a weight that is not positive.

    Returns:
      Cluster of each node, int32 [N], numbered by their lowest nodes. No gradient passes.
    """
    edge_index = tf.cast(edge_index, tf.int32)
    source = tf.concat([edge_index[0], edge_index[1]], axis=0)
    target = tf.concat([edge_index[1], edge_index[0]], axis=0)
    weight = tf.ones_like(source, tf.float32)
    if edge_weight is not None:
        weight = tf.concat([tf.stop_gradient(edge_weight)] * 2, axis=0)
    volume = segments.segment_sum(weight, target, num_nodes)
    inverse = 1 / tf.where(volume > 0, volume, 1.0)
    score = weight * (tf.gather(inverse, source) + tf.gather(inverse, target))
    usable = (source != target) & (weight > 0)
    nodes = tf.range(num_nodes)
    edges = [source.shape[0]] if source.shape[0] is not None else tf.shape(source)

    def best(candidates, values, ids):
        """Which candidates have the highest value of their id, and that of each id."""
        values = tf.where(candidates, values, -1.0)
        highest = tf.math.unsorted_segment_max(values, ids, num_nodes)
        return candidates & (values == tf.gather(highest, tf.maximum(ids, 0))), highest

    def left(mate):
        return usable & (tf.gather(mate, source) < 0) & (tf.gather(mate, target) < 0)

    def body(step, mate):
        coins, ties = random.fold_in(key, 2 * step), random.fold_in(key, 2 * step + 1)
        blue = random.uniform(coins, [num_nodes]) < 0.5
        open_edges = left(mate) & tf.gather(blue, target) & ~tf.gather(blue, source)
        chosen, offered = best(open_edges, score, target)
        chosen, _ = best(chosen, random.uniform(ties, edges), target)
        proposal = _highest(chosen, source, target, num_nodes)
        accepted, _ = best(proposal >= 0, offered, proposal)
        answer = _highest(accepted, nodes, proposal, num_nodes)
        heard = tf.gather(answer, tf.maximum(proposal, 0)) == nodes
        mate = tf.where((proposal >= 0) & heard, proposal, mate)
        return step + 1, tf.where(answer >= 0, answer, mate)

    _, mate = tf.while_loop(
        lambda step, mate: (step < _MAX_ROUNDS) & tf.reduce_any(left(mate)),
        body,
        (0, tf.fill([num_nodes], -1)),
    )
    lowest = tf.where(mate < 0, nodes, tf.minimum(mate, nodes))
    number = ordering.cumsum(tf.cast(lowest == nodes, tf.int32)) - 1
    return tf.gather(number, lowest)


def _highest(candidates, values, ids, num_segments):
    """The highest of the values, integers, of each id, -1 where it has no candidate."""
    values = tf.where(candidates, values, -1)
    return tf.maximum(tf.math.unsorted_segment_max(values, ids, num_segments), -1)
