import functools

import numpy as np
import pytest
import tensorflow as tf

from official.core import export
from research.geometric import graph_export, graph_tensor
from research.geometric.convs import gcn_conv
from research.geometric.models import conv_network, graph_classifier
from tests.research.geometric import tiny_graphs
from tests.research.geometric.models import graph_networks

GRAPHS = tiny_graphs.dataset(5, seed=3).graphs


class Data:
    class_names = ('ring', 'star')


def exported(model, tmp_path):
    path = export.save(model, graph_export.signatures(model, Data()), str(tmp_path / 'saved'))
    return tf.saved_model.load(path).signatures


def model_of(network, **arguments):
    tf.keras.utils.set_random_seed(3)
    return graph_classifier.GraphClassifier(network, 3, 2, hidden=8, **arguments)


def batch_of(graphs):
    """Several graphs as plain arrays, by hand."""
    starts = np.cumsum([0, *(graph.num_nodes for graph in graphs)])
    return {
        'x': np.concatenate([graph.x for graph in graphs]),
        'edge_index': np.concatenate(
            [graph.edge_index + start for graph, start in zip(graphs, starts[:-1], strict=True)],
            axis=1,
        ).astype(np.int32),
        'batch': np.repeat(np.arange(len(graphs)), np.diff(starts)).astype(np.int32),
    }


def tensors(arrays):
    return {name: tf.constant(value) for name, value in arrays.items()}


@pytest.mark.parametrize('name', ['gin0', 'top_k', 'graclus', 'diff_pool', 'set2set', 'sort_pool'])
def test_one_graph_and_several(name, tmp_path):
    model = model_of(graph_networks.NETWORKS[name]())
    signatures = exported(model, tmp_path)
    expected = np.concatenate([model(graph_tensor.to_graph_tensor(graph)) for graph in GRAPHS])
    for graph, logits in zip(GRAPHS, expected, strict=True):
        answer = signatures['predict'](
            x=tf.constant(graph.x), edge_index=tf.constant(graph.edge_index)
        )
        np.testing.assert_allclose(answer['logits'], [logits], rtol=1e-4, atol=1e-5)
    answer = signatures['predict_batch'](**tensors(batch_of(GRAPHS)))
    # A matching of Graclus depends on where a node is in the batch.
    if name != 'graclus':
        np.testing.assert_allclose(answer['logits'], expected, rtol=1e-4, atol=1e-5)
    odds = np.exp(answer['logits'])
    np.testing.assert_allclose(
        answer['probabilities'], odds / odds.sum(1, keepdims=True), rtol=1e-5
    )
    labels = odds.argmax(1)
    np.testing.assert_array_equal(answer['labels'], labels)
    assert [name.decode() for name in answer['names'].numpy()] == [
        Data.class_names[label] for label in labels
    ]


def test_edge_weights_and_sparse_edges(tmp_path):
    network = functools.partial(conv_network.ConvNetwork, gcn_conv.GCNConv, 8, sparse_edges=True)
    model = model_of(network(), num_edge_features=0)
    signatures = exported(model, tmp_path)
    graph = GRAPHS[1]
    weights = np.random.default_rng(0).uniform(0.5, 2, graph.num_edges).astype(np.float32)
    weighted = graph_tensor.to_graph_tensor(graph.replace(edge_attr=weights))
    one = {'x': graph.x, 'edge_index': graph.edge_index, 'edge_attr': weights}
    for name, more in (
        ('predict', {}),
        ('predict_batch', {'batch': np.zeros(graph.num_nodes, np.int32)}),
    ):
        answer = signatures[name](**tensors({**one, **more}))
        np.testing.assert_allclose(answer['logits'], model(weighted), rtol=1e-4, atol=1e-5)


def test_bad_arrays_are_refused(tmp_path):
    signatures = exported(model_of(graph_networks.NETWORKS['sage']()), tmp_path)
    good = batch_of(GRAPHS)

    def refuses(message, **changes):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures['predict_batch'](**tensors({**good, **changes}))

    edges = good['edge_index'].copy()
    edges[0, 3] = len(good['x'])
    refuses('edge_index names a node that x does not have', edge_index=edges)
    edges[0, 3] = -1
    refuses('edge_index has a negative node', edge_index=edges)
    refuses('x has a feature that is not finite', x=good['x'] * np.float32('nan'))
    refuses('batch must ascend', batch=good['batch'][::-1])
    refuses('batch must have one number a node', batch=good['batch'][:-1])
