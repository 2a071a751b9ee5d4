"""Which pairs of items the matching network learns from (Ge et al. 2019, Sec. 3)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics, random
from research.match_rcnn import losses, roi_sampling


class PairSampler:
    """Draws RoIs of consumer and shop images, each of the first making a pair with each of the
    others.

    "ROIs are selected if their IoU with a ground truth box of interest is larger than 0.7. If ROI
    features are extracted from landmark estimation stream, ROIs with visible landmarks are also
    selected": the second sentence is read as a further condition. Of interest are "clothing items
    whose style number is > 0 and can constitute matching pairs". Two items match if pair and style
    are the same.

    - Of a batch of 8 image pairs: 8 RoIs of each consumer image and one of each shop image, over
      all devices, make 64 x 8 = 512 pairs.

    Args:
      user_rois: RoIs drawn of a consumer's image.
      shop_rois: RoIs drawn of a shop's image.
      threshold: of the IoU.

    Raises:
      ValueError: if an argument is out of its range.
    """

    def __init__(self, user_rois: int = 8, shop_rois: int = 1, threshold: float = 0.7):
        checks.positive('PairSampler', user_rois=user_rois, shop_rois=shop_rois)
        checks.within('PairSampler', 0, 1, threshold=threshold)
        self.user_rois = user_rois
        self.shop_rois = shop_rois
        self.threshold = threshold

    def get_config(self) -> dict:
        """The arguments."""
        return {
            'user_rois': self.user_rois,
            'shop_rois': self.shop_rois,
            'threshold': self.threshold,
        }

    def loss_terms(
        self,
        network: tf.keras.layers.Layer,
        features: tf.Tensor,
        places: Callable,
        rois: roi_sampling.Rois,
        batch: dict,
        visible: tf.Tensor | None,
        key: tf.Tensor,
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """L_pair of a batch.

        Args:
          network: a `MatchingNetwork`.
          features: [k, size, size, channels], of positive RoIs.
          places: called as places(image * p + RoI), int32, gives the rows of `features`.
          rois: p RoIs of each image, of which even rows are consumers' and odd ones shops'.
          batch: with pair_ids and styles of the ground truth.
          visible: bool [b, p]: RoIs with visible landmarks; None: it does not matter.
          key: int32 [local shards, 2].
          training: see `MatchingNetwork`.

        Returns:
          'pair_loss' and 'pair_error_percent', the share of pairs that are judged wrongly.

        Raises:
          ValueError: the number of images is odd.
        """
        shape = rois.iou.shape
        if shape[0] is not None and shape[0] % 2:
            raise ValueError(
                f'A batch of {shape[0]} images does not consist of pairs of a '
                "consumer's image and a shop's."
            )
        styles = rois.of_truth(batch['styles'])
        eligible = (rois.classes > 0) & (rois.iou > self.threshold) & (styles > 0)
        if visible is not None:
            eligible &= visible
        order = tf.where(
            eligible,
            random.uniform(key, shape if shape.is_fully_defined() else tf.shape(rois.iou)),
            -1.0,
        )
        identities = tf.stack([rois.of_truth(batch['pair_ids']), styles], -1)
        per_image = shape[1]
        rows = tf.reshape(tf.range(tf.size(order)), tf.shape(order))

        def drawn(parity, number):
            scores, columns = tf.math.top_k(order[parity::2], min(number, per_image))

            def flat(values):
                return tf.reshape(
                    tf.gather(values[parity::2], columns, batch_dims=1), [-1, *values.shape[2:]]
                )

            return tf.reshape(scores >= 0, [-1]), flat(identities), flat(rows)

        user, shop = drawn(0, self.user_rois), drawn(1, self.shop_rois)
        valid = tf.concat([user[0], shop[0]], 0)
        vectors = network(
            tf.gather(features, places(tf.concat([user[2], shop[2]], 0))), valid, training
        )
        count = user[0].shape[0] or tf.size(user[0])
        of_user, of_shop = vectors[:count], vectors[count:]
        # Pairs are made across all devices.
        of_shop, shop_valid, shop_identities = (
            batch_statistics.gather(value)
            for value in (of_shop, tf.cast(shop[0], tf.float32), shop[1])
        )
        weights = tf.cast(user[0], tf.float32)[:, tf.newaxis] * shop_valid
        matched = tf.reduce_all(user[1][:, tf.newaxis] == shop_identities, -1)
        logits = network.logits(of_user[:, tf.newaxis], of_shop[tf.newaxis])
        wrong = (logits[..., 1] > logits[..., 0]) != matched
        return {
            'pair_loss': losses.pairs(logits, matched, weights),
            'pair_error_percent': 100 * losses.mean_over(tf.cast(wrong, tf.float32), weights),
        }
