"""Cross validation on rings and stars, against a plain loop over the same steps."""

import functools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official.core import results
from official.modeling import optimizers
from research.geometric import batching, fold_experiment, graph_data, graph_export, graph_report
from research.geometric.models import graph_classifier
from tests import conformance
from tests.research.geometric import tiny_graphs
from tests.research.geometric.models import graph_networks

EPOCHS, HALVE = 6, 2


def adam():
    """An epsilon that is not tiny keeps gradients of nearly zero from being blown up."""
    return optimizers.FusedAdam(0.01, epsilon=1e-3)


def model(name='gin0', **arguments):
    network = graph_networks.NETWORKS[name](num_layers=2)
    return graph_classifier.GraphClassifier(network, hidden=8, **arguments)


def make(run_dir, seed=3, data=None, **overrides):
    return fold_experiment.FoldExperiment(
        str(run_dir),
        seed,
        None,
        **{
            'model': model,
            'optimizer': adam,
            'data': functools.partial(
                graph_data.GraphData,
                **{
                    'source': lambda data_dir: tiny_graphs.dataset(36),
                    'num_folds': 3,
                    'batch_size': 8,
                    **(data or {}),
                },
            ),
            'epochs': EPOCHS,
            'halve_every_epochs': HALVE,
            'signatures': graph_export.signatures,
            'reporter': graph_report.GraphReport(),
            **overrides,
        },
    )


def rows_of(run_dir):
    with open(os.path.join(run_dir, 'trials.jsonl')) as f:
        return [
            {name: value for name, value in json.loads(line).items() if name != 'train_seconds'}
            for line in f
        ][1:]


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """The folder of the run `trained` as a kill at the start of its second fold would leave it."""
    return tmp_path_factory.mktemp('killed') / 'run'


@pytest.fixture(scope='module')
def trained(tmp_path_factory, killed):
    experiment = make(tmp_path_factory.mktemp('trained'))
    run_trial = experiment.run_trial

    def leaving(index):
        if index == 1:
            shutil.copytree(experiment.run_dir, killed)
        return run_trial(index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, 'run_trial', leaving)
        experiment.train()
    return experiment


def by_hand(index, seed=3):
    """Fold `index`, trained step by step and measured graph by graph: losses, and accuracies."""
    data = graph_data.GraphData(
        seed + index,
        None,
        source=lambda data_dir: tiny_graphs.dataset(36),
        num_folds=3,
        batch_size=8,
        fold=index,
    )
    tf.keras.utils.set_random_seed(seed + index)
    network = model(seed=seed + index, num_features=3, num_classes=2)
    network.compile(adam())
    batches = iter(data.train())

    @tf.function(input_signature=[tf.TensorSpec([1], tf.int64)], autograph=False)
    def logits_of(graph):
        return network(data.graphs.batch(graph))

    def measured(members):
        logits = np.concatenate([logits_of([i]) for i in members]).astype(np.float64)
        y = data.graphs.labels[members]
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
        return losses.mean(), 100 * np.mean(logits.argmax(1) == y)

    found = []
    step = tf.function(lambda batches: network.train_step(next(batches)), autograph=False)
    for epoch in range(EPOCHS):
        network.optimizer.learning_rate.assign(0.01 * 0.5 ** (epoch // HALVE))
        for _ in range(data.steps_per_epoch):
            step(batches)
        found.append([*measured(data.fold.validation), *measured(data.fold.test)])
    return found


@pytest.mark.parametrize('index', [0, 2])
def test_a_fold_is_what_plain_training_gives(trained, index):
    """Also that fold 2 starts as if it were the first, and that the best epoch counts."""
    losses, validation, test_losses, test = np.transpose(by_hand(index))
    best = int(np.argmin(losses))
    row = rows_of(trained.run_dir)[index]
    assert row['trial'] == index and row['best_epoch'] == best + 1
    assert row['test_accuracy_percent'] == pytest.approx(test[best])
    assert row['validation_accuracy_percent'] == pytest.approx(validation[best])
    assert row['test_loss'] == pytest.approx(test_losses[best], rel=1e-3)
    assert np.sum(row['confusion_matrix']) == 12
    if index == 0:
        history = conformance.read_history(trained.run_dir)
        assert [line['step'] for line in history] == [2, 4, 6, 8, 10, 12]
        np.testing.assert_allclose([line['validation_loss'] for line in history], losses, rtol=1e-3)
        assert history[-1]['loss'] < history[0]['loss']


def test_one_traced_epoch_serves_all_folds(trained):
    assert trained._epoch.experimental_get_tracing_count() == 1


def test_result(trained):
    result = trained.evaluate()
    accuracies = [row['test_accuracy_percent'] for row in rows_of(trained.run_dir)]
    assert result['num_seeds'] == 3 and result['unit'] == 'fold' and result['seeds'] == [0, 1, 2]
    assert results.lines(result)[0].endswith(', 3 folds)')
    report = tf.io.gfile.GFile(trained.report()).read()
    assert 'mean of 3 folds' in report and 'seeds' not in report.split('Operative')[0]
    assert result['test_accuracy_percent']['values'] == accuracies
    assert result['test_accuracy_percent']['mean'] == pytest.approx(np.mean(accuracies))
    assert result['test_accuracy_percent']['std'] == pytest.approx(np.std(accuracies, ddof=1))
    assert np.sum(result['confusion_matrix']) == 36


def test_killed_it_goes_on_with_the_next_fold(trained, killed):
    assert len(rows_of(killed)) == 1
    again = make(killed)
    folds, run_trial = [], again.run_trial
    again.run_trial = lambda index: folds.append(index) or run_trial(index)
    again.train()
    assert rows_of(killed) == rows_of(trained.run_dir) and folds == [1, 2]


def test_other_settings_are_refused(trained):
    with pytest.raises(ValueError, match='other settings: epochs is 6 there and 7 here'):
        make(trained.run_dir, epochs=7).evaluate()
    with pytest.raises(ValueError, match='other settings: seed is 3 there and 4 here'):
        make(trained.run_dir, seed=4).train()
    with pytest.raises(ValueError, match='other settings: parameters is'):
        make(trained.run_dir, model=functools.partial(model, 'sage')).train()


def test_xla_on_padded_batches_agrees(trained, tmp_path):
    padded = make(tmp_path, jit_compile=True, data={'padding': batching.largest}, num_trials=1)
    padded.train()
    plain = conformance.read_history(trained.run_dir)
    for one, other in zip(conformance.read_history(tmp_path), plain, strict=True):
        assert one['loss'] == pytest.approx(other['loss'], rel=1e-2)
        assert one['validation_loss'] == pytest.approx(other['validation_loss'], rel=1e-2)


def test_export_and_report_are_of_the_first_fold(trained, tmp_path):
    path = trained.export()
    text = pathlib.Path(trained.report()).read_text()
    for title in ('Embedding of the graphs', 'Curves of the first trial', 'Confusion matrix'):
        assert title in text
    assert 'graphs of class ring' in text
    graph = trained.data.dataset.graphs[0]
    with trained.reported_model() as reported:
        expected = reported(trained.data.graphs.batch(tf.constant([0], tf.int64))).numpy()
    answers = conformance.check_export(
        path, {'serving_default': {'x': graph.x, 'edge_index': graph.edge_index}}, tmp_path
    )
    np.testing.assert_allclose(answers['serving_default']['logits'], expected, rtol=1e-4, atol=1e-5)


def test_infinite_loss_stops(tmp_path):
    experiment = make(tmp_path, optimizer=lambda: tf.keras.optimizers.SGD(1e30))
    with pytest.raises(FloatingPointError, match='of fold 0 is not finite'):
        experiment.train()
    assert not os.path.exists(tmp_path / 'trials.jsonl')


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match='num_trials = 4, but there are 3 folds'):
        make(tmp_path, num_trials=4)
    with pytest.raises(ValueError, match='jit_compile needs batches of one size'):
        make(tmp_path, jit_compile=True)
    with pytest.raises(ValueError, match='epochs = 0 and halve_every_epochs = 2 must be positive'):
        make(tmp_path, epochs=0)
    with pytest.raises(ValueError, match='trains on one device, not on the 2 replicas'):
        make(tmp_path, strategy=conformance.two_devices())
