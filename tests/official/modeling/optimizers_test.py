import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers


def numpy_adam(weights, gradients, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, Algorithm 1, in the order of the end of Sec. 2 ("epsilon hat")."""
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, gradient in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient ** 2
        step = rate * np.sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)
        weights = weights - step * m / (np.sqrt(v) + epsilon)
    return weights


@pytest.mark.parametrize('jit', [False, True])
def test_fused_adam_against_numpy(jit):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, 3))
    gradients = rng.normal(size=(10, 7, 3)) * 10.0 ** rng.uniform(-6, 1, size=(10, 7, 3))
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = optimizers.FusedAdam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-4)
    optimizer.build([variable])
    apply = tf.function(lambda g: optimizer.apply_gradients([(g, variable)]), jit_compile=jit)
    for gradient in gradients:
        apply(tf.constant(gradient, tf.float32))
    expected = numpy_adam(start, gradients, 0.01, 0.8, 0.99, 1e-4)
    np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_fused_adam_on_sparse_gradients_touches_the_same_rows():
    variable = tf.Variable(tf.ones([4, 2]))
    optimizer = optimizers.FusedAdam(0.1)
    optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), tf.constant([2])), variable)])
    expected = np.ones((4, 2))
    expected[2] -= 0.1
    np.testing.assert_allclose(variable, expected, atol=1e-6)


def numpy_centred_rmsprop(weights, gradients, rate, rho, epsilon):
    """Graves 2013, Eqs. 38-41 without momentum, as Mnih et al. 2015 has it."""
    g, n = np.zeros_like(weights), np.zeros_like(weights)
    for gradient in gradients:
        g = rho * g + (1 - rho) * gradient
        n = rho * n + (1 - rho) * gradient ** 2
        weights = weights - rate * gradient / np.sqrt(n - g ** 2 + epsilon)
    return weights


@pytest.mark.parametrize('jit', [False, True])
def test_centred_rmsprop_against_numpy_and_keras(jit):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, 3))
    gradients = rng.normal(size=(10, 7, 3)) * 10.0 ** rng.uniform(-6, 1, size=(10, 7, 3))
    expected = numpy_centred_rmsprop(start, gradients, 0.01, 0.9, 1e-3)
    for optimizer in (
            optimizers.CentredRMSProp(0.01, rho=0.9, epsilon=1e-3),
            tf.keras.optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-3, centered=True)):
        variable = tf.Variable(start, dtype=tf.float32)
        optimizer.build([variable])
        apply = tf.function(lambda g: optimizer.apply_gradients([(g, variable)]), jit_compile=jit)
        for gradient in gradients:
            apply(tf.constant(gradient, tf.float32))
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_centred_rmsprop_defaults_are_the_papers():
    optimizer = optimizers.CentredRMSProp()
    assert float(optimizer.learning_rate) == pytest.approx(0.00025)
    assert optimizer.rho == 0.95
    # 0.01 for a sum over 32 gradients is this for their mean.
    assert optimizer.epsilon * 32 ** 2 == pytest.approx(0.01)
    copy = optimizers.CentredRMSProp.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()


def test_from_config():
    optimizer = optimizers.FusedAdam(0.01, beta_1=0.5, global_clipnorm=3.0)
    copy = optimizers.FusedAdam.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert copy.beta_1 == 0.5 and copy.global_clipnorm == 3.0


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
