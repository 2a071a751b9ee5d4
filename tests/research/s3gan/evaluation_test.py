"""Scores of a generator against what is computed here by hand, and the check for collapse."""

import gc
import types
import weakref

import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg

from official.core import model as core_model
from official.data import image_sources
from research.s3gan import data as data_lib
from research.s3gan import evaluation
from tests.research.s3gan import tiny

STRATEGY = tf.distribute.get_strategy()


@pytest.fixture(name='experiment', scope='module')
def fixture_experiment(tmp_path_factory):
    return tiny.make(str(tmp_path_factory.mktemp('run')))


@pytest.fixture(name='measure', scope='module')
def fixture_measure():
    return tiny.make_evaluation()


def quarters(images):
    """Features of `tiny.Features`, [n, size, size, 1] to [n, 4]."""
    half = images.shape[1] // 2
    return np.stack(
        [
            images[:, top : top + half, left : left + half, 0].mean((1, 2))
            for top in (0, half)
            for left in (0, half)
        ],
        1,
    )


def test_scores_of_the_final_evaluation(experiment, measure):
    model, data = experiment.model, experiment.data
    scores = measure(model=model, data=data, strategy=STRATEGY, split='test', final=True)
    real = quarters(data.source._images['test'].astype(np.float64) / 255)
    # The model as it is measured: the same samples, by the same statistics.
    kept = [v.numpy() for v in model.generator.non_trainable_variables]
    model.calibrate(data.calibration())
    sets, labels = [], []
    for first in range(2):
        images, y = [], []
        for positions in data.samples(150, first):
            batch, _, label = model.sample(positions)
            images.append(batch.numpy())
            y.append(label.numpy())
        sets.append(quarters(np.concatenate(images)[:150]).astype(np.float64))
        labels.append(np.concatenate(y)[:150])
    for variable, value in zip(model.generator.non_trainable_variables, kept, strict=True):
        variable.assign(value)
    assert np.abs(sets[0] - sets[1]).max() > 1e-3  # Two sets are not the same samples.

    fids = []
    for fake in sets:
        root = linalg.sqrtm(np.cov(real.T) @ np.cov(fake.T)).real
        fids.append(
            np.square(real.mean(0) - fake.mean(0)).sum()
            + np.trace(np.cov(real.T) + np.cov(fake.T) - 2 * root)
        )
    np.testing.assert_allclose(scores['fid_of_sets'], fids, rtol=1e-3)
    assert scores['fid'] == pytest.approx(np.mean(fids), rel=1e-3)

    inception = []
    for fake in sets:
        p = np.exp(10 * fake) / np.exp(10 * fake).sum(1, keepdims=True)
        inception.append(np.exp(np.mean(np.sum(p * np.log(p / p.mean(0)), 1))))
    np.testing.assert_allclose(scores['inception_score_of_sets'], inception, rtol=1e-4)

    within = []
    for fake, y in zip(sets, labels, strict=True):
        squares = sum(np.square(fake[y == c] - fake[y == c].mean(0)).sum() for c in np.unique(y))
        within.append(squares / (len(y) - len(np.unique(y))) / np.trace(np.cov(real.T)))
    assert scores['diversity'] == pytest.approx(np.mean(within), rel=1e-3)
    assert scores['measured_on'] == (
        '2 sets of 150 samples, of which the mean is told, against 500 real images; Inception '
        'Score with 1 split; precision and recall of 60 each; features of means of quarters'
    )


class Brightness(tf.keras.Model):
    """The mean of an image as its only feature."""

    about, warning = 'means', ''

    def call(self, images):
        means = tf.reduce_mean(images, [1, 2])
        return means, tf.concat([means, 1 - means], 1)


class Folders(image_sources.ImageSource):
    """Images of one brightness, class after class, as files lie in folders; 60 of each class."""

    name, in_memory, image_size, channels = 'folders', True, 2, 1
    class_names = tuple('abcd')

    def __init__(self, seed=0, classes=4, number=60, spread=8):
        labels = np.repeat(np.arange(classes), number).astype(np.int32)
        noise = np.random.default_rng(seed).normal(0, spread, len(labels))
        self._labels = labels
        self.pixels = np.round(40 + 55 * labels + noise).clip(0, 255).astype(np.uint8)

    def labels(self, split):
        return self._labels

    def images(self, examples, split, used=None, seed=None):
        pixels = tf.constant(np.tile(self.pixels[:, None, None, None], (1, 2, 2, 1)))
        return examples.map(lambda positions, numbers: (tf.gather(pixels, numbers), numbers))


class Given(tf.Module):
    """In the place of a model: the samples are given images."""

    def __init__(self, pixels):
        super().__init__()
        self.generator = types.SimpleNamespace(non_trainable_variables=[])
        self.pixels = pixels

    def calibrate(self, dataset):
        del dataset

    def sample(self, positions):
        chosen = tf.gather(tf.constant(self.pixels, tf.float32), positions) / 255
        return tf.tile(chosen[:, None, None, None], (1, 2, 2, 1)), None, tf.zeros_like(positions)


def evaluate(source, fake, seed=0, **arguments):
    data = data_lib.GanData(seed, source=lambda data_dir: source, evaluation_batch=80)
    measure = evaluation.GanEvaluation(
        **{
            'features': lambda source: Brightness(),
            'num_samples': len(fake),
            'num_sets': 1,
            **arguments,
        }
    )
    measure.use_data(data, ['test'])
    return measure(model=Given(fake), data=data, strategy=STRATEGY, split='test', final=True)


def test_during_training_one_set_and_at_the_end_all():
    source, measured = Folders(), []
    data = data_lib.GanData(0, source=lambda data_dir: source, evaluation_batch=80)
    measure = evaluation.GanEvaluation(
        features=lambda source: Brightness(),
        num_samples=160,
        num_sets=3,
        checkpoint_samples=80,
        neighbour_samples=0,
    )
    measure.use_data(data, ['test'])
    of_set = measure._of_set

    def counted(model, data, strategy, real, number, index, final):
        measured.append((index, number, final))
        return of_set(model, data, strategy, real, number, index, final)

    measure._of_set = counted
    for final in (False, True):
        measure(
            model=Given(np.tile(source.pixels, 3)),
            data=data,
            strategy=STRATEGY,
            split='test',
            final=final,
        )
    assert measured == [(0, 80, False), *((index, 160, True) for index in range(3))]


def test_the_real_features_are_freed_with_their_evaluation():
    data = data_lib.GanData(0, source=lambda data_dir: Folders(), evaluation_batch=80)
    measure = evaluation.GanEvaluation(
        features=lambda source: Brightness(), num_samples=80, num_sets=1, neighbour_samples=60
    )
    measure(model=Given(Folders().pixels), data=data, strategy=STRATEGY, split='test', final=True)
    real = weakref.ref(measure._real['test'])
    assert real().manifold(60) is real().manifold(60)
    del measure
    gc.collect()
    assert real() is None


@pytest.mark.parametrize('neighbours', [60, 120, 240])
def test_a_perfect_generator_is_precise_and_recalls_all_whatever_the_order_of_the_files(neighbours):
    """The sample of real images has all classes, not the first ones of the folders."""
    for seed in range(3):
        fake = np.random.default_rng(seed).permutation(Folders(seed=10 + seed).pixels)
        scores = evaluate(Folders(), fake, seed, neighbour_samples=neighbours)
        assert scores['precision'] > 0.9 and scores['recall'] > 0.9


def inside(points, manifold):
    """Kynkaanniemi et al. 2019, Eq. 2, pair by pair: in a ball to a third neighbour."""
    radii = np.sort(np.abs(manifold[:, None] - manifold), 1)[:, 3]
    return (np.abs(points[:, None] - manifold) <= radii).any(1).mean()


def test_precision_is_of_the_generated_and_recall_of_the_real_images():
    source = Folders()
    real = source.pixels.astype(float)
    # Two thirds are of the first class; the others are brighter than any real image.
    fake = np.concatenate([np.tile(real[:40], 4), np.linspace(225, 255, 80)])
    scores = evaluate(source, fake, neighbour_samples=240)
    assert scores['precision'] == pytest.approx(inside(fake, real))
    assert scores['recall'] == pytest.approx(inside(real, fake))
    assert scores['precision'] > scores['recall'] + 0.2


@pytest.mark.parametrize(
    'source, arguments, sentence',
    [
        (
            Folders(number=1, classes=2),
            {},
            'folders has 2 test images; the scores of GanEvaluation need at least 4.',
        ),
        (
            Folders(number=1, classes=1),
            {'neighbour_samples': 0},
            'folders has 1 test images; the scores of GanEvaluation need at least 2.',
        ),
        (
            Folders(classes=1, spread=0),
            {},
            'folders: the 60 test images are all equal: there is no variety to compare with.',
        ),
        (
            Folders(),
            {'neighbour_samples': 3},
            'GanEvaluation measures precision and recall on 3 images '
            'of num_samples = 200 and neighbour_samples = 3; they need at least 4.',
        ),
    ],
)
def test_what_would_end_an_evaluation_is_told_before_the_training(
    source, arguments, sentence, tmp_path
):
    measure = evaluation.GanEvaluation(
        **{'features': None, 'num_samples': 200, 'neighbour_samples': 100, **arguments}
    )
    data = data_lib.GanData(0, source=lambda data_dir: source)
    with pytest.raises(ValueError) as error:
        measure.use_data(data, ['test'])
    assert str(error.value) == sentence
    with pytest.raises(ValueError) as error:
        tiny.make(
            str(tmp_path), evaluator=measure, data=lambda **_: data, model=lambda seed: Untrained()
        )
    assert str(error.value) == sentence


def test_a_split_that_there_is_not_is_told_before_the_training():
    with pytest.raises(ValueError, match="^split = 'validation' is neither of train and test.$"):
        tiny.make_evaluation().use_data(tiny.make_data(), ['test', 'validation'])


class Untrained(core_model.Model):
    """Has no weights; asks nothing of its data."""

    def compile(self, discriminator_optimizer, **kwargs):
        super().compile(**kwargs)


def test_features_that_say_little_are_told_beside_the_scores():
    source = Folders()
    poor = Brightness()
    poor.warning = 'They say little'
    scores = evaluate(source, source.pixels, features=lambda source: poor, neighbour_samples=0)
    assert scores['measured_on'].endswith('features of means. They say little')


def test_an_evaluation_leaves_the_model_as_it_was(experiment, measure):
    before = [v.numpy() for v in experiment.model.variables]
    first, again = (
        measure(
            model=experiment.model,
            data=experiment.data,
            strategy=STRATEGY,
            split='test',
            final=False,
        )
        for _ in range(2)
    )
    for variable, value in zip(experiment.model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value), variable.name
    assert first == again and set(first) == {'fid', 'inception_score', 'diversity'}


def test_standing_statistics_are_the_means_over_the_batches(experiment):
    model, data = experiment.model, experiment.data
    # final_norm sees the images of the last block; its statistics are taken from outside.
    seen = []
    norm = model.generator.final_norm
    call = norm.call

    def spy(x, *args, **kwargs):
        seen.append(x)
        return call(x, *args, **kwargs)

    kept = [(v, v.numpy()) for v in model.generator.non_trainable_variables]
    norm.call = spy
    try:
        for positions in data.calibration():
            model.sample(positions, calibrating=True)
            for variable, value in kept:
                variable.assign(value)
    finally:
        norm.call = call
    model.calibrate(data.calibration())
    assert len(seen) == 3
    # One step of power iteration from batch to batch moves the weights a little.
    np.testing.assert_allclose(
        norm.moving_mean, np.mean([x.numpy().mean((0, 1, 2)) for x in seen], 0), atol=0.05
    )
    np.testing.assert_allclose(
        norm.moving_variance, np.mean([x.numpy().var((0, 1, 2)) for x in seen], 0), rtol=0.2
    )
    for variable, value in kept:
        if not variable.name.split('/')[-1].startswith('moving'):
            assert np.array_equal(variable.numpy(), value), variable.name
        variable.assign(value)


def test_samples_are_functions_of_their_positions(experiment):
    model = experiment.model
    images, z, y = model.sample(tf.range(8, dtype=tf.int64))
    again, _, _ = model.sample(tf.range(8, dtype=tf.int64))
    others = model.sample(tf.range(8, 16, dtype=tf.int64))[1]
    np.testing.assert_array_equal(images, again)
    assert z.shape == (8, model.generator.z_dim) and np.abs(z - others).min() > 0
    assert abs(float(tf.reduce_mean(z))) < 0.3 and 0.8 < np.std(z) < 1.2
    assert y.numpy().min() >= 0 and y.numpy().max() <= 9
    far = model.sample(tf.range(2**33, 2**33 + 8, dtype=tf.int64))[1]
    assert np.abs(z - far).min() > 0


def row(step, fid, diversity=0.3):
    return {'step': step, 'test_fid': fid, 'test_diversity': diversity}


HEALTHY = [row(1, 300.0), row(2, 50.0), row(3, 40.0), row(4, 45.0)]


@pytest.mark.parametrize(
    'rows',
    [
        [],
        HEALTHY,
        HEALTHY + [row(5, 300.0)],
        HEALTHY + [row(5, 300.0), row(6, 60.0)],
        # Blobs at the beginning are not a collapse.
        [row(1, 500.0, 0.001), row(2, 500.0, 0.002), row(3, 400.0, 0.003)],
        [{'step': 1, 'loss': 1.0}],
    ],
)
def test_no_collapse(rows):
    evaluation.CollapseCheck()(rows)


def test_a_fid_many_times_the_lowest_is_a_collapse():
    with pytest.raises(FloatingPointError) as error:
        evaluation.CollapseCheck()(HEALTHY + [row(5, 210.0), row(6, 220.0)])
    assert str(error.value).startswith(
        'The generator has collapsed at step 6: FID 220.0; the lowest FID was 40.0 at step 3'
    )


def test_samples_all_alike_are_a_collapse():
    with pytest.raises(FloatingPointError, match='hardly differ: diversity 0.0009'):
        evaluation.CollapseCheck()(HEALTHY + [row(5, 50.0, 0.001), row(6, 50.0, 0.0009)])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match='GanEvaluation.num_samples = 1'):
        tiny.make_evaluation(num_samples=1)
    with pytest.raises(ValueError, match='GanEvaluation.splits = 0'):
        tiny.make_evaluation(splits=0)
    with pytest.raises(ValueError, match='CollapseCheck.fid_factor = 0.5'):
        evaluation.CollapseCheck(fid_factor=0.5)
