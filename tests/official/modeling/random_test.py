import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from official.modeling import random


def test_a_step_draws_the_same_numbers_again_and_other_steps_and_seeds_draw_others():
    def draw(seed, step):
        return random.normal(random.step_key(seed, step), [4, 3]).numpy()

    np.testing.assert_array_equal(draw(1, 5), draw(1, 5))
    others = [draw(1, 6), draw(2, 5), draw(1 + (1 << 40), 5)]
    for i, one in enumerate([draw(1, 5), *others]):
        for other in others[i:]:
            assert not np.any(one == other)


def test_a_shard_draws_the_same_numbers_whoever_draws_them():
    two = random.step_key(3, 7, shards=2)
    assert two.shape == (2, 2)
    together = random.normal(random.fold_in(two, 4), [6, 2], 0.5)
    apart = [random.normal(random.fold_in(two[i : i + 1], 4), [3, 2], 0.5) for i in range(2)]
    np.testing.assert_array_equal(together, tf.concat(apart, 0))
    assert not np.any(apart[0].numpy() == apart[1].numpy())


def test_xla_draws_the_same_numbers():
    def draw(step):
        key = random.fold_in(random.step_key(1, step, shards=2), 3)
        return random.normal(key, [8, 5]), random.uniform(key, [8, 5], -2.0, 1.0)

    plain = tf.function(draw)(tf.constant(9))
    compiled = tf.function(draw, jit_compile=True)(tf.constant(9))
    # XLA's logarithm and cosine differ in the last bits.
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_moments():
    key = random.make_key(0)
    noise = random.normal(key, [200_000], 0.3).numpy()
    # Standard errors: 0.3 / sqrt(n) of the mean, 0.3 / sqrt(2 n) of the standard deviation.
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(len(noise))
    assert abs(noise.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * len(noise))
    flat = random.uniform(key, [200_000], -1.0, 3.0).numpy()
    assert flat.min() >= -1 and flat.max() < 3
    assert abs(flat.mean() - 1) < 5 * 4 / np.sqrt(12 * len(flat))


def test_distributions():
    """Kolmogorov and Smirnov's distance, and what is drawn in pairs is independent."""
    key, count = random.make_key(3), 200_000
    noise = random.normal(key, [2, count // 2], 0.3).numpy()
    for sample, distribution in (
        (noise.ravel() / 0.3, 'norm'),
        (random.uniform(key, [count]).numpy(), 'uniform'),
    ):
        # 1.95 / sqrt(n) is passed once in a thousand samples.
        assert scipy.stats.kstest(sample, distribution).statistic < 1.95 / count**0.5
    for one, other in (noise, noise**2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / (count // 2) ** 0.5


def test_a_folded_key_depends_on_the_key_and_on_the_number():
    keys = [random.fold_in(random.make_key(seed), number) for seed in (0, 1) for number in (0, 1)]
    assert len({tuple(key.numpy().ravel()) for key in keys}) == 4


def test_dropout_keeps_the_expectation():
    x = tf.ones([100_000])
    dropped = random.dropout(random.make_key(1), x, 0.2).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(1.25)}
    assert abs((dropped == 0).mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / len(dropped))
    assert random.dropout(random.make_key(1), x, 0.0) is x


@pytest.mark.parametrize('rate', [-0.1, 1.0])
def test_dropout_rate_outside_its_range(rate):
    with pytest.raises(ValueError, match=f'rate = {rate}'):
        random.dropout(random.make_key(0), tf.ones([2]), rate)


def test_a_batch_that_does_not_divide_into_shards():
    with pytest.raises(ValueError, match='5 examples cannot be divided into 2 shards'):
        random.normal(random.step_key(0, 0, shards=2), [5, 1])


def test_shards_of_a_shape_that_is_not_known_before():
    keys = random.step_key(3, 7, shards=2)
    draw = tf.function(
        lambda x: random.normal(keys, tf.shape(x), 0.5), input_signature=[tf.TensorSpec([None, 3])]
    )
    noise = draw(tf.ones([6, 3]))
    np.testing.assert_allclose(noise, random.normal(keys, [6, 3], 0.5), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match='cannot be divided into 2 shards'):
        draw(tf.ones([5, 3]))


def test_a_seed_in_a_variable_gives_the_same_keys():
    for seed in (0, 5, 1 << 31, (1 << 40) + 3):
        variable = tf.Variable(seed, dtype=tf.int64)
        np.testing.assert_array_equal(random.make_key(seed), random.make_key(variable))
        np.testing.assert_array_equal(
            random.step_key(seed, 4, shards=2), random.step_key(variable, 4, shards=2)
        )


@pytest.mark.parametrize('rate', [0.1, 0.5, 0.6, 0.75, 1 - 1e-6])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_dropout_keeps_bytes_that_are_at_least_the_rate(rate, jit_compile):
    key, x = random.make_key(2), tf.ones([333, 3])
    bits = tf.random.stateless_uniform(
        [500], key[0], minval=None, maxval=None, dtype=tf.int32, alg='philox'
    ).numpy()
    draws = bits.view(np.uint8) / 2**8 if rate in (0.5, 0.75) else bits.view(np.uint16) / 2**16
    expected = (draws[:999].reshape(333, 3) >= rate) / (1 - rate)
    kept = tf.function(random.dropout, jit_compile=jit_compile)(key, x, rate)
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_dropout_of_two_shards_is_that_of_each():
    keys, x = random.step_key(2, 3, shards=2), tf.ones([34, 3])
    parts = [random.dropout(keys[i : i + 1], x[:17], 0.5) for i in range(2)]
    np.testing.assert_array_equal(random.dropout(keys, x, 0.5), tf.concat(parts, axis=0))


def test_shapes_that_are_not_known_before():
    key = random.make_key(1)

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def draw(x):
        return random.dropout(key, x, 0.5), random.normal(key, tf.shape(x))

    x = tf.ones([7, 3])
    dropped, noise = draw(x)
    np.testing.assert_array_equal(dropped, random.dropout(key, x, 0.5))
    np.testing.assert_allclose(noise, random.normal(key, [7, 3]), rtol=1e-6)


@pytest.mark.parametrize('shape', [(3, 3, 8, 6), (12, 10), (2, 30), (7, 7), (200, 20)])
def test_orthogonal(shape):
    key = random.make_key(5)
    weights = random.orthogonal(key, shape)
    assert weights.shape == shape and weights.dtype == np.float32
    rows, columns = np.prod(shape[:-1]), shape[-1]
    matrix = weights.reshape(rows, columns)
    if rows < columns:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=2e-6)
    # Q of the normal matrix of this key: Q^T A is upper triangular with a positive diagonal.
    drawn = random.normal(key, matrix.shape).numpy()
    r = matrix.T @ drawn
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=2e-5)
    assert np.all(np.diag(r) > 0)


def test_glorot_normal():
    weights = random.glorot_normal(random.make_key(0), (300, 500)).numpy()
    assert weights.std() == pytest.approx((2 / 800) ** 0.5, rel=0.01)
    assert abs(weights.mean()) < 1e-3


@pytest.mark.parametrize('initializer, gain', [(random.he_normal, 2), (random.lecun_normal, 1)])
def test_normal_by_the_inputs(initializer, gain):
    weights = initializer(random.make_key(0), (3, 5, 20, 500)).numpy()
    # Five standard errors.
    assert weights.std() == pytest.approx((gain / 300) ** 0.5, rel=5 / (2 * weights.size) ** 0.5)
    assert abs(weights.mean()) < 5 * (gain / 300 / weights.size) ** 0.5
    assert np.abs(weights).max() > 3 * (gain / 300) ** 0.5  # Not truncated at two.
