"""Packed entries and their places."""

import numpy as np
import pytest
import tensorflow as tf

from research.match_rcnn import packing

REAL = np.random.default_rng(0).uniform(size=(3, 20)) < 0.3
VALUES = np.arange(3 * 20 * 2, dtype=np.float32).reshape(3, 20, 2) + 1


def _results(real, values):
    packed = packing.Packed(real)
    taken = packed.take(values)
    return taken, packed.images, packed.put(taken), packed.places(tf.range(60))


@pytest.mark.parametrize('compiled', [False, True])
def test_every_real_entry_is_taken_and_put_back(compiled):
    taken, images, back, places = tf.function(_results, jit_compile=compiled)(
        tf.constant(REAL), tf.constant(VALUES)
    )
    rows, columns = np.where(REAL)
    np.testing.assert_array_equal(back.numpy()[REAL], VALUES[REAL])
    for row, column in zip(rows, columns, strict=True):
        place = places[20 * row + column]
        np.testing.assert_array_equal(taken[place], VALUES[row, column])
        assert images[place] == row
    count = int(REAL.sum())
    # Rounded up to a multiple of 8, but for XLA all.
    assert len(taken) == (60 if compiled else -(-count // 8) * 8)


@pytest.mark.parametrize('real', [np.zeros([2, 3], bool), np.ones([2, 3], bool)])
def test_nothing_and_all(real):
    packed = packing.Packed(tf.constant(real))
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    back = packed.put(packed.take(tf.constant(values)))
    np.testing.assert_array_equal(back.numpy()[real], values[real])
    assert packed.take(tf.constant(values)).shape[0] == 6  # There are no more.


def test_gradients_go_to_the_real_entries():
    values = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(values)
        packed = packing.Packed(tf.constant(REAL))
        y = packed.put(packed.take(values)) * tf.cast(REAL, tf.float32)[..., tf.newaxis]
        loss = tf.reduce_sum(tf.square(y))
    expected = 2 * VALUES * REAL[..., np.newaxis]
    np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(loss, values)), expected)
