"""S3GAN's gin files: methods of Table 1 at both sizes, with the paper's settings and figures."""

import functools
import glob
import os
import re

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.core import config, gin_source, runner, suite
from official.data import image_sources
from research.s3gan import data as data_lib
from research.s3gan import label_file

# A file that this test names, so that its folder comes along: gin_configs/s3gan/mnist/biggan.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 's3gan')
# 'mnist_biggan' -> the path of mnist/biggan.gin.
PATHS = {
    os.path.relpath(path, FOLDER)[:-4].replace(os.sep, '_'): path
    for path in glob.glob(os.path.join(FOLDER, '**', '*.gin'), recursive=True)
}
COMPARISONS = ('imagenet', 'mnist')
NAMES = sorted(
    name
    for name, path in PATHS.items()
    if not os.path.basename(path).startswith('_') and name not in COMPARISONS
)

LABELS = {'2_5': 2.5, '5': 5, '10': 10, '20': 20}
CLUSTERS = (50, 100, 200, 500, 1000)
METHODS = {
    'biggan',
    *(f'{name}{ss}' for name in ('single_label', 'random_label') for ss in ('', '_ss')),
    *(f'clustering_{number}{ss}' for number in CLUSTERS for ss in ('', '_ss')),
    *(
        f'{name}_{labels}'
        for labels in LABELS
        for name in ('biggan', 's2gan', 's2gan_soft', 's2gan_co', 's3gan', 's3gan_soft', 's3gan_co')
    ),
}
# FID and IS: Sec. 5 and 5.4, and the medians of Tables 2, 4 and 5.
PAPER = {
    'biggan': (8.4, 75.0),
    'random_label': (26.5, 20.2),
    'single_label': (25.3, 20.4),
    'single_label_ss': (23.7, 22.2),
    'clustering_50': (23.2, 22.7),
    'clustering_50_ss': (22.0, 23.5),
    's2gan_5': (10.8, 57.6),
    's2gan_10': (8.9, 73.4),
    's2gan_20': (8.4, 77.4),
    's2gan_co_5': (21.8, 30.0),
    's2gan_co_10': (17.7, 37.2),
    's2gan_co_20': (13.9, 49.2),
    's3gan_5': (10.4, 59.6),
    's3gan_10': (8.0, 78.7),
    's3gan_20': (7.7, 83.1),
    's3gan_co_5': (20.2, 31.0),
    's3gan_co_10': (16.6, 38.5),
    's3gan_co_20': (12.7, 53.1),
    's2gan_soft_5': (15.4, 40.3),
    's2gan_soft_10': (12.9, 49.8),
    's2gan_soft_20': (10.4, 62.1),
    's3gan_2_5': (13.6, 46.3),
}
GANS = [
    name
    for name in NAMES
    if name != 'imagenet_folder_biggan'
    and re.fullmatch(
        '(imagenet|imagenet256|mnist|cifar10|svhn|fashion_mnist|digits)_(?!features).*',
        name,
    )
]


@functools.cache
def source(name):
    return gin_source.read(PATHS[name])


def bound(name, key, default=None, scope=''):
    """The value a file binds to `Class.parameter`."""
    values = [
        b.value
        for full, b in source(name).bindings.items()
        if full.endswith(f'.{key}') and b.scope == scope
    ]
    return values[0] if values else default


def labels_file(name):
    """Path of the inferred labels that a file reads, or None."""
    path = bound(name, 'inferred_labels.path')
    return path and os.path.join(bound(name, 'inferred_labels.folder'), path)


def left_by(name, file):
    """Where the launcher, told nothing else, has an experiment leave a file."""
    return os.path.join('runs', config.read(PATHS[name], ()).name, file)


@pytest.mark.parametrize('size', ['imagenet', 'mnist'])
def test_every_method_has_a_file(size):
    found = {name.removeprefix(f'{size}_') for name in GANS if name.startswith(f'{size}_')}
    assert found == METHODS


@pytest.mark.parametrize('name', sorted(PAPER))
def test_figures_are_the_papers(name):
    config.load(config.read(PATHS[f'imagenet_{name}']))
    try:
        reference = gin.query_parameter(
            'keras_experiment.KerasExperiment.reference'
        ).scoped_configurable_fn()
    finally:
        config.clear()
    fid, score = PAPER[name]
    assert reference['test_fid'] == fid and reference['test_inception_score'] == score


def test_no_other_file_claims_a_figure():
    with_figures = {name for name in GANS if bound(name, 'KerasExperiment.reference')}
    assert with_figures == {f'imagenet_{name}' for name in PAPER}


@pytest.mark.parametrize('name', GANS)
def test_settings_are_the_methods(name):
    method = (
        name.removeprefix('imagenet256_')
        .removeprefix('imagenet_')
        .removeprefix('fashion_mnist_')
        .split('_', 1)[-1]
        if name.startswith(('mnist', 'cifar10', 'svhn', 'digits'))
        else re.sub('^(imagenet256|imagenet|fashion_mnist)_', '', name)
    )
    ss = bound(name, 'S3GAN.rotation_losses', False)
    assert ss == (method.startswith('s3gan') or method.endswith('_ss'))
    co = '_co' in method
    lambda_ = 0.2 if name.startswith('imagenet') else 0.4  # From {.1, .2, .4}.
    assert repr(bound(name, 'S3GAN.label_loss')) == ('%label_loss' if co else 'None')
    assert [b.value for b in source(name).bindings.values() if b.scope == 'label_loss'] == [lambda_]
    assert bound(name, 'S3GAN.beta', 0.5) == (1.0 if method.startswith('s3gan_co') else 0.5)
    assert bound(name, 'Discriminator.projection', True) == (not method.startswith('single_label'))
    assert bound(name, 'GanData.empirical_prior', False) == method.startswith('clustering')
    assert bound(name, 'inferred_labels.soft', False) == ('soft' in method)
    share = re.search('_(2_5|5|10|20)$', method)
    if share and (co or method.startswith('biggan')):
        assert bound(name, 'partial_labels.percent') == LABELS[share[1]]
        assert bound(name, 'partial_labels.drop_unlabelled', False) == method.startswith('biggan')
    folder = 'imagenet' if name.startswith('imagenet') else 'mnist'
    clusters = re.match(r'clustering_(\d+)', method)
    if share and not co and not method.startswith('biggan'):
        assert labels_file(name) == left_by(f'{folder}_features_{share[1]}', 'labels.npz')
    elif clusters:
        assert labels_file(name) == left_by(
            f'{folder}_features_rotation', f'clusters_{clusters[1]}.npz'
        )
    # As many labels as there are classes or clusters, and 1 where they are not used.
    numbers = [b.value for b in source(name).bindings.values() if b.scope == 'labels']
    classes = 1000 if name.startswith('imagenet') else 10
    for network in ('Generator', 'Discriminator'):
        assert repr(bound(name, f'{network}.num_classes')) == '%labels'
    assert numbers == [
        int(clusters[1]) if clusters else 1 if method.startswith('single_label') else classes
    ]
    # Whose labels: all, none's, some's, or those of the file above.
    labelling = bound(name, 'GanData.labelling', None)
    expected = (
        'partial_labels'
        if co or (share and method.startswith('biggan'))
        else 'inferred_labels'
        if share or clusters
        else 'single_label'
        if method.startswith('single_label')
        else 'random_labels'
        if method.startswith('random_label')
        else None
    )
    assert (labelling and labelling.full.rpartition('.')[2]) == expected, name


# Sec. 4 and App. B, of every training on ImageNet; (scope, parameter): value as gin writes it.
PAPERS_SETTINGS = {
    ('', 'Run.num_seeds'): 3,
    ('', 'KerasExperiment.model'): '@model.S3GAN',
    ('', 'KerasExperiment.data'): '@data.GanData',
    ('', 'KerasExperiment.optimizer'): '@generator/optimizers.FusedAdam',
    ('', 'KerasExperiment.discriminator_optimizer'): '@discriminator/optimizers.FusedAdam',
    ('', 'KerasExperiment.evaluator'): '@evaluation.GanEvaluation()',
    ('', 'KerasExperiment.train_steps'): 250_000,
    ('', 'KerasExperiment.average_decay'): 0.9999,
    ('', 'KerasExperiment.average_start_step'): 40_000,
    ('', 'KerasExperiment.calibrate'): True,
    ('', 'KerasExperiment.split'): 'test',
    ('generator', 'FusedAdam.learning_rate'): 5e-5,
    ('generator', 'FusedAdam.beta_1'): 0.0,
    ('generator', 'FusedAdam.beta_2'): 0.999,
    ('discriminator', 'FusedAdam.learning_rate'): 2e-4,
    ('discriminator', 'FusedAdam.beta_1'): 0.0,
    ('discriminator', 'FusedAdam.beta_2'): 0.999,
    ('', 'GanData.source'): '@image_sources.TfdsSource',
    ('', 'GanData.batch_size'): 2048,
    ('', 'GanData.discriminator_steps'): '%discriminator_steps',
    ('', 'S3GAN.discriminator_steps'): '%discriminator_steps',
    ('discriminator_steps', 'discriminator_steps'): 2,
    ('', 'TfdsSource.name'): 'imagenet2012',
    ('', 'TfdsSource.train'): 'train',
    ('', 'TfdsSource.test'): 'validation',
    ('', 'TfdsSource.image_size'): 128,
    ('', 'S3GAN.generator'): '@generator.Generator',
    ('', 'S3GAN.discriminator'): '@discriminator.Discriminator',
    ('', 'S3GAN.alpha'): 0.2,
    ('', 'S3GAN.beta'): 0.5,
    ('', 'Generator.image_size'): 128,
    ('', 'Generator.ch'): 96,
    ('', 'Generator.z_dim'): 120,
    ('', 'Generator.num_classes'): '%labels',
    ('', 'Discriminator.image_size'): 128,
    ('', 'Discriminator.ch'): 96,
    ('', 'Discriminator.num_classes'): '%labels',
    ('', 'GanEvaluation.features'): '@inception_v3.load',
    ('', 'GanEvaluation.num_samples'): 50_000,
    ('', 'GanEvaluation.num_sets'): 5,
    ('', 'load.weights'): 'https://tfhub.dev/tensorflow/tfgan/eval/inception/1',
}
# Sec. 4, "Pre-trained and co-training approaches". An epoch of 1 281 167 images is 834.09 steps of
# 1 536 unlabelled ones: 65 of them, warm-up over 5, decays at 45 and 55.
PAPERS_FEATURES = {
    ('', 'KerasExperiment.model'): '@feature_extractor.FeatureExtractor',
    ('', 'KerasExperiment.data'): '@feature_data.FeatureData',
    ('', 'KerasExperiment.optimizer'): '@tf.keras.optimizers.SGD',
    ('', 'KerasExperiment.split'): 'test',
    ('', 'KerasExperiment.train_steps'): 54_216,
    ('', 'SGD.learning_rate'): '@schedules.WarmupThenSteps()',
    ('', 'WarmupThenSteps.learning_rate'): 0.6,  # 0.1 B / 256.
    ('', 'WarmupThenSteps.warmup_steps'): 4_170,
    ('', 'WarmupThenSteps.decay_steps'): (37_534, 45_875),
    ('', 'WarmupThenSteps.factor'): 0.1,
    ('', 'FeatureData.source'): '@image_sources.TfdsSource',
    ('', 'FeatureData.unlabelled_batch'): 1536,
    ('', 'FeatureData.labelled_batch'): 2048 - 1536,
    ('', 'FeatureData.held_out_percent'): 0.0,
    ('', 'TfdsSource.name'): 'imagenet2012',
    ('', 'TfdsSource.train'): 'train',
    ('', 'TfdsSource.test'): 'validation',
    ('', 'FeatureExtractor.network'): '@resnet_v2.ResNetV2',
    ('', 'FeatureExtractor.gamma'): 0.5,
    ('', 'FeatureExtractor.num_classes'): 1000,
    ('', 'ResNetV2.widening'): 16,
}
FEATURES = [f'imagenet_features_{labels}' for labels in LABELS]


def papers(name):
    """Settings of the paper for a file on ImageNet."""
    if name in FEATURES:
        return {**PAPERS_FEATURES, ('', 'FeatureData.percent'): LABELS[name.split('_', 2)[2]]}
    found = dict(PAPERS_SETTINGS)
    clusters = re.search(r'_clustering_(\d+)', name)
    found['labels', 'labels'] = (
        int(clusters[1]) if clusters else 1 if '_single_label' in name else 1000
    )
    if name.startswith('imagenet256'):
        found.update(
            {('', f'{net}.image_size'): 256 for net in ('TfdsSource', 'Generator', 'Discriminator')}
        )
        found['', 'Generator.z_dim'] = 140
    if '_co_' in name:  # lambda is from {.1, .2, .4}.
        found['', 'S3GAN.label_loss'] = '%label_loss'
        found['label_loss', 'label_loss'] = 0.2
        found['', 'S3GAN.separate_means'] = False
        found['', 'GanData.labelling'] = '@labelling.partial_labels'
        if '_s3gan_co' in name:
            found['', 'S3GAN.beta'] = 1.0
    if '_s3gan' in name or name.endswith('_ss'):
        found['', 'S3GAN.rotation_losses'] = True
    for method, labelling in (('single_label', 'single_label'), ('random_label', 'random_labels')):
        if f'_{method}' in name:
            found['', 'GanData.labelling'] = f'@labelling.{labelling}'
    if clusters or re.search('_s[23]gan_(soft_)?[0-9]', name):
        found['', 'GanData.labelling'] = '@label_file.inferred_labels'
    return found


@pytest.mark.parametrize(
    'name', [name for name in GANS if re.match('imagenet(256)?_', name)] + FEATURES
)
def test_settings_are_the_papers(name):
    """Every one is bound, and to the paper's value, so that none can be changed or deleted."""
    bindings = {
        (b.scope, full.rpartition('/')[2]): b.value for full, b in source(name).bindings.items()
    }
    for (scope, parameter), expected in papers(name).items():
        (value,) = [
            value
            for (found, full), value in bindings.items()
            if found == scope and (full == parameter or full.endswith(f'.{parameter}'))
        ] or ['nothing']
        reference = isinstance(expected, str) and expected[0] in '@%'
        assert (repr(value) if reference else value) == expected, parameter


@pytest.mark.parametrize('name', COMPARISONS)
def test_comparisons_are_of_files_that_are_there(name):
    """All methods on ImageNet; on MNIST seven. What infers their labels runs first."""
    methods = suite.matching(bound(name, 'Comparison.files'))
    first = suite.matching(bound(name, 'Comparison.first'))
    found = {
        os.path.relpath(path, 'gin_configs/s3gan')[:-4].replace(os.sep, '_') for path in methods
    }
    everything = {gan for gan in GANS if gan.startswith(f'{name}_')}
    assert len(methods) == len(found) and found <= everything
    assert len(found) == (len(METHODS) if name == 'imagenet' else 7)
    folder = os.path.dirname(PATHS[f'{name}_biggan'])
    needed = {
        os.path.basename(os.path.dirname(labels_file(method)))
        for method in found
        if labels_file(method)
    }
    there = {os.path.basename(path)[:-4] for path in first}
    assert needed <= there and all(os.path.dirname(path) in folder for path in first)


class Blank(image_sources.ImageSource):
    """Images of one grey each, 40 of each class."""

    name, in_memory = 'blank', True

    def __init__(self, classes, image_size, channels):
        self.class_names = tuple(map(str, range(classes)))
        self.image_size, self.channels = image_size, channels

    def labels(self, split):
        return np.arange(40 * len(self.class_names), dtype=np.int32) % len(self.class_names)

    def images(self, examples, split, used=None, seed=None):
        shape = (examples.element_spec[0].shape[0], self.image_size, self.image_size, self.channels)
        return examples.map(
            lambda positions, numbers: (
                tf.zeros(shape, tf.uint8)
                + tf.cast(tf.reshape(positions % 256, [-1, 1, 1, 1]), tf.uint8),
                numbers,
            )
        )


def blank_data(name, tmp_path, seed, data_dir):
    """The data of a file, but for the images and the inferred labels."""
    with gin.config_scope(None):
        bindings = {
            b.parameter: b.value
            for b in source(name).bindings.values()
            if b.full == 'research.s3gan.data.GanData'
        }
    classes = 1000 if name.startswith('imagenet') else 10
    size = 256 if '256' in name else 128 if name.startswith('imagenet') else 32
    channels = 1 if re.match('mnist|fashion|digits', name) else 3
    blank = Blank(classes, size, channels)
    made = gin.get_configurable(data_lib.GanData)
    labels = labels_file(name)
    arguments = {}
    if labels:
        number = int(re.search(r'clusters_(\d+)|$', labels)[1] or classes)
        hard = blank.labels('train') % number
        path = str(tmp_path / 'labels.npz')
        label_file.write(
            path,
            blank.labels('train'),
            hard=hard,
            num_labels=number,
            source='',
            probabilities=np.eye(number, dtype=np.float32)[hard]
            if number < 100 or 'soft' in name
            else None,
        )
        arguments['labelling'] = functools.partial(
            label_file.inferred_labels, path=path, soft=bound(name, 'inferred_labels.soft', False)
        )
    del bindings
    return made(seed=seed, data_dir=data_dir, source=lambda data_dir: blank, **arguments)


@pytest.mark.parametrize(
    'name',
    [name for name in NAMES if name.startswith('imagenet') and '_features' not in name],
)
def test_imagenet_is_resized_as_in_the_authors_code(name):
    kind = 'FolderSource' if name == 'imagenet_folder_biggan' else 'TfdsSource'
    assert bound(name, 'GanData.source').full == f'official.data.image_sources.{kind}'
    assert bound(name, f'{kind}.resampling').full == 'official.data.resizing.tf1_bilinear'
    assert bound(name, f'{kind}.random_crop', True) is True


# One file of each kind of labels and of each data set, as the number of labels is compared above.
BUILT = [
    'mnist_biggan_5',
    'mnist_random_label',
    'mnist_single_label_ss',
    'mnist_clustering_50',
    'mnist_s2gan_10',
    'mnist_s3gan_soft_10',
    'mnist_s3gan_co_10',
    'fashion_mnist_biggan',
    'cifar10_s3gan_co_10',
    'svhn_biggan',
    'digits_s3gan_co',
    'imagenet_s3gan_co_2_5',
    'imagenet256_s3gan_10',
]
# Networks and batches of the paper's size need gigabytes; its weights are counted in
# tests/research/s3gan/networks_test.py.
NARROW = ('Generator.ch=8', 'Discriminator.ch=8', 'GanData.batch_size=16')


@pytest.mark.parametrize('name', BUILT)
def test_constructs_and_fits_its_data(name, tmp_path):
    config.load(config.read(PATHS[name], NARROW if name.startswith('imagenet') else ()))
    run = gin.get_configurable(runner.Run)()
    try:
        experiment = run.experiment(
            run_dir=str(tmp_path),
            seed=3,
            data_dir=None,
            strategy=None,
            data=functools.partial(blank_data, name, tmp_path),
        )
        images, labels = next(iter(experiment.data.train()))
    finally:
        config.clear()
        tf.keras.backend.clear_session()
    number = experiment.data.batch_size * 2
    assert images.shape[0] == labels.shape[0] == number
    assert experiment.model.generator.num_classes == experiment.data.num_labels
    np.testing.assert_allclose(
        experiment.model.label_prior, experiment.data.label_prior(), atol=1e-6
    )
    assert (experiment.model.label_loss is None) == (np.min(labels) >= 0)
