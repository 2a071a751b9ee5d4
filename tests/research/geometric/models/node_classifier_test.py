"""A node classifier by itself: its seed, Keras' ways to copy and store it, and other types."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers
from research.geometric import sparse
from research.geometric.convs import appnp, arma_conv, gat_conv, gcn_conv, rgcn_conv
from research.geometric.models import node_classifier, node_networks
from tests.research.geometric import checks

LABELS, NODES = np.array([0, 1, 1, 0, 2, 1], np.int32), np.array([0, 1, 3, 4], np.int32)
ATTR = checks.uniform_attr()(checks.EDGES.shape[1])
TYPES = checks.types_attr(3)(checks.EDGES.shape[1])
NETWORKS = {
    'GCN': lambda: node_networks.GraphNetwork(
        [gcn_conv.GCNConv(8), gcn_conv.GCNConv(3)], dropout=0.5, input_dropout=0.25
    ),
    'GAT': lambda: node_networks.GraphNetwork(
        [gat_conv.GATConv(4, heads=2, dropout=0.5), gat_conv.GATConv(3)], 'elu'
    ),
    'ARMA': lambda: node_networks.GraphNetwork(
        [arma_conv.ARMAConv(3, num_stacks=2, dropout=0.25, product_dropout=0.5)]
    ),
    'R-GCN': lambda: node_networks.GraphNetwork([rgcn_conv.RGCNConv(3, 3)]),
    'R-GCN of nodes': lambda: node_networks.GraphNetwork(
        [rgcn_conv.RGCNConv(4, 3, num_nodes=checks.NODES), rgcn_conv.RGCNConv(3, 3)]
    ),
    'APPNP': lambda: node_networks.PredictThenPropagate(8, 3, appnp.APPNP(K=2), 0.5),
}


def inputs(name='GCN', route='edges'):
    x = tf.constant(checks.features())
    if route == 'sparse':
        return {
            'x': tf.sparse.from_dense(x),
            'edge_index': sparse.adjacency(checks.EDGES, checks.NODES, ATTR),
        }
    relations = {'edge_attr': tf.constant(TYPES)}
    edge_attr = {'GAT': {}, 'R-GCN': relations, 'R-GCN of nodes': relations}.get(
        name, {'edge_attr': tf.constant(ATTR)}
    )
    return {
        'x': None if name == 'R-GCN of nodes' else x,
        'edge_index': tf.constant(checks.EDGES),
        **edge_attr,
    }


def trained(name='GCN', seed=7, steps=3, route='edges', rate=0.05):
    model = node_classifier.NodeClassifier(NETWORKS[name](), 5e-4, seed=seed)
    model.compile(optimizers.FusedAdam(rate))
    data = tf.data.Dataset.from_tensors((inputs(name, route), LABELS, NODES))
    history = model.fit(data, epochs=steps, verbose=0)
    return model, history.history['loss']


def test_the_seed_decides_on_everything():
    one, losses = trained()
    tf.random.normal([3])
    other, same = trained()
    assert losses == same
    for weight, again in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, again)
    different, others = trained(seed=8)
    assert others[0] != losses[0]
    kernel, another = (model.network.operators[0].kernel for model in (one, different))
    assert np.abs(kernel - another).max() > 0.1


def test_the_seed_leaves_others_as_they_are():
    def draws(between):
        tf.keras.utils.set_random_seed(5)
        first = tf.keras.initializers.RandomNormal()([4])
        between()
        return np.stack([first, tf.keras.initializers.RandomNormal()([4])])

    drawn = draws(lambda: None)
    np.testing.assert_array_equal(draws(lambda: trained(steps=1)), drawn)
    # And the weights are those of Keras' own seed, which the runs of Table 1 had.
    model = node_classifier.NodeClassifier(NETWORKS['GCN'](), seed=5)
    model(inputs())
    tf.keras.utils.set_random_seed(5)
    network = NETWORKS['GCN']()
    network(*inputs().values())
    for weight, again in zip(model.network.weights, network.weights, strict=True):
        np.testing.assert_array_equal(weight, again)


@pytest.mark.parametrize('name', NETWORKS)
def test_copies(name, tmp_path):
    model, _ = trained(name, steps=1)
    expected = model(inputs(name)).numpy()
    model.save(tmp_path / 'model.keras')
    loaded = tf.keras.models.load_model(tmp_path / 'model.keras', compile=False)
    np.testing.assert_array_equal(loaded(inputs(name)), expected)
    assert int(loaded.global_step) == 1 and loaded.weight_decay == 5e-4 and loaded.seed == 7
    copies = [
        tf.keras.models.clone_model(model),
        node_classifier.NodeClassifier.from_config(model.get_config()),
    ]
    for copy in copies:
        assert (copy.seed, copy.weight_decay) == (7, 5e-4) and not copy.network.built
        assert copy.get_config() == model.get_config()
    # As new: the weights from before the training, dropout and all as the original has it.
    copy, same = copies
    new = copy(inputs(name)).numpy()
    assert np.abs(new - expected).max() > 1e-4
    np.testing.assert_array_equal(same(inputs(name)), new)
    copy.compile(optimizers.FusedAdam(0.05))
    copy.fit(tf.data.Dataset.from_tensors((inputs(name), LABELS, NODES)), verbose=0)
    np.testing.assert_array_equal(copy(inputs(name)), expected)


def step_of_descent(route):
    """The loss, the logits after one step from the same weights, and how far these moved."""
    model = node_classifier.NodeClassifier(
        node_networks.GraphNetwork([gcn_conv.GCNConv(8), gcn_conv.GCNConv(3)]),
        weight_decay=0.01,
    )
    model(inputs(route=route))
    checks.randomize(model.network)
    before = [weight.numpy() for weight in model.network.weights]
    model.compile(tf.keras.optimizers.SGD(1.0))
    history = model.fit(
        tf.data.Dataset.from_tensors((inputs(route=route), LABELS, NODES)), verbose=0
    )
    logits = model(inputs(route=route))
    return (
        history.history['loss'][0],
        logits,
        [new.numpy() - old for new, old in zip(model.network.weights, before, strict=True)],
    )


of_float32 = functools.cache(step_of_descent)


@pytest.mark.parametrize('route', ['edges', 'sparse'])
@pytest.mark.parametrize(
    'policy, tolerance', [('mixed_float16', 0.005), ('mixed_bfloat16', 0.04), ('float64', 1e-5)]
)
def test_other_types(route, policy, tolerance):
    """One step of gradient descent from the same weights: the change is that of float32."""
    expected = of_float32(route)
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        loss, logits, changes = step_of_descent(route)
    finally:
        tf.keras.mixed_precision.set_global_policy('float32')
    assert logits.dtype == ('float64' if policy == 'float64' else 'float32')
    np.testing.assert_allclose(loss, expected[0], rtol=tolerance)
    for change, other in zip(changes, expected[2], strict=True):
        assert change.dtype == ('float64' if policy == 'float64' else 'float32')
        np.testing.assert_allclose(change, other, rtol=0, atol=2 * tolerance * np.abs(other).max())
