"""Match R-CNN (Ge et al. 2019, Sec. 3): detection, landmarks, masks and matching, end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checks
from official.core import model as core_model
from official.modeling import random
from official.vision import fpn, heatmaps, masks, resnet, roi_align, rpn
from research.match_rcnn import (
    categories,
    detection,
    losses,
    matching,
    packing,
    pair_sampling,
    roi_sampling,
    saving,
    streams,
)

_STRIDES = (4, 8, 16, 32)  # Of the levels that RoI features come from.
# Arguments that are called: the attribute with what they made, and the arguments they were given.
_MADE = {
    'backbone': ('backbone', ('seed',)),
    'pyramid': ('pyramid', ('channels', 'key')),
    'proposals': ('rpn', ('channels', 'key')),
    'box_stream': ('box_stream', ('channels', 'num_classes', 'key')),
    'landmark_stream': ('landmark_stream', ('channels', 'landmark_counts', 'key')),
    'mask_stream': ('mask_stream', ('channels', 'num_classes', 'key')),
    'matching_network': ('matching_network', ('channels', 'key')),
}
_PARTS = ('sampler', 'pair_sampler', 'selection')  # Arguments that are parts already.


class MatchRCNN(core_model.Model):
    """The feature network FN, the perception network PN and the matching network MN.

    `fit` takes the batches of `official.data.detection`: a dict of images uint8 [b, H, W, 3], sizes
    float32 [b, 2], boxes float32 [b, M, 4], classes int32 [b, M], crowd bool [b, M], landmarks
    float32 [b, M, K, 3], masks uint8 [b, M, S, S], pair_ids and styles int32 [b, M]. With a
    matching network rows 2 i are a consumer's image and rows 2 i + 1 the shop's of the same pair,
    as `MatchData(pairs=True)` has them.

    Call: such a dict, of which images and sizes are used, or images alone, which then fill their
    canvas, to the detections, see `detect`.

    Where the paper is open or this differs:

    - Loss weights were not published: 1 each. The RPN's two losses (Ren et al. 2015, Eq. 1) are
      added with a weight of their own.
    - Ground-truth boxes are among the RoIs, of which 512 an image are drawn, a quarter positive
      (Lin et al. 2017; Girshick 2015). Landmarks and masks are learnt on those positive ones.
    - The pose feature is the output of the last convolution of the landmark stream, the mask
      feature that of the mask stream, the class feature the RoI feature itself; several are
      concatenated along the channels, at 14 x 14.
    - Visible landmarks are learnt, occluded ones where `occluded_landmarks` says so; the paper
      selects RoIs "with visible landmarks" and leaves that open.
    - Landmark and mask stream see the positive RoIs alone, not what fills up a batch, where XLA
      does not ask for static shapes.
    - Boxes, masks and landmarks are made for the class of a RoI alone; the numbers are those of all
      classes' maps.

    Args:
      seed: source of initial weights and of all sampling.
      num_classes: without background.
      landmark_counts: landmarks of each class, from class 1 on; of no matter without a landmark
        stream.
      backbone: called as backbone(seed=seed), an `official.vision.resnet.ResNet`, whose images are
        those of `resnet.preprocess`, with strides 4, 8, 16 and 32.
      backbone_weights: path of weights of `tf.keras.applications` for it; None: initial ones.
      pyramid: called as pyramid(channels, key).
      proposals: called as proposals(channels, key), a `official.vision.rpn.RPN`.
      sampler: a `RoiSampler`.
      box_stream: called as box_stream(channels, num_classes, key).
      landmark_stream: called as landmark_stream(channels, landmark_counts, key); None: left out.
      mask_stream: called as mask_stream(channels, num_classes, key); None: left out.
      matching_network: called as matching_network(channels, key); None: left out.
      match_features: which of `matching.FEATURES` the matching network sees.
      pair_sampler: a `PairSampler`.
      selection: a `detection.Selection`: which boxes become detections.
      loss_weights: lambda_1 to lambda_5 and the RPN's.
      occluded_landmarks: learn occluded landmarks too, of RoIs with a visible one.
      roi_size: height and width of the RoI features that the matching network sees where there is
        neither landmark nor mask stream, whose size it is else.
      samples: points of RoIAlign along each edge of a bin.
      canonical_size: of the level assignment (Lin et al. 2017, Eq. 1): RoIs of this size in pixels
        come from level 4.
      box_beta: where the smooth L1 loss of boxes turns linear.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.

    Raises:
      ValueError: if an argument is out of its range, or the matching network needs a stream that
        is left out.
      FileNotFoundError: if there are no such weights.
    """

    def __init__(
        self,
        seed: int = 0,
        num_classes: int = len(categories.CATEGORIES),
        landmark_counts: Sequence[int] = categories.LANDMARK_COUNTS,
        backbone: Callable = resnet.ResNet,
        backbone_weights: str | None = None,
        pyramid: Callable = fpn.FPN,
        proposals: Callable = rpn.RPN,
        sampler: roi_sampling.RoiSampler = roi_sampling.RoiSampler(),
        box_stream: Callable = streams.BoxStream,
        landmark_stream: Callable | None = streams.LandmarkStream,
        mask_stream: Callable | None = streams.MaskStream,
        matching_network: Callable | None = matching.MatchingNetwork,
        match_features: Sequence[str] = ('pose', 'class'),
        pair_sampler: pair_sampling.PairSampler = pair_sampling.PairSampler(),
        selection: detection.Selection = detection.Selection(),
        loss_weights: Sequence[float] = losses.LossWeights(),
        occluded_landmarks: bool = False,
        roi_size: int = 14,
        samples: int = 2,
        canonical_size: int = 224,
        box_beta: float = 1.0,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        # First, while there are no other names than the arguments'.
        config = {
            key: value
            for key, value in locals().items()
            if key not in ('self', '__class__', *_MADE, *_PARTS)
        }
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        self._config = config
        checks.positive(
            'MatchRCNN',
            num_classes=num_classes,
            samples=samples,
            canonical_size=canonical_size,
            roi_size=roi_size,
        )
        checks.within('MatchRCNN', 1e-6, float('inf'), box_beta=box_beta)
        if landmark_stream and len(landmark_counts) != num_classes:
            raise ValueError(
                f'MatchRCNN.landmark_counts has {len(landmark_counts)} numbers for '
                f'num_classes = {num_classes}.'
            )
        given = {'pose': landmark_stream, 'mask': mask_stream, 'class': box_stream}
        match_features = matching.chosen(match_features, given) if matching_network else ()
        self.num_classes = num_classes
        self.landmark_counts = tuple(landmark_counts)
        self.sampler = sampler
        self.pair_sampler = pair_sampler
        self.selection = selection
        self.loss_weights = losses.LossWeights.of(loss_weights)
        self.match_features = match_features
        self.occluded_landmarks = occluded_landmarks
        self.samples = samples
        self.canonical_size = canonical_size
        self.box_beta = box_beta
        key = random.fold_in(random.make_key(seed), 2**20)  # Beyond the backbone's own.
        self.backbone = backbone(seed=seed)
        if backbone_weights is not None:
            self.backbone.load_keras_applications(backbone_weights)
        self.pyramid = pyramid(self.backbone.num_channels, random.fold_in(key, 0))
        depth = self.pyramid.filters
        self.rpn = proposals(depth, random.fold_in(key, 1))
        for name, strides in (('backbone', self.backbone.strides), ('proposals', self.rpn.strides)):
            if tuple(strides[: len(_STRIDES)]) != _STRIDES:
                raise ValueError(
                    f'MatchRCNN.{name} has strides {tuple(strides)}; they must begin '
                    f'with {_STRIDES}.'
                )
        self.box_stream = box_stream(depth, num_classes, random.fold_in(key, 2))
        self.landmark_stream = landmark_stream and landmark_stream(
            depth, landmark_counts, random.fold_in(key, 3)
        )
        self.mask_stream = mask_stream and mask_stream(depth, num_classes, random.fold_in(key, 4))
        sizes = {stream.size for stream in (self.landmark_stream, self.mask_stream) if stream}
        if len(sizes) > 1:
            raise ValueError(
                f'MatchRCNN: landmark and mask stream see the same RoI features, and '
                f'their sizes are {sorted(sizes)}.'
            )
        self._roi_size = sizes.pop() if sizes else roi_size
        self.matching_network = None
        if matching_network:
            widths = {
                'class': depth,
                'pose': self.landmark_stream and self.landmark_stream.width,
                'mask': self.mask_stream and self.mask_stream.width,
            }
            self.matching_network = matching_network(
                sum(widths[feature] for feature in match_features), random.fold_in(key, 5)
            )
        self._create_metrics()

    @tensorflow_private.untracked
    def _create_metrics(self):
        names = ['loss', 'cls_loss', 'box_loss', 'rpn_cls_loss', 'rpn_box_loss']
        names += ['pose_loss'] * bool(self.landmark_stream) + ['mask_loss'] * bool(self.mask_stream)
        if self.matching_network:
            names += ['pair_loss', 'pair_error_percent']
        self._means = {name: tf.keras.metrics.Mean(name) for name in names}
        self._set_metrics(list(self._means.values()))
        self.built = True

    def use_data(self, data: Any) -> None:
        """Raises ValueError unless the classes and landmarks of `data` are those of the model."""
        have = (len(data.class_names), tuple(data.landmark_counts))
        if have[0] != self.num_classes:
            raise ValueError(
                f'{data.name} has {have[0]} classes, and MatchRCNN.num_classes = '
                f'{self.num_classes}.'
            )
        if self.landmark_stream and have[1] != self.landmark_counts:
            raise ValueError(
                f'{data.name} has landmarks {have[1]} by class, and '
                f'MatchRCNN.landmark_counts = {self.landmark_counts}.'
            )
        if self.matching_network and not data.has_pairs:
            raise ValueError(
                f'{data.name} is not read in pairs of consumer and shop, and '
                'MatchRCNN.matching_network needs them; None leaves it out.'
            )

    def get_config(self) -> dict[str, Any]:
        """The arguments, as plain values that `from_config` understands.

        Parts are named by their classes and what they were made with, also by gin. The path of
        `backbone_weights` is left out: a model that is loaded has weights already.

        Raises:
          NotImplementedError: if a part is of a class without `get_config`.
        """
        parts = {name: getattr(self, attribute) for name, (attribute, _) in _MADE.items()}
        parts |= {name: getattr(self, name) for name in _PARTS}
        plain = {
            key: list(value) if isinstance(value, (tuple, list)) else value
            for key, value in self._config.items()
        }
        return {
            **plain,
            'backbone_weights': None,
            **{name: saving.config_of(f'MatchRCNN.{name}', part) for name, part in parts.items()},
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> MatchRCNN:
        with tf.keras.utils.custom_object_scope(custom_objects or {}):
            made = {
                name: saving.maker(config[name], given)
                for name, (_, given) in _MADE.items()
                if config[name]
            }
            parts = {name: saving.maker(config[name])() for name in _PARTS}
        return cls(**{**config, **made, **parts})

    # Training.

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data, key)
        self.apply_gradients(tape, terms['loss'])
        return terms['loss'], self._log(terms)

    def loss_terms(
        self, batch: dict, key: tf.Tensor, training: bool = True
    ) -> dict[str, tf.Tensor]:
        """The loss of a batch and its terms.

        Args:
          batch: see the class; a batch, or this replica's part of one.
          key: int32 [local shards, 2], of all sampling.
          training: normalize by the batch, move averages, take the RPN's numbers of training.

        Returns:
          Scalars: 'loss', the weighted sum; without their weights 'cls_loss', 'box_loss',
          'pose_loss', 'mask_loss', 'pair_loss', 'rpn_cls_loss', 'rpn_box_loss'; and
          'pair_error_percent', of pairs. Terms of parts that are left out are missing.
        """
        levels = self._levels(batch['images'], batch['sizes'], training)
        canvas = batch['images'].shape[1:3]
        terms = self.rpn.loss_terms(levels, canvas, batch, random.fold_in(key, 0))
        boxes, valid = self.rpn.propose(self.rpn(levels), canvas, batch['sizes'], training=training)
        rois = self.sampler(boxes, valid, batch, random.fold_in(key, 1))
        classes = tf.reshape(rois.classes, [-1])
        drawn = tf.reshape(rois.weights, [-1])
        logits, deltas = self.box_stream(
            self._roi_features(levels, rois.boxes, self.box_stream.size)
        )
        terms['cls_loss'] = losses.classification(logits, classes, drawn)
        terms['box_loss'] = losses.boxes(
            deltas, tf.reshape(rois.deltas, [-1, 4]), classes, drawn, self.box_beta
        )
        if self.landmark_stream or self.mask_stream or self.matching_network:
            terms.update(
                self._positive_losses(
                    levels, rois.first(self.sampler.positives), batch, key, training
                )
            )
        weights = self.loss_weights._asdict()
        weights |= {'rpn_cls': weights['rpn'], 'rpn_box': weights['rpn']}
        loss = tf.add_n(
            [
                weights[name[: -len('_loss')]] * value
                for name, value in terms.items()
                if name.endswith('_loss')
            ]
        )
        return {'loss': loss, **terms}

    def _positive_losses(self, levels, rois, batch, key, training):
        """The terms of RoIs that may be positive."""
        terms = {}
        packed = packing.Packed(rois.classes > 0)
        classes, boxes = packed.take(rois.classes), packed.take(rois.boxes)
        positive = tf.cast(classes > 0, tf.float32)
        inputs = {'class': self._packed_features(levels, packed, boxes)}
        visible = None
        if self.landmark_stream:
            inputs['pose'] = self.landmark_stream.features(inputs['class'])
            landmarks = packed.take(rois.of_truth(batch['landmarks']))
            maps = self.landmark_stream.of_features(inputs['pose'], classes)
            cells, weights = heatmaps.heatmap_targets(landmarks, boxes, maps.shape[1])
            seen = positive * tf.reduce_max(weights, 1)
            visible = packed.put(seen) > 0
            if self.occluded_landmarks:
                cells, weights = heatmaps.heatmap_targets(
                    landmarks, boxes, maps.shape[1], occluded=True
                )
            weights *= seen[:, tf.newaxis]
            terms['pose_loss'] = losses.landmarks(maps, cells, weights)
        if self.mask_stream:
            inputs['mask'] = self.mask_stream.features(inputs['class'])
            logits = self.mask_stream.of_features(inputs['mask'], classes)
            small = self._masks_of(packed, rois, batch['masks'])
            targets = masks.mask_targets(
                small, packed.take(rois.of_truth(batch['boxes'])), boxes, logits.shape[1]
            )
            drawn = tf.reduce_any(small > 0, [1, 2])  # Some items have boxes alone.
            terms['mask_loss'] = losses.masks(
                logits, targets, positive * tf.cast(drawn, tf.float32)
            )
        if self.matching_network:
            if 'pose' not in self.match_features:
                visible = None
            features = tf.concat([inputs[name] for name in self.match_features], -1)
            terms.update(
                self.pair_sampler.loss_terms(
                    self.matching_network,
                    features,
                    packed.places,
                    rois,
                    batch,
                    visible,
                    random.fold_in(key, 2),
                    training,
                )
            )
        return terms

    def _log(self, terms):
        for name, value in terms.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in terms}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The losses of a batch, by moving statistics, with the same sampling every time."""
        return self._log(
            self.loss_terms(
                data, random.step_key(self.seed, tf.constant(-1), self.noise_shards), training=False
            )
        )

    # Inference.

    def call(self, inputs: Any, training: bool = False) -> dict[str, tf.Tensor]:
        del training
        if isinstance(inputs, dict):
            return self.detect(inputs['images'], inputs['sizes'])
        shape = tf.cast(tf.shape(inputs), tf.float32)
        return self.detect(inputs, tf.tile(shape[tf.newaxis, 1:3], [tf.shape(inputs)[0], 1]))

    def detect(self, images: tf.Tensor, sizes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Detections, the most certain first (Sec. 3, "Inference").

        Args:
          images: uint8 [b, H, W, 3], the images at the top left, the rest zeros.
          sizes: [b, 2], height and width of each image.

        Returns:
          With D = `selection.max_detections`: boxes float32 [b, D, 4], (x1, y1, x2, y2) in pixels
          of `images`, classes int32 [b, D], scores float32 [b, D], 0 for padding; and what
          `describe` gives.
        """
        return self._detect(self._levels(images, sizes, training=False), images.shape[1:3], sizes)

    def _detect(self, levels, canvas, sizes):
        sizes = tf.cast(sizes, tf.float32)
        boxes, valid = self.rpn.propose(self.rpn(levels), canvas, sizes, training=False)
        logits, deltas = self.box_stream(self._roi_features(levels, boxes, self.box_stream.size))
        found = self.selection(boxes, valid, logits, deltas, sizes)
        return found | self._describe(levels, found['boxes'], found['classes'])

    def examine(
        self, images: tf.Tensor, sizes: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """`detect`, and feature vectors of the ground truth from the same features.

        Args:
          images: uint8 [b, H, W, 3].
          sizes: float32 [b, 2].
          boxes: float32 [b, n, 4], ground truth.
          classes: int32 [b, n].

        Returns:
          What `detect` returns and, with a matching network, 'truth_embeddings' float32
          [b, n, units].
        """
        levels = self._levels(images, sizes, training=False)
        found = self._detect(levels, images.shape[1:3], sizes)
        if self.matching_network:
            found['truth_embeddings'] = self._describe(levels, boxes, classes, only_features=True)[
                'embeddings'
            ]
        return found

    def describe(
        self, images: tf.Tensor, sizes: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Masks, landmarks and feature vectors of given boxes, such as ground truth.

        Args:
          images: uint8 [b, H, W, 3].
          sizes: float32 [b, 2].
          boxes: float32 [b, n, 4].
          classes: int32 [b, n].

        Returns:
          masks float32 [b, n, m, m], probabilities inside the box; landmarks float32 [b, n, K, 3],
          x, y in pixels of `images` and the probability of the place; embeddings float32
          [b, n, units]. What is left out of the model is missing.
        """
        return self._describe(self._levels(images, sizes, training=False), boxes, classes)

    def _describe(self, levels, boxes, classes, only_features=False):
        if not (self.landmark_stream or self.mask_stream or self.matching_network):
            return {}
        packed = packing.Packed(classes > 0)
        boxes, of_class = packed.take(boxes), packed.take(classes)
        inputs = {'class': self._packed_features(levels, packed, boxes)}
        outputs = {}
        if self.mask_stream:
            inputs['mask'] = self.mask_stream.features(inputs['class'])
        if self.landmark_stream:
            inputs['pose'] = self.landmark_stream.features(inputs['class'])
        if self.mask_stream and not only_features:
            outputs['masks'] = tf.sigmoid(self.mask_stream.of_features(inputs['mask'], of_class))
        if self.landmark_stream and not only_features:
            maps = self.landmark_stream.of_features(inputs['pose'], of_class)
            within = tf.gather(
                tf.sequence_mask((0, *self.landmark_counts), max(self.landmark_counts), tf.float32),
                of_class,
            )
            outputs['landmarks'] = heatmaps.decode(maps, boxes) * within[..., tf.newaxis]
        if self.matching_network:
            outputs['embeddings'] = self.matching_network(
                tf.concat([inputs[name] for name in self.match_features], -1)
            )
        # Of padding all are zeros.
        real = tf.cast(of_class > 0, tf.float32)
        return {
            name: tf.ensure_shape(
                packed.put(value * tf.reshape(real, [-1, *[1] * (value.shape.rank - 1)])),
                [*classes.shape, *value.shape[1:]],
            )
            for name, value in outputs.items()
        }

    def similarity(self, v1: tf.Tensor, v2: tf.Tensor) -> tf.Tensor:
        """The probability that two items match, float32 [...], of feature vectors [..., units].

        Raises:
          ValueError: there is no matching network.
        """
        if self.matching_network is None:
            raise ValueError(
                'MatchRCNN.matching_network was left out: nothing tells whether two items match.'
            )
        return tf.nn.softmax(self.matching_network.logits(v1, v2))[..., 1]

    # Parts.

    def _levels(self, images, sizes, training):
        """P2 to P6."""
        return self.pyramid(self.backbone(resnet.preprocess(images, sizes), training=training))

    def _packed_features(self, levels, packed, boxes):
        """[k, size, size, channels] of packed boxes [k, 4]."""
        return roi_align.roi_align(
            levels[: len(_STRIDES)],
            boxes,
            _STRIDES,
            self._roi_size,
            self.samples,
            canonical_size=self.canonical_size,
            images=packed.images,
        )

    @staticmethod
    def _masks_of(packed, rois, small):
        """The masks [b, M, S, S] of packed RoIs, [k, S, S]."""
        # Of the truth's rows, so that no mask is copied for a RoI that is not used.
        rows = packed.images * small.shape[1] + packed.take(rois.truth)
        return tf.gather(tf.reshape(small, [-1, *small.shape[2:]]), rows)

    def _roi_features(self, levels, boxes, size):
        """[b n, size, size, channels] of boxes [b, n, 4]."""
        features = roi_align.roi_align(
            levels[: len(_STRIDES)],
            boxes,
            _STRIDES,
            size,
            self.samples,
            canonical_size=self.canonical_size,
        )
        return tf.reshape(features, [-1, *features.shape[2:]])
