"""A fold of Table 2 as a whole, GraphSAGE with jumping knowledge, against NumPy in float64.

Forward, loss, gradients by hand, Adam, the learning rate of each epoch, the choice of the epoch
and the test, on the real MUTAG; written from the paper (Sec. 3), Hamilton et al. 2017 and Kingma &
Ba 2015. Only the order of the graphs and the initial weights are the project's own draws.
"""

import functools

import numpy as np
import pytest
import scipy.sparse
from sklearn import model_selection

from official.modeling import optimizers
from research.geometric import batching, fold_experiment, graph_data
from research.geometric.convs import sage_conv
from research.geometric.datasets import powerful_gnns
from research.geometric.models import conv_network, graph_classifier
from tests.research.geometric.datasets import real

SEED, EPOCHS, BATCH, WIDTH, LAYERS = 5, 3, 128, 4, 2


def joined(graphs):
    """Features, the matrix of means over neighbours, and that of means over each graph's nodes."""
    sizes = [graph.num_nodes for graph in graphs]
    means = []
    for graph in graphs:
        matrix = np.zeros([graph.num_nodes] * 2)
        for source, target in graph.edge_index.T:
            matrix[target, source] += 1
        means.append(matrix / np.maximum(matrix.sum(1, keepdims=True), 1))
    read = scipy.sparse.block_diag([np.full([1, size], 1 / size) for size in sizes]).tocsr()
    x = np.concatenate([graph.x for graph in graphs]).astype(np.float64)
    return x, scipy.sparse.block_diag(means).tocsr(), read


def forward(weights, graphs):
    """Logits of the graphs, and what the gradients need."""
    x, mean, read = joined(graphs)
    layers, states = [], [x]
    for layer in range(LAYERS):
        kernel, root, bias = weights[3 * layer : 3 * layer + 3]
        states.append(np.maximum(mean @ states[-1] @ kernel + states[-1] @ root + bias, 0))
        layers.append(read @ states[-1])
    joint = np.concatenate(layers, axis=1)
    kernel, bias, out_kernel, out_bias = weights[3 * LAYERS :]
    hidden = np.maximum(joint @ kernel + bias, 0)
    return hidden @ out_kernel + out_bias, (states, mean, read, joint, hidden)


def losses(logits, labels):
    """Cross-entropy of each graph."""
    shifted = logits - logits.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]


def gradients(weights, graphs, labels):
    """Of the mean loss, by the chain rule."""
    logits, (states, mean, read, joint, hidden) = forward(weights, graphs)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    upstream = exponentials / exponentials.sum(1, keepdims=True)
    upstream[np.arange(len(labels)), labels] -= 1
    upstream /= len(labels)
    kernel, _, out_kernel, _ = weights[3 * LAYERS :]
    inside = (upstream @ out_kernel.T) * (hidden > 0)
    head = [joint.T @ inside, inside.sum(0), hidden.T @ upstream, upstream.sum(0)]
    of_read = np.split(inside @ kernel.T, LAYERS, axis=1)
    found, of_state = [], 0
    for layer in reversed(range(LAYERS)):
        kernel, root, _ = weights[3 * layer : 3 * layer + 3]
        of_sum = (of_state + read.T @ of_read[layer]) * (states[layer + 1] > 0)
        before = states[layer]
        found = [(mean @ before).T @ of_sum, before.T @ of_sum, of_sum.sum(0)] + found
        of_state = mean.T @ (of_sum @ kernel.T) + of_sum @ root.T
    return found + head


class Adam:
    """Kingma & Ba 2015, Algorithm 1, with epsilon beside the root before its correction."""

    def __init__(self):
        self.step, self.first, self.second = 0, 0.0, 0.0

    def update(self, weights, gradient, rate):
        """The next weights, as one vector."""
        self.step += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        rate *= (1 - 0.999**self.step) ** 0.5 / (1 - 0.9**self.step)
        return weights - rate * self.first / (self.second**0.5 + 1e-8)


def test_gradients_of_the_reference():
    """The reference itself, by central differences."""
    graphs = powerful_gnns.read(real.powerful_gnns('MUTAG')).graphs[:6]
    labels = np.array([int(graph.y) for graph in graphs])
    random = np.random.default_rng(0)
    shapes = [
        (7, WIDTH),
        (7, WIDTH),
        (WIDTH,),
        (WIDTH, WIDTH),
        (WIDTH, WIDTH),
        (WIDTH,),
        (2 * WIDTH, 5),
        (5,),
        (5, 2),
        (2,),
    ]
    weights = [random.normal(size=shape) for shape in shapes]
    exact = gradients(weights, graphs, labels)
    for weight, gradient in zip(weights, exact, strict=True):
        for place in list(np.ndindex(weight.shape))[::3]:
            value, ends = weight[place], []
            for step in (1e-5, -1e-5):
                weight[place] = value + step
                ends.append(losses(forward(weights, graphs)[0], labels).mean())
            weight[place] = value
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)


def test_a_fold(tmp_path, monkeypatch):
    dataset = powerful_gnns.read(real.powerful_gnns('MUTAG'))
    experiment = fold_experiment.FoldExperiment(
        str(tmp_path),
        SEED,
        None,
        None,
        model=lambda seed, **sizes: graph_classifier.GraphClassifier(
            conv_network.ConvNetwork(sage_conv.SAGEConv, WIDTH, LAYERS, sparse_edges=True),
            hidden=8,
            dropout=0.0,
            seed=seed,
            **sizes,
        ),
        optimizer=lambda: optimizers.FusedAdam(0.01),
        data=functools.partial(
            graph_data.GraphData, source=lambda data_dir: dataset, batch_size=BATCH
        ),
        epochs=EPOCHS,
        halve_every_epochs=1,
        num_trials=1,
    )
    rows = []
    monkeypatch.setattr(experiment, 'show', lambda **values: None)
    monkeypatch.setattr(experiment, 'save_model', lambda index, found: rows.extend(found))
    start = [weight.numpy().astype(np.float64) for weight in experiment.model.weights_of_network()]
    result = experiment.run_trial(0)

    # Ten stratified folds of seed 12345: tested on the first, validated on the one before it.
    graphs, labels = dataset.graphs, np.array([int(graph.y) for graph in dataset.graphs])
    parts = model_selection.StratifiedKFold(10, shuffle=True, random_state=12345)
    tests = [test for _, test in parts.split(labels, labels)]
    train = np.setdiff1d(np.arange(188), np.concatenate([tests[0], tests[-1]]))
    steps = -(-len(train) // BATCH)
    batches = iter(batching.train_indices(train, BATCH, SEED))

    def measured(weights, members):
        logits = forward(weights, [graphs[i] for i in members])[0]
        return (
            losses(logits, labels[members]).mean(),
            100 * np.mean(logits.argmax(1) == labels[members]),
        )

    ends = np.cumsum([weight.size for weight in start])[:-1]
    shaped = lambda vector: [
        part.reshape(weight.shape)
        for part, weight in zip(np.split(vector, ends), start, strict=True)
    ]
    flat = lambda parts: np.concatenate([part.ravel() for part in parts])
    vector, adam, validated = flat(start), Adam(), []
    for epoch in range(EPOCHS):
        for _ in range(steps):
            members = next(batches).numpy()
            members = members[members >= 0]
            gradient = gradients(shaped(vector), [graphs[i] for i in members], labels[members])
            vector = adam.update(vector, flat(gradient), 0.01 * 0.5**epoch)
        validated.append((*measured(shaped(vector), tests[-1]), vector))
    assert [row['step'] for row in rows] == [steps * (epoch + 1) for epoch in range(EPOCHS)]
    np.testing.assert_allclose(
        [row['validation_loss'] for row in rows], [loss for loss, *_ in validated], rtol=1e-4
    )
    best = int(np.argmin([loss for loss, *_ in validated]))
    assert result['best_epoch'] == best + 1
    chosen = validated[best][2]
    np.testing.assert_allclose(
        flat([weight.numpy() for weight in experiment.model.weights_of_network()]),
        chosen,
        rtol=0,
        atol=2e-5,
    )
    assert np.abs(chosen - flat(start)).max() > 0.01
    loss, accuracy = measured(shaped(chosen), tests[0])
    assert result['test_loss'] == pytest.approx(loss, rel=1e-4)
    assert result['test_accuracy_percent'] == pytest.approx(accuracy)
