import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric import batching, graph_tensor
from research.geometric.models import graph_classifier
from tests.research.geometric import tiny_graphs
from tests.research.geometric.models import graph_networks

DATASET = tiny_graphs.dataset(24, seed=5)
GRAPHS = batching.Concatenated(DATASET)


def make(name='sage', seed=1, **arguments):
    tf.keras.utils.set_random_seed(seed)
    arguments = {'hidden': 8, 'dropout': 0.0, 'seed': seed, **arguments}
    return graph_classifier.GraphClassifier(graph_networks.NETWORKS[name](), 3, 2, **arguments)


def example(indices, padding=None):
    return GRAPHS.example(padding, len(indices))(tf.constant(indices, tf.int64))


def cross_entropy(logits, y):
    shifted = logits - logits.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]


def test_logits_are_a_perceptron_of_the_embedding():
    model = make()
    graph = example([3, 4, 9])[0]
    embedded = model.embed(graph_tensor.arrays(graph)).numpy().astype(np.float64)
    (kernel, bias), (out_kernel, out_bias) = (
        [np.float64(w) for w in layer.weights] for layer in (model.hidden, model.out)
    )
    expected = np.maximum(embedded @ kernel + bias, 0) @ out_kernel + out_bias
    np.testing.assert_allclose(model(graph), expected, rtol=1e-4, atol=1e-5)


def test_all_variables_exist_when_it_is_made():
    model = make('gin_eps')
    before = len(model.weights)
    model(example([0, 1])[0])
    assert before == len(model.weights)
    # Three layers of (3 or 8) x 8 + 8 x 8 weights, biases, eps, and 4 numbers a channel of
    # the normalization, half of them trained; 24 x 8 + 8 and 8 x 2 + 2 of the perceptron.
    layers = (3 * 8 + 8 + 8 * 8 + 8) + 2 * (8 * 8 + 8 + 8 * 8 + 8) + 3 * 1 + 3 * 2 * 8
    trained = sum(int(tf.size(w)) for w in model.trainable_variables)
    assert trained == layers + 24 * 8 + 8 + 8 * 2 + 2
    assert len(model.weights_of_network()) == len(model.trainable_variables) + 3 * 2


@pytest.mark.parametrize('padding', [None, batching.largest])
@pytest.mark.parametrize('name', ['sage', 'gin0', 'top_k', 'set2set'])
def test_update_descends_the_mean_over_the_real_graphs(name, padding):
    """One step of gradient descent, against the loss of the graphs one by one."""
    model, plain = make(name), make(name)
    model.compile(tf.keras.optimizers.SGD(1.0))
    graphs = [7, 2, 11]
    graph, y, weight = example([7, -1, 2, 11, -1], padding)
    loss, logs = model.update((graph, y, weight), random.make_key(0))
    with tf.GradientTape() as tape:
        if name == 'gin0':  # Of the batch normalization all graphs are one batch.
            arrays = graph_tensor.arrays(example(graphs)[0])
            logits = plain.logits(arrays, key=random.make_key(0))
        else:
            logits = tf.concat([plain(example([g])[0]) for g in graphs], axis=0)
        labels = GRAPHS.labels[graphs]
        expected = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    by_hand = cross_entropy(logits.numpy().astype(np.float64), labels).mean()
    assert float(loss) == pytest.approx(by_hand, rel=1e-4)
    assert float(logs['loss']) == pytest.approx(by_hand, rel=1e-4)
    gradients = tape.gradient(expected, plain.trainable_variables)
    for variable, start, gradient in zip(
        model.trainable_variables, plain.trainable_variables, gradients, strict=True
    ):
        np.testing.assert_allclose(
            variable,
            start - tf.convert_to_tensor(gradient),
            rtol=1e-3,
            atol=1e-5,
            err_msg=variable.name,
        )


def test_dropout_is_drawn_with_the_key():
    model = make(dropout=0.5)
    arrays = graph_tensor.arrays(example([0, 1, 2, 3])[0])
    logits = lambda key: model.logits(arrays, key=key).numpy()
    assert np.array_equal(logits(None), logits(None))
    one, other = (logits(random.make_key(seed)) for seed in (1, 2))
    assert np.array_equal(one, logits(random.make_key(1)))
    assert not np.array_equal(one, other) and not np.array_equal(one, logits(None))


def test_padding_does_not_change_the_dropout_of_two_shards():
    model = make(dropout=0.5)
    key = tf.concat([random.make_key(1), random.make_key(2)], axis=0)
    logits = [
        model.logits(graph_tensor.arrays(example([0, 1, 2, 3], padding)[0]), 4, key).numpy()
        for padding in (None, batching.largest)
    ]
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-5)


def test_evaluation():
    model = make()
    model.compile(tf.keras.optimizers.SGD(1.0))
    members = list(range(23))
    logits = np.concatenate([model(example([i])[0]) for i in members]).astype(np.float64)
    y = GRAPHS.labels[members]
    matrix = np.zeros([2, 2])
    np.add.at(matrix, (y, logits.argmax(1)), 1)
    right = 100 * np.trace(matrix) / 23
    # Batches of several sizes, the first of them again at the end.
    for size, padding in ((5, None), (5, batching.largest), (4, batching.largest), (5, None)):
        logs = model.evaluate(
            batching.evaluation_batches(GRAPHS, members, size, padding=padding),
            verbose=0,
            return_dict=True,
        )
        np.testing.assert_array_equal(logs['confusion_matrix'], matrix)
        assert logs['loss'] == pytest.approx(cross_entropy(logits, y).mean(), rel=1e-4)
        assert logs['accuracy_percent'] == pytest.approx(right)
        assert logs['error_percent'] == pytest.approx(100 - right)


@pytest.mark.parametrize('padding', [None, batching.largest])
def test_predict_gives_one_row_a_graph(padding):
    model = make()
    model.compile(tf.keras.optimizers.SGD(1.0))
    members = list(range(23))
    predicted = model.predict(
        batching.evaluation_batches(GRAPHS, members, 5, padding=padding), verbose=0
    )
    expected = np.concatenate([model(example([i])[0]) for i in members])
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def test_learns_to_tell_rings_from_stars():
    graphs = batching.Concatenated(tiny_graphs.dataset(96))
    model = make('gin0')
    model.compile(tf.keras.optimizers.Adam(0.01))
    members = np.arange(96)
    dataset = batching.train_batches(graphs, members[:64], 16, padding=None)
    model.fit(dataset, steps_per_epoch=80, epochs=1, verbose=0)
    assert int(model.global_step) == 80
    evaluation = lambda some, size: batching.evaluation_batches(graphs, some, size, padding=None)
    logs = model.evaluate(evaluation(members[64:], 16), verbose=0, return_dict=True)
    assert logs['accuracy_percent'] >= 90
    predicted = model.predict(evaluation(members, 24), verbose=0)
    assert predicted.shape == (96, 2)
    assert np.mean(predicted.argmax(1) == graphs.labels) > 0.9


def test_edge_features():
    for width, shape in ((0, [4]), (2, [4, 2])):
        given = []

        class Network(tf.keras.layers.Layer):
            def call(self, x, edge_index, edge_attr, batch, num_graphs, num_real=None, key=None):
                given.append(edge_attr.shape.as_list())
                return tf.zeros([num_graphs, 3])

        model = graph_classifier.GraphClassifier(Network(), 1, 2, num_edge_features=width)
        model.logits(
            graph_tensor.Arrays(
                tf.zeros([3, 1]),
                tf.zeros([2, 4], tf.int32),
                tf.zeros(shape),
                tf.zeros([3], tf.int32),
                1,
            )
        )
        assert given == [[1, *shape[1:]], shape]
