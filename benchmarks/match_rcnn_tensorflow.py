"""Inference, training steps and operations of this project's Match R-CNN (Ge et al. 2019).

What benchmarks/match_rcnn.py runs, a process at a time, on the file of images that it makes:

    ./garden python benchmarks/match_rcnn_tensorflow.py step FILE [--streams] [--norms=trained]
    ./garden python benchmarks/match_rcnn_tensorflow.py forward FILE [--streams]
    ./garden python benchmarks/match_rcnn_tensorflow.py OPERATION FILE [--samples=1]
    ./garden python benchmarks/match_rcnn_tensorflow.py peak          products alone

`--bfloat16` is for step, forward and peak.

Everything is the product's: networks, losses, sampling, optimizer and `fit`; only the images are
the file's, as the pipeline gives them, and weights are the initial ones. Without `--streams` there
are boxes and masks alone, which is Mask R-CNN; with it landmarks and matching, too. All of the
backbone is trained. An operation is `nms`, `roi_align` (7 x 7 features of all RoIs, and their
gradient), `mask_align` (14 x 14 of the positive ones), `anchors` (assigned, drawn, encoded) or
`rois` (the same of proposals).

Prints one JSON object: 'ms', the mean step or image batch of each block, milliseconds; 'first_s',
of the first of all, which has the tracing; 'parameters', 'memory' and 'libraries'. For `peak`:
'gflop_per_s', the highest rate. `--answers=FILE` writes what an operation gave.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from benchmarks import contest, match_rcnn_data, peak, step_clock
from official.modeling import optimizers, random
from official.vision import anchors, assignment, nms, resnet, roi_align, rpn
from official.vision import boxes as box_ops
from research.match_rcnn import detection, roi_sampling
from research.match_rcnn import model as model_lib

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-5, 0.9, 1e-5
OPERATIONS = ('nms', 'roi_align', 'mask_align', 'anchors', 'rois')
STRIDES, CHANNELS = (4, 8, 16, 32, 64), 256
BOX, MASK = 7, 14  # Height and width of the features of a RoI.
PIXEL_STDDEV = 74  # Of numbers from 0 to 255 that are equally frequent.
# Channels, height, width and images of the convolutions that the peak is measured with.
PEAKS = ((64, 208, 336, 2), (256, 104, 168, 2), (256, 14, 14, 128), (512, 26, 42, 2))


def network(
    config: match_rcnn_data.Config, streams: bool = False, norms: str = 'frozen'
) -> model_lib.MatchRCNN:
    """The network with the sizes of the contest.

    Args:
      config: the sizes.
      streams: with landmarks and matching.
      norms: 'trained' for batch norms of the backbone that use the batch, or 'frozen'.
    """
    left_out = {} if streams else {'landmark_stream': None, 'matching_network': None}
    model = model_lib.MatchRCNN(
        num_classes=config.num_classes,
        landmark_counts=match_rcnn_data.LANDMARK_COUNTS,
        backbone=functools.partial(resnet.ResNet, frozen=norms == 'frozen'),
        proposals=functools.partial(
            rpn.RPN,
            number=config.anchors,
            train_candidates=config.train_candidates,
            train_proposals=config.train_proposals,
            candidates=config.test_candidates,
            proposals=config.test_proposals,
        ),
        sampler=roi_sampling.RoiSampler(config.rois, config.positives / config.rois),
        selection=detection.Selection(config.detections),
        **left_out,
    )
    if norms == 'frozen':
        # As norms of a trained network do: initial ones let features grow without end.
        model.backbone.stem.scale.assign(tf.ones_like(model.backbone.stem.scale) / PIXEL_STDDEV)
        for block in itertools.chain(*model.backbone.stages):
            block.convs[-1].scale.assign(0.1 * tf.ones_like(block.convs[-1].scale))
    return model


def batches(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the pipeline gives of the images, [batches, batch, ...]."""
    config = match_rcnn_data.config_of(given)
    found = {
        name: given[name]
        for name in ('images', 'boxes', 'classes', 'masks', 'landmarks', 'pair_ids', 'styles')
    }
    found['sizes'] = np.tile(np.float32([config.height, config.width]), [config.number, 1])
    found['crowd'] = np.zeros(found['classes'].shape, bool)
    return {
        name: value.reshape([-1, config.batch, *value.shape[1:]]) for name, value in found.items()
    }


def step_ms(
    given: Mapping[str, np.ndarray],
    repetitions: int,
    blocks: int,
    streams: bool = False,
    norms: str = 'frozen',
) -> dict:
    """Times training steps.

    Args:
      given: what the file holds.
      repetitions: steps in one block, which is one call of the compiled function.
      blocks: how many are timed, after a first one.
      streams: with landmarks and matching.
      norms: see `network`.

    Returns:
      'ms', 'first_s' and 'parameters', see the module; 'positives', the mean number of positive
      RoIs of an image.

    Raises:
      SystemExit: the losses are not finite.
    """
    model = network(match_rcnn_data.config_of(given), streams, norms)
    model.compile(
        optimizers.MomentumSGD(LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY),
        steps_per_execution=repetitions,
    )
    model.build_optimizers()
    clock = step_clock.StepClock()
    contest.forget_peak()
    model.fit(
        tf.data.Dataset.from_tensor_slices(batches(given)).repeat(),
        steps_per_epoch=(1 + blocks) * repetitions,
        callbacks=[clock],
        verbose=0,
    )
    _check(int(model.first_bad_step) < 0)
    first_s, *seconds = np.diff(clock.seconds).tolist()
    return {
        'ms': [1000 * block / repetitions for block in seconds],
        'first_s': first_s,
        'parameters': _parameters(model),
        'positives': _positives(model, batches(given)),
    }


def _positives(model, found) -> float:
    """The mean number of positive RoIs of an image in all batches."""

    @tf.function
    def count(batch):
        canvas = batch['images'].shape[1:3]
        levels = model.pyramid(
            model.backbone(resnet.preprocess(batch['images'], batch['sizes']), training=False)
        )
        boxes, valid = model.rpn.propose(model.rpn(levels), canvas, batch['sizes'], training=True)
        rois = model.sampler(boxes, valid, batch, random.make_key(0))
        return tf.reduce_mean(tf.reduce_sum(tf.cast(rois.classes > 0, tf.float32), 1))

    number = len(found['images'])
    return (
        sum(
            float(count({name: tf.constant(value[index]) for name, value in found.items()}))
            for index in range(number)
        )
        / number
    )


def forward_ms(
    given: Mapping[str, np.ndarray], repetitions: int, blocks: int, streams: bool = False
) -> dict:
    """Times the detections of an image; see `step_ms`."""
    model = network(match_rcnn_data.config_of(given), streams)
    found = {
        name: tf.constant(batches({**given, 'batch': 1})[name]) for name in ('images', 'sizes')
    }
    detect = tf.function(model.detect)

    def run(number):
        chosen = number % len(found['images'])
        outputs = detect(found['images'][chosen], found['sizes'][chosen])
        return sum(float(value.numpy().sum()) for value in outputs.values())

    return _timed(run, repetitions, blocks) | {'parameters': _parameters(model)}


def operation(
    name: str, given: Mapping[str, np.ndarray], samples: int = 2
) -> Callable[[], list[tf.Tensor]]:
    """One of OPERATIONS, on a batch of images.

    Args:
      name: which.
      given: what the file holds.
      samples: points of RoIAlign along each edge of a bin.
    """
    config = match_rcnn_data.config_of(given)
    candidates, scores = (
        tf.constant(given[part][: config.batch]) for part in ('candidates', 'scores')
    )
    batch = {part: tf.constant(value[0]) for part, value in batches(given).items()}
    key = random.make_key(0)
    if name == 'nms':

        def kept():
            indices, real = nms.batched_nms(candidates, scores, 0.7, config.train_proposals)
            return [
                tf.where(real, tf.gather(scores, indices, batch_dims=1), 0.0),
                tf.where(real[..., tf.newaxis], tf.gather(candidates, indices, batch_dims=1), 0.0),
            ]

        return tf.function(kept)
    if name == 'anchors':
        all_anchors = tf.constant(
            np.concatenate(anchors.pyramid_anchors((config.height, config.width), STRIDES))
        )

        def drawn():
            matched = assignment.match_anchors(
                all_anchors, batch['boxes'], batch['classes'] > 0, batch['crowd']
            )
            indices, kinds = assignment.sample(matched.labels, key, config.anchors, 0.5)
            truths = tf.gather(
                batch['boxes'], tf.gather(matched.indices, indices, batch_dims=1), batch_dims=1
            )
            deltas = box_ops.encode(truths, tf.gather(all_anchors, indices), (1, 1, 1, 1))
            return [matched.labels, indices, kinds, deltas]

        return tf.function(drawn)
    if name == 'rois':
        sampler = roi_sampling.RoiSampler(config.rois, config.positives / config.rois)
        proposals = candidates[:, : config.train_proposals]
        valid = tf.ones(proposals.shape[:2], tf.bool)
        return tf.function(lambda: list(sampler(proposals, valid, batch, key)))
    size, number = {'roi_align': (BOX, config.rois), 'mask_align': (MASK, config.positives)}[name]
    boxes = candidates[:, :number]

    @tf.function
    def aligned(levels):
        with tf.GradientTape() as tape:
            tape.watch(levels)
            features = roi_align.roi_align(levels, boxes, STRIDES[:4], size, samples)
            # Not a sum, whose gradient is a constant.
            loss = tf.reduce_sum(features**2) / 2
        return [features, *tape.gradient(loss, levels)]

    levels = [tf.constant(level) for level in pyramid(config)[:4]]  # The fifth is the RPN's.
    return lambda: aligned(levels)


def pyramid(config: match_rcnn_data.Config) -> list[np.ndarray]:
    """Features of the levels of a batch of images, float32 [batch, h, w, channels]."""
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal(
            [config.batch, config.height // stride, config.width // stride, CHANNELS], np.float32
        )
        for stride in STRIDES
    ]


def _timed(run: Callable[[int], float], repetitions: int, blocks: int) -> dict:
    """'ms', the mean of each block after the first call, and 'first_s' of that."""
    contest.forget_peak()
    marks = [time.perf_counter()]
    run(0)
    marks.append(time.perf_counter())
    for _ in range(blocks):
        for number in range(repetitions):
            value = run(number)
        marks.append(time.perf_counter())
    _check(math.isfinite(value))
    first_s, *seconds = np.diff(marks).tolist()
    return {'ms': [1000 * block / repetitions for block in seconds], 'first_s': first_s}


def _parameters(net: tf.keras.Model) -> int:
    return sum(variable.shape.num_elements() for variable in net.trainable_variables)


def _check(finite: bool) -> None:
    if not finite:
        raise SystemExit('The result is not finite: these times do not count.')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('mode', choices=('step', 'forward', *OPERATIONS, 'peak'))
    parser.add_argument('file', nargs='?', help='of images, of benchmarks/match_rcnn.py')
    parser.add_argument('--streams', action='store_true', help='with landmarks and matching')
    parser.add_argument('--norms', choices=('frozen', 'trained'), default='frozen')
    parser.add_argument('--bfloat16', action='store_true', help='products of the network, or peak')
    parser.add_argument('--samples', type=contest.positive, default=2, help='of RoIAlign')
    parser.add_argument('--repetitions', type=contest.positive, default=1, help='in a block')
    parser.add_argument('--blocks', type=contest.positive, default=3, help='timed, after a first')
    parser.add_argument('--answers', help='file to write what an operation gives to')
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()  # As every run of the project.
    tf.keras.utils.set_random_seed(0)
    if arguments.bfloat16:
        tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
    if arguments.mode == 'peak':
        dtype = 'bfloat16' if arguments.bfloat16 else 'float32'
        result = {
            'gflop_per_s': max(
                peak.convolution_gflop_per_s(PEAKS, dtype), *peak.gflop_per_s(dtype=dtype)
            )
        }
    else:
        with np.load(arguments.file) as file:
            given = dict(file)
        sizes = arguments.repetitions, arguments.blocks
        if arguments.mode == 'step':
            result = step_ms(given, *sizes, arguments.streams, arguments.norms)
        elif arguments.mode == 'forward':
            result = forward_ms(given, *sizes, arguments.streams)
        else:
            function = operation(arguments.mode, given, arguments.samples)
            if arguments.answers:
                np.savez(arguments.answers, *(value.numpy() for value in function()))
            result = _timed(
                lambda number: float(tf.reduce_sum(tf.cast(function()[0][0], tf.float32))), *sizes
            )
        result['memory'] = contest.memory_mb()
    print(json.dumps(result | {'libraries': {'tensorflow': tf.__version__}}))


if __name__ == '__main__':
    main()
