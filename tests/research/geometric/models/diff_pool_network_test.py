"""DiffPool's network against a transcription of Ying et al. 2018 in NumPy, graph by graph."""

import math

import numpy as np
import pytest
import tensorflow as tf

from research.geometric import graph_tensor
from research.geometric.models import diff_pool_network
from tests.research.geometric import checks
from tests.research.geometric.models import conv_network_test, graph_networks


def sage(layer, x, matrix):
    total = matrix.sum(1, keepdims=True)
    mean = np.where(total > 0, matrix @ x / np.where(total > 0, total, 1), 0)
    return (
        mean @ np.float64(layer.kernel) + x @ np.float64(layer.root_kernel) + np.float64(layer.bias)
    )


def block(layer, x, matrix):
    first = conv_network_test.relu(sage(layer.first, x, matrix))
    second = conv_network_test.relu(sage(layer.second, first, matrix))
    kernel, bias = (np.float64(w) for w in layer.out.weights)
    return np.concatenate([first, second], axis=1) @ kernel + bias


def reference(network, graph, max_nodes):
    x, matrix = graph.x.astype(np.float64), checks.dense(graph.edge_index, graph.num_nodes)
    z = conv_network_test.relu(block(network.embeddings[0], x, matrix))
    read = [z.mean(0)]
    for level, assignment in enumerate(network.assignments, 1):
        logits = block(assignment, x, matrix)
        if level == 1:  # Nodes above the limit are not pooled.
            logits, z, matrix = logits[:max_nodes], z[:max_nodes], matrix[:max_nodes, :max_nodes]
        s = np.exp(logits - logits.max(1, keepdims=True))
        s /= s.sum(1, keepdims=True)
        x, matrix = s.T @ z, s.T @ matrix @ s
        z = conv_network_test.relu(block(network.embeddings[level], x, matrix))
        read.append(z.mean(0))
    return np.concatenate(read)


@pytest.mark.parametrize('max_nodes', [10, 6])
def test_formula(max_nodes):
    network = graph_networks.built('diff_pool', max_nodes=max_nodes)
    widths = [block.out.units for block in network.assignments]
    assert widths == [math.ceil(max_nodes / 4), 1]
    expected = [reference(network, graph, max_nodes) for graph in conv_network_test.GRAPHS]
    out = graph_networks.of(network, conv_network_test.batch(conv_network_test.GRAPHS))
    assert out.shape == (4, 24)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-5)


def test_gradients_reach_every_weight():
    network = graph_networks.built('diff_pool')
    arrays = graph_tensor.arrays(conv_network_test.batch(conv_network_test.GRAPHS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(*arrays)))
    for variable, gradient in zip(
        network.trainable_weights, tape.gradient(loss, network.trainable_weights), strict=True
    ):
        # Into one node everything is assigned in any case.
        last = network.assignments[-1].trainable_weights
        assert gradient is not None, variable.name
        assert any(variable is w for w in last) or np.abs(gradient).max() > 0, variable.name


def test_dense_convolution_of_a_node_without_edges():
    layer = diff_pool_network.DenseSAGEConv(2)
    x = np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]], np.float32)
    adjacency = np.array([[[0, 0, 0], [1, 0, 3], [0, 0, 0]]], np.float32)
    layer(x, adjacency)
    layer.kernel.assign(np.eye(2))
    layer.root_kernel.assign(10 * np.eye(2))
    layer.bias.assign([0.5, 0])
    # The second node has neighbours 0 and 2 with weights 1 and 3: their mean is (4, 5.75).
    np.testing.assert_allclose(
        layer(x, adjacency), [[[10.5, 20], [34.5, 45.75], [50.5, 70]]], rtol=1e-6
    )


def test_bad_counts():
    with pytest.raises(ValueError, match='max_nodes = 0 must be positive'):
        diff_pool_network.DiffPoolNetwork(0)
    with pytest.raises(ValueError, match='num_levels = 0 must be positive'):
        diff_pool_network.DiffPoolNetwork(5, num_levels=0)
