"""One training of this project's GCN, GAT or R-GCN on a whole graph.

What benchmarks/geometric.py runs, a process at a time; by hand, on a file that `numpy.savez` made
of `geometric_data.arrays`:

    ./garden python benchmarks/geometric_tensorflow.py gcn cora.npz --epochs=200

Everything is the product's: operators, network, classifier, optimizer and tensors, as the gin files
of Table 1 (Fey & Lenssen 2019) wire them but for the rate and the decay of Table 4. The loop over
the epochs is in the graph, one call of one compiled function. Prints one JSON object: 'seconds' of
the epochs after some to warm up, 'loss' of the last one, 'parameters', 'memory' and 'libraries'.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import tensorflow as tf

from benchmarks import contest, geometric_data
from official.modeling import optimizers
from research.geometric import graph, node_data
from research.geometric.convs import gat_conv, gcn_conv, rgcn_conv
from research.geometric.models import node_classifier, node_networks

LEARNING_RATE = 0.01


def gcn(sizes: geometric_data.Sizes) -> node_networks.GraphNetwork:
    """16 hidden units, dropout 0.5 of them."""
    operators = [gcn_conv.GCNConv(width, normalize=False) for width in (16, sizes.classes)]
    return node_networks.GraphNetwork(operators, dropout=0.5, input_dropout=0.0)


def gat(sizes: geometric_data.Sizes) -> node_networks.GraphNetwork:
    """8 heads of 8 hidden units, dropout 0.6 of input, hidden units and attention."""
    operators = [
        gat_conv.GATConv(8, heads=8, dropout=0.6, self_loops=False),
        gat_conv.GATConv(sizes.classes, concat=False, dropout=0.6, self_loops=False),
    ]
    return node_networks.GraphNetwork(operators, activation='elu', dropout=0.6)


def rgcn(sizes: geometric_data.Sizes) -> node_networks.GraphNetwork:
    """16 hidden units, 30 bases in each of the two layers."""
    return node_networks.GraphNetwork(
        [
            rgcn_conv.RGCNConv(16, sizes.relations, num_bases=30, num_nodes=sizes.nodes),
            rgcn_conv.RGCNConv(sizes.classes, sizes.relations, num_bases=30),
        ]
    )


NETWORKS = {'gcn': gcn, 'gat': gat, 'rgcn': rgcn}


def batch(name: str, found: dict[str, np.ndarray]) -> tuple:
    """(inputs, labels, nodes) of the graph, as `NodeClassifier` takes them.

    Args:
      name: of the network.
      found: of `geometric_data.arrays`.
    """
    labels, nodes = tf.constant(found['labels']), tf.constant(found['nodes'])
    if name == 'rgcn':
        sizes = geometric_data.sizes_of(found)
        adjacency = rgcn_conv.relational_adjacency(
            found['edge_index'], found['edge_type'], sizes.nodes, sizes.relations
        )
        return {'x': None, 'edge_index': adjacency}, labels, nodes
    whole = graph.Graph(found['edge_index'], x=geometric_data.matrix(found))
    if name == 'gcn':
        return node_data.inputs(whole, coefficients='gcn'), labels, nodes
    return node_data.inputs(whole, coefficients='self_loops', sparse_edges=False), labels, nodes


class Training:
    """A network's training on one graph.

    Args:
      name: one of NETWORKS.
      found: of `geometric_data.arrays`.
      seed: of weights and dropout.
    """

    def __init__(self, name: str, found: dict[str, np.ndarray], seed: int = 0):
        tf.keras.utils.set_random_seed(seed)
        self.batch = batch(name, found)
        network = NETWORKS[name](geometric_data.sizes_of(found))
        self.model = node_classifier.NodeClassifier(network, seed=seed)
        self.model(self.batch[0])
        self.model.compile(optimizers.FusedAdam(LEARNING_RATE))
        self.model.build_optimizers()

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(variable.shape.num_elements() for variable in self.model.trainable_variables)

    @tf.function
    def _run(self, epochs):
        epoch, loss = tf.constant(0), tf.constant(float('nan'))
        while epoch < epochs:
            loss = self.model.step(self.batch)['loss']
            epoch += 1
        return loss

    def run(self, epochs: int) -> float:
        """Trains on; returns the loss of the last epoch."""
        return float(self._run(tf.constant(epochs)))


def main() -> None:
    libraries_mb = contest.memory_mb().get('now_mb')
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('network', choices=list(NETWORKS))
    parser.add_argument('graph', help='file of arrays')
    parser.add_argument('--epochs', type=contest.positive, default=200)
    parser.add_argument('--warm_up', type=contest.positive, default=10, help='epochs before')
    parser.add_argument('--threads', type=contest.positive, help='of an operation; else all')
    arguments = parser.parse_args()
    if arguments.threads:
        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    with np.load(arguments.graph) as file:
        found = dict(file)
    training = Training(arguments.network, found)
    training.run(arguments.warm_up)
    start = time.perf_counter()
    loss = training.run(arguments.epochs)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                'seconds': seconds,
                'loss': loss,
                'parameters': training.parameters,
                'memory': {
                    'libraries_mb': libraries_mb,
                    'peak_mb': contest.memory_mb().get('peak_mb'),
                },
                'libraries': {'tensorflow': tf.__version__},
            }
        )
    )


if __name__ == '__main__':
    main()
