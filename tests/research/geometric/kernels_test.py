import numpy as np
import pytest
import tensorflow as tf

from research.geometric import kernels


@pytest.mark.parametrize(
    'initializer',
    [tf.keras.initializers.GlorotUniform(), tf.keras.initializers.GlorotUniform(seed=3)],
)
def test_each_is_drawn_as_if_alone(initializer):
    drawn = kernels.each(initializer)([5, 200, 100], tf.float32).numpy()
    # Uniform up to sqrt(6 / (200 + 100)), and no two alike.
    np.testing.assert_allclose(np.abs(drawn).max((1, 2)), np.sqrt(6 / 300), rtol=1e-3)
    assert np.abs(np.corrcoef(drawn.reshape(5, -1)) - np.eye(5)).max() < 0.03


def test_seeds_and_functions():
    seeded = tf.keras.initializers.RandomNormal(stddev=0.1, seed=3)
    one, same = (kernels.another(seeded, 2)([4]).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (kernels.another(seeded, 1)([4]).numpy() != one).all()
    assert kernels.another(seeded).stddev == 0.1
    tf.keras.utils.set_random_seed(1)
    one = kernels.each(tf.keras.initializers.GlorotNormal())([2, 3, 4]).numpy()
    tf.keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(
        kernels.each(tf.keras.initializers.GlorotNormal())([2, 3, 4]), one
    )
    function = lambda shape, dtype=None: tf.fill(shape, 7.0)
    assert kernels.another(function) is function
    np.testing.assert_array_equal(kernels.each(function)([2, 1, 1]), [[[7]], [[7]]])


def test_side_by_side_is_one_product_for_all():
    random = np.random.default_rng(0)
    x, matrices = random.normal(size=(6, 3)), random.normal(size=(4, 3, 2))
    together = x @ kernels.side_by_side(tf.constant(matrices)).numpy()
    np.testing.assert_allclose(together, np.concatenate([x @ m for m in matrices], axis=1))
