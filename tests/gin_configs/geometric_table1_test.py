"""Table 1's gin files: every cell has one with its figures, and each constructs its network."""

import functools
import re
import sys

import gin
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from official.core import config
from official.core import runner
from research.geometric import graph as graph_lib
from research.geometric import node_data
from research.geometric.datasets import splits
from tests.gin_configs import geometric_files
from tools import listing

# A file that this test names, so that its folder comes along: gin_configs/geometric/table1.gin
# Mean and standard deviation as Table 1 prints them: Cora, CiteSeer, PubMed, fixed and random each.
PAPER = {
    'cheby': (81.4, .7, 77.8, 2.2, 70.2, 1.0, 67.7, 1.7, 78.4, .4, 75.8, 2.2),
    'gcn': (81.5, .6, 79.4, 1.9, 71.1, .7, 68.1, 1.7, 79.0, .6, 77.4, 2.4),
    'gat': (83.1, .4, 81.0, 1.4, 70.8, .5, 69.2, 1.9, 78.5, .3, 78.3, 2.3),
    'sgc': (81.7, .1, 80.2, 1.6, 71.3, .2, 68.7, 1.6, 78.9, .1, 76.5, 2.4),
    'arma': (82.8, .6, 80.7, 1.4, 72.3, 1.1, 68.9, 1.6, 78.8, .3, 77.7, 2.6),
    'appnp': (83.3, .5, 82.2, 1.5, 71.8, .5, 70.0, 1.4, 80.1, .2, 79.4, 2.2),
}
SETS = {'cora': (1433, 7), 'citeseer': (3703, 6), 'pubmed': (500, 3)}  # Features, classes: Table 5.
CELLS = {
    f'table1_{data}_{method}_{split}': (method, data, split, *figures[4 * d + 2 * s:][:2])
    for method, figures in PAPER.items() for d, data in enumerate(SETS)
    for s, split in enumerate(('fixed', 'random'))}


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
    there = geometric_files.there('table1_*')
    assert there == set(CELLS)
    names = geometric_files.of_suite('table1')
    assert sorted(names) == sorted(CELLS)
    late = [re.search('pubmed_(gat|arma)', name) is not None for name in names]
    assert late == sorted(late)  # What takes longest comes last.


@pytest.mark.parametrize('name', CELLS)
def test_figures_and_head(name):
    method, data, split, mean, std = CELLS[name]
    reference = geometric_files.values(name)['NodeTrials.reference']
    assert (reference['test_accuracy_percent'], reference['std']) == (mean, std)
    title = {'cheby': 'Cheby', 'cora': 'Cora', 'citeseer': 'CiteSeer', 'pubmed': 'PubMed'}
    assert reference['cell'] == (
        f'Table 1, {title.get(method, method.upper())}, {title[data]}, {split}')
    text = '\n'.join(geometric_files.source(name).head)
    assert f'{mean} +- {std} %' in text
    assert listing.purpose(geometric_files.path(name)).endswith(f'(paper: {mean} %).')
    assert f'--gin_file=gin_configs/geometric/{name}.gin' in text
    for word in ('# Hardware: ', '# Time: ', '# Result: '):
        assert word in text


def stub(features, classes):
    """A graph of as many features and classes, and 20 + 600 nodes of each."""
    count = 620 * classes
    y = np.arange(count) % classes
    x = scipy.sparse.csr_matrix((np.ones(count), (np.arange(count), np.arange(count) % features)),
                                shape=(count, features))
    nodes = np.arange(count)
    edges = np.stack([nodes, (nodes + 1) % count])
    return graph_lib.Graph(
        edges, x=x, y=y, class_names=tuple(map(str, range(classes))),
        splits={'train': nodes[:20], 'validation': nodes[20:40], 'test': nodes[40:60]})


@pytest.mark.parametrize('name', CELLS)
def test_settings(name, tmp_path):
    method, data, split, *_ = CELLS[name]
    config.load(config.read(geometric_files.path(name)))
    bindings = geometric_files.source(name).bindings.values()
    given = {binding.parameter: binding.value for binding in bindings
             if binding.full.endswith('node_data.NodeData')}
    run = gin.get_configurable(runner.Run)()
    made = run.experiment(
        run_dir=str(tmp_path), seed=3, data_dir=None, strategy=None, data=functools.partial(
            node_data.NodeData, source=lambda data_dir: stub(*SETS[data]),
            split=splits.random_split if split == 'random' else splits.fixed_split,
            **{key: given[key] for key in ('normalize_features', 'coefficients', 'sparse_edges')
               if key in given}))
    config.clear()
    tf.keras.backend.clear_session()
    weights = made.model.trainable_variables
    assert sum(np.prod(weight.shape) for weight in weights) == parameters(method, data, split)
    # The operators are told what the data have been given already.
    network = made.model.network
    operators = [network.propagation] if method == 'appnp' else network.operators
    for operator in operators:
        if method == 'gat':
            assert not operator.self_loops and operator.dropout == .6
        else:
            assert not operator.normalize
    assert given['coefficients'] == {
        'gat': 'self_loops', 'cheby': 'symmetric', 'arma': 'symmetric'}.get(method, 'gcn')
    assert given['normalize_features'] == (method != 'sgc')
    # The published runs' settings.
    long = method in ('gat', 'arma')
    assert (made.epochs, made.patience) == ((1000, 100) if long else (200, 10))
    assert made.num_trials >= (100 if method == 'arma' else 10)
    rate = {'gat': .01 if data == 'pubmed' else .005, 'sgc': .1}.get(method, .01)
    assert float(made.model.optimizer.learning_rate) == pytest.approx(rate)
    decay = {('gat', 'pubmed'): .001, ('sgc', 'citeseer'): .005}.get((method, data), 5e-4)
    assert made.model.weight_decay == decay
    dropout = {'gat': .6, 'sgc': 0}.get(method, .5)
    assert network.dropout == dropout
    if method in ('gcn', 'cheby', 'arma'):
        assert network.input_dropout == 0
    elif method != 'appnp':
        assert network.input_dropout == dropout
    if method == 'sgc':
        assert operators[0].K == (3 if data == 'cora' else 2)
    if method == 'appnp':
        assert (operators[0].K, operators[0].alpha) == (10, .1)
    if method == 'arma':
        skip = .75 if data != 'pubmed' else 0. if split == 'fixed' else .5
        assert all(operator.dropout == operator.product_dropout == skip for operator in operators)
        assert all(operator.shared_weights == (data != 'pubmed') for operator in operators)
        assert [operator.num_layers for operator in operators] == [1, 1]
        assert {operator.activation for operator in operators} == {tf.keras.activations.relu}


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
