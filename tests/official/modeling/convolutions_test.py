import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import convolutions, random


def first_key():
    # Not when this is imported: TensorFlow would run before others have set it up.
    return random.make_key(3)


def drawn(layer, seed=1):
    """The layer's weights in float64, all of them drawn anew: a bias of 0 would hide faults."""
    rng = np.random.default_rng(seed)
    for v in layer.variables:
        v.assign(rng.normal(size=v.shape))
    return [v.numpy().astype(np.float64) for v in layer.variables]


def np_conv(x, kernel, stride):
    """Pixel after pixel, (size - 1) / 2 zeros on every side."""
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    rows, columns = (-(-(n - size + 1) // stride) for n in x.shape[1:3])
    y = np.zeros((len(x), rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            part = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, i, j] = np.einsum('nhwc,hwcd->nd', part, kernel)
    return y


@pytest.mark.parametrize('size, strides', [(1, 1), (3, 1), (1, 2), (3, 2), (7, 2), (5, 3)])
@pytest.mark.parametrize('height, width', [(7, 8), (12, 5)])
def test_conv_against_numpy(size, strides, height, width):
    layer = convolutions.Conv(3, 4, size, first_key(), strides=strides)
    kernel, bias = drawn(layer)
    x = np.random.default_rng(0).normal(size=(2, height, width, 3))
    y = layer(tf.constant(x, tf.float32))
    assert y.shape == (2, -(-height // strides), -(-width // strides), 4)
    np.testing.assert_allclose(y, np_conv(x, kernel, strides) + bias, rtol=1e-4, atol=1e-4)


GRADIENTS = """
import numpy as np
import tensorflow as tf
from official.modeling import convolutions
rng = np.random.default_rng(0)
for channels in range(1, 9):
    x = rng.normal(size=(4, 16, 12, channels))
    kernel, dy = rng.normal(size=(1, 1, channels, 8)), rng.normal(size=(4, 8, 6, 8))
    given = [tf.constant(value, tf.float32) for value in (x, kernel)]
    for _ in range(50):
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = convolutions.convolve(*given, strides=2)
        found = tape.gradient(y, given[1], tf.constant(dy, tf.float32))
    expected = np.einsum('nhwc,nhwd->cd', x[:, ::2, ::2], dy)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-4, atol=1e-4)
"""


def test_gradients_of_strided_pixels_stay_inside_their_memory():
    # oneDNN's own end a process that has one thread and no AVX-512.
    variables = {
        'ONEDNN_MAX_CPU_ISA': 'AVX2',
        'OMP_NUM_THREADS': '1',
        'TF_NUM_INTRAOP_THREADS': '1',
        'PYTHONPATH': ':'.join(sys.path),
    }
    result = subprocess.run(
        [sys.executable, '-c', GRADIENTS],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_conv_with_a_relu_and_without_a_bias():
    layer = convolutions.Conv(3, 4, 3, first_key(), relu=True, bias=False)
    (kernel,) = drawn(layer)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    expected = np_conv(x, kernel, 1)
    assert (expected < -1).any()
    np.testing.assert_allclose(
        layer(tf.constant(x, tf.float32)), np.maximum(expected, 0), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize('size, strides, first', [(2, 2, 0), (4, 2, -1), (3, 3, 0), (5, 3, -1)])
def test_deconv_against_numpy(size, strides, first):
    # `first`: where pixel 0 begins to write, - (size - strides) / 2.
    layer = convolutions.Deconv(3, 4, size, first_key(), strides=strides, relu=True)
    kernel, bias = drawn(layer)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 3))
    expected = np.zeros((2, 3 * strides, 5 * strides, 4))
    for i, j in np.ndindex(3, 5):
        for d, e in np.ndindex(size, size):
            row, column = i * strides + d + first, j * strides + e + first
            if 0 <= row < expected.shape[1] and 0 <= column < expected.shape[2]:
                expected[:, row, column] += x[:, i, j] @ kernel[d, e].T
    expected = np.maximum(expected + bias, 0)
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), expected, rtol=1e-4, atol=1e-4)
    # Sizes that are not known when the graph is made, as in an export.
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 3])])
    np.testing.assert_allclose(graph(tf.constant(x, tf.float32)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('shape', [(4, 3), (2, 5, 3), (2, 1, 2, 3)])
def test_dense_against_numpy(relu, shape):
    layer = convolutions.Dense(3, 6, first_key(), relu=relu)
    kernel, bias = drawn(layer)
    x = np.random.default_rng(0).normal(size=shape)
    expected = np.einsum('...i,io->...o', x, kernel) + bias
    np.testing.assert_allclose(
        layer(tf.constant(x, tf.float32)),
        np.maximum(expected, 0) if relu else expected,
        rtol=1e-5,
        atol=1e-5,
    )


LAYERS = {
    'conv': lambda key, **arguments: convolutions.Conv(40, 50, 3, key, **arguments),
    'deconv': lambda key, **arguments: convolutions.Deconv(40, 50, 4, key, **arguments),
    'dense': lambda key, **arguments: convolutions.Dense(400, 50, key, **arguments),
}


@pytest.mark.parametrize('name, inputs', [('conv', 360), ('deconv', 640), ('dense', 400)])
def test_initial_weights(name, inputs):
    layer = LAYERS[name](first_key())
    kernel = layer.kernel.numpy()
    # Four standard errors of a standard deviation.
    assert kernel.std() == pytest.approx((2 / inputs) ** 0.5, rel=4 / (2 * kernel.size) ** 0.5)
    assert not np.any(layer.bias.numpy())
    np.testing.assert_array_equal(kernel, LAYERS[name](first_key()).kernel.numpy())
    assert not np.any(kernel == LAYERS[name](random.make_key(4)).kernel.numpy())
    drawn_so = LAYERS[name](
        first_key(), initializer=lambda key, shape: random.normal(key, shape, 0.01)
    )
    assert drawn_so.kernel.numpy().std() == pytest.approx(0.01, rel=0.02)
    assert [v.name for v in layer.variables] == [f'{name}/kernel:0', f'{name}/bias:0']


def test_the_initializer_of_a_deconv_sees_the_outputs_last():
    seen = []

    def initializer(key, shape):
        seen.append(shape)
        return tf.reshape(tf.range(2.0 * 2 * 3 * 5), shape)

    layer = convolutions.Deconv(3, 5, 2, first_key(), initializer=initializer)
    assert seen == [(2, 2, 3, 5)]
    assert layer.kernel[1, 0, 4, 2] == 1 * 30 + 0 * 15 + 2 * 5 + 4


@pytest.mark.parametrize(
    'name, shape', [('conv', (2, 6, 6, 40)), ('deconv', (2, 3, 3, 40)), ('dense', (6, 400))]
)
def test_products_in_bfloat16_are_of_the_type_of_what_comes_in(name, shape):
    layer = LAYERS[name](first_key())
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    y = layer(tf.cast(x, tf.bfloat16))
    assert y.dtype == tf.bfloat16 and layer.kernel.dtype == tf.float32
    np.testing.assert_allclose(tf.cast(y, tf.float32), layer(x), rtol=0.05, atol=0.05)


def test_a_layer_that_is_not_trained():
    layer = convolutions.Conv(3, 4, 3, first_key(), trainable=False)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(tf.ones([1, 4, 4, 3])))
    assert not layer.trainable_variables and len(layer.non_trainable_variables) == 2
    assert tape.gradient(y, layer.kernel) is None


@pytest.mark.parametrize(
    'make, told',
    [
        (lambda: convolutions.Conv(3, 4, 2, first_key()), r'Conv\.size = 2 is even'),
        (lambda: convolutions.Conv(0, 4, 3, first_key()), r'Conv\.in_channels = 0'),
        (lambda: convolutions.Conv(3, 4, 3, first_key(), strides=0), r'Conv\.strides = 0'),
        (
            lambda: convolutions.Deconv(3, 4, 2, first_key(), strides=3),
            r'Deconv\.size = 2 is smaller',
        ),
        (lambda: convolutions.Dense(3, 0, first_key()), r'Dense\.units = 0'),
    ],
)
def test_a_layer_that_cannot_be(make, told):
    with pytest.raises(ValueError, match=told):
        make()
