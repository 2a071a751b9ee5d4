import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from official.vision import residual
from tests.official.vision import numpy_residual

EPSILON = numpy_residual.EPSILON


def first_key():
    # Not when this is imported: TensorFlow would run before others have set it up.
    return random.make_key(5)


@pytest.mark.parametrize('frozen, training', [(True, True), (False, False), (False, True)])
@pytest.mark.parametrize('make', [residual.Bottleneck, residual.BasicBlock])
@pytest.mark.parametrize(
    'inputs, strides, shortcut', [('same', 1, False), (3, 1, True), (3, 2, True)]
)
def test_blocks_against_numpy(make, inputs, strides, shortcut, frozen, training):
    inputs = make.EXPANSION * 2 if inputs == 'same' else inputs
    block = numpy_residual.draw(
        make(inputs, 2, first_key(), strides=strides, frozen=frozen, epsilon=EPSILON)
    )
    assert (block.shortcut is not None) == shortcut
    x = np.random.default_rng(1).normal(size=(3, 7, 4, inputs))
    expected = numpy_residual.block(x, block, training)
    assert expected.shape == (3, -(-7 // strides), -(-4 // strides), 2 * make.EXPANSION)
    assert 0.1 < (expected > 0).mean() <= 1 and expected.std() > 0.1
    y = block(tf.constant(x, tf.float32), training=training)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_a_bottleneck_halves_in_its_first_convolution():
    block = residual.Bottleneck(8, 2, first_key(), strides=2)
    assert [(tuple(c.kernel.shape), c.strides) for c in block.convs] == [
        ((1, 1, 8, 2), 2),
        ((3, 3, 2, 2), 1),
        ((1, 1, 2, 8), 1),
    ]
    assert tuple(block.shortcut.kernel.shape) == (1, 1, 8, 8) and block.shortcut.strides == 2


def test_gradients_of_a_frozen_norm_are_those_of_a_norm_with_these_statistics():
    free = numpy_residual.draw(
        residual.Bottleneck(3, 2, first_key(), frozen=False, epsilon=EPSILON)
    )
    frozen = residual.Bottleneck(3, 2, first_key(), frozen=True)
    for one, other in zip(
        [*frozen.convs, frozen.shortcut], [*free.convs, free.shortcut], strict=True
    ):
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
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('frozen', [False, True])
def test_weights_from_keras(frozen):
    rng = np.random.default_rng(0)
    conv = residual.ConvNorm(3, 4, 3, first_key(), relu=False, frozen=frozen, epsilon=EPSILON)
    tensors = {name: rng.uniform(0.5, 1.5, shape) for _, name, shape in conv.keras_tensors()}
    assert sorted(tensors) == ['beta', 'bias', 'gamma', 'kernel', 'moving_mean', 'moving_variance']
    for variable, value in conv.from_keras(tensors):
        variable.assign(value)
    x = rng.normal(size=(2, 4, 5, 3))
    y = numpy_residual.conv(x, tensors['kernel'], 1) + tensors['bias']
    expected = (y - tensors['moving_mean']) / np.sqrt(
        tensors['moving_variance'] + EPSILON
    ) * tensors['gamma'] + tensors['beta']
    np.testing.assert_allclose(conv(tf.constant(x, tf.float32)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('frozen', [False, True])
def test_in_bfloat16_products_are_and_weights_are_not(frozen):
    block = numpy_residual.draw(residual.BasicBlock(3, 2, first_key(), frozen=frozen))
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 4, 3)), tf.float32)
    y = block(tf.cast(x, tf.bfloat16))
    assert y.dtype == tf.bfloat16 and {v.dtype for v in block.variables} == {tf.float32}
    np.testing.assert_allclose(tf.cast(y, tf.float32), block(x), rtol=0.05, atol=0.1)
