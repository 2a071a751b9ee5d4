import numpy as np
import pytest
import tensorflow as tf

from official.modeling import normalization
from tests import conformance

EPSILON = 1e-3


def _arrays(seed=0, shared=False):
    rng = np.random.default_rng(seed)
    rows = 1 if shared else 8
    return (
        rng.normal(2, 3, (8, 3, 2, 5)),
        rng.normal(1, 0.5, (rows, 5)),
        rng.normal(size=(rows, 5)),
        rng.normal(size=(8, 3, 2, 5)),
    )


def _reference(x, gain, shift):
    normalized = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + EPSILON)
    return gain[:, np.newaxis, np.newaxis] * normalized + shift[:, np.newaxis, np.newaxis]


@pytest.mark.parametrize('shared', [False, True])
def test_values_and_gradients_against_numpy(shared):
    x, gain, shift, direction = _arrays(shared=shared)
    tensors = [tf.constant(value, tf.float32) for value in (x, gain, shift)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y, mean, variance = normalization.batch_norm(*tensors, EPSILON)
        loss = tf.reduce_sum(y * direction.astype(np.float32))
    np.testing.assert_allclose(y, _reference(x, gain, shift), atol=1e-5)
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var((0, 1, 2)), rtol=1e-5)

    def cost(*values):
        return np.sum(_reference(*values) * direction)

    values = [x, gain, shift]
    rng = np.random.default_rng(1)
    for number, gradient in enumerate(tape.gradient(loss, tensors)):
        # Differences in float64 along some directions.
        for _ in range(5):
            step = rng.normal(size=values[number].shape)
            ends = []
            for sign in (1, -1):
                moved = list(values)
                moved[number] = moved[number] + sign * 1e-5 * step
                ends.append(cost(*moved))
            assert np.sum(gradient * step) == pytest.approx(
                (ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-3
            )


def test_two_devices_normalize_over_the_global_batch_with_its_gradient():
    x, gain, shift, direction = (value.astype(np.float32) for value in _arrays())

    def cost_and_gradients(x, gain, shift, direction):
        with tf.GradientTape() as tape:
            tape.watch([x, gain, shift])
            y, mean, variance = normalization.batch_norm(x, gain, shift, EPSILON)
            loss = tf.reduce_sum(y * direction)
        return [y, *tape.gradient(loss, [x, gain, shift])], [mean, variance]

    whole, statistics = cost_and_gradients(
        *(tf.constant(value) for value in (x, gain, shift, direction))
    )
    strategy = conformance.two_devices()
    parts = [
        strategy.experimental_distribute_values_from_function(
            lambda context, value=value: tf.constant(
                value[4 * context.replica_id_in_sync_group :][:4]
            )
        )
        for value in (x, gain, shift, direction)
    ]
    halves, both = tf.function(lambda: strategy.run(cost_and_gradients, args=parts))()
    for one, half in zip(whole, halves, strict=True):
        np.testing.assert_allclose(
            np.concatenate(strategy.experimental_local_results(half)), one, atol=1e-5
        )
    for one, each in zip(statistics, both, strict=True):
        for value in strategy.experimental_local_results(each):
            np.testing.assert_allclose(value, one, rtol=1e-5)


def test_training_moves_the_averages_and_freezing_does_not():
    x = tf.constant(_arrays()[0], tf.float32)
    layer = normalization.BatchNorm(5, epsilon=EPSILON, decay=0.9)
    layer.gamma.assign([1, 2, 3, 4, 5])
    layer.beta.assign([0, 1, 0, 1, 0])
    frozen = layer(x, training=True, frozen=True)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(5))
    trained = layer(x, training=True)
    np.testing.assert_array_equal(trained, frozen)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.numpy().mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 + 0.1 * x.numpy().var((0, 1, 2)), rtol=1e-5
    )
    # Outside training: by hand with these averages.
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    expected = (x.numpy() - mean) / np.sqrt(variance + EPSILON) * [1, 2, 3, 4, 5] + [0, 1, 0, 1, 0]
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


def test_xla_and_bfloat16():
    values = [tf.constant(value, tf.float32) for value in _arrays()[:3]]
    plain = normalization.batch_norm(*values, EPSILON)[0]
    compiled = tf.function(lambda *v: normalization.batch_norm(*v, EPSILON)[0], jit_compile=True)(
        *values
    )
    np.testing.assert_allclose(compiled, plain, atol=1e-5)
    low, mean, _ = normalization.batch_norm(tf.cast(values[0], tf.bfloat16), *values[1:], EPSILON)
    assert low.dtype == tf.bfloat16 and mean.dtype == tf.float32
    np.testing.assert_allclose(tf.cast(low, tf.float32), plain, atol=0.1)
