"""The networks of Table 2 against a transcription in NumPy, graph by graph."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import batching, graph_tensor
from research.geometric.convs import gcn_conv
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from research.geometric.models import conv_network
from tests.research.geometric import checks
from tests.research.geometric.models import graph_networks


def random_graphs(sizes=(5, 1, 9, 6), seed=0, attr=False):
    """Graphs with normal features, so that no two nodes are alike; the second has no edges."""
    draw = np.random.default_rng(seed)
    graphs = []
    for size in sizes:
        pairs = (
            np.array(
                [(i, j) for i in range(size) for j in range(i) if draw.random() < 0.4], np.int32
            )
            .reshape(-1, 2)
            .T
        )
        edges = np.concatenate([pairs, pairs[::-1]], axis=1)
        weight = np.tile(draw.uniform(0.5, 1.5, pairs.shape[1]), 2)
        graphs.append(
            Graph(
                edges,
                draw.normal(size=(size, 3)),
                weight if attr else None,
                y=np.int32(size % 2),
                class_names=('a', 'b'),
            )
        )
    return graphs


GRAPHS = random_graphs()


def batch(graphs, padding=None):
    dataset = batching.Concatenated(GraphDataset(graphs, ('a', 'b')))
    return dataset.example(padding, len(graphs))(tf.range(len(graphs), dtype=tf.int64))[0]


def relu(x):
    return np.maximum(x, 0)


def sage(layer, x, edges):
    """Hamilton et al. 2017, Algorithm 1, with the mean."""
    matrix = checks.dense(edges, len(x))
    mean = matrix @ x / np.maximum(matrix.sum(1, keepdims=True), 1)
    kernel, root, bias = (np.float64(w) for w in (layer.kernel, layer.root_kernel, layer.bias))
    return mean @ kernel + x @ root + bias


def each_alone(network, **arguments):
    """What a network says of each graph by itself."""
    return np.concatenate(
        [
            graph_networks.of(network, graph_tensor.to_graph_tensor(graph), **arguments)
            for graph in GRAPHS
        ]
    )


@pytest.mark.parametrize('jumping_knowledge', [True, False])
def test_flat(jumping_knowledge):
    network = graph_networks.built('sage', jumping_knowledge=jumping_knowledge)
    expected = []
    for graph in GRAPHS:
        x, read = graph.x.astype(np.float64), []
        for layer in network.convs:
            x = relu(sage(layer, x, graph.edge_index))
            read.append(x.mean(0))
        expected.append(np.concatenate(read if jumping_knowledge else read[-1:]))
    out = graph_networks.of(network, batch(GRAPHS))
    assert out.shape == (4, 24 if jumping_knowledge else 8) and np.abs(out).max() > 0.1
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_top_k():
    """Cangea et al. 2018, Eqs. (1) and (2), after the second of three convolutions."""
    network = graph_networks.built('top_k')
    (pool,) = network.pools
    direction = np.float64(pool.kernel)[:, 0]
    expected = []
    for graph in GRAPHS:
        x, edges, read = graph.x.astype(np.float64), graph.edge_index, []
        for number, layer in enumerate(network.convs):
            if number == 2:
                score = x @ direction / np.linalg.norm(direction)
                kept = np.sort(np.argsort(-score, kind='stable')[: -(-4 * len(x) // 5)])
                place = np.full(len(x), -1)
                place[kept] = np.arange(len(kept))
                x = (x * np.tanh(score)[:, np.newaxis])[kept]
                edges = place[edges][:, (place[edges] >= 0).all(0)]
            x = relu(sage(layer, x, edges))
            read.append(x.mean(0))
        expected.append(np.concatenate(read))
    for padding in (None, batching.largest):
        out = graph_networks.of(network, batch(GRAPHS, padding))
        np.testing.assert_allclose(out[:4], expected, rtol=1e-4, atol=1e-5)


def test_graclus_where_there_is_one_matching():
    """Nodes in pairs: each pair becomes one node, the maximum of both, without edges."""
    draw = np.random.default_rng(2)
    graphs = [
        Graph(
            np.array([[0, 1, 2, 3], [1, 0, 3, 2]]),
            draw.normal(size=(size, 3)),
            y=np.int32(0),
            class_names=('a', 'b'),
        )
        for size in (4, 5)
    ]
    network = graph_networks.built('graclus')
    expected = []
    for graph in graphs:
        x, edges, read = graph.x.astype(np.float64), graph.edge_index, []
        for number, layer in enumerate(network.convs):
            if number == 2:
                x, edges = np.stack([x[:2].max(0), x[2:4].max(0), *x[4:]]), np.zeros((2, 0), int)
            x = relu(sage(layer, x, edges))
            read.append(x.mean(0))
        expected.append(np.concatenate(read))
    for padding in (None, batching.largest):
        for key in (None, random.make_key(3), tf.concat([random.make_key(3)] * 2, axis=0)):
            out = graph_networks.of(network, batch(graphs, padding), key=key)
            np.testing.assert_allclose(out[:2], expected, rtol=1e-4, atol=1e-5)


def test_gin_with_batch_norm():
    """Xu et al. 2019, Eq. (4.1), then statistics over all nodes of the batch."""
    network = graph_networks.built('gin_eps')
    for number, layer in enumerate(network.convs):
        layer.eps.assign(0.3 * number - 0.2)
    xs = [graph.x.astype(np.float64) for graph in GRAPHS]
    read = []
    for layer, norm in zip(network.convs, network.norms, strict=True):
        first, second = ([np.float64(w) for w in dense.weights] for dense in layer.mlp.layers)
        for number, graph in enumerate(GRAPHS):
            x = (1 + float(layer.eps)) * xs[number]
            x = x + checks.dense(graph.edge_index, graph.num_nodes) @ xs[number]
            xs[number] = relu(relu(x @ first[0] + first[1]) @ second[0] + second[1])
        every = np.concatenate(xs)
        scale = np.float64(norm.gamma) / np.sqrt(every.var(0) + 1e-5)
        xs = [(x - every.mean(0)) * scale + np.float64(norm.beta) for x in xs]
        read.append([x.mean(0) for x in xs])
    expected = np.concatenate(read, axis=1)
    key = random.make_key(0)
    out = graph_networks.of(network, batch(GRAPHS), key=key)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4)
    padded = batch(GRAPHS, lambda *_: batching.constraints(4, 40, 60))
    out = graph_networks.of(network, padded, num_real=4, key=key)
    np.testing.assert_allclose(out[:4], expected, rtol=1e-3, atol=1e-4)
    # Padding that is not known to be padding counts.
    out = graph_networks.of(network, padded, key=key)
    assert np.abs(out[:4] - expected).max() > 0.1


# A matching of Graclus depends on where a node is in the batch.
@pytest.mark.parametrize('name', sorted(set(graph_networks.NETWORKS) - {'graclus'}))
def test_graphs_do_not_see_each_other(name):
    network = graph_networks.built(name)
    alone = each_alone(network)
    assert np.abs(alone[0] - alone[2]).max() > 1e-3
    np.testing.assert_allclose(
        graph_networks.of(network, batch(GRAPHS)), alone, rtol=1e-4, atol=1e-5
    )
    padded = batch(GRAPHS, lambda *_: batching.constraints(4, 40, 60))
    np.testing.assert_allclose(graph_networks.of(network, padded)[:4], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', sorted(set(graph_networks.NETWORKS) - {'graclus'}))
def test_the_order_of_nodes_does_not_matter(name):
    network = graph_networks.built(name)
    draw = np.random.default_rng(4)
    shuffled = []
    for graph in GRAPHS:
        order = draw.permutation(graph.num_nodes)
        edges = np.argsort(order)[graph.edge_index].reshape(2, -1)
        shuffled.append(graph.replace(x=graph.x[order], edge_index=edges))
    np.testing.assert_allclose(
        graph_networks.of(network, batch(shuffled)),
        graph_networks.of(network, batch(GRAPHS)),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize('attr', [False, True])
@pytest.mark.parametrize('pool', [None, 'top_k'])
def test_sparse_edges_agree(attr, pool):
    graphs = batch(random_graphs(attr=attr))
    arguments = {'conv': gcn_conv.GCNConv}
    if pool:
        arguments['pool'] = graph_networks.NETWORKS[pool].keywords['pool']
    network = graph_networks.built('sage', **arguments)
    expected = graph_networks.of(network, graphs)
    network.sparse_edges = True
    np.testing.assert_allclose(graph_networks.of(network, graphs), expected, rtol=1e-4, atol=1e-5)


def test_bad_counts():
    for field in ('channels', 'num_layers', 'pool_every'):
        with pytest.raises(ValueError, match=f'{field} = 0 must be positive'):
            conv_network.ConvNetwork(**{field: 0})
