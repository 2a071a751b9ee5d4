import base64
import functools
import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import digits
from official.modeling import random
from research.ladder import data, denoisers, encoder, model, report


def ladder(costs=(100.0, 1.0, 0.1)):
    return model.LadderNetwork(encoder=(20, 10), input_shape=(64,), denoising_costs=costs)


@functools.cache
def digits_data():
    return data.SemiSupervisedData(0, source=digits.load, num_labels=100)


def test_one_picture_of_each_class_as_the_model_has_it():
    network, key = ladder(), random.make_key(3)
    found = report.images_of_classes(network, digits_data(), key)
    assert list(found['labels']) == list(range(10))
    arrays = digits_data().arrays
    for label in range(10):
        first = np.flatnonzero(arrays.test_labels == label)[0]
        np.testing.assert_allclose(found['clean'][label], arrays.test_images[first] / 16.0)
    noise = found['corrupted'] - found['clean']
    assert noise.std() == pytest.approx(0.3, rel=0.1)
    # g starts as z + sigmoid(z): half a unit or more above the corrupted image.
    np.testing.assert_allclose(
        found['denoised'], found['corrupted'] + 1 / (1 + np.exp(-found['corrupted'])), atol=1e-5
    )


def test_denoised_values_are_the_denoisers_for_each_unit():
    denoiser = denoisers.Linear(3)
    denoiser.a_zu.assign([0.0, 1.0, -2.0])
    z, us = np.array([-1.0, 0.5], np.float32), [0.0, 2.0]
    values = report.denoised_values(denoiser, z, us)
    expected = np.array(
        [[[x + factor * x * u for factor in (0.0, 1.0, -2.0)] for x in z] for u in us]
    )
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_estimates_are_drawn_on_the_scale_that_the_cost_compares():
    network, rng = ladder(), np.random.default_rng(0)
    mean, variance = rng.normal(size=20), rng.uniform(0.5, 9.0, 20)
    network.rungs[0].mean.assign(mean)
    network.rungs[0].variance.assign(variance)
    z, z_hat = rng.normal(size=(2, 7, 20)).astype(np.float32)
    drawn = report.normalized_as_clean(z_hat, network.rungs[0])
    clean = encoder.Path(
        [None, tf.constant(z)],
        [None, (tf.constant(mean, tf.float32), tf.constant(variance, tf.float32))],
        None,
    )
    cost = network.denoising_cost(1, clean, tf.constant(z_hat))
    assert float(cost) == pytest.approx(np.mean((z - drawn) ** 2), rel=1e-5)
    np.testing.assert_allclose(drawn * np.sqrt(variance) + mean, z_hat, atol=1e-5)


def test_layers_without_a_cost_are_named_and_not_drawn():
    sections = report.LadderReport(units_per_layer=2)(
        model=ladder((100.0, 0.0, 1.0)), data=digits_data(), key=random.make_key(0)
    )
    text = sections[-1].html
    assert 'Not drawn: layer 1,' in text
    assert 'Layer 0, input' in text and 'Layer 1' not in text and 'Layer 2, output' in text
    # Two of each of two layers, and Figure 1.
    assert text.count('<img') == 5


def test_a_model_without_a_decoder_adds_nothing():
    assert report.LadderReport()(model=ladder((0.0, 0.0, 0.0)), data=None, key=None) == []


def test_the_units_that_bend_most():
    z, us = np.linspace(-2, 2, 9), [-1.0, 1.0]
    flat = np.stack([1 + 2 * z - u for u in us])
    curves = np.stack([flat, flat + 0.1 * z**2, flat, flat + z**3], axis=-1)
    assert list(report.units_that_bend_most(z, us, curves, 2)) == [1, 3]


def test_the_optimal_function_of_figure_1_is_the_posterior_mean():
    z = np.array([-1.5, 0.0, 0.3, 2.0])
    clean = np.linspace(-6, 6, 20001)
    prior = sum(np.exp(-0.5 * ((clean - m) / 0.2) ** 2) for m in (-1.0, 1.0))
    posterior = prior * np.exp(-0.5 * ((z[:, None] - clean) / 0.6) ** 2)
    expected = (posterior * clean).sum(1) / posterior.sum(1)
    np.testing.assert_allclose(report.optimal_for_two_modes(z), expected, atol=1e-6)


def test_sections_show_images_and_every_layers_functions():
    sections = report.LadderReport()(model=ladder(), data=digits_data(), key=random.make_key(0))
    text = ' '.join(section.title + section.html for section in sections)
    pngs = re.findall(r'data:image/png;base64,([^"]+)', text)
    assert len(pngs) == 30
    for png in pngs:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert('L'))
        assert pixels.shape == (8, 8)
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(pngs[0]))).convert('L')).std() > 30
    for layer in range(3):
        assert re.search(rf'[Ll]ayer {layer}\b', text)


def test_a_model_that_does_not_denoise_its_input_has_no_pictures_of_it():
    sections = report.LadderReport()(
        model=ladder((0.0, 0.0, 1.0)), data=digits_data(), key=random.make_key(0)
    )
    text = ' '.join(section.html for section in sections)
    assert 'image/png' not in text and re.search(r'[Ll]ayer 2\b', text)
