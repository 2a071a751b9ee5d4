"""Tests of research.geometric.transforms.augment_tf."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric.transforms import augment_tf

POINTS = np.random.default_rng(0).normal(size=(64, 10, 3)).astype(np.float32)
KEY = np.array([[3, 0]], np.int32)  # random.make_key(3), without waking TensorFlow up.
ALL = (augment_tf.rotate, augment_tf.scale, augment_tf.flip, augment_tf.jitter)


@pytest.mark.parametrize('function', ALL)
def test_draws_depend_on_the_key_alone_and_xla_agrees(function):
    one = function(POINTS, KEY).numpy()
    np.testing.assert_array_equal(function(POINTS, KEY), one)
    assert np.abs(function(POINTS, random.fold_in(KEY, 1)) - one).max() > 1e-3
    compiled = tf.function(function, jit_compile=True)(POINTS, KEY).numpy()
    np.testing.assert_allclose(compiled, one, rtol=1e-5, atol=1e-6)
    # Two shards on one device draw what two devices do.
    keys = tf.concat([KEY, random.fold_in(KEY, 7)], axis=0)
    halves = [function(POINTS[:32], keys[:1]), function(POINTS[32:], keys[1:])]
    np.testing.assert_array_equal(function(POINTS, keys), np.concatenate(halves))


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_rotate(axis):
    turned = augment_tf.rotate(POINTS, KEY, 90, axis).numpy()
    np.testing.assert_array_equal(turned[..., axis], POINTS[..., axis])
    first, second = (axis + 1) % 3, (axis + 2) % 3
    before = POINTS[..., first] + 1j * POINTS[..., second]
    after = turned[..., first] + 1j * turned[..., second]
    turn = after / before  # A complex number of length 1, the same for all points of a cloud.
    np.testing.assert_allclose(turn, np.broadcast_to(turn[:, :1], turn.shape), atol=1e-3)
    np.testing.assert_allclose(np.abs(turn), 1, atol=1e-4)
    angles = np.angle(turn[:, 0], deg=True)
    assert -90 <= angles.min() < -75 and 75 < angles.max() <= 90
    assert len(np.unique(angles.round(3))) > 60


def test_scale():
    ratio = augment_tf.scale(POINTS, KEY, 0.5, 2.0).numpy() / POINTS
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-5)
    assert 0.5 <= ratio.min() < 0.6 and 1.8 < ratio.max() <= 2


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_flip(axis):
    ratio = augment_tf.flip(POINTS, KEY, axis).numpy() / POINTS
    assert (np.delete(ratio, axis, axis=2) == 1).all()
    sign = ratio[..., axis]
    assert (sign == sign[:, :1]).all() and set(np.unique(sign)) == {-1, 1}
    assert 16 < (sign[:, 0] < 0).sum() < 48
    assert (augment_tf.flip(POINTS, KEY, axis, 0.0).numpy() == POINTS).all()


def test_jitter():
    cloud = np.zeros((8, 5000, 3), np.float32)
    noise = augment_tf.jitter(cloud, KEY, 0.1, 1.0).numpy()
    assert abs(noise.mean()) < 0.002
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert np.abs(augment_tf.jitter(cloud, KEY, 0.1, 0.05)).max() == np.float32(0.05)


def test_bad_arguments():
    with pytest.raises(ValueError, match='^axis = 3 is not 0, 1 or 2.$'):
        augment_tf.rotate(POINTS, KEY, axis=3)
    with pytest.raises(ValueError, match='^axis = -1 is not 0, 1 or 2.$'):
        augment_tf.flip(POINTS, KEY, axis=-1)
    with pytest.raises(ValueError, match='^low = 0 and high = 1 are not 0 < low <= high.$'):
        augment_tf.scale(POINTS, KEY, 0, 1)
    with pytest.raises(ValueError, match='^deviation = -1 or clip = 0.05 is negative.$'):
        augment_tf.jitter(POINTS, KEY, -1)
