"""The Ladder's gin files: every cell of the paper has one with its figures, and each constructs."""

import ast
import functools
import glob
import os
import re
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.core import config
from official.core import gin_source
from official.core import keras_experiment
from official.core import runner
from official.data import images
from research.ladder import architectures
from research.ladder import autoencoder
from research.ladder import conv_pool_cnn_c
from research.ladder import data
from research.ladder import denoisers
from research.ladder import model as ladder
from tools import listing

# A file that this test names, so that its folder comes along: gin_configs/ladder/digits_100.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'ladder')
PATHS = {os.path.basename(path)[:-4]: path for path in glob.glob(os.path.join(FOLDER, '*.gin'))}
NAMES = sorted(name for name in PATHS if not name.startswith('_'))

# Test error % and standard deviation as the paper prints them; None: not printed (one run).
PAPER = {
    # Table 1, rows, by number of labels.
    'table1_mnist_100_baseline': (21.74, 1.77),
    'table1_mnist_1000_baseline': (5.70, 0.20),
    'table1_mnist_all_baseline': (0.80, 0.03),
    'table1_mnist_100_gamma': (4.34, 2.31),
    'table1_mnist_1000_gamma': (1.71, 0.07),
    'table1_mnist_all_gamma': (0.79, 0.05),
    'table1_mnist_100_bottom': (1.38, 0.49),
    'table1_mnist_1000_bottom': (1.07, 0.06),
    'table1_mnist_all_bottom': (0.61, 0.05),
    'table1_mnist_100_full': (1.13, 0.04),
    'table1_mnist_1000_full': (1.00, 0.06),
    # Section 4.1.1.
    'mnist_50_full': (1.39, 0.55),
    # Table 2.
    'table2_mnist_100_conv_small_baseline': (6.43, 0.84),
    'table2_mnist_all_conv_small_baseline': (0.36, None),
    'table2_mnist_100_conv_fc': (0.91, 0.14),
    'table2_mnist_100_conv_small_gamma': (0.86, 0.41),
    # Table 3, the first as published by Springenberg et al.
    'table3_cifar10_all_conv_pool_cnn_c': (9.31, None),
    'table3_cifar10_4000_baseline': (23.33, 0.61),
    'table3_cifar10_all_baseline': (9.27, None),
    'table3_cifar10_4000_gamma': (20.09, 0.46),
    # Table 5.
    'table5_mnist_100_g': (1.11, 0.07),
    'table5_mnist_1000_g': (1.11, 0.06),
    'table5_mnist_100_g2': (2.03, 0.09),
    'table5_mnist_1000_g2': (1.70, 0.08),
    'table5_mnist_100_g3': (1.49, 0.10),
    'table5_mnist_1000_g3': (1.30, 0.08),
    'table5_mnist_100_g4': (2.90, 1.19),
    'table5_mnist_1000_g4': (2.11, 0.45),
    'table5_mnist_100_g5': (1.06, 0.07),
    'table5_mnist_1000_g5': (1.03, 0.06),
}
ONE_RUN = {name for name, (_, std) in PAPER.items() if std is None}
# Not compared with a cell of their own: the autoencoders have the supervised network's.
OTHERS = {
    'digits_100', 'validation_mnist_100_full', 'validation_cifar10_4000_gamma',
    'appendix_b_mnist_100_autoencoder', 'appendix_b_mnist_1000_autoencoder',
}

FULL = (1000, 10, .1, .1, .1, .1, .1)
# Multipliers of the denoising cost and hidden noise, of the runs with the denoiser g.
SETTINGS = {
    'mnist_50_full': ((2000, 20, .01, .01, .01, .01, .05), .3),
    'table1_mnist_100_full': (FULL, .3),
    'table1_mnist_1000_full': (FULL, .2),
    'table1_mnist_100_bottom': ((4000, 0, 0, 0, 0, 0, 0), .3),
    'table1_mnist_1000_bottom': ((1000, 0, 0, 0, 0, 0, 0), .3),
    'table1_mnist_all_bottom': ((500, 0, 0, 0, 0, 0, 0), .3),
    'table1_mnist_100_gamma': ((0, 0, 0, 0, 0, 0, 1), .3),
    'table1_mnist_1000_gamma': ((0, 0, 0, 0, 0, 0, 5), .3),
    'table1_mnist_all_gamma': ((0, 0, 0, 0, 0, 0, 1), .3),
    **{f'table1_mnist_{n}_baseline': ((0,) * 7, .5) for n in ('100', '1000', 'all')},
    'table2_mnist_100_conv_fc': ((1000, 10, .1, .1, .1, .1, .1, .1), .3),
    'table2_mnist_100_conv_small_gamma': ((0,) * 9 + (1,), .3),
    'table2_mnist_100_conv_small_baseline': ((0,) * 10, .45),
    'table3_cifar10_4000_gamma': ((0,) * 12 + (4,), .3),
    'table3_cifar10_4000_baseline': ((0,) * 13, .3),
    **{f'table5_mnist_{n}_{g}': (FULL, .3)
       for n in (100, 1000) for g in ('g', 'g2', 'g3', 'g4', 'g5')},
    'table5_mnist_1000_g5': ((2000, 20, .1, .1, .1, .1, .1), .3),
}
# Epochs, and how many of them before the learning rate falls; else 150 and 100.
EPOCHS = {
    'table2_mnist_100_conv_small_baseline': (20, 10),
    'table3_cifar10_4000_gamma': (70, 60.2),
    'validation_cifar10_4000_gamma': (70, 60.2),
    'table3_cifar10_4000_baseline': (20, 10),
}
DENOISERS = {
    'g2': denoisers.NoAugmentedTerm, 'g3': denoisers.Linear, 'g4': denoisers.AdditiveMean,
    'g5': denoisers.Gaussian}


@functools.cache
def source(name):
    return gin_source.read(PATHS[name])


def bound(name, key):
    """The value a file binds to `Class.parameter`, or None."""
    values = [b.value for full, b in source(name).bindings.items() if full.endswith(f'.{key}')
              and not b.scope]
    return values[0] if values else None


def test_every_cell_has_a_file_and_every_file_a_cell():
    assert set(NAMES) == set(PAPER) | OTHERS


@pytest.mark.parametrize('name', PAPER)
def test_reference_is_the_papers(name):
    reference = bound(name, 'KerasExperiment.reference')
    error, std = PAPER[name]
    assert reference['test_error_percent'] == error and reference.get('std') == std
    table, _, labels, *_ = re.split('_', name) if name.startswith('table') else ('', '', '50', '')
    assert reference['cell'].startswith(f'Table {table[-1]}, ' if table else 'Sec. 4.1.1, ')
    said = 'all labels' if labels == 'all' else f'{int(labels):,} labels'.replace(',', ' ')
    assert reference['cell'].replace('1000', '1 000').endswith(f', {said}')
    assert f'{error:.2f} %' in '\n'.join(source(name).head)
    if std is not None:
        assert f'{error:.2f} % (+-{std:.2f})' in '\n'.join(source(name).head)
    if name == 'table1_mnist_100_gamma':
        assert reference['median_test_error_percent'] == 2.61


@pytest.mark.parametrize('name', NAMES)
def test_head(name):
    head = source(name).head
    purpose = listing.purpose(PATHS[name])
    assert head[0] == f'# {purpose}' and len(purpose) <= 100 and purpose.endswith('.')
    text = '\n'.join(head)
    command = re.search(
        r'# Command: \./garden train --gin_file=(\S+)( \\\n# +(--data_dir=.*))?', text)
    assert command[1] == f'gin_configs/ladder/{name}.gin'
    if name != 'digits_100':
        assert command[3]
        assert ('Run.num_seeds=1' in command[3]) == (name not in ONE_RUN)
    for word in ('Paper: Rasmus et al. 2015', 'Hardware: ', 'Time: ', 'Result: '):
        assert word.removesuffix('Rasmus et al. 2015') in text
    assert 'Rasmus et al. 2015' in text


def test_shared_files_are_no_experiments():
    listed = {os.path.basename(path)[:-4] for path, _ in listing.entries(
        listing.pathlib.Path(gin_source.ROOT)) if path.startswith('gin_configs/ladder/')}
    assert listed == set(NAMES)
    assert set(PATHS) - set(NAMES) == {'_mnist', '_cifar10'}


@functools.cache
def blank_images(shape):
    """Enough blank images of ten classes for 4 000 labels and 10 000 to validate."""
    count = 15_000
    labels = np.arange(count, dtype=np.int32) % 10
    pixels = np.zeros((count, *shape), np.uint8)
    return images.ImageArrays(
        train_images=pixels, train_labels=labels, test_images=pixels[:500],
        test_labels=labels[:500], class_names=tuple('0123456789'))


def blank_data(name, seed, data_dir):
    """The data of a file, but for the source and the preprocessing."""
    given = {
        binding.parameter: binding.value for binding in source(name).bindings.values()
        if binding.full == 'research.ladder.data.SemiSupervisedData'}
    del given['source']
    given.pop('preprocess', None)
    shape = (8, 8, 1) if 'digits' in name else (32, 32, 3) if 'cifar10' in name else (28, 28, 1)
    return data.SemiSupervisedData(
        seed, data_dir, source=lambda data_dir: blank_images(shape), **given)


def experiment(name, tmp_path):
    """The experiment of a file, whole but for the images, and how many seeds it has."""
    config.load(config.read(PATHS[name]))
    run = gin.get_configurable(runner.Run)()
    made = run.experiment(
        run_dir=str(tmp_path), seed=3, data_dir=None, strategy=None,
        data=functools.partial(blank_data, name))
    config.clear()
    tf.keras.backend.clear_session()
    return made, run.num_seeds


@pytest.mark.parametrize('name', NAMES)
def test_constructs_as_the_paper_has_it(name, tmp_path):
    made, num_seeds = experiment(name, tmp_path)
    model, cifar10 = made.model, 'cifar10' in name
    assert type(made) is keras_experiment.KerasExperiment
    assert model.example_shape == made.data.input_shape and model.num_classes == 10
    assert model.optimizer.variables  # Built: a checkpoint finds all it restores into.
    if name == 'digits_100':
        assert made.baseline.model.denoisers == [None] * 5 and num_seeds == 1
        return
    assert made.baseline is None
    assert num_seeds == (1 if name in ONE_RUN else 5 if cifar10 else 10)
    assert made.use_calibration and made.reporter is not None
    _check_data(name, made)
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


def _check_data(name, made):
    labels = re.search(r'mnist_(\w+?)_|cifar10_(\w+?)_', name)
    labels = labels[1] or labels[2]
    validation = 10_000 if 'validation' in name else 0
    found = len(made.data.labelled_indices)
    assert found == (15_000 if labels == 'all' else int(labels))
    assert len(made.data.validation_indices) == validation
    assert made.data.labelled_batch == made.data.unlabelled_batch == 100
    assert made.split == made.monitor_split == ('validation' if validation else 'test')
    source_of = bound(name, 'SemiSupervisedData.source').full
    if 'cifar10' in name:
        assert source_of == 'official.data.tfds_images.cifar10'
        assert bound(name, 'SemiSupervisedData.preprocess').full == 'official.data.whitening.fit'
    else:
        assert source_of == 'official.data.mnist.load'
        assert bound(name, 'SemiSupervisedData.preprocess') is None


def _check_steps(name, made):
    images_an_epoch = (50_000 if 'cifar10' in name else 60_000) - len(made.data.validation_indices)
    an_epoch = images_an_epoch // 100
    assert made.save_every_steps == an_epoch
    assert an_epoch % bound(name, 'KerasExperiment.steps_per_execution') == 0
    optimizer = made.model.optimizer
    rate = lambda step: float(optimizer._learning_rate(tf.constant(step, tf.int64)))
    if name == 'table3_cifar10_all_conv_pool_cnn_c':
        assert made.train_steps == 350 * an_epoch and optimizer.momentum == 0.9
        rates = [rate(epochs * an_epoch + 1) for epochs in (0, 199, 200, 250, 300)]
        assert rates == pytest.approx([.05, .05, .005, .0005, .00005])
        return
    epochs, constant = EPOCHS.get(name, (150, 100))
    assert made.train_steps == epochs * an_epoch
    start = round(constant * an_epoch)
    steps = (0, start, (start + made.train_steps) // 2, made.train_steps)
    assert [rate(step) for step in steps] == pytest.approx([.002, .002, .001, 0], abs=1e-9)
    assert 0 < rate(start + 10) < .002


def _check_ladder(name, model):
    assert isinstance(model, ladder.LadderNetwork)
    like = {'validation_mnist_100_full': 'table1_mnist_100_full',
            'validation_cifar10_4000_gamma': 'table3_cifar10_4000_gamma'}.get(name, name)
    costs, hidden_noise = SETTINGS[like]
    assert model.denoising_costs == costs and model.hidden_noise_std == hidden_noise
    assert model.noise_std == 0.3
    wanted = DENOISERS.get(name.rpartition('_')[2], denoisers.MiniatureMLP)
    lowest = next((l for l, cost in enumerate(costs) if cost), len(costs))
    assert [type(denoiser) for denoiser in model.denoisers] == (
        [type(None)] * lowest + [wanted] * (len(costs) - lowest))
    assert (model.rungs[-1].gamma is not None) == ('cifar10' not in name)
    encoder = (architectures.conv_large() if 'cifar10' in name
               else architectures.conv_small() if 'conv_small' in name
               else architectures.conv_fc() if 'conv_fc' in name else None)
    if encoder is None:
        assert [rung.units for rung in model.rungs] == [1000, 500, 250, 250, 250, 10]
    else:
        without_name = lambda rung: {**rung.get_config(), 'name': type(rung)}
        assert list(map(without_name, model.rungs)) == list(map(without_name, encoder))


def test_attach_to_is_a_parameter():
    config.load(config.read(
        PATHS['appendix_b_mnist_100_autoencoder'], ['Autoencoder.attach_to=4']))
    model = gin.get_configurable(autoencoder.Autoencoder)()
    config.clear()
    assert model.attach_to == 4 and len(model.decoder) == 4


def test_validation_file_is_what_its_head_says():
    """Its bindings as --gin_param make a validation run of another file."""
    with open(PATHS['validation_mnist_100_full']) as f:
        lines = [line.strip() for line in f if re.match(r'[a-z_]+\.\w+\.\w+ = ', line)]
    last = next(i for i, line in enumerate(lines) if 'validation_size' in line)
    params = [line.partition('.')[2].replace(' = ', '=') for line in lines[:last + 1]]
    assert len(params) == 7
    changed = config.read(PATHS['table5_mnist_1000_g5'], params).source.bindings
    own = source('validation_mnist_100_full').bindings
    for param in params:
        key = next(key for key in own if key.endswith('.' + param.partition('=')[0]))
        assert changed[key].value == own[key].value == ast.literal_eval(param.partition('=')[2])


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
