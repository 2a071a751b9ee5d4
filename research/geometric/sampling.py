"""Neighbour sampling: batches of nodes of a graph that does not fit a step, each with a subgraph.

Hamilton et al. 2017 ("Inductive Representation Learning on Large Graphs"), Algorithm 2. A batch is
put together by the sampler of tensorflow_gnn and has its structure for reading out some nodes, so
that `tfgnn.structured_readout(graph, 'seed', feature_name=...)` gives a row for each. The draws are
made here: those of tensorflow_gnn keep a state, and the examples of a step would depend on all
steps before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn
from tensorflow_gnn.experimental import sampler

from official.data import pipeline
from research.geometric import batching, graph_tensor
from research.geometric import graph as graph_lib

SEED, ID = 'seed', '#id'
_READOUT = '_readout'


class NeighbourSampler:
    """Draws subgraphs around nodes of a graph in the host's memory.

    Args:
      graph: a graph with features. Of duplicate edges a subgraph has one.
      fan_outs: the most neighbours drawn of a node, hop by hop: (10, 5) draws 10 of each seed and
        5 of each of those. A network of as many layers sees nothing else.

    Raises:
      ValueError: if the graph has no features, or a fan-out is not positive.
    """

    def __init__(self, graph: graph_lib.Graph, fan_outs: Sequence[int]):
        if graph.x is None:
            raise ValueError(f'{graph.name}: has no features to sample, x is None.')
        if not fan_outs or min(fan_outs) < 1:
            raise ValueError(f'fan_outs = {tuple(fan_outs)} must be positive numbers, one a hop.')
        self.fan_outs = tuple(fan_outs)
        self.num_nodes, self.num_edges = graph.num_nodes, graph.num_edges
        order = np.lexsort(graph.edge_index)
        degrees = np.bincount(graph.edge_index[1], minlength=graph.num_nodes)
        self._degrees = pipeline.on_host(degrees.astype(np.int64))
        self._starts = pipeline.on_host(np.cumsum(degrees) - degrees)
        self._edges = {
            tfgnn.SOURCE_NAME: graph.edge_index[0][order].astype(np.int64),
            tfgnn.TARGET_NAME: graph.edge_index[1][order].astype(np.int64),
        }
        if graph.edge_attr is not None:
            self._edges[graph_tensor.EDGE_ATTR] = graph.edge_attr[order]
        self._edges = {name: pipeline.on_host(values) for name, values in self._edges.items()}
        features = (
            {} if scipy.sparse.issparse(graph.x) else {graph_tensor.X: pipeline.on_host(graph.x)}
        )
        if graph.pos is not None:
            features[graph_tensor.POS] = pipeline.on_host(graph.pos)
        self._features = (
            sampler.InMemIndexToFeaturesAccessor(features, name=graph_tensor.NODES)
            if features
            else None
        )
        self._sparse_x = _SparseRows(graph.x) if scipy.sparse.issparse(graph.x) else None

    def sample(self, seeds: tf.Tensor, key: tf.Tensor) -> tfgnn.GraphTensor:
        """One subgraph around all seeds.

        Args:
          seeds: nodes, integers [B], B a number that is known; one may be there twice.
          key: integers [2], the only randomness.

        Returns:
          A scalar GraphTensor of one component. 'nodes' have x and '#id', their numbers in the
          whole graph; the node set '_readout' has a row for each seed, which the edge set
          '_readout/seed' connects with its node.
        """
        seeds = tf.cast(seeds, tf.int64)
        reached, pieces, frontier = [seeds], [], tf.unique(seeds).y
        for hop, fan_out in enumerate(self.fan_outs):
            drawn = self._draw(frontier, fan_out, tf.random.fold_in(key, hop, alg='philox'))
            edges = {name: tf.gather(values, drawn) for name, values in self._edges.items()}
            pieces.append({name: _row(values) for name, values in edges.items()})
            frontier = tf.unique(edges[tfgnn.SOURCE_NAME]).y
            reached.append(frontier)
        # Every edge begins and ends at a node that was reached, the seeds first.
        ids = sampler.ragged_unique(_row(tf.concat(reached, axis=0)))
        nodes = {ID: ids, **(self._features(ids) if self._features else {})}
        if self._sparse_x is not None:
            nodes[graph_tensor.X] = _row(self._sparse_x.gather(ids.values))
        key_of_edges = f'{graph_tensor.NODES},{graph_tensor.EDGES},{graph_tensor.NODES}'
        graph = sampler.build_graph_tensor(
            node_sets={graph_tensor.NODES: nodes}, edge_sets={key_of_edges: pieces}, validate=False
        ).merge_batch_to_components()
        return _with_readout(graph, tf.unique(seeds).idx, seeds.shape[0])

    def _draw(self, nodes, count, key):
        """The edges into each node, or `count` of them where there are more: int64 [edges]."""
        degrees = tf.gather(self._degrees, nodes)
        of = tf.repeat(tf.range(tf.size(nodes)), degrees)
        first = tf.cumsum(degrees, exclusive=True)
        place = tf.range(tf.reduce_sum(degrees)) - tf.gather(first, of)
        edges = tf.gather(tf.gather(self._starts, nodes), of) + place
        # Sorted at random within each node, the first `count` are a draw without replacement.
        chance = tf.random.stateless_uniform(
            tf.shape(of), key, minval=None, maxval=None, dtype=tf.int32, alg='philox'
        )
        order = tf.argsort(chance, stable=True)
        order = tf.gather(order, tf.argsort(tf.gather(of, order), stable=True))
        return tf.boolean_mask(tf.gather(edges, order), place < count)

    def sizes(self, num_seeds: int) -> tfgnn.SizeConstraints:
        """The least sizes that fit every subgraph around so many seeds, and its padding.

        Args:
          num_seeds: B.
        """
        nodes = frontier = min(num_seeds, self.num_nodes)
        edges = 0
        for fan_out in self.fan_outs:
            drawn = min(frontier * fan_out, self.num_edges)
            edges, nodes, frontier = edges + drawn, nodes + drawn, min(drawn, self.num_nodes)
        return tfgnn.SizeConstraints(
            total_num_components=2,
            total_num_nodes={
                graph_tensor.NODES: min(nodes, self.num_nodes) + 1,
                _READOUT: num_seeds,
            },
            total_num_edges={
                graph_tensor.EDGES: min(edges, self.num_edges),
                f'{_READOUT}/{SEED}': num_seeds,
            },
        )


def neighbour_batches(
    sampler_: NeighbourSampler,
    nodes: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    seed: int = 0,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    padded: bool = False,
    stream: int = 0,
) -> tf.data.Dataset:
    """Training batches of nodes with their sampled subgraphs, without end.

    Step n depends on (seed, n) alone; every epoch is a permutation of the nodes, and its last batch
    the rest: its other places are the first node once more, of weight 0.

    Args:
      sampler_: what draws the subgraphs.
      nodes: the nodes to train on, integers [n].
      labels: of all nodes, integers [N].
      batch_size: nodes of the global batch.
      seed: the run's seed.
      start_step: the first step.
      input_context: whom the pipeline serves; None: one replica that takes all.
      padded: whether all batches have the same sizes, as XLA and TPUs need them.
      stream: see `pipeline.shuffled_indices`.

    Returns:
      Dataset of (GraphTensor, y, weight): see `NeighbourSampler.sample`; y int32 [B] and weight
      float32 [B], with B = batch_size / replicas.
    """
    indices = batching.train_indices(nodes, batch_size, seed, start_step, input_context, stream)
    first = pipeline.batch_positions(batch_size, start_step, input_context)
    return _sampled(sampler_, labels, tf.data.Dataset.zip((indices, first)), (seed, stream), padded)


def _sampled(sampler_, labels, batches, seed, padded):
    labels = pipeline.on_host(graph_lib.narrowed(np.asarray(labels), 'labels'))
    num_seeds = batches.element_spec[0].shape[0]
    sizes = sampler_.sizes(num_seeds) if padded else None

    @tf.autograph.experimental.do_not_convert
    def example(seeds, positions):
        weight = tf.cast(seeds >= 0, tf.float32)
        seeds = tf.where(seeds >= 0, seeds, seeds[0])
        key = tf.random.fold_in(tf.constant(seed, tf.int64), positions[0], alg='philox')
        graph = sampler_.sample(seeds, key)
        if sizes is not None:
            graph, _ = tfgnn.pad_to_total_sizes(graph, sizes)
        return graph, tf.gather(labels, seeds), weight

    return pipeline.finish(batches.map(example))


def _with_readout(graph, positions, num_seeds):
    readout = tfgnn.NodeSet.from_fields(sizes=[num_seeds], features={})
    edges = tfgnn.EdgeSet.from_fields(
        sizes=[num_seeds],
        features={},
        adjacency=tfgnn.Adjacency.from_indices(
            (graph_tensor.NODES, positions), (_READOUT, tf.range(num_seeds))
        ),
    )
    return tfgnn.GraphTensor.from_pieces(
        context=graph.context,
        node_sets={**graph.node_sets, _READOUT: readout},
        edge_sets={**graph.edge_sets, f'{_READOUT}/{SEED}': edges},
    )


def _row(values: tf.Tensor) -> tf.RaggedTensor:
    """[n, ...] as a ragged [1, (n), ...]."""
    splits = tf.stack([tf.constant(0, tf.int64), tf.shape(values, tf.int64)[0]])
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


class _SparseRows:
    """A sparse x, whose rows are made dense as they are gathered."""

    def __init__(self, matrix):
        matrix = matrix.tocsr()
        splits = matrix.indptr.astype(np.int64)
        self._width = matrix.shape[1]
        self._columns, self._values = (
            tf.RaggedTensor.from_row_splits(pipeline.on_host(values), splits)
            for values in (matrix.indices.astype(np.int64), matrix.data)
        )

    def gather(self, rows):
        columns = tf.gather(self._columns, rows)
        indices = tf.stack([columns.value_rowids(), columns.values], axis=1)
        shape = tf.stack([tf.size(rows, tf.int64), self._width])
        dense = tf.scatter_nd(indices, tf.gather(self._values, rows).values, shape)
        return tf.ensure_shape(dense, [None, self._width])
