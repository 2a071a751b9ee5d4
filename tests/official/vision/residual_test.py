import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from official.vision import residual

EPSILON = 1e-3
KEY = random.make_key(5)


def draw(layer, seed=0):
    """All weights anew, so that nothing is left at 0 or 1, where a fault would not show."""
    rng = np.random.default_rng(seed)
    for v in layer.variables:
        v.assign(rng.uniform(0.5, 1.5, v.shape) if len(v.shape) == 1
                 else rng.normal(size=v.shape) / np.sqrt(np.prod(v.shape[:3])))
    return layer


def np_conv(x, kernel, stride):
    """(size - 1) / 2 zeros on every side, pixel after pixel."""
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            part = x[:, i * stride:i * stride + size, j * stride:j * stride + size]
            y[:, i, j] = np.einsum('nhwc,hwcd->nd', part, kernel)
    return y


def np_conv_norm(x, conv, training):
    """Convolution and batch norm of a layer in float64, without the ReLU."""
    values = {v.name.rsplit('/', 1)[1][:-2]: v.numpy().astype(np.float64) for v in conv.variables}
    y = np_conv(x, values['kernel'], conv.strides)
    if 'scale' in values:
        return y * values['scale'] + values['shift']
    mean, variance = values['moving_mean'], values['moving_variance']
    if training:
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
    return (y - mean) / np.sqrt(variance + EPSILON) * values['gamma'] + values['beta']


def np_block(x, block, training):
    shortcut = x if block.shortcut is None else np_conv_norm(x, block.shortcut, training)
    for conv in block.convs[:-1]:
        x = np.maximum(np_conv_norm(x, conv, training), 0)
    return np.maximum(np_conv_norm(x, block.convs[-1], training) + shortcut, 0)


@pytest.mark.parametrize('frozen, training', [(True, True), (False, False), (False, True)])
@pytest.mark.parametrize('make', [residual.Bottleneck, residual.BasicBlock])
@pytest.mark.parametrize('inputs, strides, shortcut', [('same', 1, False), (3, 1, True), (3, 2, True)])
def test_blocks_against_numpy(make, inputs, strides, shortcut, frozen, training):
    inputs = make.EXPANSION * 2 if inputs == 'same' else inputs
    block = draw(make(inputs, 2, KEY, strides=strides, frozen=frozen, epsilon=EPSILON))
    assert (block.shortcut is not None) == shortcut
    x = np.random.default_rng(1).normal(size=(3, 7, 4, inputs))
    expected = np_block(x, block, training)
    assert expected.shape == (3, -(-7 // strides), -(-4 // strides), 2 * make.EXPANSION)
    assert 0.1 < (expected > 0).mean() <= 1 and expected.std() > 0.1
    y = block(tf.constant(x, tf.float32), training=training)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_a_bottleneck_halves_in_its_first_convolution():
    block = residual.Bottleneck(8, 2, KEY, strides=2)
    assert [(tuple(c.kernel.shape), c.strides) for c in block.convs] == [
        ((1, 1, 8, 2), 2), ((3, 3, 2, 2), 1), ((1, 1, 2, 8), 1)]
    assert tuple(block.shortcut.kernel.shape) == (1, 1, 8, 8) and block.shortcut.strides == 2


def test_gradients_of_a_frozen_norm_are_those_of_a_norm_with_these_statistics():
    free = draw(residual.Bottleneck(3, 2, KEY, frozen=False, epsilon=EPSILON))
    frozen = residual.Bottleneck(3, 2, KEY, frozen=True)
    for one, other in zip([*frozen.convs, frozen.shortcut], [*free.convs, free.shortcut]):
        norm = other.norm
        scale = norm.gamma / tf.sqrt(norm.moving_variance + EPSILON)
        one.kernel.assign(other.kernel)
        one.scale.assign(scale)
        one.shift.assign(norm.beta - scale * norm.moving_mean)
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 4, 3)), tf.float32)
    results = []
    for block in (frozen, free):
        kernels = [v for v in block.trainable_variables if 'kernel' in v.name]
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(block(x, training=False)))
        results.append(tape.gradient(loss, [x, *kernels]))
        assert len(kernels) == 4
    assert len(frozen.trainable_variables) == 4 and len(free.trainable_variables) == 12
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('frozen', [False, True])
def test_weights_from_keras(frozen):
    rng = np.random.default_rng(0)
    conv = residual.ConvNorm(3, 4, 3, KEY, relu=False, frozen=frozen, epsilon=EPSILON)
    tensors = {name: rng.uniform(0.5, 1.5, shape) for _, name, shape in conv.keras_tensors()}
    assert sorted(tensors) == ['beta', 'bias', 'gamma', 'kernel', 'moving_mean', 'moving_variance']
    for variable, value in conv.from_keras(tensors):
        variable.assign(value)
    x = rng.normal(size=(2, 4, 5, 3))
    y = np_conv(x, tensors['kernel'], 1) + tensors['bias']
    expected = ((y - tensors['moving_mean']) / np.sqrt(tensors['moving_variance'] + EPSILON)
                * tensors['gamma'] + tensors['beta'])
    np.testing.assert_allclose(conv(tf.constant(x, tf.float32)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('frozen', [False, True])
def test_in_bfloat16_products_are_and_weights_are_not(frozen):
    block = draw(residual.BasicBlock(3, 2, KEY, frozen=frozen))
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 4, 3)), tf.float32)
    y = block(tf.cast(x, tf.bfloat16))
    assert y.dtype == tf.bfloat16 and {v.dtype for v in block.variables} == {tf.float32}
    np.testing.assert_allclose(tf.cast(y, tf.float32), block(x), rtol=0.05, atol=0.1)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
