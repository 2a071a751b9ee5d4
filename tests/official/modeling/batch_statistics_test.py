import numpy as np
import pytest
import tensorflow as tf

from official.modeling import batch_statistics
from tests import conformance


@pytest.mark.parametrize('shape', [(8, 3), (4, 5, 6, 3)])
def test_normalize_against_numpy(shape):
    x = np.random.default_rng(0).normal(3.0, 2.0, shape)
    result = batch_statistics.normalize(tf.constant(x, tf.float32), 1e-3)
    flat = x.reshape(-1, shape[-1])
    np.testing.assert_allclose(result.mean, flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(result.variance, flat.var(0), rtol=1e-5)
    np.testing.assert_allclose(
        result.z, (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3), atol=1e-5
    )


def test_two_devices_normalize_over_the_global_batch_with_its_gradient():
    rng = np.random.default_rng(1)
    x, direction = rng.normal(size=(2, 8, 3)).astype(np.float32)

    def cost_and_gradient(x, direction):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = batch_statistics.normalize(x, 1e-3)
            # All three outputs take part; the second and third as on every replica alike.
            cost = (
                tf.reduce_sum(result.z * direction)
                + (tf.reduce_sum(result.mean) + tf.reduce_sum(result.variance**2)) * len(x) / 8
            )
        return result, cost, tape.gradient(cost, x)

    whole, cost, gradient = cost_and_gradient(tf.constant(x), direction)
    strategy = conformance.two_devices()
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[4 * context.replica_id_in_sync_group :][:4])
    )
    directions = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(direction[4 * context.replica_id_in_sync_group :][:4])
    )
    parts, costs, gradients = tf.function(
        lambda: strategy.run(cost_and_gradient, args=(halves, directions))
    )()
    unite = lambda value: np.concatenate(
        [part.numpy() for part in strategy.experimental_local_results(value)]
    )
    np.testing.assert_allclose(unite(parts.z), whole.z, atol=1e-5)
    for part in strategy.experimental_local_results(parts.variance):
        np.testing.assert_allclose(part, whole.variance, rtol=1e-5)
    np.testing.assert_allclose(
        strategy.reduce(tf.distribute.ReduceOp.SUM, costs, axis=None), cost, rtol=1e-5
    )
    np.testing.assert_allclose(unite(gradients), gradient, atol=1e-5)


def test_global_batch_size_and_gather():
    x = tf.reshape(tf.range(6.0), [6, 1])
    assert batch_statistics.global_batch_size(x) == 6
    strategy = conformance.two_devices()

    def gather():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        part = x[:3] + 3.0 * tf.cast(replica, tf.float32)
        assert batch_statistics.global_batch_size(part) == 6
        return batch_statistics.gather(part)

    for value in strategy.experimental_local_results(tf.function(lambda: strategy.run(gather))()):
        np.testing.assert_array_equal(value, x)
