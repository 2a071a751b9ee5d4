"""Mini-batches: graphs of different sizes as one block-diagonal GraphTensor, by `tf.data`.

Fey & Lenssen 2019, Sec. 2, "Mini-batch Handling". All graphs lie in memory one after another, and a
batch is gathered from there graph by graph: a third of the time of tensorflow_gnn's own batching
and merging of single graphs. The batch is a scalar `tfgnn.GraphTensor` all the same, which in a
compiled step costs nothing.

Its sizes are those of the graphs in it, or, as XLA and TPUs need them, always the same: then
tensorflow_gnn's padding makes of the nodes and edges that are missing one more graph, the last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn

from official.data import pipeline
from research.geometric import graph_tensor
from research.geometric.datasets.graph_dataset import GraphDataset

# Called as padding(node_counts, edge_counts, size): the counts of every graph, and the number of
# graphs in a replica's batch.
Padding = Callable[[np.ndarray, np.ndarray, int], tfgnn.SizeConstraints]


def largest(node_counts: np.ndarray, edge_counts: np.ndarray, size: int) -> tfgnn.SizeConstraints:
    """The least sizes that fit every batch: those of the `size` largest graphs.

    Where few graphs are far larger than the others, as in COLLAB, most of it is padding; sizes that
    fit most batches are then the better choice, and a batch that exceeds them an error.

    Args:
      node_counts: nodes of each graph, [graphs].
      edge_counts: edges of each graph, [graphs].
      size: graphs in a batch.

    Returns:
      Sizes with one more graph, the padding, and at least one node for it.
    """
    most = [int(np.sort(counts)[-size:].sum()) for counts in (node_counts, edge_counts)]
    return constraints(size, most[0] + 1, most[1])


def constraints(size: int, nodes: int, edges: int) -> tfgnn.SizeConstraints:
    """Sizes of a padded batch.

    Args:
      size: graphs in it, the padding not counted.
      nodes: of the padded batch; one more than a batch can have.
      edges: of the padded batch.
    """
    return tfgnn.SizeConstraints(
        total_num_components=size + 1,
        total_num_nodes={graph_tensor.NODES: nodes},
        total_num_edges={graph_tensor.EDGES: edges},
    )


class Concatenated:
    """Graphs in the host's memory, one after another, to gather batches from.

    Edges of a graph are sorted by target, then source, so that sums over a node's edges go through
    memory in order. Sparse x stay sparse, and are made dense batch by batch.

    Args:
      dataset: the graphs; y, if there, is a label or targets of the graph.

    Raises:
      ValueError: if y are labels of nodes.
    """

    def __init__(self, dataset: GraphDataset):
        graphs = dataset.graphs
        first = graphs[0]
        if first.y is not None and graph_tensor.of_nodes(first):
            raise ValueError(
                f'{first.name}: y are labels of nodes; batches of graphs have one '
                'label, or targets, a graph.'
            )
        self.node_counts = np.array([graph.num_nodes for graph in graphs])
        self.edge_counts = np.array([graph.num_edges for graph in graphs])
        self.labels = None if first.y is None else np.stack([graph.y for graph in graphs])
        sorted_edges = [np.lexsort(graph.edge_index) for graph in graphs]
        edges = [
            graph.edge_index[:, order].T for graph, order in zip(graphs, sorted_edges, strict=True)
        ]
        self._edges = _ragged(edges, self.edge_counts)
        self._edge_attr = self._x = self._sparse_x = self._pos = None
        if first.edge_attr is not None:
            attr = [
                graph.edge_attr[order] for graph, order in zip(graphs, sorted_edges, strict=True)
            ]
            self._edge_attr = _ragged(attr, self.edge_counts)
        if first.pos is not None:
            self._pos = _ragged([graph.pos for graph in graphs], self.node_counts)
        if scipy.sparse.issparse(first.x):
            self._sparse_x = _SparseRows([graph.x for graph in graphs])
        elif first.x is not None:
            self._x = _ragged([graph.x for graph in graphs], self.node_counts)
        # An index of -1 takes the graph without nodes that every array ends with.
        self._node_counts = pipeline.on_host(np.append(self.node_counts, 0).astype(np.int32))
        self._traced: dict = {}

    def __len__(self) -> int:
        return len(self.node_counts)

    def batch(self, indices: tf.Tensor) -> tfgnn.GraphTensor:
        """Some graphs as one, whose components they are.

        Args:
          indices: int64 [B]; -1 gives a graph without nodes.
        """
        rows = tf.where(indices < 0, tf.cast(len(self), indices.dtype), indices)
        node_sizes = tf.ensure_shape(tf.gather(self._node_counts, rows), indices.shape)
        starts = tf.cumsum(node_sizes, exclusive=True)
        edges = tf.gather(self._edges, rows)
        edge_sizes = tf.ensure_shape(tf.cast(edges.row_lengths(), tf.int32), indices.shape)
        edge_index = edges.values + tf.repeat(starts, edge_sizes)[:, tf.newaxis]
        node_features, edge_features = {}, {}
        if self._x is not None:
            node_features[graph_tensor.X] = tf.gather(self._x, rows).values
        if self._sparse_x is not None:
            node_features[graph_tensor.X] = self._sparse_x.gather(
                rows, starts, tf.reduce_sum(node_sizes)
            )
        if self._pos is not None:
            node_features[graph_tensor.POS] = tf.gather(self._pos, rows).values
        if self._edge_attr is not None:
            edge_features[graph_tensor.EDGE_ATTR] = tf.gather(self._edge_attr, rows).values
        return graph_tensor.from_pieces(
            node_sizes, edge_sizes, tf.unstack(edge_index, axis=1), node_features, edge_features
        )

    def example(self, padding: Padding | None, size: int) -> Callable:
        """A function of indices int64 [size] that gives what a model trains on.

        Args:
          padding: gives the sizes to pad to, or None.
          size: graphs in a batch.

        Returns:
          Function from indices, -1 for no graph, to (GraphTensor, y, weight); see `train_batches`.

        Raises:
          ValueError: if the graphs have no labels.
        """
        if self.labels is None:
            raise ValueError('the graphs have no labels, y is None.')
        labels = pipeline.on_host(self.labels)
        sizes = padding and padding(self.node_counts, self.edge_counts, size)

        def example(indices):
            batch = self.batch(indices)
            if sizes is not None:
                batch, _ = tfgnn.pad_to_total_sizes(batch, sizes)
            y = tf.gather(labels, tf.maximum(indices, 0))
            return batch, y, tf.cast(indices >= 0, tf.float32)

        return example

    def traced_example(self, padding: Padding | None, size: int) -> Callable:
        """`example` as one function for all pipelines; each would trace it for half a second."""
        key = (padding, size)
        if key not in self._traced:
            # None of it is Python to convert, and converting tensorflow_gnn takes seconds.
            self._traced[key] = tf.function(self.example(padding, size), autograph=False)
        return self._traced[key]


def train_batches(
    graphs: Concatenated,
    members: np.ndarray,
    batch_size: int,
    seed: int = 0,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    padding: Padding | None = largest,
    stream: int = 0,
) -> tf.data.Dataset:
    """Training batches, without end: every epoch is a permutation of the members.

    The last batch of an epoch is the rest: its other places are graphs without nodes, of weight 0.
    Step n depends on (seed, n) alone.

    Args:
      graphs: where to gather from.
      members: the graphs to train on, integers [n].
      batch_size: graphs of the global batch.
      seed: the run's seed.
      start_step: the first step.
      input_context: whom the pipeline serves; None: one replica that takes all.
      padding: gives the sizes that batches are padded to; None: batches are as large as they are.
      stream: see `pipeline.shuffled_indices`.

    Returns:
      Dataset of (GraphTensor, y, weight): y [B] or [B, T], weight float32 [B], where
      B = batch_size / replicas; the GraphTensor has B components, or with padding B + 1.

    Raises:
      ValueError: no members or labels, or a batch that cannot be divided evenly among replicas.
    """
    wanted = train_indices(members, batch_size, seed, start_step, input_context, stream)
    return _gathered(graphs, members, wanted, padding)


def train_indices(
    members: np.ndarray,
    batch_size: int,
    seed: int = 0,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    stream: int = 0,
) -> tf.data.Dataset:
    """The graphs of each batch of `train_batches`: dataset of int64 [B], -1 at a place without."""
    members = np.asarray(members, np.int64)
    if not members.size:
        raise ValueError('there is no graph to train on.')
    epoch_places = steps_per_epoch(len(members), batch_size) * batch_size
    places = pipeline.batch_positions(batch_size, start_step, input_context)

    def positions(place):
        """Positions in the stream of the epochs' members; in the last batch some come twice."""
        place_in_epoch = tf.minimum(place % epoch_places, len(members) - 1)
        return place // epoch_places * len(members) + place_in_epoch

    shuffled = pipeline.shuffled_indices(places.map(positions), len(members), seed, stream)
    ids = pipeline.on_host(members)

    def graphs_of(index, place):
        return tf.where(place % epoch_places < len(members), tf.gather(ids, index), -1)

    # Said, since several workers keep static shapes only of a dataset they know to be endless.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return tf.data.Dataset.zip((shuffled, places)).map(graphs_of).apply(endless)


def evaluation_batches(
    graphs: Concatenated,
    members: np.ndarray,
    batch_size: int,
    input_context: tf.distribute.InputContext | None = None,
    padding: Padding | None = largest,
) -> tf.data.Dataset:
    """Every member once, in order; see `train_batches`."""
    batches = pipeline.eval_batches(len(members), batch_size, input_context)
    ids = pipeline.on_host(np.asarray(members, np.int64))
    wanted = batches.map(lambda index, weight: tf.where(weight > 0, tf.gather(ids, index), -1))
    return _gathered(graphs, members, wanted, padding)


def steps_per_epoch(num_members: int, batch_size: int) -> int:
    """Batches of one pass over the members."""
    return -(-num_members // batch_size)


def _gathered(graphs, members, wanted, padding):
    members = np.asarray(members)
    wrong = members[(members < 0) | (members >= len(graphs))]
    if wrong.size:
        raise ValueError(
            f'graph {wrong[0]} is to be in batches, but graphs are 0 to {len(graphs) - 1}.'
        )
    example = graphs.traced_example(padding, wanted.element_spec.shape[0])
    return pipeline.finish(wanted.map(example))


class _SparseRows:
    """Sparse x of all graphs; entries of a graph come one after another."""

    def __init__(self, matrices):
        self._features = matrices[0].shape[1]
        matrices = [matrix.tocoo() for matrix in matrices]
        counts = [matrix.nnz for matrix in matrices]
        self._places = _ragged(
            [np.stack([matrix.row, matrix.col], axis=1).astype(np.int32) for matrix in matrices],
            counts,
        )
        self._values = _ragged([matrix.data for matrix in matrices], counts)

    def gather(self, rows, starts, num_nodes) -> tf.Tensor:
        """Dense float32 [num_nodes, F] of the graphs `rows`, whose first nodes are `starts`."""
        places = tf.gather(self._places, rows)
        first = tf.repeat(starts, places.row_lengths())
        indices = places.values + tf.stack([first, tf.zeros_like(first)], axis=1)
        dense = tf.scatter_nd(
            indices, tf.gather(self._values, rows).values, tf.stack([num_nodes, self._features])
        )
        return tf.ensure_shape(dense, [None, self._features])


def _ragged(parts, counts) -> tf.RaggedTensor:
    """[graphs + 1, (rows), ...], the last without rows."""
    splits = np.append(0, np.cumsum(np.append(counts, 0)))
    values = np.concatenate(parts)
    return tf.RaggedTensor.from_row_splits(
        pipeline.on_host(values), pipeline.on_host(splits.astype(np.int64))
    )
