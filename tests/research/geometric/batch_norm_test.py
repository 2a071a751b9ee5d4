import numpy as np
import tensorflow as tf

from research.geometric import batch_norm
from tests import conformance
from tests.research.geometric import checks

MASK = np.array([True, False, True, True, False, True])


def reference(x, gamma, beta, epsilon=1e-5):
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + epsilon) + beta


def test_formula_over_real_nodes():
    x = 3 * checks.features() + 1
    layer = batch_norm.NodeBatchNorm()
    layer(x)
    layer.gamma.assign([0.5, 2.0, -1.0])
    layer.beta.assign([0.0, 1.0, 2.0])
    real = x[MASK].astype(np.float64)
    expected = reference(real, [0.5, 2.0, -1.0], [0.0, 1.0, 2.0])
    x[1], x[4] = 1e6, np.inf  # Whatever is in padding, it does not count.
    out = layer(x, MASK, training=True)
    np.testing.assert_allclose(out.numpy()[MASK], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.mean, 0.1 * real.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.variance, 0.9 + 0.1 * real.var(0), rtol=1e-5)
    # With the statistics that were gathered, and no others.
    used = layer(real.astype(np.float32)).numpy()
    by_hand = (real - 0.1 * real.mean(0)) / np.sqrt(0.9 + 0.1 * real.var(0) + 1e-5)
    np.testing.assert_allclose(
        used, by_hand * [0.5, 2.0, -1.0] + [0.0, 1.0, 2.0], rtol=1e-4, atol=1e-5
    )


def test_gradients():
    x = checks.features()
    layer = batch_norm.NodeBatchNorm()
    layer(x)
    weight = np.random.default_rng(0).normal(size=(4, 3))
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        out = tf.boolean_mask(layer(variable, MASK, training=True), MASK)
        loss = tf.reduce_sum(out * weight.astype(np.float32))
    gradient = tape.gradient(loss, variable).numpy()
    expected = checks.numerical_gradient(
        lambda real: np.sum(weight * reference(real, 1, 0)), x[MASK].astype(np.float64)
    )
    np.testing.assert_allclose(gradient[MASK], expected, rtol=2e-3, atol=2e-4)
    assert np.all(gradient[~MASK] == 0)


def test_replicas_with_different_numbers_of_nodes_make_one_batch():
    strategy = conformance.two_devices()
    x = checks.features(7)
    with strategy.scope():
        layer = batch_norm.NodeBatchNorm()
        layer.build([None, 3])
    padded = np.concatenate([x[2:], np.full([1, 3], 9.0)])
    parts = [tf.constant(x[:2]), tf.constant(padded, tf.float32)]
    masks = [tf.constant([True, True]), tf.constant([True] * 5 + [False])]

    @tf.function
    def run(values, masks):
        return strategy.run(lambda v, m: layer(v, m, training=True), args=(values, masks))

    def per_replica(tensors):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tensors[context.replica_id_in_sync_group]
        )

    out = strategy.experimental_local_results(run(per_replica(parts), per_replica(masks)))
    real = np.concatenate([out[0].numpy(), out[1].numpy()[:5]])
    np.testing.assert_allclose(real, reference(x.astype(np.float64), 1, 0), rtol=1e-4, atol=1e-5)
    for replica in strategy.experimental_local_results(layer.mean):
        np.testing.assert_allclose(replica, 0.1 * x.mean(0), rtol=1e-4, atol=1e-6)


def test_no_nodes():
    layer = batch_norm.NodeBatchNorm()
    out = layer(tf.zeros([2, 3]), tf.constant([False, False]), training=True)
    assert np.isfinite(out).all() and np.isfinite(layer.variance).all()
