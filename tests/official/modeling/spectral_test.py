import numpy as np
import pytest
import tensorflow as tf

from official.modeling import spectral

KEY = np.array([[3, 0]], np.int32)


def _conv(x, kernel, stride=1):
    """A convolution with zeros around the image, pixel by pixel, in float64."""
    size = kernel.shape[0]
    pad = size // 2
    n, height, width, _ = x.shape
    padded = np.pad(np.asarray(x, np.float64), [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    y = np.zeros((n, height, width, kernel.shape[-1]))
    for row in range(height):
        for column in range(width):
            patch = padded[:, row : row + size, column : column + size]
            y[:, row, column] = np.einsum('nhwi,hwio->no', patch, kernel)
    return y[:, ::stride, ::stride]


def _sigma(kernel):
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_one_iteration_by_hand():
    kernel = np.array([[3.0, 0.0], [4.0, 5.0]])
    u = np.array([[0.6, 0.8]])
    sigma, next_u = spectral.largest_singular_value(
        tf.constant(kernel, tf.float32), tf.constant(u, tf.float32)
    )
    # u W^T = (1.8, 6.4), v W = (1.8 x 3 + 6.4 x 4, 6.4 x 5) / |(1.8, 6.4)|.
    np.testing.assert_allclose(next_u, np.array([[31.0, 32.0]]) / np.hypot(31, 32), rtol=1e-6)
    np.testing.assert_allclose(sigma, np.hypot(31, 32) / np.hypot(1.8, 6.4), rtol=1e-6)


@pytest.mark.parametrize('shape', [(7, 5), (3, 3, 4, 6), (4, 9)])
def test_iterations_find_the_largest_singular_value(shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    u = tf.nn.l2_normalize(tf.ones([1, shape[-1]]))
    for _ in range(200):
        sigma, u = spectral.largest_singular_value(tf.constant(kernel), u)
    np.testing.assert_allclose(sigma, _sigma(kernel), rtol=1e-4)


def test_the_gradient_is_equation_12_of_the_paper():
    """d/dW = (g - (sum g W_hat) v^T u) / sigma, with u and v held."""
    rng = np.random.default_rng(0)
    kernel, g = rng.normal(size=(2, 6, 4))
    layer = spectral.SpectralDense(6, 4, KEY)
    layer.kernel.assign(kernel)
    layer.u.assign([[0.5] * 4])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.weights_of_step(False) * g)
    v = np.full((1, 4), 0.5) @ kernel.T
    v /= np.linalg.norm(v)
    u = v @ kernel
    u /= np.linalg.norm(u)
    sigma = (v @ kernel @ u.T).item()
    expected = (g - np.sum(g * kernel / sigma) * v.T @ u) / sigma
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('scale', [1e-15, 1e-12, 1e-6, 1.0, 1e6])
def test_kernels_of_any_size_are_normalized(scale):
    layer = spectral.SpectralDense(5, 3, KEY)
    kernel = np.random.default_rng(0).normal(size=(5, 3))
    layer.kernel.assign(scale * kernel)
    for _ in range(100):
        normalized = layer.weights_of_step(True)
    np.testing.assert_allclose(normalized, kernel / _sigma(kernel), rtol=1e-4)


@pytest.mark.parametrize(
    'layer',
    [
        spectral.SpectralDense(5, 3, KEY),
        spectral.SpectralConv2D(5, 3, KEY, up=True),
        spectral.SpectralConv2D(5, 3, KEY, down=True),
    ],
)
def test_a_kernel_of_zeros_may_leave_zero(layer):
    """Neither NaN nor stuck: the gradient is that of a kernel that is not normalized."""
    rng = np.random.default_rng(0)
    shape = (2, 5) if layer.kernel.shape.rank == 2 else (2, 16, 16, 5)
    x = tf.constant(rng.normal(size=shape), tf.float32)
    kernel, u = layer.kernel.numpy(), layer.u.numpy()
    layer.kernel.assign(np.zeros(kernel.shape))
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
    gradient = tape.gradient(y, layer.kernel).numpy()
    assert not np.any(y) and np.isfinite(gradient).all() and np.abs(gradient).max() > 0.01
    assert np.abs(gradient).max() < 1e4
    np.testing.assert_array_equal(layer.u, u)
    layer.kernel.assign(kernel)
    assert np.any(layer(x, training=True))


def test_only_training_moves_u():
    layer = spectral.SpectralDense(5, 3, KEY)
    layer.kernel.assign(np.random.default_rng(0).normal(size=(5, 3)))
    x, before = tf.ones([2, 5]), layer.u.numpy()
    first = layer(x)
    layer(x, training=False)
    np.testing.assert_array_equal(layer.u, before)
    # The call that moves u already divides by what the moved u gives, as the one before did.
    np.testing.assert_array_equal(layer(x, training=True), first)
    v = before @ layer.kernel.numpy().T
    v /= np.linalg.norm(v)
    after = v @ layer.kernel.numpy()
    np.testing.assert_allclose(layer.u, after / np.linalg.norm(after), rtol=1e-6)
    assert not np.array_equal(layer(x), first)


@pytest.mark.parametrize(
    'fused, shape', [(True, (2, 20, 16, 2)), (True, (2, 6, 4, 2)), (False, (2, 20, 16, 2))]
)
@pytest.mark.parametrize('kernel_size', [1, 3])
@pytest.mark.parametrize('options', [{}, {'up': True}, {'down': True}])
def test_a_call_makes_one_iteration(options, kernel_size, fused, shape):
    layer = spectral.SpectralConv2D(2, 3, KEY, kernel_size=kernel_size, fused=fused, **options)
    # The initial kernel is orthogonal, of which any vector is a singular one.
    layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    matrix, u = layer.kernel.numpy().reshape(-1, 3), layer.u.numpy()
    for _ in range(2):
        layer(tf.ones(shape), training=True)
        u = u @ matrix.T @ matrix
        u /= np.linalg.norm(u)
        np.testing.assert_allclose(layer.u, u, rtol=1e-5, atol=1e-6)


def test_the_layers_follow_tensorflow_addons():
    """Another implementation, over some updates of the kernel."""
    addons = pytest.importorskip('tensorflow_addons')
    layer = spectral.SpectralConv2D(3, 4, KEY)
    other = addons.layers.SpectralNormalization(tf.keras.layers.Conv2D(4, 3, padding='same'))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 5, 3)), tf.float32)
    other.build(x.shape)
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)
    for step in range(4):
        layer.kernel.assign(kernel * (1 + step) + step)
        other.w.assign(kernel * (1 + step) + step)
        if not step:
            other.u.assign(layer.u)
        np.testing.assert_allclose(
            layer(x, training=True), other(x, training=True), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(layer.u, other.u, rtol=1e-4, atol=1e-6)


# Pixels enough to make 4 x 4 weights for, and not enough.
MANY, FEW = (2, 20, 16, 2), (2, 6, 4, 2)


@pytest.mark.parametrize('fused, shape', [(True, MANY), (True, FEW), (False, FEW)])
@pytest.mark.parametrize('size', [1, 3, 5])
@pytest.mark.parametrize('how', ['same', 'nearest', 'zeros', 'down'])
def test_resampling_convolutions_against_numpy(how, size, fused, shape):
    layer = spectral.SpectralConv2D(
        2,
        3,
        KEY,
        kernel_size=size,
        up=how in ('nearest', 'zeros'),
        down=how == 'down',
        upsampling=how if how == 'zeros' else 'nearest',
        fused=fused,
    )
    layer.bias.assign([0.5, -1, 2])
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    n, height, width, _ = shape
    expected = x.astype(np.float64)
    if how == 'nearest':
        expected = expected.repeat(2, axis=1).repeat(2, axis=2)
    elif how == 'zeros':
        expected = np.zeros((n, 2 * height, 2 * width, 2))
        expected[:, ::2, ::2] = x
    matrix = layer.kernel.numpy().reshape(-1, 3)
    v = layer.u.numpy() @ matrix.T
    sigma = np.linalg.norm(v / np.linalg.norm(v) @ matrix)
    expected = _conv(expected, layer.kernel.numpy() / sigma) + [0.5, -1, 2]
    if how == 'down':
        expected = expected.reshape(n, height // 2, 2, width // 2, 2, 3).mean((2, 4))
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=1e-5)


@pytest.mark.parametrize('options', [{'up': True}, {'down': True}])
def test_in_one_product_the_gradients_are_the_same(options):
    x = tf.constant(np.random.default_rng(0).normal(size=MANY), tf.float32)
    gradients = []
    for fused in (True, False):
        layer = spectral.SpectralConv2D(2, 3, KEY, fused=fused, **options)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 3)
        gradients.append(tape.gradient(loss, [x, layer.kernel, layer.bias]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    'shape, ops',
    [
        ((None, 8, 8, 2), {'Conv2DBackpropInput'}),
        ((1, 8, 8, 2), {'Conv2DBackpropInput'}),
        ((1000, 8, 7, 2), {'Conv2D'}),
    ],
)
def test_larger_weights_are_made_where_they_pay(shape, ops):
    layer = spectral.SpectralConv2D(2, 3, KEY, up=True)
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    types = {op.type for op in graph.get_operations()}
    assert types & {'Conv2D', 'Conv2DBackpropInput'} == ops


@pytest.mark.parametrize('biases', [(True, True), (True, False), (False, False)])
def test_a_sum_of_two_convolutions_has_the_biases_that_are_there(biases):
    one, other = (
        spectral.SpectralConv2D(2, 3, KEY, kernel_size=size, use_bias=use_bias)
        for size, use_bias in zip((3, 1), biases, strict=True)
    )
    for number, layer in enumerate((one, other), 1):
        if layer.bias is not None:
            layer.bias.assign([number, -2 * number, 0.5])
    x, y = np.random.default_rng(0).normal(size=(2, *FEW)).astype(np.float32)
    np.testing.assert_allclose(
        spectral.sum_of_convolutions(one, x, other, y), one(x) + other(y), rtol=1e-5, atol=1e-6
    )


def test_xla_and_bfloat16():
    layer = spectral.SpectralConv2D(2, 3, KEY, up=True)
    x = tf.constant(np.random.default_rng(0).normal(size=MANY), tf.float32)
    plain = layer(x)
    np.testing.assert_allclose(tf.function(layer, jit_compile=True)(x), plain, rtol=1e-4, atol=1e-5)
    low = layer(tf.cast(x, tf.bfloat16))
    assert low.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(low, tf.float32), plain, atol=0.03)


def test_bad_arguments():
    with pytest.raises(ValueError, match='up and down are both set'):
        spectral.SpectralConv2D(2, 3, KEY, up=True, down=True)
    with pytest.raises(ValueError, match="upsampling = 'cubic' is neither 'nearest' nor 'zeros'"):
        spectral.SpectralConv2D(2, 3, KEY, upsampling='cubic')
