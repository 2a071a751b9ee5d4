"""Scores of a generator against what is computed here by hand, and the check for collapse."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg

from research.s3gan import evaluation
from tests.research.s3gan import tiny

STRATEGY = tf.distribute.get_strategy()


@pytest.fixture(name='experiment', scope='module')
def fixture_experiment(tmp_path_factory):
    return tiny.make(str(tmp_path_factory.mktemp('run')))


def quarters(images):
    """Features of `tiny.Features`, [n, size, size, 1] to [n, 4]."""
    half = images.shape[1] // 2
    return np.stack([images[:, top:top + half, left:left + half, 0].mean((1, 2))
                     for top in (0, half) for left in (0, half)], 1)


def test_scores_of_the_final_evaluation(experiment):
    model, data = experiment.model, experiment.data
    scores = tiny.make_evaluation()(
        model=model, data=data, strategy=STRATEGY, split='test', final=True)
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
    for variable, value in zip(model.generator.non_trainable_variables, kept):
        variable.assign(value)
    assert np.abs(sets[0] - sets[1]).max() > 1e-3  # Two sets are not the same samples.

    fids = []
    for fake in sets:
        root = linalg.sqrtm(np.cov(real.T) @ np.cov(fake.T)).real
        fids.append(np.square(real.mean(0) - fake.mean(0)).sum()
                    + np.trace(np.cov(real.T) + np.cov(fake.T) - 2 * root))
    np.testing.assert_allclose(scores['fid_of_sets'], fids, rtol=1e-3)
    assert scores['fid'] == pytest.approx(np.mean(fids), rel=1e-3)

    inception = []
    for fake in sets:
        p = np.exp(10 * fake) / np.exp(10 * fake).sum(1, keepdims=True)
        inception.append(np.exp(np.mean(np.sum(p * np.log(p / p.mean(0)), 1))))
    np.testing.assert_allclose(scores['inception_score_of_sets'], inception, rtol=1e-4)

    within = []
    for fake, y in zip(sets, labels):
        squares = sum(np.square(fake[y == c] - fake[y == c].mean(0)).sum() for c in np.unique(y))
        within.append(squares / (len(y) - len(np.unique(y))) / np.trace(np.cov(real.T)))
    assert scores['diversity'] == pytest.approx(np.mean(within), rel=1e-3)
    assert 0 <= scores['precision'] <= 1 and 0 <= scores['recall'] <= 1
    assert scores['measured_on'] == (
        '2 sets of 150 samples, of which the mean is told, against 500 real images; Inception '
        'Score with 1 split; precision and recall of 60 each; features of means of quarters')


def test_an_evaluation_leaves_the_model_as_it_was(experiment):
    before = [v.numpy() for v in experiment.model.variables]
    first = tiny.make_evaluation()(model=experiment.model, data=experiment.data,
                                   strategy=STRATEGY, split='test', final=False)
    for variable, value in zip(experiment.model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value), variable.name
    again = tiny.make_evaluation()(model=experiment.model, data=experiment.data,
                                   strategy=STRATEGY, split='test', final=False)
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
        norm.moving_mean, np.mean([x.numpy().mean((0, 1, 2)) for x in seen], 0), atol=0.05)
    np.testing.assert_allclose(
        norm.moving_variance, np.mean([x.numpy().var((0, 1, 2)) for x in seen], 0), rtol=0.2)
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
    far = model.sample(tf.range(2 ** 33, 2 ** 33 + 8, dtype=tf.int64))[1]
    assert np.abs(z - far).min() > 0


def row(step, fid, diversity=0.3):
    return {'step': step, 'test_fid': fid, 'test_diversity': diversity}


HEALTHY = [row(1, 300.0), row(2, 50.0), row(3, 40.0), row(4, 45.0)]


@pytest.mark.parametrize('rows', [
    [], HEALTHY, HEALTHY + [row(5, 300.0)], HEALTHY + [row(5, 300.0), row(6, 60.0)],
    # Blobs at the beginning are not a collapse.
    [row(1, 500.0, 0.001), row(2, 500.0, 0.002), row(3, 400.0, 0.003)],
    [{'step': 1, 'loss': 1.0}]])
def test_no_collapse(rows):
    evaluation.CollapseCheck()(rows)


def test_a_fid_many_times_the_lowest_is_a_collapse():
    with pytest.raises(FloatingPointError) as error:
        evaluation.CollapseCheck()(HEALTHY + [row(5, 210.0), row(6, 220.0)])
    assert str(error.value).startswith(
        'The generator has collapsed at step 6: FID 220.0; the lowest FID was 40.0 at step 3')


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


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
