import numpy as np
import pytest
import tensorflow as tf

from official.modeling import conv_gradient

# Of large maps, of 1 x 1 kernels, and what is left to TensorFlow.
CONVS = {
    'large': ((2, 61, 67, 128), 3, 130),
    'large, 5 x 5': ((1, 70, 59, 128), 5, 128),
    'pixels': ((3, 5, 7, 6), 1, 4),
    'small': ((2, 9, 8, 128), 3, 128),
    'few channels': ((1, 67, 61, 3), 3, 128),
    'few filters': ((1, 67, 61, 128), 3, 3),
}


def numbers(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def np_kernel_gradient(x, dy, size):
    """A tap at a time: the inputs that it meets times what goes out."""
    border = size // 2
    x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    height, width = dy.shape[1:3]
    return np.array(
        [
            [
                np.einsum('nhwc,nhwd->cd', x[:, i : i + height, j : j + width], dy, optimize=True)
                for j in range(size)
            ]
            for i in range(size)
        ]
    )


def gradients(function, x, kernel, dy, second=False):
    """Result, both gradients and, with `second`, those of the squares of the gradients."""
    x, kernel, dy = (tf.constant(value, tf.float32) for value in (x, kernel, dy))

    @tf.function
    def run():
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = function(x, kernel)
            first = tape.gradient(y, [x, kernel], dy)
            loss = tf.add_n([tf.reduce_sum(value**2) for value in first])
        return [y, *first, *(outer.gradient(loss, [x, kernel]) if second else [])]

    return [value.numpy() for value in run()]


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize('name', CONVS)
def test_conv2d(name):
    shape, size, filters = CONVS[name]
    x, kernel = numbers(shape, 0), numbers((size, size, shape[-1], filters), 1)
    dy = numbers((*shape[:3], filters), 2)
    found = gradients(conv_gradient.conv2d, x, kernel, dy)
    close(found, gradients(lambda x, k: tf.nn.conv2d(x, k, 1, 'SAME'), x, kernel, dy))
    expected = np_kernel_gradient(x, dy, size)
    np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('size, strides', [(2, 2), (4, 2), (6, 2), (6, 3), (3, 3), (5, 2)])
def test_conv2d_transpose(size, strides):
    x, kernel = numbers((2, 5, 4, 3), 0), numbers((size, size, 6, 3), 1)
    dy = numbers((2, 5 * strides, 4 * strides, 6), 2)

    def tensorflow(x, kernel):
        return tf.nn.conv2d_transpose(x, kernel, dy.shape, strides, 'SAME')

    def ours(x, kernel):
        return conv_gradient.conv2d_transpose(x, kernel, strides)

    close(
        gradients(ours, x, kernel, dy, second=True),
        gradients(tensorflow, x, kernel, dy, second=True),
    )


def test_bfloat16():
    x, kernel, dy = (
        tf.cast(numbers(shape, seed), tf.bfloat16)
        for seed, shape in enumerate(((2, 6, 5, 512), (3, 3, 512, 512), (2, 6, 5, 512)))
    )
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = conv_gradient.conv2d(x, kernel)
    found = tape.gradient(y, kernel, dy)
    assert found.dtype == tf.bfloat16
    expected = np_kernel_gradient(*(tf.cast(value, tf.float64).numpy() for value in (x, dy)), 3)
    # Sums are in float32 and only the result is narrowed, to 8 bits.  oneDNN rounds it to the
    # nearest, within 2^-8 of the value.  On processors without products in bfloat16 TensorFlow
    # cuts the lower bits off, within 2^-7.  Sums in bfloat16 would be off by several 2^-7.
    np.testing.assert_allclose(
        tf.cast(found, tf.float64), expected, rtol=2**-7, atol=1e-4 * np.abs(expected).max()
    )


def test_second_derivatives_of_conv2d():
    for name in ('large', 'pixels'):
        shape, size, filters = CONVS[name]
        x, kernel = numbers(shape, 0), numbers((size, size, shape[-1], filters), 1)
        dy = numbers((*shape[:3], filters), 2)
        close(
            gradients(conv_gradient.conv2d, x, kernel, dy, second=True),
            gradients(lambda x, k: tf.nn.conv2d(x, k, 1, 'SAME'), x, kernel, dy, second=True),
        )


def operations(function, *shapes, compiled=False, dtype=tf.float32):
    """Names of the operations of a function's gradient with respect to its second argument."""

    @tf.function(jit_compile=compiled)
    def gradient(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = function(x, kernel)
        return tape.gradient(y, kernel)

    graph = gradient.get_concrete_function(*(tf.TensorSpec(shape, dtype) for shape in shapes)).graph
    return {operation.type for operation in graph.get_operations()}


def test_where_the_fast_forms_are_used():
    large, kernel = (None, 50, 80, 128), (3, 3, 128, 128)
    assert 'MatMul' in operations(conv_gradient.conv2d, large, kernel)
    for shape, other in [
        ((None, None, 80, 128), kernel),
        ((None, 50, None, 128), kernel),
        ((None, 50, 79, 128), kernel),
        ((None, 50, 80, 127), (3, 3, 127, 128)),
        (large, (3, 3, 128, 127)),
    ]:
        assert 'MatMul' not in operations(conv_gradient.conv2d, shape, other)
    assert 'MatMul' not in operations(conv_gradient.conv2d, large, kernel, compiled=True)
    small, wide = (None, 14, 14, 512), (3, 3, 512, 512)
    assert 'MatMul' not in operations(conv_gradient.conv2d, small, wide)
    assert 'MatMul' in operations(conv_gradient.conv2d, small, wide, dtype=tf.bfloat16)
    pixels = (None, None, None, 128), (1, 1, 128, 2)
    assert 'MatMul' in operations(conv_gradient.conv2d, *pixels)
    assert 'MatMul' not in operations(conv_gradient.conv2d, *pixels, compiled=True)

    def transposed(x, kernel):
        return conv_gradient.conv2d_transpose(x, kernel, 2)

    small, kernel = (None, 5, 4, 3), (4, 4, 6, 3)
    assert 'MatMul' in operations(transposed, small, kernel)
    assert 'MatMul' not in operations(transposed, small, kernel, compiled=True)
    assert 'MatMul' not in operations(transposed, (None, None, None, 3), kernel)


def test_beside_a_gpu_all_is_left_to_tensorflow(monkeypatch):
    monkeypatch.setattr(tf.config, 'list_logical_devices', lambda kind: [kind])
    pixels = (None, None, None, 128), (1, 1, 128, 2)
    assert 'MatMul' not in operations(conv_gradient.conv2d, *pixels)
