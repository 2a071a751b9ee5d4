"""The Ladder network against the NumPy transcription of the paper."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.ladder import denoisers
from research.ladder import model as ladder
from tests.research.ladder import numpy_reference as reference

# Each denoiser with its transcription and, in the paper's order, the names of its parameters.
DENOISERS = {
    'g': (denoisers.MiniatureMLP, reference.g, {
        'a': ['a_1', 'a_z', 'a_u', 'a_zu'], 'b': 'b', 'c': ['c_1', 'c_z', 'c_u', 'c_zu']}),
    'g2': (denoisers.NoAugmentedTerm, reference.g2, {
        'a': ['a_1', 'a_z', 'a_u'], 'b': 'b', 'c': ['c_1', 'c_z', 'c_u']}),
    'g3': (denoisers.Linear, reference.g3, {'a': ['a_1', 'a_z', 'a_u', 'a_zu']}),
    'g4': (denoisers.AdditiveMean, reference.g4, {'a': [f'a{i}' for i in range(1, 10)]}),
    'g5': (denoisers.Gaussian, reference.g5, {'a': [f'a{i}' for i in range(1, 11)]}),
}
WIDTHS = (5, 4, 4, 3)
COSTS = (10.0, 1.0, 0.5, 0.2)


def small_model(denoiser=denoisers.MiniatureMLP, costs=COSTS, **kwargs):
    kwargs = {'noise_std': 0.3, 'hidden_noise_std': 0.2, **kwargs}
    return ladder.LadderNetwork(
        seed=1, encoder=WIDTHS[1:], input_shape=WIDTHS[:1], denoising_costs=costs,
        denoiser=denoiser, **kwargs)


def small_batch(labelled=6, unlabelled=7, shape=WIDTHS[:1], classes=WIDTHS[-1], seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(size=(labelled, *shape)).astype(np.float32),
            rng.integers(0, classes, labelled).astype(np.int32),
            rng.uniform(size=(unlabelled, *shape)).astype(np.float32))


def parameters(model, names, get):
    """The model's parameters, or what `get` makes of each, as the transcription has them."""
    def of(layer, name):
        variable = getattr(layer, name, None)
        return None if variable is None else get(variable)

    def denoiser(layer):
        if layer is None:
            return None
        return {key: get(getattr(layer, names[key])) if isinstance(names[key], str)
                else np.stack([get(getattr(layer, name)) for name in names[key]])
                for key in names}

    return {
        'W': [None] + [of(rung, 'w') for rung in model.rungs],
        'V': [None] + [of(rung, 'v') for rung in model.rungs],
        'beta': [None] + [of(rung, 'beta') for rung in model.rungs],
        'gamma': of(model.rungs[-1], 'gamma'),
        'g': [denoiser(layer) for layer in model.denoisers],
    }


def set_parameters(model, names, values):
    """Gives every parameter a value that no equation treats specially."""
    new = {}

    def match(variable):
        start = variable.numpy()
        new[variable.ref()] = start + 0.3 * values.normal(size=start.shape)
        return start

    parameters(model, names, match)
    for ref, value in new.items():
        ref.deref().assign(value.astype(np.float32))


def noise_of(model, key, batch):
    """The noise arrays of one stream, as the model draws them."""
    return [random.normal(random.fold_in(key, l), (batch, *shape),
                          model.noise_std if l == 0 else model.hidden_noise_std).numpy()
            for l, shape in enumerate(model.layer_shapes)]


def transcribed(model, names, transcription, batch, key, numpy_layers=None):
    """A function of parameters: the transcription's result for this batch and noise."""
    x_labelled, y, x_unlabelled = batch
    noise = [noise_of(model, random.fold_in(key, stream), len(x))
             for stream, x in enumerate((x_labelled, x_unlabelled))]
    return lambda p: reference.ladder(
        p, x_labelled, y, x_unlabelled, *noise, model.denoising_costs, transcription,
        layers=numpy_layers)


@pytest.mark.parametrize('name', DENOISERS)
def test_forward_values_and_every_gradient(name):
    denoiser, transcription, names = DENOISERS[name]
    model = small_model(denoiser)
    set_parameters(model, names, np.random.default_rng(2))
    batch, key = small_batch(), random.make_key(7)
    run = transcribed(model, names, transcription, batch, key)
    values = parameters(model, names, lambda v: v.numpy().astype(np.float64))
    expected = run(values)

    x_labelled, y, x_unlabelled = map(tf.constant, batch)
    with tf.GradientTape() as tape:
        costs, clean = model.costs(x_labelled, y, x_unlabelled, key)
    gradients = tape.gradient(costs['loss'], model.trainable_variables)

    np.testing.assert_allclose(
        costs['classification_cost'], expected.classification_cost, rtol=1e-5)
    for l, cost in enumerate(expected.denoising_costs):
        np.testing.assert_allclose(costs[f'denoising_cost_{l}'], cost, rtol=1e-4)
    np.testing.assert_allclose(costs['loss'], expected.total, rtol=1e-4)
    for l in range(1, len(WIDTHS)):
        np.testing.assert_allclose(clean.z[l], expected.clean.z[l], atol=1e-5)
        np.testing.assert_allclose(clean.statistics[l][0], expected.clean.mean[l], atol=1e-5)
        np.testing.assert_allclose(clean.statistics[l][1], expected.clean.variance[l], rtol=1e-5)

    by_variable = {v.ref(): g.numpy() for v, g in zip(model.trainable_variables, gradients)}
    assert len(by_variable) == len(model.trainable_variables)
    seen = []
    measured = parameters(model, names, lambda v: seen.append(v.ref()) or by_variable[v.ref()])
    assert set(seen) == set(by_variable)  # Every trainable variable is one of the paper's.
    numerical = reference.numerical_gradients(lambda p: run(p).total, values)
    for m, n in zip(tf.nest.flatten(measured), tf.nest.flatten(numerical), strict=True):
        assert (m is None) == (n is None)
        if m is not None:
            np.testing.assert_allclose(m, n, rtol=1e-3, atol=2e-4 * max(1.0, np.abs(n).max()))
