"""Graph classification against what every model of the house must do."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official.core import keras_experiment
from official.modeling import optimizers, schedules
from research.geometric import batching, graph_data, graph_export, graph_tensor
from research.geometric.models import graph_classifier
from tests import conformance
from tests.research.geometric import tiny_graphs
from tests.research.geometric.models import graph_networks


def make(run_dir, strategy=None, model_overrides=None, network='gin0', **overrides):
    """Seven steps on rings and stars, two steps a call, a checkpoint at 4."""
    # Keras draws the initial weights; the launcher seeds it.
    tf.keras.utils.set_random_seed(3)

    def model(seed):
        return graph_classifier.GraphClassifier(
            graph_networks.NETWORKS[network](num_layers=2),
            num_features=3,
            num_classes=2,
            hidden=8,
            seed=seed,
            **(model_overrides or {}),
        )

    return keras_experiment.KerasExperiment(
        run_dir,
        strategy=strategy,
        **{
            'seed': 3,
            'train_steps': 7,
            'save_every_steps': 4,
            'steps_per_execution': 2,
            'monitor_split': 'validation',
            'monitor': 'validation_loss',
            'signatures': graph_export.signatures,
            'model': model,
            # A step of Adam is the rate times the gradient's sign at first; an epsilon that is not
            # tiny keeps gradients of nearly zero from being blown up.
            'optimizer': lambda: optimizers.FusedAdam(
                schedules.StepDecay(0.01, every_steps=3), epsilon=1e-3
            ),
            # Three batches an epoch, the last with 2 graphs: one of two replicas has none of them.
            'data': functools.partial(
                graph_data.GraphData,
                source=lambda data_dir: tiny_graphs.dataset(36),
                num_folds=4,
                batch_size=8,
                padding=batching.largest,
            ),
            **overrides,
        },
    )


@pytest.fixture(name='trained', scope='module')
def trained_fixture(tmp_path_factory):
    return conformance.Trained(make, tmp_path_factory.mktemp('trained'), stop_at=6)


def test_resume(trained, tmp_path):
    conformance.check_resume(trained, tmp_path)


def test_xla(trained, tmp_path):
    conformance.check_xla(trained, tmp_path)


def test_two_devices(trained, tmp_path):
    conformance.check_two_devices(trained, tmp_path)


# Without what has the operators of others: gin0 is compiled above, gin_eps and sage are here.
COMPILED = sorted(graph_networks.NETWORKS.keys() - {'gin0', 'sage_without_jk'})


def shallow(name):
    """A network with each of its operators as few times as it has them of different shapes."""
    flat = {'num_layers': 2}
    return graph_networks.NETWORKS[name](
        **{
            'diff_pool': {'num_levels': 3},
            'graclus': {**flat, 'pool_every': 1},
            'top_k': {**flat, 'pool_every': 1},
        }.get(name, flat)
    )


@pytest.mark.parametrize('name', COMPILED)
def test_every_train_step_compiles_with_xla(name):
    """One update on a padded batch, with the same weights after it as without XLA."""
    graphs = batching.Concatenated(tiny_graphs.dataset(12))
    data = graphs.example(batching.largest, 6)(tf.constant([3, 5, 0, -1, 8, 2], tf.int64))
    weights = []
    for jit_compile in (False, True):
        tf.keras.utils.set_random_seed(1)
        model = graph_classifier.GraphClassifier(shallow(name), 3, 2, hidden=8)
        model.compile(tf.keras.optimizers.SGD(0.1))
        start = model.weights_of_network()[0].numpy()
        step = model.train_step
        if jit_compile:
            step = tf.function(step, autograph=False, jit_compile=True)
        step(data)
        weights.append(model.weights_of_network())
        assert np.abs(start - weights[-1][0]).max() > 0
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=one.name)


def test_export_answers_as_the_model_does(trained, tmp_path):
    experiment = trained.make(trained.copy(tmp_path))
    path = experiment.export()
    graphs = experiment.data.dataset.graphs
    with experiment.reported_model() as model:
        expected = np.concatenate([model(graph_tensor.to_graph_tensor(graph)) for graph in graphs])
    # Not a model that says the same of all graphs: it gives both classes to a third or more.
    assert expected.std(0).min() > 0.05 and np.bincount(expected.argmax(1)).min() >= 12
    starts = np.cumsum([0, *experiment.data.graphs.node_counts])
    together = {
        'x': np.concatenate([graph.x for graph in graphs]),
        'edge_index': np.concatenate(
            [graph.edge_index + start for graph, start in zip(graphs, starts[:-1], strict=True)],
            axis=1,
        ).astype(np.int32),
        'batch': np.repeat(np.arange(len(graphs)), np.diff(starts)).astype(np.int32),
    }
    one = {'x': graphs[0].x, 'edge_index': graphs[0].edge_index}
    answers = conformance.check_export(
        path, {'serving_default': one, 'predict': one, 'predict_batch': together}, tmp_path
    )
    for name in ('serving_default', 'predict'):
        np.testing.assert_allclose(answers[name]['logits'], expected[:1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(answers['predict_batch']['logits'], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(answers['predict_batch']['labels'], expected.argmax(1))
    for signature, arrays in (('predict', one), ('predict_batch', together)):
        lite = conformance.tflite(path, signature, arrays)
        np.testing.assert_allclose(lite['logits'], answers[signature]['logits'], atol=2e-5)
    assert [name.decode() for name in answers['predict_batch']['names']] == [
        experiment.data.class_names[label] for label in expected.argmax(1)
    ]
