"""The Ladder's gin files: every cell of the paper has one with its figures, and each constructs."""

import ast
import functools
import glob
import os
import re

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.compat import keras_private
from official.core import config, gin_source, keras_experiment, runner, suite
from official.data import images
from research.ladder import architectures, autoencoder, conv_pool_cnn_c, data
from research.ladder import model as ladder
from tests.gin_configs.ladder_facts import (
    DENOISERS,
    EPOCHS,
    NOT_THE_PAPERS,
    ONE_RUN,
    OTHERS,
    PAPER,
    SETTINGS,
    denoiser_of,
    facts,
    labels_of,
)

# A file that this test names, so that its folder comes along: gin_configs/ladder/digits_100.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'ladder')
PATHS = {
    os.path.relpath(path, FOLDER)[:-4]: path
    for path in glob.glob(os.path.join(FOLDER, '**', '*.gin'), recursive=True)
}
SUITES = {os.path.dirname(name) for name in PATHS} - {''}
NAMES = sorted(
    name for name in PATHS if not os.path.basename(name).startswith('_') and name not in SUITES
)


@functools.cache
def source(name):
    return gin_source.read(PATHS[name])


def bound(name, key):
    """The value a file binds to `Class.parameter`, or None."""
    values = [
        b.value
        for full, b in source(name).bindings.items()
        if full.endswith(f'.{key}') and not b.scope
    ]
    return values[0] if values else None


def spelled(value):
    """A bound value, a reference by its whole name."""
    return value.spelled(value.full) if isinstance(value, gin_source.Reference) else value


@pytest.mark.parametrize('name', [name for name in NAMES if name != 'digits_100'])
def test_every_binding_is_the_papers(name):
    found = {
        '.'.join(key.split('.')[-2:]): spelled(binding.value)
        for key, binding in source(name).bindings.items()
    }
    assert len(found) == len(source(name).bindings)
    assert {key: found[key] for key in found if key not in NOT_THE_PAPERS} == facts(name)


def test_every_cell_has_a_file_and_every_file_a_cell():
    assert set(NAMES) == set(PAPER) | OTHERS
    # The paper's own cells, and of Table 3 that of Springenberg et al.: as the model card counts.
    cells = {
        table: sum(name.startswith(table) for name in PAPER)
        for table in ('table1', 'table2', 'table3', 'table5')
    }
    assert cells == {'table1': 11, 'table2': 4, 'table3': 3 + 1, 'table5': 10}


@pytest.mark.parametrize('name', PAPER)
def test_reference_is_the_papers(name):
    reference = bound(name, 'KerasExperiment.reference')
    error, std = PAPER[name]
    assert reference['test_error_percent'] == error and reference.get('std') == std
    table, _, labels, *_ = re.split('[_/]', name) if name.startswith('table') else ('', '', '50')
    assert reference['cell'].startswith(f'Table {table[-1]}, ' if table else 'Sec. 4.1.1, ')
    said = 'all labels' if labels == 'all' else f'{int(labels):,} labels'.replace(',', ' ')
    assert reference['cell'].replace('1000', '1 000').endswith(f', {said}')
    if name == 'table1/mnist_100_gamma':
        assert reference['median_test_error_percent'] == 2.61


@pytest.mark.parametrize('name', sorted(SUITES))
def test_suites_run_every_cell(name):
    files = suite.matching(bound(name, 'Suite.files'))
    assert sorted(os.path.relpath(path, 'gin_configs/ladder')[:-4] for path in files) == [
        cell for cell in NAMES if cell.startswith(f'{name}/')
    ]


@functools.cache
def blank_images(shape):
    """Enough blank images of ten classes for 4 000 labels and 10 000 to validate."""
    count = 15_000
    labels = np.arange(count, dtype=np.int32) % 10
    pixels = np.zeros((count, *shape), np.uint8)
    return images.ImageArrays(
        train_images=pixels,
        train_labels=labels,
        test_images=pixels[:500],
        test_labels=labels[:500],
        class_names=tuple('0123456789'),
    )


def blank_data(name, seed, data_dir):
    """The data of a file, but for the source and the preprocessing."""
    given = {
        binding.parameter: binding.value
        for binding in source(name).bindings.values()
        if binding.full == 'research.ladder.data.SemiSupervisedData'
    }
    del given['source']
    given.pop('preprocess', None)
    shape = (8, 8, 1) if 'digits' in name else (32, 32, 3) if 'cifar10' in name else (28, 28, 1)
    return data.SemiSupervisedData(
        seed, data_dir, source=lambda data_dir: blank_images(shape), **given
    )


def experiment(name, tmp_path):
    """The experiment of a file, whole but for the images, and how many seeds it has."""
    config.load(config.read(PATHS[name]))
    run = gin.get_configurable(runner.Run)()
    made = run.experiment(
        run_dir=str(tmp_path),
        seed=3,
        data_dir=None,
        strategy=None,
        data=functools.partial(blank_data, name),
    )
    config.clear()
    tf.keras.backend.clear_session()
    return made, run.num_seeds


# One of each network, data set and denoiser; the other files differ in numbers alone.
CONSTRUCTED = sorted(
    {
        'digits_100',
        'appendix_b/mnist_100_autoencoder',
        'mnist_50_full',
        'table1/mnist_100_baseline',
        'table1/mnist_all_bottom',
        'table1/mnist_1000_gamma',
        'validation_mnist_100_full',
        'validation_cifar10_4000_gamma',
        'authors_later/mnist_1000_full',
        *(f'table5/mnist_1000_{g}' for g in DENOISERS),
        *(name for name in PAPER if name.startswith(('table2', 'table3'))),
    }
)


@pytest.mark.parametrize('name', CONSTRUCTED)
def test_what_is_bound_arrives(name, tmp_path):
    made, num_seeds = experiment(name, tmp_path)
    model, cifar10 = made.model, 'cifar10' in name
    assert type(made) is keras_experiment.KerasExperiment
    assert model.example_shape == made.data.input_shape and model.num_classes == 10
    assert model.optimizer.variables  # Built: a checkpoint finds all it restores into.
    if name == 'digits_100':
        assert made.baseline.model.denoisers == [None] * 5 and num_seeds == 1
        return
    assert made.baseline is None
    assert num_seeds == facts(name)['Run.num_seeds']
    assert made.use_calibration and made.reporter is not None
    validation = 10_000 if 'validation' in name else 0
    assert len(made.data.labelled_indices) == (labels_of(name) or 15_000)
    assert len(made.data.validation_indices) == validation
    assert made.data.labelled_batch == made.data.unlabelled_batch == 100
    assert made.split == made.monitor_split == ('validation' if validation else 'test')
    _check_steps(name, made)
    if 'autoencoder' in name:
        assert isinstance(model, autoencoder.Autoencoder) and model.hidden_noise_std == 0.5
    elif name in ONE_RUN:
        assert isinstance(model, conv_pool_cnn_c.ConvPoolCNN)
        assert (model.input_dropout, model.pool_dropout) == (0.2, 0.5)
        assert model.batch_norm == ('conv_pool_cnn_c' not in name)
        assert (model.rungs[-1].gamma is not None) == (not cifar10)
    else:
        _check_ladder(name, model)


def _check_steps(name, made):
    an_epoch = facts(name)['KerasExperiment.save_every_steps']
    assert made.save_every_steps == an_epoch
    assert an_epoch % bound(name, 'KerasExperiment.steps_per_execution') == 0
    optimizer = made.model.optimizer
    rate = lambda step: float(keras_private.learning_rate(optimizer)(tf.constant(step, tf.int64)))
    if name == 'table3/cifar10_all_conv_pool_cnn_c':
        assert made.train_steps == 350 * an_epoch and optimizer.momentum == 0.9
        rates = [rate(epochs * an_epoch + 1) for epochs in (0, 199, 200, 250, 300)]
        assert rates == pytest.approx([0.05, 0.05, 0.005, 0.0005, 0.00005])
        return
    epochs, constant = EPOCHS.get(name, (150, 100))
    assert made.train_steps == epochs * an_epoch
    start = round(constant * an_epoch)
    steps = (0, start, (start + made.train_steps) // 2, made.train_steps)
    assert [rate(step) for step in steps] == pytest.approx([0.002, 0.002, 0.001, 0], abs=1e-9)
    assert 0 < rate(start + 10) < 0.002


def _check_ladder(name, model):
    assert isinstance(model, ladder.LadderNetwork)
    costs, hidden_noise = SETTINGS[name]
    assert model.denoising_costs == costs and model.hidden_noise_std == hidden_noise
    assert model.noise_std == 0.3
    wanted = denoiser_of(name)
    lowest = next((l for l, cost in enumerate(costs) if cost), len(costs))
    assert [type(denoiser) for denoiser in model.denoisers] == (
        [type(None)] * lowest + [wanted] * (len(costs) - lowest)
    )
    assert (model.rungs[-1].gamma is not None) == ('cifar10' not in name)
    encoder = (
        architectures.conv_large()
        if 'cifar10' in name
        else architectures.conv_small()
        if 'conv_small' in name
        else architectures.conv_fc()
        if 'conv_fc' in name
        else None
    )
    if encoder is None:
        assert [rung.units for rung in model.rungs] == [1000, 500, 250, 250, 250, 10]
    else:
        without_name = lambda rung: {**rung.get_config(), 'name': type(rung)}
        assert list(map(without_name, model.rungs)) == list(map(without_name, encoder))


def test_attach_to_is_a_parameter():
    config.load(config.read(PATHS['appendix_b/mnist_100_autoencoder'], ['Autoencoder.attach_to=4']))
    model = gin.get_configurable(autoencoder.Autoencoder)()
    config.clear()
    assert model.attach_to == 4 and len(model.decoder) == 4


def test_validation_file_is_what_its_head_says():
    """Its bindings as --gin_param make a validation run of another file."""
    with open(PATHS['validation_mnist_100_full']) as f:
        lines = [line.strip() for line in f if re.match(r'[a-z_]+\.\w+\.\w+ = ', line)]
    last = next(i for i, line in enumerate(lines) if 'validation_size' in line)
    params = [line.partition('.')[2].replace(' = ', '=') for line in lines[: last + 1]]
    assert len(params) == 7
    changed = config.read(PATHS['table5/mnist_1000_g5'], params).source.bindings
    own = source('validation_mnist_100_full').bindings
    for param in params:
        key = next(key for key in own if key.endswith('.' + param.partition('=')[0]))
        assert changed[key].value == own[key].value == ast.literal_eval(param.partition('=')[2])
