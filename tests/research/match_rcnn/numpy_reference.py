"""Match R-CNN once more in float64 NumPy, written from the papers.

Ge et al. 2019, Sec. 3; He et al. 2017 (Mask R-CNN), Sec. 3 and 5; Lin et al. 2017 (FPN), Sec. 3 and
4; Ren et al. 2015 (Faster R-CNN), Sec. 3; Girshick 2015 (Fast R-CNN), Sec. 2.3; He et al. 2016
(ResNet), basic blocks. Only names of weights, sizes and thresholds are taken from the model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MEAN_BGR = (103.939, 116.779, 123.68)
ROI_STRIDES = (4, 8, 16, 32)
BOX_FACTORS = np.array([10, 10, 5, 5])  # Of the targets of the box stream, not of the RPN's.


class Draws(NamedTuple):
    """What a training step has drawn.

    Attributes:
      anchors: int [b, n], numbers of the anchors for the RPN's losses.
      anchors_used: bool [b, n], False for padding.
      rois: float [b, n, 4].
      rois_used: bool [b, n], False for padding.
      pair_order: float [b, p]: of the RoIs that may be in pairs those of the highest numbers are.
    """

    anchors: np.ndarray
    anchors_used: np.ndarray
    rois: np.ndarray
    rois_used: np.ndarray
    pair_order: np.ndarray


def conv(x, kernel, bias=0.0, stride=1):
    """(size - 1) / 2 zeros on every side; kernel [size, size, in, out]."""
    size = kernel.shape[0]
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    return bias + sum(
        x[:, i : i + stride * height : stride, j : j + stride * width : stride][:, :height, :width]
        @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def deconv(x, kernel, bias, begin):
    """Input i adds its kernel to the outputs from 2 i - begin on; kernel [size, size, out, in]."""
    number, height, width, _ = x.shape
    size = kernel.shape[0]
    out = np.zeros((number, 2 * height + 2 * size, 2 * width + 2 * size, kernel.shape[2]))
    for i in range(size):
        for j in range(size):
            top, left = size + i - begin, size + j - begin
            out[:, top : top + 2 * height : 2, left : left + 2 * width : 2] += x @ kernel[i, j].T
    return out[:, size : size + 2 * height, size : size + 2 * width] + bias


def iou(a, b):
    """Of each of `a` [n, 4] with each of `b` [m, 4]."""
    a, b = np.asarray(a, np.float64)[:, np.newaxis], np.asarray(b, np.float64)[np.newaxis]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(np.maximum(sides, 0), -1)
    union = np.prod(a[..., 2:] - a[..., :2], -1) + np.prod(b[..., 2:] - b[..., :2], -1) - common
    return common / np.where(union > 0, union, 1)


def box_targets(truth, anchors):
    """Ren et al. 2015, Eq. 2, of [n, 4] each."""
    size, of_truth = anchors[:, 2:] - anchors[:, :2], truth[:, 2:] - truth[:, :2]
    centres = (truth[:, :2] + truth[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return np.concatenate([centres / size, np.log(of_truth / size)], -1)


def selection(boxes, valid, logits, deltas, size, most, least, threshold):
    """Detections of an image (He et al. 2017, Sec. 3.1): (score, class, box), the best first.

    Args:
      boxes: [n, 4], proposals.
      valid: bool [n].
      logits: [n, 1 + classes].
      deltas: [n, classes, 4].
      size: height and width of the image.
      most: detections at most.
      least: score that a detection exceeds.
      threshold: IoU with a better one of its class above which a detection is dropped.
    """
    found = []
    for row in np.flatnonzero(valid):
        scores = np.exp(log_softmax(logits[row].astype(np.float64)))
        for class_ in np.flatnonzero(scores[1:] > least) + 1:
            corner, extent = boxes[row, :2], boxes[row, 2:] - boxes[row, :2]
            moved = deltas[row, class_ - 1] / BOX_FACTORS
            centre, half = corner + extent * (0.5 + moved[:2]), extent * np.exp(moved[2:]) / 2
            box = np.clip([*centre - half, *centre + half], 0, [size[1], size[0]] * 2)
            if (box[2:] > box[:2]).all():
                found.append((scores[class_], class_, box))
    found.sort(key=lambda one: -one[0])
    kept = []
    for one in found:
        if all(
            one[1] != other[1] or iou(one[2][np.newaxis], other[2][np.newaxis]) <= threshold
            for other in kept
        ):
            kept.append(one)
    return kept[:most]


def smooth_l1(x, beta):
    """Girshick 2015, Eq. 3, which has beta = 1."""
    x = np.abs(x)
    return np.where(x < beta, x**2 / (2 * beta), x - beta / 2)


def log_softmax(x, axis=-1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def binary_entropy(logits, targets):
    return np.logaddexp(0, logits) - targets * logits


def anchors_of(rpn, canvas):
    """By level, row, column and aspect ratio, which is height over width."""
    found = []
    for stride, size in zip(rpn.strides, rpn.anchor_sizes, strict=True):
        for row in range(-(-canvas[0] // stride)):
            for column in range(-(-canvas[1] // stride)):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                for ratio in rpn.aspect_ratios:
                    w, h = size / ratio**0.5 / 2, size * ratio**0.5 / 2
                    found.append([x - w, y - h, x + w, y + h])
    return np.array(found)


def _bilinear(start, end, stride, pixels, bins, samples):
    """[bins, pixels]: how much each pixel has of each bin, along one axis."""
    weights = np.zeros((bins, pixels))
    places = (np.arange(bins * samples) + 0.5) / (bins * samples)
    places = np.clip((start + (end - start) * places) / stride - 0.5, 0, pixels - 1)
    for number, place in enumerate(places):
        low = min(int(place), max(pixels - 2, 0))
        weights[number // samples, low] += (1 - (place - low)) / samples
        if pixels > 1:
            weights[number // samples, low + 1] += (place - low) / samples
    return weights


class Reference:
    """The network with the weights that `model` has now.

    Args:
      model: a `MatchRCNN` of basic blocks whose batch norms are trained.
    """

    def __init__(self, model):
        self.model = model
        self.values = {id(v): v.numpy().astype(np.float64) for v in model.variables}

    def moved(self, direction, length):
        """This network with weights `length` further; `direction` is by id of a variable."""
        other = Reference.__new__(Reference)
        other.model = self.model
        other.values = self.values | {
            key: self.values[key] + length * value for key, value in direction.items()
        }
        return other

    def _of(self, variable):
        return self.values[id(variable)]

    def _conv(self, x, layer, relu=False):
        y = conv(x, self._of(layer.kernel), self._of(layer.bias))
        return np.maximum(y, 0) if relu else y

    def _dense(self, x, layer):
        return x @ self._of(layer.kernel) + self._of(layer.bias)

    def _norm(self, x, norm, training):
        """Over all axes but the last; by the moving statistics outside training."""
        if training:
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axes), x.var(axes)
        else:
            mean, variance = self._of(norm.moving_mean), self._of(norm.moving_variance)
        x = (x - mean) / np.sqrt(variance + norm.epsilon)
        return x * self._of(norm.gamma) + self._of(norm.beta)

    # The feature network.

    def levels(self, images, sizes, training):
        """P2 to P6."""
        backbone, pyramid = self.model.backbone, self.model.pyramid
        x = images[..., ::-1].astype(np.float64) - MEAN_BGR
        for image, (height, width) in zip(x, sizes, strict=True):
            image[int(height) :], image[:, int(width) :] = 0, 0

        def conv_norm(x, layer):
            y = conv(x, self._of(layer.kernel), 0.0, layer.strides)
            return self._norm(y, layer.norm, training)

        x = np.maximum(conv_norm(x, backbone.stem), 0)
        x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = ((n - 3) // 2 + 1 for n in x.shape[1:3])
        x = np.max(
            [
                x[:, i : i + 2 * height : 2, j : j + 2 * width : 2][:, :height, :width]
                for i in range(3)
                for j in range(3)
            ],
            0,
        )
        maps = []
        for stage in backbone.stages:
            for block in stage:
                shortcut = x if block.shortcut is None else conv_norm(x, block.shortcut)
                first, second = block.convs
                x = np.maximum(conv_norm(np.maximum(conv_norm(x, first), 0), second) + shortcut, 0)
            maps.append(x)
        outputs, above = [], None
        for x, lateral, output in reversed(
            list(zip(maps, pyramid.lateral, pyramid.output_convs, strict=True))
        ):
            x = self._conv(x, lateral)
            if above is not None:
                x = x + above.repeat(2, 1).repeat(2, 2)[:, : x.shape[1], : x.shape[2]]
            above = x
            outputs.insert(0, self._conv(x, output))
        return [*outputs, outputs[-1][:, ::2, ::2]]

    def roi_features(self, levels, image, box, size):
        """RoIAlign (He et al. 2017, Sec. 3) from the level of Lin et al. 2017, Eq. 1."""
        x1, y1, x2, y2 = box
        area = max((x2 - x1) * (y2 - y1), 1e-12)
        level = int(np.clip(np.floor(4 + np.log2(area**0.5 / self.model.canonical_size)), 2, 5)) - 2
        pixels, stride = levels[level][image], ROI_STRIDES[level]
        down = _bilinear(y1, y2, stride, pixels.shape[0], size, self.model.samples)
        across = _bilinear(x1, x2, stride, pixels.shape[1], size, self.model.samples)
        return np.einsum('ip,jq,pqc->ijc', down, across, pixels)

    # The streams.

    def rpn_outputs(self, levels):
        """Logits [b, anchors] and deltas [b, anchors, 4]."""
        head, found = self.model.rpn.head, ([], [])
        for level in levels:
            x = self._conv(level, head.conv, relu=True)
            for values, layer in zip(found, (head.objectness, head.deltas), strict=True):
                y = self._conv(x, layer)
                values.append(y.reshape(len(y), -1, layer.kernel.shape[3] // head.num_anchors))
        logits, deltas = (np.concatenate(values, 1) for values in found)
        return logits[..., 0], deltas

    def box_stream(self, features):
        stream = self.model.box_stream
        x = features.reshape(len(features), -1)
        for layer in stream.hidden:
            x = np.maximum(self._dense(x, layer), 0)
        deltas = self._dense(x, stream.regressor)
        return self._dense(x, stream.classifier), deltas.reshape(len(x), -1, 4)

    def streams(self, features):
        """Features of 'class', 'pose' and 'mask', and the maps of every class."""
        found = {'class': features}
        for name in ('pose', 'mask'):
            x = features
            stream = self.model.landmark_stream if name == 'pose' else self.model.mask_stream
            for layer in stream.convs:
                x = self._conv(x, layer, relu=True)
            found[name] = x
        stream = self.model.landmark_stream
        x = np.maximum(
            deconv(
                found['pose'], self._of(stream.deconv.kernel), self._of(stream.deconv.bias), begin=1
            ),
            0,
        )
        heat = deconv(
            x, self._of(stream.predictor.kernel), self._of(stream.predictor.bias), begin=1
        )
        stream = self.model.mask_stream
        x = np.maximum(
            deconv(
                found['mask'], self._of(stream.deconv.kernel), self._of(stream.deconv.bias), begin=0
            ),
            0,
        )
        return found, heat, self._conv(x, stream.predictor)

    def vectors(self, features, training):
        """v of the matching network, from the features in the order of the paper's Table 5."""
        network = self.model.matching_network
        x = np.concatenate(
            [
                features[name]
                for name in ('pose', 'mask', 'class')
                if name in self.model.match_features
            ],
            -1,
        )
        for layer in network.convs:
            x = self._conv(x, layer, relu=True)
        return self._norm(self._dense(x.mean((1, 2)), network.dense), network.norm, training)

    def match_logits(self, v1, v2):
        return self._dense((v1 - v2) ** 2, self.model.matching_network.similarity)

    # The seven terms.

    def terms(self, batch: dict, draws: Draws, training: bool = True) -> dict[str, float]:
        """The losses of a step, and 'loss', their sum with the model's weights."""
        batch = {name: np.asarray(values) for name, values in batch.items()}
        levels = self.levels(batch['images'], batch['sizes'], training)
        canvas = batch['images'].shape[1:3]
        terms = self._rpn_terms(levels, canvas, batch, draws) | self._roi_terms(
            levels, batch, draws, training
        )
        weights = self.model.loss_weights
        return terms | {
            'loss': (
                weights.cls * terms['cls_loss']
                + weights.box * terms['box_loss']
                + weights.pose * terms['pose_loss']
                + weights.mask * terms['mask_loss']
                + weights.pair * terms['pair_loss']
                + weights.rpn * (terms['rpn_cls_loss'] + terms['rpn_box_loss'])
            )
        }

    def _rpn_terms(self, levels, canvas, batch, draws):
        """Ren et al. 2015, Sec. 3.1.2 and Eq. 1; the sum of both is divided by all drawn."""
        anchors = anchors_of(self.model.rpn, canvas)
        logits, deltas = self.rpn_outputs(levels)
        entropy = regression = count = 0
        for image, (rows, used) in enumerate(zip(draws.anchors, draws.anchors_used, strict=True)):
            real = (batch['classes'][image] > 0) & ~batch['crowd'][image]
            truth = batch['boxes'][image][real].astype(np.float64)
            overlaps = iou(anchors, truth)
            centres = (anchors[:, :2] + anchors[:, 2:]) / 2
            overlaps[(centres >= batch['sizes'][image][::-1]).any(1)] = 0
            best = np.isclose(overlaps, overlaps.max(0), rtol=1e-6, atol=0) & (overlaps > 0)
            positive = (overlaps >= 0.7).any(1) | best.any(1)
            for row in rows[used]:
                count += 1
                entropy += binary_entropy(logits[image, row], positive[row])
                if positive[row]:
                    target = box_targets(truth[[overlaps[row].argmax()]], anchors[[row]])[0]
                    regression += smooth_l1(deltas[image, row] - target, 1 / 9).sum()
                else:
                    assert overlaps[row].max() < 0.3
        return {'rpn_cls_loss': entropy / count, 'rpn_box_loss': regression / count}

    def _roi_terms(self, levels, batch, draws, training):
        rois, where, classes, items, overlap = [], [], [], [], []
        for image, (boxes, used) in enumerate(
            zip(draws.rois.astype(np.float64), draws.rois_used, strict=True)
        ):
            real = np.flatnonzero((batch['classes'][image] > 0) & ~batch['crowd'][image])
            overlaps = iou(boxes, batch['boxes'][image][real])
            best = overlaps.argmax(1)
            for row in np.flatnonzero(used):
                positive = overlaps[row, best[row]] > 0.5
                rois.append(boxes[row])
                where.append((image, row))
                items.append(real[best[row]])
                overlap.append(overlaps[row, best[row]])
                classes.append(batch['classes'][image, items[-1]] if positive else 0)
        rois, classes, where = np.array(rois), np.array(classes), np.array(where)
        images = where[:, 0]

        def of_item(name, rows):
            return np.array([batch[name][images[row], items[row]] for row in rows], np.float64)

        # He et al. 2017, Sec. 3: L_cls and L_box as in Girshick 2015, Eq. 1 and 2.
        every = np.arange(len(rois))
        logits, deltas = self.box_stream(
            np.array(
                [
                    self.roi_features(levels, images[row], rois[row], self.model.box_stream.size)
                    for row in every
                ]
            )
        )
        terms = {'cls_loss': -log_softmax(logits)[every, classes].mean()}
        positive = np.flatnonzero(classes)
        targets = BOX_FACTORS * box_targets(of_item('boxes', positive), rois[positive])
        own = deltas[positive, classes[positive] - 1]
        terms['box_loss'] = smooth_l1(own - targets, self.model.box_beta).sum() / len(rois)

        # Only positive RoIs from here on.
        rois, classes = rois[positive], classes[positive]
        features, heat, masks = self.streams(
            np.array(
                [
                    self.roi_features(levels, images[row], roi, self.model.mask_stream.size)
                    for row, roi in zip(positive, rois, strict=True)
                ]
            )
        )
        pose, visible = self._pose(heat, rois, classes, of_item('landmarks', positive))
        terms['pose_loss'] = pose
        terms['mask_loss'] = _mask_loss(
            masks, rois, classes, of_item('boxes', positive), of_item('masks', positive)
        )
        overlap = np.array(overlap)[positive]
        styles, pair_ids = of_item('styles', positive), of_item('pair_ids', positive)
        may = (overlap > self.model.pair_sampler.threshold) & (styles > 0)
        if 'pose' in self.model.match_features:
            may &= visible
        order = draws.pair_order[tuple(where[positive].T)]
        terms['pair_loss'] = self._pair_loss(
            features, images[positive], order, may, np.stack([pair_ids, styles], 1), training
        )
        return terms

    def _pose(self, heat, rois, classes, landmarks):
        """L_pose, and which RoIs have a visible landmark inside."""
        size, counts = heat.shape[1], self.model.landmark_counts
        losses, visible = [], np.zeros(len(rois), bool)
        for row, (x1, y1, x2, y2) in enumerate(rois):
            first = sum(counts[: classes[row] - 1])
            for number in range(counts[classes[row] - 1]):
                x, y, mode = landmarks[row, number]
                across, down = (x - x1) / (x2 - x1), (y - y1) / (y2 - y1)
                if mode == 2 and 0 <= across < 1 and 0 <= down < 1:
                    visible[row] = True
                    log = log_softmax(heat[row, :, :, first + number].ravel())
                    losses.append(-log[int(down * size) * size + int(across * size)])
        return np.mean(losses), visible

    def _pair_loss(self, features, images, order, may, identities, training):
        """Each drawn RoI of a consumer's image with each of a shop's."""
        drawn = {0: [], 1: []}
        sampler = self.model.pair_sampler
        for image in np.unique(images):
            rows = np.flatnonzero(may & (images == image))
            number = sampler.shop_rois if image % 2 else sampler.user_rois
            drawn[image % 2] += list(rows[np.argsort(-order[rows])][:number])
        user, shop = drawn[0], drawn[1]
        vectors = self.vectors({name: x[user + shop] for name, x in features.items()}, training)
        logits = self.match_logits(
            vectors[: len(user), np.newaxis], vectors[np.newaxis, len(user) :]
        )
        same = (identities[user][:, np.newaxis] == identities[shop][np.newaxis]).all(-1)
        assert same.any() and not same.all()
        log = log_softmax(logits)
        return -np.where(same, log[..., 1], log[..., 0]).mean()

    # Inference.

    def describe(self, images, sizes, image, boxes, classes):
        """Of boxes [n, 4] in images [n]: masks, heat maps and vectors.

        Returns:
          Probabilities [n, m, m]; of each box the logits [size, size, landmarks of its class];
          [n, units].
        """
        levels = self.levels(images, sizes, training=False)
        features, heat, masks = self.streams(
            np.array(
                [
                    self.roi_features(levels, number, box, self.model.mask_stream.size)
                    for number, box in zip(image, np.asarray(boxes, np.float64), strict=True)
                ]
            )
        )
        masks = np.array(
            [mask[..., class_ - 1] for mask, class_ in zip(masks, classes, strict=True)]
        )
        ends = np.cumsum(self.model.landmark_counts)
        heat = [
            maps[..., end - self.model.landmark_counts[class_ - 1] : end]
            for maps, class_, end in zip(heat, classes, ends[np.asarray(classes) - 1], strict=True)
        ]
        return 1 / (1 + np.exp(-masks)), heat, self.vectors(features, training=False)

    def scored(self, images, sizes, image, boxes):
        """Of proposals [n, 4] in images [n]: logits and deltas of the box stream."""
        levels = self.levels(images, sizes, training=False)
        return self.box_stream(
            np.array(
                [
                    self.roi_features(levels, number, box, self.model.box_stream.size)
                    for number, box in zip(image, np.asarray(boxes, np.float64), strict=True)
                ]
            )
        )


def _mask_loss(logits, rois, classes, boxes, masks):
    """He et al. 2017, Sec. 3.1; a cell is the mask's where its centre is."""
    size, cells, losses = logits.shape[1], masks.shape[1], []
    for logit, roi, class_, box, mask in zip(logits, rois, classes, boxes, masks, strict=True):
        if not mask.any():
            continue
        targets = np.zeros((size, size))
        for i, j in np.ndindex(size, size):
            x, y = (roi[:2] + (roi[2:] - roi[:2]) * (np.array([j, i]) + 0.5) / size - box[:2]) / (
                box[2:] - box[:2]
            )
            if 0 <= x < 1 and 0 <= y < 1:
                targets[i, j] = mask[int(y * cells), int(x * cells)]
        losses.append(binary_entropy(logit[..., class_ - 1], targets).mean())
    return np.mean(losses)
