"""Pairs for the matching network: who is drawn, and the loss against a loop."""

import math

import numpy as np
import tensorflow as tf

from official.modeling import random
from research.match_rcnn import pair_sampling, roi_sampling


class _Network:
    """Vectors are the first pixel; the logit of a match is 1 less the squared distance."""

    def __init__(self):
        self.seen = None

    def __call__(self, features, valid, training):
        self.seen = features[:, 0, 0].numpy(), valid.numpy()
        return features[:, 0, 0]

    def logits(self, v1, v2):
        distance = tf.reduce_sum(tf.math.squared_difference(v1, v2), -1)
        return tf.stack([tf.zeros_like(distance), 1 - distance], -1)


def _rois(images, per_image, classes, iou, truth):
    shape = [images, per_image]
    return roi_sampling.Rois(
        boxes=tf.zeros([*shape, 4]),
        classes=tf.constant(classes),
        weights=tf.ones(shape),
        deltas=tf.zeros([*shape, 4]),
        truth=tf.constant(truth),
        iou=tf.constant(iou, tf.float32),
    )


def _setting():
    """Two pairs of images with 3 RoIs each; items: one of interest, one without a style."""
    rois = _rois(
        4,
        3,
        classes=[[1, 1, 2], [1, 0, 2], [1, 1, 1], [1, 1, 0]],
        iou=[[0.9, 0.6, 0.9], [0.8, 0.9, 0.9], [0.71, 0.7, 0.99], [0.8, 0.9, 0.9]],
        truth=[[0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]],
    )
    batch = {
        'pair_ids': tf.constant([[5, 5], [5, 5], [6, 6], [6, 6]]),
        'styles': tf.constant([[1, 0], [1, 0], [2, 0], [2, 0]]),
    }
    features = tf.reshape(tf.range(12, dtype=tf.float32) / 4, [12, 1, 1, 1])
    return rois, batch, features


# Rows of `features` that may be drawn: positive, IoU above .7, and an item with a style.
_USER, _SHOP = {0, 6, 8}, {3, 9, 10}
_IDENTITY = {0: 5, 6: 6, 8: 6, 3: 5, 9: 6, 10: 6}


def _loss(users, shops):
    total, wrong, n = 0.0, 0, 0
    for user in users:
        for shop in shops:
            logit = 1 - (user / 4 - shop / 4) ** 2
            y_hat = 1 / (1 + math.exp(-logit))
            y = _IDENTITY[user] == _IDENTITY[shop]
            total -= math.log(y_hat if y else 1 - y_hat)
            wrong += (logit > 0) != y
            n += 1
    return total / n, 100 * wrong / n


def test_all_that_are_eligible_make_pairs():
    rois, batch, features = _setting()
    network = _Network()
    terms = pair_sampling.PairSampler(user_rois=3, shop_rois=3).loss_terms(
        network, features, tf.identity, rois, batch, None, random.make_key(0), True
    )
    vectors, valid = network.seen
    assert {int(4 * value) for value in vectors[valid, 0]} == _USER | _SHOP
    loss, wrong = _loss(_USER, _SHOP)
    np.testing.assert_allclose(terms['pair_loss'], loss, rtol=1e-5)
    np.testing.assert_allclose(terms['pair_error_percent'], wrong, rtol=1e-5)


def test_of_several_some_are_drawn():
    """One RoI of each shop's image; which of the two of the last one depends on the key."""
    rois, batch, features = _setting()
    seen = set()
    for seed in range(8):
        network = _Network()
        terms = pair_sampling.PairSampler(user_rois=3, shop_rois=1).loss_terms(
            network, features, tf.identity, rois, batch, None, random.make_key(seed), True
        )
        drawn = {int(4 * value) for value in network.seen[0][network.seen[1], 0]}
        assert drawn & _USER == _USER and len(drawn & _SHOP) == 2 and 3 in drawn
        np.testing.assert_allclose(terms['pair_loss'], _loss(_USER, drawn & _SHOP)[0], rtol=1e-5)
        seen |= {tuple(sorted(drawn & _SHOP))}
    assert seen == {(3, 9), (3, 10)}


def test_without_visible_landmarks_they_are_not_used():
    rois, batch, features = _setting()
    visible = np.ones([4, 3], bool)
    visible[2, 2] = visible[3, 0] = False
    network = _Network()
    pair_sampling.PairSampler(user_rois=3, shop_rois=3).loss_terms(
        network, features, tf.identity, rois, batch, tf.constant(visible), random.make_key(0), True
    )
    assert {int(4 * v) for v in network.seen[0][network.seen[1], 0]} == {0, 6, 3, 10}


def test_the_papers_512_pairs():
    sampler = pair_sampling.PairSampler()
    images, per_image = 16, 128
    rois = _rois(
        images,
        per_image,
        np.ones([images, per_image], np.int32),
        np.full([images, per_image], 0.9),
        np.zeros([images, per_image], np.int32),
    )
    identities = np.repeat(np.arange(1, 9, dtype=np.int32), 2)[:, np.newaxis]
    batch = {'pair_ids': tf.constant(identities), 'styles': tf.ones([16, 1], tf.int32)}
    counted = {}

    class Network(_Network):
        def logits(self, v1, v2):
            logits = super().logits(v1, v2)
            counted['pairs'] = int(np.prod(logits.shape[:-1]))
            return logits

    features = tf.zeros([images * per_image, 1, 1, 2])
    terms = sampler.loss_terms(
        Network(), features, tf.identity, rois, batch, None, random.make_key(0), True
    )
    assert counted['pairs'] == 512
    # All logits are 1, so an eighth of the pairs is judged rightly.
    np.testing.assert_allclose(terms['pair_error_percent'], 87.5)
