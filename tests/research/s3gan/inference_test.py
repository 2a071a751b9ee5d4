"""Inferred labels and clusters: which they are, what is written, what they are worth."""

import contextlib
import errno
import functools
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from official.core import gin_source, keras_experiment
from official.data import digits, image_sources
from official.data import images as images_lib
from official.modeling import schedules
from official.vision import resnet_v2
from research.s3gan import feature_data, feature_extractor, inference, label_file, published
from tests import conformance

SIZE, CLASSES, NUM = 4, 3, 40
# An image of class c is grey with about these values.
LEVELS = np.array([20, 120, 230])


class Brightness(tf.keras.Model):
    """In the place of F: the mean and the maximum of the pixels, in [-1, 1]."""

    image_size, channels, num_features = SIZE, 1, 2

    def __init__(self, seed):
        super().__init__()

    def call(self, images, training=False):
        return tf.stack([tf.reduce_mean(images, [1, 2, 3]), tf.reduce_max(images, [1, 2, 3])], 1)


def grey_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, NUM).astype(np.int32)
    pixels = LEVELS[labels][:, np.newaxis, np.newaxis, np.newaxis] + rng.integers(
        -15, 16, (NUM, SIZE, SIZE, 1)
    )
    pixels = pixels.astype(np.uint8)
    return images_lib.ImageArrays(
        train_images=pixels,
        train_labels=labels,
        test_images=pixels[:5],
        test_labels=labels[:5],
        class_names=tuple('abc'),
        name='grey',
    )


class Trained:
    """In the place of a `KerasExperiment`: a model whose weights are set by hand."""

    def __init__(self, run_dir, seed, data_dir, strategy, num_classes=CLASSES, right=True):
        self.run_dir, self.is_chief = run_dir, True
        self.strategy = strategy or tf.distribute.get_strategy()
        source = functools.partial(image_sources.ArraySource, load=lambda data_dir: grey_images())
        self.data = feature_data.FeatureData(
            seed, source=source, percent=None if num_classes is None else 30, evaluation_batch=12
        )
        with self.strategy.scope():
            self.model = feature_extractor.FeatureExtractor(
                seed=seed, network=Brightness, num_classes=num_classes
            )
        if num_classes is not None:
            # Logits of the mean m: -4 (m - level)^2 without the m^2 that all have.
            levels = LEVELS / 255 * 2 - 1
            kernel = np.stack([8 * levels, 0 * levels])
            self.model.label_head.kernel.assign(kernel if right else kernel[:, [0, 0, 2]])
            self.model.label_head.bias.assign(-4 * levels**2)

    def evaluate(self):
        return {'step': 0}

    @contextlib.contextmanager
    def reported_model(self):
        yield self.model

    def write_result(self, result):
        self.result = result
        return result


def run(tmp_path, clusters=(), strategy=None, seed=0, **arguments):
    experiment = inference.FeatureExperiment(
        str(tmp_path),
        seed,
        None,
        strategy,
        experiment=functools.partial(Trained, **arguments),
        clusters=clusters,
    )
    return experiment, experiment.evaluate()


def read(tmp_path, name, soft=False):
    return label_file.inferred_labels(
        grey_images().train_labels, CLASSES, 0, str(tmp_path / name), soft
    )


@pytest.mark.parametrize('devices', [1, 2])
def test_labels_and_probabilities_by_hand(tmp_path, devices):
    experiment, result = run(tmp_path, strategy=conformance.two_devices() if devices == 2 else None)
    arrays = grey_images()
    mean = arrays.train_images.astype(np.float64).mean((1, 2, 3)) / 255 * 2 - 1
    logits = -4 * (mean[:, np.newaxis] - (LEVELS / 255 * 2 - 1)) ** 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    soft, hard = read(tmp_path, 'labels.npz', True), read(tmp_path, 'labels.npz')
    np.testing.assert_allclose(soft.labels, probabilities, atol=1e-5)
    np.testing.assert_array_equal(hard.labels, logits.argmax(1))
    np.testing.assert_array_equal(hard.labels, arrays.train_labels)
    np.testing.assert_array_equal(hard.indices, np.arange(NUM))
    assert hard.num_labels == soft.num_labels == CLASSES
    assert result == {'step': 0, 'inferred_error_percent': 0.0, 'unlabelled_error_percent': 0.0}
    assert experiment.experiment.result == result
    assert sorted(os.listdir(tmp_path)) == ['labels.npz']


def test_no_room_for_the_features_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor, start, size):
        assert (start, size) == (0, 4 * NUM * Brightness.num_features)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match='the file of features needs .* of disk are free; make room'):
        run(tmp_path, clusters=(2,))
    assert not os.listdir(tmp_path)


def test_errors_of_labels_that_are_wrong(tmp_path):
    experiment, result = run(tmp_path, right=False)
    truth, data = grey_images().train_labels, experiment.experiment.data
    wrong = read(tmp_path, 'labels.npz').labels != truth
    assert 0 < wrong.mean() < 1
    assert result['inferred_error_percent'] == pytest.approx(100 * wrong.mean())
    unlabelled = [index for index in range(NUM) if index not in data.labelled_indices]
    assert len(unlabelled) == NUM - len(data.labelled_indices) < NUM
    assert result['unlabelled_error_percent'] == pytest.approx(100 * wrong[unlabelled].mean())


def test_clusters_begin_with_three_starts(monkeypatch):
    """Mini-batch k-means (Sculley 2010) with scikit-learn's three starts, of which the best."""
    from sklearn import cluster

    asked = {}
    original = cluster.MiniBatchKMeans

    def recorded(number, **arguments):
        asked.update(number=number, **arguments)
        return original(number, **arguments)

    monkeypatch.setattr(cluster, 'MiniBatchKMeans', recorded)
    found = inference.cluster(np.array([[0.0], [0.1], [5.0], [5.1]], np.float32), 2, seed=8)
    assert asked == {'number': 2, 'random_state': 8, 'n_init': 3}
    assert found[0] == found[1] != found[2] == found[3]


def test_clusters_are_the_three_greys(tmp_path):
    _, result = run(tmp_path, clusters=(3, 2), num_classes=None)
    assert sorted(os.listdir(tmp_path)) == ['clusters_2.npz', 'clusters_3.npz']
    three, two = (read(tmp_path, f'clusters_{k}.npz') for k in (3, 2))
    truth = grey_images().train_labels
    assert three.num_labels == 3 and two.num_labels == 2
    assert (
        len({(c, t) for c, t in zip(three.labels, truth, strict=True)})
        == 3
        == len(set(three.labels))
    )
    assert result['purity_3_percent'] == 100
    # Two of the three share a cluster, of which the commoner counts.
    counts = np.bincount(truth)
    pairs = [
        sorted({t for c, t in zip(two.labels, truth, strict=True) if c == cluster})
        for cluster in (0, 1)
    ]
    expected = sum(max(counts[list(members)]) for members in pairs)
    assert result['purity_2_percent'] == pytest.approx(100 * expected / NUM)
    assert 'inferred_error_percent' not in result
    with pytest.raises(ValueError, match='hard labels only'):
        read(tmp_path, 'clusters_3.npz', soft=True)


def test_clusters_follow_from_the_seed():
    features = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    one, same, other = (inference.cluster(features, 20, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.int32 and one.shape == (300,)


def test_purity_by_hand():
    # Cluster 0 has labels 1, 1, 2; cluster 2 has 0; cluster 3 has 2, 2: five of six.
    clusters, labels = np.array([0, 0, 2, 0, 3, 3]), np.array([1, 1, 0, 2, 2, 2])
    assert inference.purity_percent(clusters, labels) == pytest.approx(100 * 5 / 6)


def test_a_file_of_another_data_set_is_refused(tmp_path, monkeypatch):
    run(tmp_path)
    path, truth = str(tmp_path / 'labels.npz'), grey_images().train_labels
    with pytest.raises(ValueError, match='has labels of 40 images, and the data set has 39'):
        label_file.inferred_labels(truth[1:], CLASSES, 0, path)
    with pytest.raises(ValueError, match='belongs to another data set than this one of as many'):
        label_file.inferred_labels(np.roll(truth, 1), CLASSES, 0, path)
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) // 2)
    with pytest.raises(ValueError, match='labels.npz is damaged'):
        label_file.inferred_labels(truth, CLASSES, 0, path)
    monkeypatch.chdir(tmp_path)  # Where there are no runs.
    with pytest.raises(FileNotFoundError, match='gin_configs/s3gan/mnist/features_10.gin'):
        label_file.inferred_labels(truth, CLASSES, 0, 'runs/s3gan/mnist/features_10/labels.npz')


@pytest.mark.parametrize(
    'clusters, told',
    [
        ((10, 1), r'FeatureExperiment.clusters\[1\] = 1'),
        ((41,), 'more than the 40 training images'),
    ],
)
def test_numbers_of_clusters_that_cannot_be(tmp_path, clusters, told):
    with pytest.raises(ValueError, match=told):
        run(tmp_path, clusters=clusters)


def digits_experiment(run_dir, seed, data_dir, strategy, percent, steps):
    return keras_experiment.KerasExperiment(
        run_dir,
        seed,
        data_dir,
        strategy,
        train_steps=steps,
        save_every_steps=steps,
        steps_per_execution=10,
        model=functools.partial(
            feature_extractor.FeatureExtractor,
            num_classes=None if percent is None else 10,
            network=functools.partial(resnet_v2.ResNetV2, 1, 8, 1, (1, 1), True),
        ),
        optimizer=lambda: tf.keras.optimizers.SGD(
            schedules.WarmupThenSteps(0.3, steps // 10, (7 * steps // 10, 9 * steps // 10)),
            momentum=0.9,
        ),
        data=functools.partial(
            feature_data.FeatureData,
            percent=percent,
            unlabelled_batch=16,
            labelled_batch=48,
            evaluation_batch=500,
            source=functools.partial(image_sources.ArraySource, load=digits.load),
        ),
    )


def test_it_learns_to_label_digits_from_a_fifth_of_them(tmp_path):
    """Three seeds, each with one thread and with two: what the floors stand between.

    Errors of 9.4 to 14.5 % (chance 90 %), of rotations 6.7 to 8.3 % (chance 75 %), and a purity of
    88.7 to 91.8 % (of 30 random clusters 18 %).
    """
    experiment = inference.FeatureExperiment(
        str(tmp_path),
        experiment=functools.partial(digits_experiment, percent=20, steps=400),
        clusters=(30,),
    )
    experiment.train()
    result = experiment.evaluate()
    assert result['test_error_percent'] < 25
    assert result['test_rotation_error_percent'] < 15
    assert result['unlabelled_error_percent'] < 25
    assert result['inferred_error_percent'] <= result['unlabelled_error_percent'] + 1
    assert result['purity_30_percent'] > 60
    with open(tmp_path / 'result.json') as file:
        assert json.load(file) == result
    labels = experiment.experiment.data.source.labels('train')
    inferred = label_file.inferred_labels(labels, 10, 0, str(tmp_path / 'labels.npz'))
    error = 100 * np.mean(inferred.labels != labels)
    assert error == pytest.approx(result['inferred_error_percent'])
    assert not [name for name in os.listdir(tmp_path) if 'partial' in name]


# A file that this test names, so that its folder comes along: gin_configs/s3gan/_mnist_features.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 's3gan')
PERCENT = {'2_5': 2.5, '5': 5.0, '10': 10.0, '20': 20.0}
# Table 3: top-1 and top-5 error.
TABLE_3 = {'5': (50.08, 26.94), '10': (36.74, 16.04), '20': (29.21, 10.33)}


def bindings(name):
    read = gin_source.read(os.path.join(FOLDER, f'{name}.gin'))
    return {'.'.join(full.split('.')[-2:]): b.value for full, b in read.bindings.items()}


@pytest.mark.parametrize('size', ['imagenet', 'mnist'])
@pytest.mark.parametrize('name', PERCENT)
def test_gin_files_with_labels(size, name):
    bound = bindings(f'{size}/features_{name}')
    assert bound['FeatureData.percent'] == PERCENT[name]
    assert bound['FeatureExtractor.num_classes'] == {'imagenet': 1000, 'mnist': 10}[size]
    reference = bound.get('KerasExperiment.reference')
    if size == 'mnist' or name == '2_5':
        assert reference is None
    else:
        assert repr(reference) == '@published.reference()'
        printed = published.reference(bound['reference.method'])
        assert TABLE_3[name] == (printed['test_error_percent'], printed['test_top5_error_percent'])


def test_settings_for_imagenet_are_the_papers():
    bound = bindings('imagenet/features_10')
    unlabelled, labelled = (
        bound[f'FeatureData.{part}_batch'] for part in ('unlabelled', 'labelled')
    )
    assert (unlabelled, unlabelled + labelled) == (1536, 2048)
    assert bound['FeatureExtractor.gamma'] == 0.5 and bound['ResNetV2.widening'] == 16
    steps_per_epoch = 1_281_167 / 1536
    for epochs, steps in (
        (65, bound['KerasExperiment.train_steps']),
        (5, bound['WarmupThenSteps.warmup_steps']),
        (45, bound['WarmupThenSteps.decay_steps'][0]),
        (55, bound['WarmupThenSteps.decay_steps'][1]),
    ):
        assert steps == round(epochs * steps_per_epoch)
    assert bound['WarmupThenSteps.learning_rate'] == pytest.approx(0.1 * 1536 / 256)
    assert bound['WarmupThenSteps.factor'] == 0.1 and bound['SGD.momentum'] == 0.9


@pytest.mark.parametrize('size', ['imagenet', 'mnist'])
def test_gin_files_of_clusters(size):
    bound = bindings(f'{size}/features_rotation')
    assert {50, 100, 200, 500, 1000} <= set(bound['FeatureExperiment.clusters'])
    assert 'FeatureData.percent' not in bound and 'FeatureExtractor.num_classes' not in bound
    if size == 'imagenet':
        steps_per_epoch = 1_281_167 / bound['FeatureData.unlabelled_batch']
        for epochs, steps in (
            (35, bound['KerasExperiment.train_steps']),
            (5, bound['WarmupThenSteps.warmup_steps']),
            (15, bound['WarmupThenSteps.decay_steps'][0]),
            (25, bound['WarmupThenSteps.decay_steps'][1]),
        ):
            assert steps == round(epochs * steps_per_epoch)
        assert bound['WarmupThenSteps.learning_rate'] == pytest.approx(0.1 * 2048 / 256)
