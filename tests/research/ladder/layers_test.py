"""Rungs of all kinds in a tiny convolutional ladder against the NumPy transcription."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.ladder import layers
from research.ladder import model as ladder
from tests.research.ladder import model_test, numpy_maps
from tests.research.ladder import numpy_reference as reference

IMAGE = (5, 5, 1)


def convolutional():
    """Every kind of layer, and the transcription's description of it."""
    leaky = lambda x: tf.nn.leaky_relu(x, 0.1)
    rungs = (
        layers.ConvRung(3, 3, padding=0, activation=leaky),  # 3 x 3
        layers.ConvRung(2, 3, padding=2),  # 5 x 5
        layers.MaxPoolRung(2),  # 3 x 3, windows cut at the border
        layers.ConvRung(2, 3, padding=1),  # 3 x 3
        layers.MeanPoolRung(),
        layers.DenseRung(3),
    )
    layer = numpy_maps.Layer
    numpy_layers = [
        None,
        layer('conv', 'leaky_relu', 'valid', 0.1),
        layer('conv', 'relu', 'full'),
        layer('maxpool', 'linear'),
        layer('conv', 'relu', 'same'),
        layer('globalmean', 'linear'),
        layer('dense', 'softmax'),
    ]
    return rungs, numpy_layers


def turned(values):
    """The decoder's kernels as the transcription has them: turned round, channels exchanged.

    The model's V has the layout of W and is applied transposed; the transcription's is applied as
    it stands.
    """
    kernels = [
        v if v is None or v.ndim < 4 else v[::-1, ::-1].transpose(0, 1, 3, 2) for v in values['V']
    ]
    return {**values, 'V': kernels}


def test_convolutional_ladder_and_every_gradient():
    rungs, numpy_layers = convolutional()
    denoiser, transcription, names = model_test.DENOISERS['g3']  # Few parameters.
    model = ladder.LadderNetwork(
        seed=1,
        encoder=rungs,
        input_shape=IMAGE,
        denoising_costs=(5.0, 1.0, 0.5, 0.3, 0.2, 0.4, 0.1),
        noise_std=0.3,
        hidden_noise_std=0.2,
        denoiser=denoiser,
    )
    assert model.layer_shapes == [IMAGE, (3, 3, 3), (5, 5, 2), (3, 3, 2), (3, 3, 2), (2,), (3,)]
    # No bias where the activation is linear, a scale at the top alone.
    assert [rung.beta is not None for rung in model.rungs] == [True, True, False, True, False, True]
    assert [rung.gamma is not None for rung in model.rungs] == [False] * 5 + [True]

    model_test.set_parameters(model, names, np.random.default_rng(2))
    batch = model_test.small_batch(labelled=3, unlabelled=4, shape=IMAGE)
    key = random.make_key(7)
    run = model_test.transcribed(model, names, transcription, batch, key, numpy_layers)
    values = turned(model_test.parameters(model, names, lambda v: v.numpy().astype(np.float64)))
    expected = run(values)

    x_labelled, y, x_unlabelled = map(tf.constant, batch)
    with tf.GradientTape() as tape:
        costs, clean = model.costs(x_labelled, y, x_unlabelled, key)
    gradients = tape.gradient(costs['loss'], model.trainable_variables)

    np.testing.assert_allclose(
        costs['classification_cost'], expected.classification_cost, rtol=1e-5
    )
    for l, cost in enumerate(expected.denoising_costs):
        np.testing.assert_allclose(costs[f'denoising_cost_{l}'], cost, rtol=1e-4)
        np.testing.assert_allclose(clean.z[l], expected.clean.z[l], atol=1e-5)
    np.testing.assert_allclose(costs['loss'], expected.total, rtol=1e-4)

    by_variable = {
        v.ref(): g.numpy() for v, g in zip(model.trainable_variables, gradients, strict=True)
    }
    seen = []
    measured = turned(
        model_test.parameters(model, names, lambda v: seen.append(v.ref()) or by_variable[v.ref()])
    )
    assert set(seen) == set(by_variable)
    numerical = reference.numerical_gradients(lambda p: run(p).total, values)
    for m, n in zip(tf.nest.flatten(measured), tf.nest.flatten(numerical), strict=True):
        assert (m is None) == (n is None)
        if m is not None:
            np.testing.assert_allclose(m, n, rtol=2e-3, atol=2e-4 * max(1.0, np.abs(n).max()))


def test_xla_gives_the_same_gradients():
    rungs, _ = convolutional()
    model = ladder.LadderNetwork(
        seed=1,
        encoder=rungs,
        input_shape=IMAGE,
        denoising_costs=(5.0, 1.0, 0.5, 0.3, 0.2, 0.4, 0.1),
    )
    batch = model_test.small_batch(labelled=4, unlabelled=4, shape=IMAGE)

    def loss_and_gradients(x_labelled, y, x_unlabelled):
        with tf.GradientTape() as tape:
            loss = model.costs(x_labelled, y, x_unlabelled, random.make_key(7))[0]['loss']
        return loss, tape.gradient(loss, model.trainable_variables)

    tf.config.experimental.enable_op_determinism()  # As the launcher does.
    plain = loss_and_gradients(*map(tf.constant, batch))
    compiled = tf.function(loss_and_gradients, jit_compile=True)(*map(tf.constant, batch))
    for one, other in zip(tf.nest.flatten(plain), tf.nest.flatten(compiled), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(one).max()))


def test_prediction_uses_the_given_statistics():
    rungs, numpy_layers = convolutional()
    _, _, names = model_test.DENOISERS['g3']
    model = ladder.LadderNetwork(
        seed=1, encoder=rungs, input_shape=IMAGE, denoising_costs=(0.0,) * 7
    )
    rng = np.random.default_rng(3)
    model_test.set_parameters(model, names, rng)
    for rung in model.rungs:
        rung.mean.assign(rng.normal(size=rung.mean.shape))
        rung.variance.assign(rng.uniform(0.5, 2, size=rung.variance.shape))
    (x, _, _) = model_test.small_batch(shape=IMAGE)
    values = turned(model_test.parameters(model, names, lambda v: v.numpy().astype(np.float64)))
    statistics = [
        [None] + [getattr(rung, name).numpy() for rung in model.rungs]
        for name in ('mean', 'variance')
    ]
    expected = reference.predict(values, x, *statistics, layers=numpy_layers)
    np.testing.assert_allclose(model(x), expected, atol=1e-5)
    # Calibrated with one batch, they are the batch's own.
    model.calibrate(tf.data.Dataset.from_tensors(x))
    clean = reference.encode(numpy_layers, values, x)
    np.testing.assert_allclose(model(x), clean.h[-1], atol=1e-5)


@pytest.mark.parametrize(
    'rung, below',
    [
        (layers.DenseRung(4), (3, 2, 1)),
        (layers.ConvRung(2, 3), (5, 6, 3)),
        (layers.ConvRung(2, 3, padding=2), (5, 6, 3)),
        (layers.ConvRung(2, 3, padding=1), (5, 6, 3)),
    ],
)
def test_the_way_down_mirrors_the_way_up(rung, below):
    """With V the transpose of W, <W h, z> = <h, V z> for all h and z."""
    above = rung.create_mappings(below, random.make_key(0), decode=True)
    rung.v.assign(tf.transpose(rung.w) if isinstance(rung, layers.DenseRung) else rung.w)
    rng = np.random.default_rng(0)
    h, z = (rng.normal(size=(2, *shape)).astype(np.float32) for shape in (below, above))
    up, down = rung.project(tf.constant(h)), rung.reverse(tf.constant(z))
    assert up.shape == (2, *above) and down.shape == (2, *below)
    np.testing.assert_allclose(np.sum(up * z), np.sum(h * down), rtol=1e-4)


def test_global_mean_is_scaled_as_the_authors_runs_had_it():
    """Width x sqrt(3), against float64; as printed, the mean alone."""
    h = np.random.default_rng(0).normal(size=(3, 6, 6, 4))
    mean = np.stack([[h[n, :, :, c].sum() / 36 for c in range(4)] for n in range(3)])
    for rung, expected in (
        (layers.MeanPoolRung(), 6 * np.sqrt(3) * mean),
        (layers.MeanPoolRung(scaled=False), mean),
    ):
        rung = type(rung).from_config(rung.get_config())
        assert rung.create_mappings((6, 6, 4), None, decode=False) == (4,)
        np.testing.assert_allclose(rung.project(h.astype(np.float32)), expected, atol=1e-6)


@pytest.mark.parametrize(
    'rung, below, std',
    [
        (layers.DenseRung(300), (400,), 0.05),  # N(0, 1) / sqrt(400)
        (layers.ConvRung(64, 5), (9, 9, 16), 0.05),  # U(+-sqrt(3 / (25 16))): std 1 / sqrt(400)
    ],
)
def test_starting_weights(rung, below, std):
    rung.create_mappings(below, random.make_key(0), decode=True)
    w, v = rung.w.numpy(), rung.v.numpy()
    np.testing.assert_allclose([w.mean(), w.std()], [0, std], atol=0.001)
    if isinstance(rung, layers.ConvRung):
        assert np.abs(w).max() <= np.sqrt(3 / 400) and np.abs(w).max() > 0.99 * np.sqrt(3 / 400)
        np.testing.assert_allclose(v.std(), 1 / np.sqrt(25 * 64), atol=0.001)
    else:
        assert np.abs(w).max() > 4 * std  # Not uniform.
        np.testing.assert_allclose(v.std(), 1 / np.sqrt(300), atol=0.001)
    assert not np.allclose(w.ravel()[:9] / w.std(), v.ravel()[:9] / v.std(), atol=0.01)
