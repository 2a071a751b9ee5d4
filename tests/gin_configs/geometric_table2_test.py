"""Table 2's gin files: every cell has one with its figures, and each constructs its network."""

import functools
import math

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.core import config, runner
from research.geometric import graph_data
from research.geometric.convs import gcn_conv, gin_conv, sage_conv
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from research.geometric.models import diff_pool_network, graclus_pooling, sort_readout
from research.geometric.pooling import global_attention, readout, set2set, top_k
from tests.gin_configs import geometric_files

# A file that this test names, so that its folder comes along: gin_configs/geometric/table2.gin
# Mean and standard deviation as Table 2 prints them, in the order of SETS.
PAPER = {
    'gcn': (74.6, 7.7, 73.1, 3.8, 80.6, 2.1, 72.6, 4.5, 89.3, 3.3),
    'sage': (74.9, 8.7, 73.8, 3.6, 79.7, 1.7, 72.4, 3.6, 89.1, 1.9),
    'gin_0': (85.7, 7.7, 72.1, 5.1, 79.3, 2.7, 72.8, 4.5, 89.6, 2.6),
    'gin_eps': (83.4, 7.5, 72.6, 4.9, 79.8, 2.4, 72.1, 5.1, 90.3, 3.0),
    'graclus': (77.1, 7.2, 73.0, 4.1, 79.6, 2.0, 72.2, 4.2, 88.8, 3.2),
    'top_k': (76.3, 7.5, 72.7, 4.1, 79.7, 2.2, 72.5, 4.6, 87.6, 2.4),
    'diff_pool': (85.0, 10.3, 75.1, 3.5, 78.9, 2.3, 72.6, 3.9, 92.1, 2.6),
    'sage_without_jk': (73.7, 7.8, 72.7, 3.6, 79.6, 2.4, 72.1, 4.4, 87.9, 1.9),
    'global_attention': (74.6, 8.0, 72.5, 4.5, 79.6, 2.2, 72.3, 3.8, 87.4, 2.5),
    'set2set': (73.7, 6.9, 73.6, 3.7, 79.6, 2.3, 72.2, 4.2, 89.6, 2.4),
    'sort_pool': (77.3, 8.9, 72.4, 4.1, 77.7, 3.1, 72.4, 3.8, 74.9, 6.7),
}
TITLES = {
    'gcn': 'GCN',
    'sage': 'SAGE',
    'gin_0': 'GIN-0',
    'gin_eps': 'GIN-eps',
    'graclus': 'Graclus',
    'top_k': 'top_k',
    'diff_pool': 'DiffPool',
    'sage_without_jk': 'SAGE w/o JK',
    'global_attention': 'GlobalAttention',
    'set2set': 'Set2Set',
    'sort_pool': 'SortPool',
}
# Features (one more than the highest degree where the data have none), classes, and nodes that
# DiffPool takes of a graph: 5 times the mean, 1.5 times of REDDIT-BINARY, or what there are.
SETS = {
    'mutag': (7, 2, 28),
    'proteins': (3, 2, 195),
    'collab': (492, 3, 372),
    'imdb_binary': (136, 2, 98),
    'reddit_binary': (1, 2, 644),
}
CELLS = {
    f'table2/{data}_{method}': (method, data, *figures[2 * d : 2 * d + 2])
    for d, data in enumerate(SETS)
    for method, figures in PAPER.items()
}
GLOBAL = ('sage_without_jk', 'global_attention', 'set2set', 'sort_pool')


def parameters(method, data):
    """Trainable parameters of 3 layers of 64 units and the perceptron, worked out by hand."""
    features, classes, most = SETS[data]
    inputs = (features, 64, 64)
    sage = lambda width, out: 2 * width * out + out

    def block(width, out):
        return sage(width, 64) + sage(64, 64) + 128 * out + out

    layers = sum(sage(width, 64) for width in inputs)
    read = 64 if method in GLOBAL else 3 * 64
    if method == 'gcn':
        layers = sum(width * 64 + 64 for width in inputs)
    elif method.startswith('gin'):
        eps = method == 'gin_eps'
        layers = sum(width * 64 + 64 + 64 * 64 + 64 + 2 * 64 + eps for width in inputs)
    elif method == 'top_k':
        layers += 64
    elif method == 'diff_pool':
        layers = block(features, 64) + block(64, 64) + block(features, math.ceil(most / 4))
        read = 2 * 64
    elif method == 'global_attention':
        layers += 64 + 1
    elif method == 'set2set':
        layers, read = layers + 4 * 64 * (128 + 64 + 1), 128
    elif method == 'sort_pool':
        layers, read = layers + 5 * 64 * 32 + 32, 26 * 32
    return layers + read * 64 + 64 + 64 * classes + classes


def settings(method, data):
    """All bindings of a cell but its title and figures: Sec. 3 and the published runs' settings."""
    found = {
        'Run.experiment': '@fold_experiment.FoldExperiment',
        'FoldExperiment.model': '@graph_classifier.GraphClassifier',
        'FoldExperiment.optimizer': '@optimizers.FusedAdam',
        'FoldExperiment.data': '@graph_data.GraphData',
        'FoldExperiment.epochs': 100,
        'FoldExperiment.halve_every_epochs': 50,
        'FoldExperiment.signatures': '@graph_export.signatures',
        'FoldExperiment.reporter': '@graph_report.GraphReport()',
        'FusedAdam.learning_rate': 0.01,
        'GraphData.source': '@graph_data.powerful_gnns_zip',
        'powerful_gnns_zip.name': data.upper().replace('_', '-'),
        'GraphData.num_folds': 10,
        'GraphData.batch_size': 128,
        'GraphClassifier.network': '@conv_network.ConvNetwork()',
        'GraphClassifier.hidden': 64,
        'GraphClassifier.dropout': 0.5,
        # Of the grid of 2 to 5 layers of 16 to 128 one point.
        'ConvNetwork.channels': 64,
        'ConvNetwork.num_layers': 3,
        'ConvNetwork.conv': '@sage_conv.SAGEConv',
        'ConvNetwork.sparse_edges': True,
        'ConvNetwork.jumping_knowledge': method not in GLOBAL,
    }
    own = {
        'gcn': {'ConvNetwork.conv': '@gcn_conv.GCNConv'},
        'gin_0': {'ConvNetwork.conv': '@parts.isomorphism_layer', 'ConvNetwork.batch_norm': True},
        'gin_eps': {
            'ConvNetwork.conv': '@parts.isomorphism_layer',
            'ConvNetwork.batch_norm': True,
            'isomorphism_layer.train_eps': True,
        },
        'graclus': {'ConvNetwork.pool': '@graclus_pooling.GraclusPooling'},
        'top_k': {'ConvNetwork.pool': '@top_k.TopKPooling', 'TopKPooling.ratio': 0.8},
        'diff_pool': {
            'GraphClassifier.network': '@diff_pool_network.DiffPoolNetwork()',
            'DiffPoolNetwork.channels': 64,
            'DiffPoolNetwork.num_levels': 2,
            'DiffPoolNetwork.ratio': 0.25,
            'DiffPoolNetwork.max_nodes': SETS[data][2],
        },
        'global_attention': {'ConvNetwork.readout': '@parts.soft_attention'},
        'set2set': {'ConvNetwork.readout': '@set2set.Set2Set', 'Set2Set.steps': 4},
        'sort_pool': {'ConvNetwork.readout': '@sort_readout.SortReadout', 'SortReadout.k': 30},
    }
    return {**found, **own.get(method, {})}


@pytest.mark.parametrize('name', CELLS)
def test_every_binding(name):
    method, data, mean, std = CELLS[name]
    found = geometric_files.bindings(name)
    title = data.upper().replace('_', '-')
    assert found.pop('FoldExperiment.title').endswith(f' on {title}')
    assert found.pop('FoldExperiment.reference') == {
        'cell': f'Table 2, {TITLES[method]}, {title}',
        'test_accuracy_percent': mean,
        'std': std,
    }
    assert found == settings(method, data)


def test_every_cell_has_a_file():
    there = geometric_files.there('table2/*')
    assert there == set(CELLS) and len(there) == 55
    names = geometric_files.of_suite('table2')
    small = [
        name
        for name, (_, data, *_) in CELLS.items()
        if data in ('mutag', 'imdb_binary', 'proteins')
    ]
    assert sorted(names) == sorted(small)


def stub(features, classes):
    """Twelve pairs of nodes of each class."""
    names = tuple(map(str, range(classes)))
    return GraphDataset(
        [
            Graph(
                np.array([[0, 1], [1, 0]]),
                np.zeros([2, features]),
                y=np.int32(i % classes),
                class_names=names,
            )
            for i in range(12 * classes)
        ],
        names,
    )


@pytest.mark.parametrize('name', CELLS)
def test_settings(name, tmp_path):
    method, data, *_ = CELLS[name]
    features, classes, most = SETS[data]
    config.load(config.read(geometric_files.path(name)))
    run = gin.get_configurable(runner.Run)()
    bound = geometric_files.values(name)
    made = run.experiment(
        run_dir=str(tmp_path),
        seed=3,
        data_dir=None,
        strategy=None,
        data=functools.partial(
            graph_data.GraphData,
            source=lambda data_dir: stub(features, classes),
            batch_size=bound['GraphData.batch_size'],
            num_folds=bound['GraphData.num_folds'],
        ),
    )
    config.clear()
    tf.keras.backend.clear_session()
    assert run.num_seeds == 1 and made.num_trials == 10
    assert (made.epochs, made.halve_every_epochs, made.data.batch_size) == (100, 50, 128)
    assert float(made.model.optimizer.learning_rate) == pytest.approx(0.01)
    assert made.signatures and made.reporter
    model, network = made.model, made.model.network
    assert model.dropout == 0.5
    trained = sum(np.prod(weight.shape) for weight in model.trainable_variables)
    assert trained == parameters(method, data)
    if method == 'diff_pool':
        assert type(network) is diff_pool_network.DiffPoolNetwork
        assert network.max_nodes == most
        return
    conv = {'gcn': gcn_conv.GCNConv, 'gin_0': gin_conv.GINConv, 'gin_eps': gin_conv.GINConv}
    assert [type(layer) for layer in network.convs] == [conv.get(method, sage_conv.SAGEConv)] * 3
    assert network.jumping_knowledge == (method not in GLOBAL)
    assert len(network.norms) == (3 if method.startswith('gin') else 0)
    read = {
        'global_attention': global_attention.GlobalAttention,
        'set2set': set2set.Set2Set,
        'sort_pool': sort_readout.SortReadout,
    }.get(method, readout.Readout)
    assert all(type(layer) is read for layer in network.readouts)
    pools = {'graclus': graclus_pooling.GraclusPooling, 'top_k': top_k.TopKPooling}
    assert [type(pool) for pool in network.pools] == [pools[m] for m in [method] if m in pools]
    if method == 'top_k':
        assert network.pools[0].ratio == 0.8
    if method == 'set2set':
        assert network.readouts[0].steps == 4
    if method == 'sort_pool':
        assert network.readouts[0].sort.k == 30
    if method.startswith('gin'):
        assert all(layer.train_eps == (method == 'gin_eps') for layer in network.convs)
