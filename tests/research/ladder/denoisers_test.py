"""The denoising functions' starting values and values against the transcription of the paper."""

import numpy as np
import pytest

from tests.research.ladder import model_test
from tests.research.ladder import numpy_reference as reference


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# What the starting values make of (z, u), by hand.
AT_THE_START = {
    'g': lambda z, u: z + sigmoid(z),
    'g2': lambda z, u: z + sigmoid(z),
    'g3': lambda z, u: z,
    'g4': lambda z, u: sigmoid(z) + sigmoid(u),
    'g5': lambda z, u: 0 * z,
}


@pytest.mark.parametrize('name', AT_THE_START)
def test_starting_values(name):
    denoiser_class, transcription, names = model_test.DENOISERS[name]
    denoiser = denoiser_class(3)
    expected = reference.denoiser_start(transcription, 3)
    assert set(expected) == set(names)
    for key, parameters in names.items():
        found = (
            getattr(denoiser, parameters)
            if isinstance(parameters, str)
            else [getattr(denoiser, parameter) for parameter in parameters]
        )
        np.testing.assert_array_equal(found, expected[key], err_msg=f'{name}, {key}')
    assert len(denoiser.trainable_variables) == sum(
        1 if isinstance(parameters, str) else len(parameters) for parameters in names.values()
    )

    z, u = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(denoiser(z, u), AT_THE_START[name](z, u), atol=1e-6)


@pytest.mark.parametrize('name', AT_THE_START)
def test_values_of_maps_with_parameters_of_each_channel(name):
    denoiser_class, transcription, names = model_test.DENOISERS[name]
    denoiser, rng, values = denoiser_class(3), np.random.default_rng(1), {}
    for key, parameters in names.items():
        listed = [parameters] if isinstance(parameters, str) else parameters
        drawn = rng.normal(size=(len(listed), 3))
        for parameter, value in zip(listed, drawn, strict=True):
            getattr(denoiser, parameter).assign(value)
        values[key] = drawn[0] if isinstance(parameters, str) else drawn
    z, u = rng.normal(size=(2, 2, 4, 5, 3))
    expected = transcription(z, u, values)
    found = denoiser(z.astype(np.float32), u.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=2e-5)
