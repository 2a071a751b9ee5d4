"""The reference itself, held to properties and numbers that follow by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tests.research.ladder import numpy_maps as maps
from tests.research.ladder import numpy_reference as reference
from tests.research.ladder.numpy_maps import Layer

DENOISERS = (reference.g, reference.g2, reference.g3, reference.g4, reference.g5)
WIDTHS = (5, 4, 3)
LAMBDAS = (1000.0, 10.0, 0.1)


def tiny_batch(rng, labelled=4, unlabelled=3, std=0.3, widths=WIDTHS):
    """x_labelled, y, x_unlabelled and the two halves' noise."""
    noise = [[std * rng.normal(size=(n, w)) for w in widths] for n in (labelled, unlabelled)]
    return (
        rng.uniform(size=(labelled, widths[0])),
        np.arange(labelled) % widths[-1],
        rng.uniform(size=(unlabelled, widths[0])),
        *noise,
    )


def tiny_ladder(denoiser=reference.g, seed=0, std=0.3):
    rng = np.random.default_rng(seed)
    params = reference.random_parameters(WIDTHS, denoiser, rng)
    return params, tiny_batch(rng, std=std)


# Denoising functions.


def column(*values):
    return np.array(values, np.float64)[:, None]


def test_denoisers_of_hand_numbers():
    z, u = np.array([[2.0]]), np.array([[3.0]])
    half = {'a': column(1, 2, 3, 4), 'b': np.array([5.0]), 'c': column(-14, 1, 2, 1)}
    # 1 + 4 + 9 + 24, and the sigmoid's input is -14 + 2 + 6 + 6 = 0.
    assert reference.g(z, u, half)[0, 0] == pytest.approx(38 + 5 * 0.5)
    # 1 + 4 + 9, and -8 + 2 + 6 = 0.
    second = {'a': column(1, 2, 3), 'b': np.array([5.0]), 'c': column(-8, 1, 2)}
    assert reference.g2(z, u, second)[0, 0] == pytest.approx(14 + 2.5)
    assert reference.g3(z, u, half)[0, 0] == pytest.approx(38)
    # 1 u + 2 sigmoid(1 u - 3) + 3 z + 4 sigmoid(5 z - 10) + 6 = 3 + 1 + 6 + 2 + 6.
    fourth = {'a': column(1, 2, 1, -3, 3, 4, 5, -10, 6)}
    assert reference.g4(z, u, fourth)[0, 0] == pytest.approx(18)
    # mu = 2 sigmoid(0) + u + 1 = 5 and v = 4 sigmoid(0) - u + 2 = 1 give (2 - 5) 1 + 5 = 2; with
    # a10 = 3 in place of 2, v = 2 gives (2 - 5) 2 + 5 = -1.
    gaussian = [2, 1, -3, 1, 1, 4, 2, -6, -1, 2]
    assert reference.g5(z, u, {'a': column(*gaussian)})[0, 0] == pytest.approx(2)
    assert reference.g5(z, u, {'a': column(*gaussian[:-1], 3)})[0, 0] == pytest.approx(-1)


def test_denoisers_reduce_to_each_other():
    rng = np.random.default_rng(1)
    z, u = rng.normal(size=(2, 6, 3))
    a, b, c = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
    linear = reference.g3(z, u, {'a': a})
    np.testing.assert_allclose(reference.g(z, u, {'a': a, 'b': 0 * b, 'c': c}), linear, rtol=1e-13)
    a[3] = c[3] = 0
    np.testing.assert_allclose(
        reference.g(z, u, {'a': a, 'b': b, 'c': c}),
        reference.g2(z, u, {'a': a[:3], 'b': b, 'c': c[:3]}),
        rtol=1e-13,
    )
    # g5 without its sigmoids: v z + mu (1 - v) with mu = a4 u + a5, v = a10 is linear in z and u.
    gauss = np.zeros((10, 3))
    gauss[[3, 4, 9]] = rng.normal(size=(3, 3))
    a4, a5, a10 = gauss[[3, 4, 9]]
    expected = reference.g3(z, u, {'a': np.array([a5 * (1 - a10), a10, a4 * (1 - a10), 0 * a5])})
    np.testing.assert_allclose(reference.g5(z, u, {'a': gauss}), expected, rtol=1e-12)


def test_denoisers_at_their_start():
    rng = np.random.default_rng(2)
    z, u = rng.normal(size=(2, 6, 3))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    expected = {
        reference.g: z + sigmoid(z),
        reference.g2: z + sigmoid(z),
        reference.g3: z,
        reference.g4: sigmoid(u) + sigmoid(z),
        reference.g5: 0 * z,
    }
    for denoiser, value in expected.items():
        start = reference.denoiser_start(denoiser, 3)
        np.testing.assert_allclose(denoiser(z, u, start), value, atol=1e-14)


def test_parameters_a_unit():
    counts = [sum(v.size for v in reference.denoiser_start(d, 1).values()) for d in DENOISERS]
    assert counts == [9, 7, 4, 9, 10]


# Batch normalisation and the encoder.


def test_batch_norm_has_zero_mean_and_unit_std():
    x = np.random.default_rng(3).normal(2.0, 5.0, size=(7, 4))
    z = reference.batch_norm(x)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-14)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-10)
    np.testing.assert_allclose(reference.batch_norm(3 * x + 1), z, atol=1e-9)


def test_batch_norm_of_images_is_per_channel():
    x = np.random.default_rng(3).normal(size=(2, 3, 4, 5)) * np.arange(1, 6)
    z = reference.batch_norm(x)
    np.testing.assert_allclose(z.mean((0, 1, 2)), np.zeros(5), atol=1e-14)
    np.testing.assert_allclose(z.std((0, 1, 2)), np.ones(5), atol=1e-9)


def test_batch_norm_epsilon_is_inside_the_root():
    # Two values 0 and 2e-5: variance 1e-10 = eps, so the root is sqrt(2) 1e-5.
    z = reference.batch_norm(np.array([[0.0], [2e-5]]))
    np.testing.assert_allclose(z, [[-np.sqrt(0.5)], [np.sqrt(0.5)]], rtol=1e-9)


def test_encoder_by_hand():
    """Two examples: every normalised unit is -1 or 1, whatever the weights."""
    params = {
        'W': [None, np.array([[2.0, -1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])],
        'beta': [None, np.array([0.5, 3.0]), np.array([1.0, 0.0])],
        'gamma': np.array([2.0, 1.0]),
    }
    layers = maps.fully_connected(2)
    noise = [np.zeros((2, 1)), np.array([[0.25, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.5], [0, 0]])]
    path = reference.encode(layers, params, np.array([[0.0], [1.0]]), noise)
    # pre = (0, 0), (2, -1); z = (-1, 1), (1, -1) + noise; h = relu(z + beta).
    np.testing.assert_allclose(path.z[1], [[-0.75, 1], [1, -1]], atol=1e-9)
    np.testing.assert_allclose(path.h[1], [[0, 4], [1.5, 2]], atol=1e-9)
    np.testing.assert_allclose(path.mean[2], [0.75, 3], atol=1e-9)
    np.testing.assert_allclose(path.std[2], [0.75, 1], atol=1e-9)
    np.testing.assert_allclose(path.z[2], [[-1, 1.5], [1, -1]], atol=1e-9)
    # gamma (z + beta) = (0, 1.5), (4, -1): the bias is scaled too.
    logits = np.array([1.5, -5.0])
    expected = np.stack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))], 1)
    np.testing.assert_allclose(path.h[2], expected, atol=1e-9)


def test_predict_with_a_batchs_own_statistics_is_the_clean_path():
    params, (_, _, x, *_) = tiny_ladder()
    clean = reference.encode(maps.fully_connected(2), params, x)
    got = reference.predict(params, x, clean.mean, clean.variance)
    np.testing.assert_allclose(got, clean.h[-1], rtol=1e-13)
    one = reference.predict(params, x[:1], clean.mean, clean.variance)
    np.testing.assert_allclose(one, clean.h[-1][:1], rtol=1e-13)


# Ladder.


def test_cost_adds_up():
    params, batch = tiny_ladder()
    result = reference.ladder(params, *batch, LAMBDAS)
    weighted = np.array(LAMBDAS) * np.array(result.denoising_costs)
    np.testing.assert_allclose(result.weighted_costs, weighted)
    assert result.total == pytest.approx(result.classification_cost + weighted.sum(), rel=1e-14)
    np.testing.assert_allclose(result.probabilities.sum(1), 1)
    assert result.classification_cost == pytest.approx(
        -np.log(result.probabilities[range(4), batch[1]]).mean(), rel=1e-14
    )


def test_halves_do_not_see_each_other():
    params, batch = tiny_ladder()
    result = reference.ladder(params, *batch, LAMBDAS)
    x_labelled, y, x_unlabelled, noise_labelled, noise_unlabelled = batch
    other = reference.ladder(
        params, x_labelled**2, y, x_unlabelled, noise_labelled, noise_unlabelled, LAMBDAS
    )
    assert other.denoising_costs == result.denoising_costs
    assert abs(other.classification_cost - result.classification_cost) > 1e-3
    other = reference.ladder(
        params, x_labelled, y, x_unlabelled**2, noise_labelled, noise_unlabelled, LAMBDAS
    )
    assert other.classification_cost == result.classification_cost
    assert min(abs(np.subtract(other.denoising_costs, result.denoising_costs))) > 1e-6


def test_the_target_is_the_unnormalised_projection():
    """z_hat = mu + sigma z_tilde without hidden noise is z_pre, where the cost vanishes.

    Layer 0 is not normalised: there z_hat = z_tilde costs the mean square of the noise.
    """
    params, batch = tiny_ladder(reference.g3)
    noise = batch[4]
    noise[1][:], noise[2][:] = 0, 0
    noise[0][1:] = noise[0][0]  # shifts all examples alike, which the normalisation above undoes
    clean = reference.encode(maps.fully_connected(2), params, batch[2])
    params['g'][0]['a'] = np.array([[0.0], [1.0], [0.0], [0.0]]) * np.ones(5)
    for l in (1, 2):
        zero = 0 * clean.mean[l]
        params['g'][l]['a'] = np.array([clean.mean[l], clean.std[l], zero, zero])
    result = reference.ladder(params, *batch, LAMBDAS, denoiser=reference.g3)
    assert result.denoising_costs[0] == pytest.approx(np.mean(noise[0] ** 2), rel=1e-12)
    np.testing.assert_allclose(result.z_hat[1], clean.pre[1], atol=1e-9)
    np.testing.assert_allclose(result.denoising_costs[1:], 0, atol=1e-18)
    # Denoised one clean standard deviation too high, the error is 1 per unit.
    params['g'][1]['a'][0] += clean.std[1]
    result = reference.ladder(params, *batch, LAMBDAS, denoiser=reference.g3)
    assert result.denoising_costs[1] == pytest.approx(1, rel=1e-9)


def test_z_hat_is_normalised_with_the_clean_statistics():
    params, batch = tiny_ladder()
    result = reference.ladder(params, *batch, LAMBDAS)
    assert result.z_hat_bn[0] is result.z_hat[0]
    for l in (1, 2):
        pre = result.clean.pre[l]
        np.testing.assert_allclose(
            result.z_hat_bn[l] * pre.std(0) + pre.mean(0), result.z_hat[l], rtol=1e-6
        )


def test_u_is_the_normalised_projection_of_the_layer_above():
    params, batch = tiny_ladder()
    result = reference.ladder(params, *batch, LAMBDAS)
    for l in range(3):
        np.testing.assert_allclose(result.u[l].mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(result.u[l].std(0), 1, atol=1e-6)
    softmax = result.corrupted.h[2]
    np.testing.assert_allclose(result.u[2], (softmax - softmax.mean(0)) / softmax.std(0), rtol=1e-6)
    projected = np.einsum('ni,ij->nj', result.z_hat[2], params['V'][2])
    np.testing.assert_allclose(
        result.u[1], (projected - projected.mean(0)) / projected.std(0), rtol=1e-6
    )


def test_decoder_stops_where_the_denoisers_end():
    params, batch = tiny_ladder()
    full = reference.ladder(params, *batch, (0, 0, 2.0))
    params['g'][:2], params['V'] = [None, None], [None, None, None]
    top = reference.ladder(params, *batch, (0, 0, 2.0))
    assert top.total == pytest.approx(full.total, rel=1e-14)
    assert top.denoising_costs[:2] == [None, None]
    with pytest.raises(ValueError, match='layer 1 has no denoiser'):
        reference.ladder(params, *batch, (0, 1.0, 2.0))
    with pytest.raises(ValueError, match='lambdas has 2 elements'):
        reference.ladder(params, *batch, (0, 1.0))


# Gradients.


def test_numerical_gradients_of_a_quadratic():
    matrix = np.array([[2.0, 1.0], [1.0, 4.0]])
    params = {'x': [None, np.array([1.0, -2.0])], 's': np.array(3.0)}
    before = copy.deepcopy(params)
    cost = lambda p: float(0.5 * p['x'][1] @ matrix @ p['x'][1] + p['s'] ** 3)
    gradients = reference.numerical_gradients(cost, params, h=1e-4)
    np.testing.assert_allclose(gradients['x'][1], matrix @ [1.0, -2.0], atol=1e-9)
    np.testing.assert_allclose(gradients['s'], 27.0, atol=1e-7)
    assert gradients['x'][0] is None
    np.testing.assert_array_equal(params['x'][1], before['x'][1])


@pytest.mark.parametrize('denoiser', DENOISERS)
def test_gradients_that_follow_by_hand(denoiser):
    """Invariances of the cost are zeros of its gradient."""
    params, batch = tiny_ladder(denoiser)
    cost = lambda p: reference.ladder(p, *batch, LAMBDAS, denoiser=denoiser).total
    gradients = reference.numerical_gradients(cost, params)
    # The normalisation of u undoes a scale of V's columns, so gradient . column = 0. (Not so for W:
    # the cost of layer l compares z_hat with z_pre, whose scale W sets.)
    for l in (1, 2):
        inner = np.sum(gradients['V'][l] * params['V'][l], axis=0)
        scale = np.linalg.norm(gradients['V'][l], axis=0) * np.linalg.norm(params['V'][l], axis=0)
        assert np.all(abs(inner) < 1e-6 * (scale + 1))
    # The softmax is not changed by a shift of all logits: d/dt at beta + t / gamma.
    assert abs(np.sum(gradients['beta'][2] / params['gamma'])) < 1e-6
    assert np.linalg.norm(gradients['beta'][2]) > 1e-3


def test_gradient_of_the_top_bias_is_softmax_minus_target():
    params, batch = tiny_ladder()
    cost = lambda p: reference.ladder(p, *batch, (0.0, 0.0, 0.0)).total
    gradient = reference.numerical_gradients(cost, params)['beta'][2]
    probabilities = reference.ladder(params, *batch, LAMBDAS).probabilities
    expected = params['gamma'] * (probabilities - np.eye(3)[batch[1]]).mean(0)
    np.testing.assert_allclose(gradient, expected, atol=1e-9)


# Convolutional networks.


def conv_ladder():
    """5x5x1: 3x3 full to 2 (7x7), max pool (4x4), 3x3 valid to 3 (2x2), global mean, dense 3."""
    rng = np.random.default_rng(6)
    layers = [
        None,
        Layer('conv', 'relu', 'full'),
        Layer('maxpool', 'linear'),
        Layer('conv', 'leaky_relu', 'valid'),
        Layer('globalmean', 'linear'),
        Layer('dense', 'softmax'),
    ]
    shapes = [(5, 5, 1), (7, 7, 2), (4, 4, 2), (2, 2, 3), (3,), (3,)]
    kernels = {1: (3, 3, 1, 2), 3: (3, 3, 2, 3), 5: (3, 3)}
    params = {
        'W': [rng.normal(size=kernels[l]) if l in kernels else None for l in range(6)],
        'V': [None] * 6,
        'beta': [0.3 * rng.normal(size=shapes[l][-1]) if l in kernels else None for l in range(6)],
        'gamma': 1 + 0.3 * rng.normal(size=3),
        'g': [
            {name: v + 0.3 * rng.normal(size=v.shape) for name, v in start.items()}
            for start in (reference.denoiser_start(reference.g, s[-1]) for s in shapes)
        ],
    }
    for l, shape in kernels.items():
        params['V'][l] = rng.normal(size=shape[:-2] + (shape[-1], shape[-2]))
    noise = [[0.3 * rng.normal(size=(n, *shape)) for shape in shapes] for n in (4, 3)]
    x = rng.uniform(size=(7, 5, 5, 1))
    return layers, shapes, params, (x[:4], np.array([0, 1, 2, 0]), x[4:], *noise)


def test_convolutional_ladder():
    layers, shapes, params, batch = conv_ladder()
    result = reference.ladder(params, *batch, [1.0] * 6, layers=layers)
    for l, shape in enumerate(shapes):
        assert result.clean.z[l].shape == result.z_hat[l].shape == result.u[l].shape == (3, *shape)
        error = result.clean.z[l] - result.z_hat_bn[l]
        assert result.denoising_costs[l] == pytest.approx(np.mean(error**2), rel=1e-12)
    # Pooling is linear and without bias; its normalisation is per channel.
    np.testing.assert_array_equal(result.clean.h[2], result.clean.z[2])
    np.testing.assert_allclose(result.clean.z[2].mean((0, 1, 2)), 0, atol=1e-12)
    # What goes down from the pool is constant on 2x2 windows (the 7th row and column on half ones).
    u = result.u[1]
    np.testing.assert_array_equal(u[:, 0:6:2], u[:, 1:6:2])
    np.testing.assert_array_equal(u[:, :, 0:6:2], u[:, :, 1:6:2])
    assert np.ptp(u[:, :, ::2]) > 0.1


def test_convolution_over_the_whole_image_is_a_dense_layer():
    """A Ladder of one 4x4 'valid' convolution and a dense top equals the fully connected one."""
    rng = np.random.default_rng(8)
    widths = (16, 4, 3)
    params = reference.random_parameters(widths, reference.g5, rng)
    for name in params['g'][0]:  # one denoiser for all pixels, as a convolution shares it
        params['g'][0][name][:] = params['g'][0][name][..., :1]
    batch = tiny_batch(rng, widths=widths)
    # u^(0) is normalised per unit in one and per channel in the other, so compare from layer 1 on.
    dense = reference.ladder(params, *batch, (0, 10.0, 0.1), denoiser=reference.g5)
    shaped = copy.deepcopy(params)
    shaped['W'][1] = params['W'][1].reshape(4, 4, 1, 4)
    shaped['V'][1] = None
    shaped['g'][0] = None
    image = lambda x: x.reshape(-1, 4, 4, 1)
    vector = lambda x: x.reshape(-1, 1, 1, 4)
    x_labelled, y, x_unlabelled, *halves = batch
    halves = [[image(n0), vector(n1), n2] for n0, n1, n2 in halves]
    convolutional = reference.ladder(
        shaped,
        image(x_labelled),
        y,
        image(x_unlabelled),
        *halves,
        (0, 10.0, 0.1),
        denoiser=reference.g5,
        layers=[None, Layer('conv'), Layer('dense', 'softmax')],
    )
    assert convolutional.total == pytest.approx(dense.total, rel=1e-12)
