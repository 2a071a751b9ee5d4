import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import kernel_sums
from tests.research.geometric import checks

KERNELS, NODES, EDGES, CHANNELS = 3, 5, 8, 2
IDS = np.array([0, 4, 4, 1, 2, 0, 2, 2], np.int32)  # Node 3 has no edge.


def mix(values, coefficients):
    out = np.zeros((len(coefficients), values.shape[-1]))
    for edge, kernel in np.ndindex(*coefficients.shape):
        out[edge] += coefficients[edge, kernel] * values[kernel, IDS[edge]]
    return out


def spread(values, coefficients):
    out = np.zeros((coefficients.shape[1], NODES, values.shape[-1]))
    for edge, kernel in np.ndindex(*coefficients.shape):
        out[kernel, IDS[edge]] += coefficients[edge, kernel] * values[edge]
    return out


CASES = [
    (kernel_sums.mix, mix, (KERNELS, NODES, CHANNELS)),
    (lambda *a: kernel_sums.spread(*a, NODES), spread, (EDGES, CHANNELS)),
]


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('function,reference,shape', CASES)
def test_sums_and_gradients(function, reference, shape, jit):
    random = np.random.default_rng(0)
    values, coefficients = random.normal(size=shape), random.normal(size=(EDGES, KERNELS))

    @tf.function(jit_compile=jit)
    def both(values, coefficients):
        with tf.GradientTape() as tape:
            tape.watch([values, coefficients])
            out = function(values, coefficients, IDS)
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return out, tape.gradient(loss, [values, coefficients])

    out, gradients = both(*(tf.constant(a, tf.float32) for a in (values, coefficients)))
    np.testing.assert_allclose(out, reference(values, coefficients), rtol=1e-5, atol=1e-6)
    loss = lambda *a: np.sum(reference(*a) * checks.weighted(out))
    np.testing.assert_allclose(
        gradients[0], checks.numerical_gradient(lambda v: loss(v, coefficients), values), 1e-4, 1e-4
    )
    np.testing.assert_allclose(
        gradients[1], checks.numerical_gradient(lambda c: loss(values, c), coefficients), 1e-4, 1e-4
    )


@pytest.mark.parametrize('function,reference,shape', CASES)
def test_second_gradients(function, reference, shape):
    # Of f linear in each argument, d/dv sum_e (df/dc . w)_e = the gradient of f(v, w) by v.
    random = np.random.default_rng(0)
    values, coefficients, weights = (
        tf.constant(random.normal(size=s), tf.float32)
        for s in (shape, (EDGES, KERNELS), (EDGES, KERNELS))
    )
    with tf.GradientTape() as outer:
        outer.watch(values)
        with tf.GradientTape() as inner:
            inner.watch(coefficients)
            total = tf.reduce_sum(function(values, coefficients, IDS))
        loss = tf.reduce_sum(inner.gradient(total, coefficients) * weights)
    with tf.GradientTape() as tape:
        tape.watch(values)
        direct = tf.reduce_sum(function(values, weights, IDS))
    np.testing.assert_allclose(
        outer.gradient(loss, values), tape.gradient(direct, values), rtol=1e-5, atol=1e-6
    )
