import time

import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import ordering


def both(function, *arguments):
    """The result without and with XLA, which must be equal."""
    arguments = [tf.convert_to_tensor(a) for a in arguments]
    plain = function(*arguments)
    np.testing.assert_array_equal(tf.function(function, jit_compile=True)(*arguments), plain)
    return plain


def test_lexsort():
    random = np.random.default_rng(0)
    low = random.integers(0, 3, 200).astype(np.float32)
    low[low == 0] *= random.choice([-1, 1], np.sum(low == 0))  # 0 and -0.
    signed = random.integers(-2, 2, 200).astype(np.int32)
    extreme = random.choice([np.iinfo(np.int32).min, -1, 0, np.iinfo(np.int32).max], 200)
    extreme = extreme.astype(np.int32)
    assert np.signbit(low).any()
    for keys in ([low], [signed], [extreme], [low, signed], [signed, low], [low, signed, extreme]):
        np.testing.assert_array_equal(
            both(lambda *keys: ordering.lexsort(keys), *keys), np.lexsort(keys)
        )


@pytest.mark.parametrize('size', [0, 1, 32, 33, 64, 1000, 5000])
def test_cumsum(size):
    values = np.random.default_rng(0).integers(-5, 6, size).astype(np.int32)
    np.testing.assert_array_equal(both(ordering.cumsum, values), np.cumsum(values))
    free = tf.function(ordering.cumsum, input_signature=[tf.TensorSpec([None], tf.int32)])
    np.testing.assert_array_equal(free(values), np.cumsum(values))


def test_cumsum_of_many():
    """With as many steps as the square it would take minutes."""
    values = tf.ones([500_000], tf.int32)
    start = time.monotonic()
    total = tf.function(lambda x: ordering.cumsum(x)[-1], jit_compile=True)(values)
    assert total == 500_000 and time.monotonic() - start < 20


def test_number():
    rows = np.array([[0, 1], [0, 1], [0, 2], [3, 2], [3, 2]], np.int32)
    np.testing.assert_array_equal(both(ordering.number, rows), [0, 0, 1, 2, 2])
    assert ordering.number(tf.zeros([0, 2])).shape == [0]


def test_rank_in_graph():
    random = np.random.default_rng(0)
    batch = random.integers(-1, 5, 60).astype(np.int32)
    batch[batch == 3] = 4  # Graph 3 has no node.
    key = random.integers(0, 4, 60).astype(np.float32)
    for keys in ([], [key]):
        expected = np.zeros(60, int)
        for graph in range(-1, 5):
            nodes = np.flatnonzero(batch == graph)
            if keys:
                nodes = sorted(nodes, key=lambda node: (key[node], node))
            expected[nodes] = range(len(nodes))
        found = both(lambda batch, *keys: ordering.rank_in_graph(batch, 5, keys), batch, *keys)
        np.testing.assert_array_equal(found, expected)
