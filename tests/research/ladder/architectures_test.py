"""The convolutional encoders: every shape by hand, parameters against the counts by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.ladder import architectures, denoisers
from research.ladder import model as ladder
from tests.research.ladder import numpy_maps, numpy_reference, parameter_counts

# A valid convolution with a kernel k takes k - 1 off, a full one adds k - 1; pooling halves and
# rounds up.
SHAPES = {
    'conv_fc': [  # 28 - 25 = 3
        (28, 28, 1),
        (3, 3, 1000),
        (3, 3, 500),
        (3, 3, 250),
        (3, 3, 250),
        (3, 3, 250),
        (3, 3, 10),
        (10,),
    ],
    'conv_small': [  # 28 + 4, / 2, - 2, + 2, / 2, - 2, 1x1, mean, dense
        (28, 28, 1),
        (32, 32, 32),
        (16, 16, 32),
        (14, 14, 64),
        (16, 16, 64),
        (8, 8, 64),
        (6, 6, 128),
        (6, 6, 10),
        (10,),
        (10,),
    ],
    'conv_large': [  # 32 - 2, + 2, + 2, / 2, - 2, + 2, - 2, 15 / 2 = 8, - 2, 1x1, 1x1, mean
        (32, 32, 3),
        (30, 30, 96),
        (32, 32, 96),
        (34, 34, 96),
        (17, 17, 96),
        (15, 15, 192),
        (17, 17, 192),
        (15, 15, 192),
        (8, 8, 192),
        (6, 6, 192),
        (6, 6, 192),
        (6, 6, 10),
        (10,),
    ],
}
COUNTS = {
    'conv_fc': parameter_counts.CONV_FC,
    'conv_small': parameter_counts.CONV_SMALL,
    'conv_large': parameter_counts.CONV_LARGE,
}


def network(name, costs, denoiser=denoisers.MiniatureMLP):
    return ladder.LadderNetwork(
        encoder=getattr(architectures, name)(),
        input_shape=SHAPES[name][0],
        denoising_costs=costs,
        denoiser=denoiser,
        top_scale=name != 'conv_large',
    )


def num_parameters(model):
    return sum(v.shape.num_elements() for v in model.trainable_variables)


@pytest.mark.parametrize('name', SHAPES)
def test_shapes_up_and_down(name):
    rungs = getattr(architectures, name)()
    shapes = SHAPES[name]
    assert len(rungs) == len(shapes) - 1
    for l, rung in enumerate(rungs, 1):
        above = rung.create_mappings(shapes[l - 1], random.make_key(l), decode=True)
        assert above == shapes[l]
        assert rung.project(tf.zeros([2, *shapes[l - 1]])).shape == (2, *shapes[l])
        assert rung.reverse(tf.zeros([2, *shapes[l]])).shape == (2, *shapes[l - 1])


@pytest.mark.parametrize('name', SHAPES)
@pytest.mark.parametrize('decoder', ['none', 'gamma', 'full'])
def test_parameter_counts(name, decoder):
    depth = len(SHAPES[name]) - 1
    costs = {
        'none': [0.0] * (depth + 1),
        'gamma': [0.0] * depth + [1.0],
        'full': [1000.0, 10.0] + [0.1] * (depth - 1),
    }[decoder]
    denoiser, g = denoisers.MiniatureMLP, 'g'
    if decoder == 'gamma':
        denoiser, g = denoisers.Gaussian, 'g5'
    model = network(name, costs, denoiser)
    expected = parameter_counts.parameter_counts(COUNTS[name], g, decoder, name != 'conv_large')
    assert num_parameters(model) == expected['total']
    has_v = [hasattr(rung, 'v') for rung in model.rungs]
    if decoder == 'full':
        assert all(denoiser is not None for denoiser in model.denoisers)
        assert has_v == [hasattr(rung, 'w') for rung in model.rungs]
    else:  # The Gamma model has one denoiser, at the top, and no way down to it.
        assert not any(has_v)
        assert all(denoiser is None for denoiser in model.denoisers[:-1])
        assert (model.denoisers[-1] is not None) == (decoder == 'gamma')


def test_fully_connected_parameter_counts():
    model = ladder.LadderNetwork()
    counts = parameter_counts.parameter_counts(parameter_counts.FULLY_CONNECTED, 'g', 'full')
    assert num_parameters(model) == counts['total'] == 3_102_666


def test_leaky_relu_has_slope_one_tenth():
    assert architectures.leaky_relu(tf.constant([-2.0, 3.0])).numpy().tolist() == pytest.approx(
        [-0.2, 3.0]
    )
    activations = {rung.activation for rung in architectures.conv_large()}
    assert activations == {architectures.leaky_relu, tf.identity}
    assert {rung.activation for rung in architectures.conv_small()} == {tf.nn.relu, tf.identity}


def conv(padding, slope=0.0):
    return numpy_maps.Layer('conv', 'leaky_relu', padding, slope)


def pool(kind, activation='linear'):
    return numpy_maps.Layer(kind, activation)


# Table 4, and the authors' runs for what is full and what is valid.
TRANSCRIBED = {
    'conv_fc': [conv('valid')] * 6 + [pool('globalmean', 'softmax')],
    'conv_small': [
        conv('full'),
        pool('maxpool'),
        conv('valid'),
        conv('full'),
        pool('maxpool'),
        conv('valid'),
        conv('valid'),
        pool('globalmean'),
        numpy_maps.Layer('dense', 'softmax'),
    ],
    'conv_large': [
        conv('valid', 0.1),
        conv('full', 0.1),
        conv('full', 0.1),
        pool('maxpool'),
        conv('valid', 0.1),
        conv('full', 0.1),
        conv('valid', 0.1),
        pool('maxpool'),
        conv('valid', 0.1),
        conv('valid', 0.1),
        conv('valid', 0.1),
        pool('globalmean', 'softmax'),
    ],
}


@pytest.mark.parametrize('name', SHAPES)
def test_every_layer_against_numpy(name):
    depth = len(SHAPES[name]) - 1
    model = network(name, [0.0] * (depth + 1))
    rng = np.random.default_rng(0)
    for rung in model.rungs:
        for parameter in (rung.beta, rung.gamma):
            if parameter is not None:
                parameter.assign_add(0.3 * rng.normal(size=parameter.shape))
    value = lambda rung, name: (
        None if getattr(rung, name, None) is None else getattr(rung, name).numpy()
    )
    parameters = {
        'W': [None] + [value(rung, 'w') for rung in model.rungs],
        'beta': [None] + [value(rung, 'beta') for rung in model.rungs],
        'gamma': value(model.rungs[-1], 'gamma'),
    }
    x = rng.uniform(size=(3, *SHAPES[name][0])).astype(np.float32)
    expected = numpy_reference.encode([None, *TRANSCRIBED[name]], parameters, x)
    (path,) = model.encode([tf.constant(x)], [None])
    for l in range(1, depth + 1):
        np.testing.assert_allclose(path.z[l], expected.z[l], atol=2e-3, err_msg=f'layer {l}')
    np.testing.assert_allclose(tf.nn.softmax(path.logits), expected.h[-1], atol=1e-3)
