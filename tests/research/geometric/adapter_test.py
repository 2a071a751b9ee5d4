import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric import adapter, graph_tensor, message_passing
from research.geometric.convs import gcn_conv, sage_conv
from research.geometric.graph import Graph
from tests.research.geometric import checks

ATTR = checks.uniform_attr()(checks.EDGES.shape[1])
GRAPH = graph_tensor.to_graph_tensor(Graph(checks.EDGES, checks.features(), ATTR))


class Offsets(message_passing.MessagePassing):
    """Sums x_j + pos_j - pos_i, to see which positions arrive."""

    def message(self, x_source, x_target, edge_attr):
        return x_source[:, 1:] + x_source[:, :1] - x_target[:, :1]

    def call(self, x, edge_index, edge_attr=None, pos=None):
        pairs = zip(pos, x, strict=True) if isinstance(x, tuple) else [(pos, x)]
        x = tuple(tf.concat(pair, axis=1) for pair in pairs)
        return self.propagate(x if len(x) == 2 else x[0], edge_index, edge_attr)


def test_on_a_graph_tensor():
    conv = gcn_conv.GCNConv(4)
    update = adapter.OperatorUpdate(conv, edge_attr='edge_attr')
    out = update(GRAPH)
    expected = conv(checks.features(), checks.EDGES, ATTR)
    np.testing.assert_array_equal(out.node_sets['nodes'][tfgnn.HIDDEN_STATE], expected)
    np.testing.assert_array_equal(out.edge_sets['edges']['edge_attr'], ATTR)
    without = adapter.OperatorUpdate(conv)(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    np.testing.assert_array_equal(without, conv(checks.features(), checks.EDGES))
    assert np.abs(without - expected).max() > 0.01


def test_what_the_graph_has_not():
    update = adapter.OperatorUpdate(gcn_conv.GCNConv(4), x='colour')
    with pytest.raises(ValueError, match="'nodes' has no feature 'colour', but 'hidden_state'"):
        update(GRAPH)
    batch = next(iter(tf.data.Dataset.from_tensors(GRAPH).batch(1)))
    with pytest.raises(ValueError, match='is a batch of shape .*merge_batch_to_components'):
        adapter.OperatorUpdate(gcn_conv.GCNConv(4))(batch)


def test_two_in_a_row():
    first, second = gcn_conv.GCNConv(4), sage_conv.SAGEConv(2)
    model = tf.keras.Sequential([adapter.OperatorUpdate(conv) for conv in (first, second)])
    expected = second(first(checks.features(), checks.EDGES), checks.EDGES)
    out = model(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    np.testing.assert_array_equal(out, expected)
    assert len(model.trainable_weights) == 5


def test_in_a_graph_update():
    conv = gcn_conv.GCNConv(4)
    layer = tfgnn.keras.layers.GraphUpdate(
        node_sets={'nodes': adapter.OperatorUpdate(conv, edge_attr='edge_attr')}
    )
    out = layer(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    np.testing.assert_array_equal(out, conv(checks.features(), checks.EDGES, ATTR))


def test_in_a_node_set_update():
    conv, dense = gcn_conv.GCNConv(4), tf.keras.layers.Dense(2)
    layer = tfgnn.keras.layers.GraphUpdate(
        node_sets={
            'nodes': tfgnn.keras.layers.NodeSetUpdate(
                {'edges': adapter.OperatorUpdate(conv)},
                tfgnn.keras.layers.NextStateFromConcat(dense),
            )
        }
    )
    out = layer(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    x = checks.features()
    np.testing.assert_allclose(out, dense(tf.concat([x, conv(x, checks.EDGES)], axis=1)), rtol=1e-6)


def test_in_the_functional_api_on_padded_batches():
    conv = gcn_conv.GCNConv(4)
    padded, mask = tfgnn.pad_to_total_sizes(
        GRAPH, tfgnn.SizeConstraints(2, {'nodes': 9}, {'edges': 20})
    )
    inputs = tf.keras.layers.Input(type_spec=padded.spec)
    outputs = adapter.OperatorUpdate(conv)(inputs)
    model = tf.keras.Model(inputs, outputs)
    out = model(padded).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    np.testing.assert_allclose(out[:6], conv(checks.features(), checks.EDGES), rtol=1e-5, atol=1e-6)
    assert mask.numpy().tolist() == [True, False] and out.shape == [9, 4]


def two_node_sets():
    random = np.random.default_rng(0)
    node_sets = {
        name: tfgnn.NodeSet.from_fields(
            sizes=[count],
            features={
                tfgnn.HIDDEN_STATE: tf.constant(random.normal(size=(count, 3)), tf.float32),
                'pos': tf.constant(random.normal(size=(count, 1)), tf.float32),
            },
        )
        for name, count in (('papers', 4), ('authors', 2))
    }
    edges = tfgnn.EdgeSet.from_fields(
        sizes=[3],
        adjacency=tfgnn.Adjacency.from_indices(('papers', [0, 3, 2]), ('authors', [1, 1, 0])),
    )
    return tfgnn.GraphTensor.from_pieces(node_sets=node_sets, edge_sets={'written': edges})


def test_two_node_sets_are_a_pair():
    graph = two_node_sets()
    papers, authors = (graph.node_sets[n][tfgnn.HIDDEN_STATE] for n in ('papers', 'authors'))
    conv = sage_conv.SAGEConv(5)
    update = adapter.OperatorUpdate(conv, 'written')
    out = update(graph)
    expected = conv((papers, authors), np.array([[0, 3, 2], [1, 1, 0]]))
    np.testing.assert_array_equal(out.node_sets['authors'][tfgnn.HIDDEN_STATE], expected)
    np.testing.assert_array_equal(out.node_sets['papers'][tfgnn.HIDDEN_STATE], papers)
    with pytest.raises(ValueError, match="ends in node set 'authors', so .* no update of 'papers'"):
        update(graph, node_set_name='papers')
    with pytest.raises(ValueError, match="no edge set 'edges', but 'written'"):
        adapter.OperatorUpdate(conv)(graph)


def test_node_inputs():
    graph = two_node_sets()
    out = adapter.OperatorUpdate(Offsets(), 'written', node_inputs={'pos': 'pos'})(graph)
    x, pos = (graph.node_sets['papers'][name].numpy() for name in (tfgnn.HIDDEN_STATE, 'pos'))
    to = graph.node_sets['authors']['pos'].numpy()
    expected = [x[2] + pos[2] - to[0], x[0] + pos[0] + x[3] + pos[3] - 2 * to[1]]
    np.testing.assert_allclose(out.node_sets['authors'][tfgnn.HIDDEN_STATE], expected, rtol=1e-5)
    one = graph_tensor.to_graph_tensor(
        Graph(np.array([[0], [1]]), np.ones([2, 1]), pos=np.array([[2.0], [5.0]]))
    )
    out = adapter.OperatorUpdate(Offsets(), node_inputs={'pos': 'pos'})(one)
    np.testing.assert_array_equal(out.node_sets['nodes'][tfgnn.HIDDEN_STATE], [[0.0], [-2.0]])


def test_from_config():
    update = adapter.OperatorUpdate(
        gcn_conv.GCNConv(4, use_bias=False), edge_attr='edge_attr', name='update'
    )
    again = adapter.OperatorUpdate.from_config(update.get_config())
    assert again.get_config() == update.get_config()
    update(GRAPH), again(GRAPH)
    again.set_weights(update.get_weights())
    np.testing.assert_array_equal(
        again(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE],
        update(GRAPH).node_sets['nodes'][tfgnn.HIDDEN_STATE],
    )
