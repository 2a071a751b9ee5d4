"""Table 1's gin files: every cell has one with its figures, and each constructs its network."""

import pickle

import gin
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from official.core import config, runner
from tests.gin_configs import geometric_files

# A file that this test names, so that its folder comes along: gin_configs/geometric/table1.gin
# Mean and standard deviation as Table 1 prints them: Cora, CiteSeer, PubMed, fixed and random each.
PAPER = {
    'cheby': (81.4, 0.7, 77.8, 2.2, 70.2, 1.0, 67.7, 1.7, 78.4, 0.4, 75.8, 2.2),
    'gcn': (81.5, 0.6, 79.4, 1.9, 71.1, 0.7, 68.1, 1.7, 79.0, 0.6, 77.4, 2.4),
    'gat': (83.1, 0.4, 81.0, 1.4, 70.8, 0.5, 69.2, 1.9, 78.5, 0.3, 78.3, 2.3),
    'sgc': (81.7, 0.1, 80.2, 1.6, 71.3, 0.2, 68.7, 1.6, 78.9, 0.1, 76.5, 2.4),
    'arma': (82.8, 0.6, 80.7, 1.4, 72.3, 1.1, 68.9, 1.6, 78.8, 0.3, 77.7, 2.6),
    'appnp': (83.3, 0.5, 82.2, 1.5, 71.8, 0.5, 70.0, 1.4, 80.1, 0.2, 79.4, 2.2),
}
SETS = {'cora': (1433, 7), 'citeseer': (3703, 6), 'pubmed': (500, 3)}  # Features, classes: Table 5.
TITLES = {'cora': 'Cora', 'citeseer': 'CiteSeer', 'pubmed': 'PubMed'}
METHODS = {'cheby': 'Cheby'}  # The others are capitals.
CELLS = {
    f'table1/{data}_{method}_{split}': (method, data, split, *figures[4 * d + 2 * s :][:2])
    for method, figures in PAPER.items()
    for d, data in enumerate(SETS)
    for s, split in enumerate(('fixed', 'random'))
}


def parameters(method, data, split):
    """Trainable parameters of the published settings, worked out by hand."""
    f, c = SETS[data]
    if method == 'gcn':
        return (f + 1) * 16 + (16 + 1) * c
    if method == 'cheby':
        k = {'cora': 3, 'citeseer': 2 if split == 'fixed' else 3, 'pubmed': 2}[data]
        return (k * f + 1) * 16 + (k * 16 + 1) * c
    if method == 'gat':
        heads = 8 if data == 'pubmed' else 1
        return 64 * f + 2 * 64 + 64 + 64 * c * heads + 2 * c * heads + c
    if method == 'sgc':
        return (f + 1) * c
    if method == 'arma':
        stacks = {'cora': 2 if split == 'fixed' else 3, 'citeseer': 3, 'pubmed': 2}[data]
        return stacks * ((2 * f + 1) * 16 + (2 * 16 + 1) * c)
    return (f + 1) * 64 + (64 + 1) * c


def test_every_cell_has_a_file_and_is_in_the_suite():
    there = geometric_files.there('table1/*')
    assert there == set(CELLS)
    names = geometric_files.of_suite('table1')
    assert sorted(names) == sorted(CELLS)


@pytest.mark.parametrize('name', CELLS)
def test_figures(name):
    method, data, split, mean, std = CELLS[name]
    reference = geometric_files.values(name)['NodeTrials.reference']
    assert reference == {
        'cell': f'Table 1, {METHODS.get(method, method.upper())}, {TITLES[data]}, {split}',
        'test_accuracy_percent': mean,
        'std': std,
    }


# What every file has of _table1.gin: Sec. 3 and the settings of the published runs.
SHARED = {
    'Run.experiment': '@node_trials.NodeTrials',
    'NodeTrials.model': '@node_classifier.NodeClassifier',
    'NodeTrials.optimizer': '@optimizers.FusedAdam',
    'NodeTrials.data': '@node_data.NodeData',
    'NodeTrials.num_trials': 100,
    'NodeTrials.signatures': '@node_export.signatures',
    'NodeTrials.reporter': '@node_report.NodeReport()',
    'NodeData.source': '@planetoid.load',
}
LAYERS = {
    'cheby': 'cheb_conv.ChebConv',
    'gcn': 'gcn_conv.GCNConv',
    'gat': 'gat_conv.GATConv',
    'sgc': 'sg_conv.SGConv',
    'arma': 'arma_conv.ARMAConv',
    'appnp': 'appnp.APPNP',
}


def settings(method, data, split):
    """All bindings of a cell but its title and figures, from the table of published settings."""
    classes, layer = SETS[data][1], LAYERS[method]
    own = layer.partition('.')[2]
    long = method in ('gat', 'arma')
    found = {
        **SHARED,
        'load.name': data,
        'NodeTrials.epochs': 1000 if long else 200,
        'NodeTrials.patience': 100 if long else 10,
        'FusedAdam.learning_rate': {'gat': 0.01 if data == 'pubmed' else 0.005, 'sgc': 0.1}.get(
            method, 0.01
        ),
        'NodeClassifier.weight_decay': {('gat', 'pubmed'): 0.001, ('sgc', 'citeseer'): 0.005}.get(
            (method, data), 0.0005
        ),
        'NodeData.normalize_features': method != 'sgc',
        'NodeData.coefficients': {
            'gat': 'self_loops',
            'cheby': 'symmetric',
            'arma': 'symmetric',
        }.get(method, 'gcn'),
        'NodeClassifier.network': '@node_networks.GraphNetwork()',
    }
    if split == 'random':
        found['NodeData.split'] = '@splits.random_split'
    if method == 'gat':
        found['NodeData.sparse_edges'] = False
        found[f'{own}.self_loops'] = False
    else:
        found[f'{own}.normalize'] = False
    if method == 'appnp':
        return {
            **found,
            'NodeClassifier.network': '@node_networks.PredictThenPropagate()',
            'PredictThenPropagate.channels': 64,
            'PredictThenPropagate.classes': classes,
            'PredictThenPropagate.dropout': 0.5,
            'PredictThenPropagate.propagation': '@appnp.APPNP()',
            'APPNP.K': 10,
            'APPNP.alpha': 0.1,
        }
    if method == 'sgc':
        return {
            **found,
            'GraphNetwork.operators': ('@sg_conv.SGConv()',),
            'SGConv.channels': classes,
            'SGConv.K': 3 if data == 'cora' else 2,
        }
    found.update(
        {
            'GraphNetwork.operators': (f'@hidden/{layer}()', f'@output/{layer}()'),
            'GraphNetwork.dropout': 0.6 if method == 'gat' else 0.5,
            f'hidden/{own}.channels': 8 if method == 'gat' else 16,
            f'output/{own}.channels': classes,
        }
    )
    if method == 'gat':
        return {
            **found,
            'GraphNetwork.activation': 'elu',
            'GATConv.dropout': 0.6,
            'hidden/GATConv.heads': 8,
            'output/GATConv.heads': 8 if data == 'pubmed' else 1,
            'output/GATConv.concat': False,
        }
    found['GraphNetwork.input_dropout'] = 0.0
    if method == 'cheby':
        found['ChebConv.K'] = {'cora': 3, 'citeseer': 2 if split == 'fixed' else 3, 'pubmed': 2}[
            data
        ]
    if method == 'arma':
        skip = 0.75 if data != 'pubmed' else 0.0 if split == 'fixed' else 0.5
        found.update(
            {
                'ARMAConv.num_layers': 1,
                'ARMAConv.shared_weights': data != 'pubmed',
                'ARMAConv.num_stacks': {
                    'cora': 2 if split == 'fixed' else 3,
                    'citeseer': 3,
                    'pubmed': 2,
                }[data],
                'ARMAConv.dropout': skip,
                'ARMAConv.product_dropout': skip,
            }
        )
    return found


@pytest.mark.parametrize('name', CELLS)
def test_every_binding(name):
    method, data, split, *_ = CELLS[name]
    found = geometric_files.bindings(name)
    assert found.pop('NodeTrials.reference') and found.pop('NodeTrials.title') == (
        f'{METHODS.get(method, method.upper())} on {TITLES[data]}, '
        f'{"random splits" if split == "random" else "fixed split"}'
    )
    assert found == settings(method, data, split)


@pytest.fixture(scope='module', name='raw_files')
def _raw_files(tmp_path_factory):
    """Raw Planetoid files of as many features and classes, with 620 nodes of each class."""
    folder = tmp_path_factory.mktemp('planetoid')
    for data, (features, classes) in SETS.items():
        labels = np.arange(620 * classes) % classes
        count, train = len(labels), 20 * classes
        x = scipy.sparse.csr_matrix(
            (np.ones(count, np.float32), (np.arange(count), np.arange(count) % features)),
            (count, features),
        )
        y = np.eye(classes, dtype=np.int32)[labels]
        others = count - 1000
        parts = {
            'x': x[:train],
            'y': y[:train],
            'allx': x[:others],
            'ally': y[:others],
            'tx': x[others:],
            'ty': y[others:],
            'graph': {node: [(node + 1) % count] for node in range(count)},
        }
        for part, content in parts.items():
            (folder / f'ind.{data}.{part}').write_bytes(pickle.dumps(content, 2))
        (folder / f'ind.{data}.test.index').write_text(
            ''.join(f'{node}\n' for node in range(others, count)), 'utf8'
        )
    return str(folder)


@pytest.mark.parametrize('name', CELLS)
def test_settings(name, tmp_path, raw_files):
    """Objects that the bindings make: data, split, network, optimizer and protocol of the file."""
    method, data, split, *_ = CELLS[name]
    config.load(config.read(geometric_files.path(name)))
    run = gin.get_configurable(runner.Run)()
    made = run.experiment(run_dir=str(tmp_path), seed=3, data_dir=raw_files, strategy=None)
    config.clear()
    tf.keras.backend.clear_session()
    weights = made.model.trainable_variables
    assert sum(np.prod(weight.shape) for weight in weights) == parameters(method, data, split)
    # The splits: those of the files, or others in each run, of 20 nodes a class to train on.
    assert made.data.graph.name.endswith(f'ind.{data}.*')
    first, second = made.data.nodes(0), made.data.nodes(1)
    classes = SETS[data][1]
    for nodes in (first, second):
        assert [len(nodes[part]) for part in ('validation', 'test')] == [500, 1000]
        assert np.bincount(made.data.labels.numpy()[nodes['train']]).tolist() == [20] * classes
    same = np.array_equal(first['train'], second['train'])
    assert same == (split == 'fixed')
    if same:
        np.testing.assert_array_equal(first['train'], np.arange(20 * classes))
    # The operators are told what the data have been given already.
    network = made.model.network
    operators = [network.propagation] if method == 'appnp' else network.operators
    for operator in operators:
        if method == 'gat':
            assert not operator.self_loops and operator.dropout == 0.6
        else:
            assert not operator.normalize
    long = method in ('gat', 'arma')
    assert (made.epochs, made.patience) == ((1000, 100) if long else (200, 10))
    assert made.num_trials == 100
    rate = {'gat': 0.01 if data == 'pubmed' else 0.005, 'sgc': 0.1}.get(method, 0.01)
    assert float(made.model.optimizer.learning_rate) == pytest.approx(rate)
    dropout = {'gat': 0.6, 'sgc': 0}.get(method, 0.5)
    assert network.dropout == dropout
    if method != 'appnp':
        assert network.input_dropout == (0 if method in ('gcn', 'cheby', 'arma') else dropout)
    if method == 'arma':
        assert {operator.activation for operator in operators} == {tf.keras.activations.relu}
