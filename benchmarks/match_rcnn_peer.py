"""Inference, training steps and operations of the Mask R-CNN of tf-models-official 2.15.

The peer in benchmarks/match_rcnn.py, which makes the file of images that this reads. Its package is
named `official` as this project's is: run it in an environment of its own, with -I, so that nothing
of this project is found. Nothing of it is needed.

    python -I benchmarks/match_rcnn_peer.py step FILE [--norms=trained] [--nms=batched] [--label]
    python -I benchmarks/match_rcnn_peer.py forward FILE                [--bfloat16, as of step]
    python -I benchmarks/match_rcnn_peer.py OPERATION FILE       one of those below

Networks, losses, optimizer and `train_step` are the library's, made by its factories from its
configuration, `maskrcnn_resnetfpn_coco`; what is set otherwise are the sizes, two dense layers for
the boxes in place of four convolutions and one, decay and a constant learning rate. Unless
`--label`, targets of the anchors are ready made; with it they are made as the library makes them,
by its input pipeline, beside the steps. Images are normalized beforehand.

Prints one JSON object: 'ms', the mean step or image batch of each block, milliseconds; 'first_s',
of the first of all, which has the tracing; 'gflop' of the convolutions and matrix products in the
graph, 'parameters', 'memory' and 'libraries'. `--answers=FILE` writes what an operation gave.
tests/benchmarks/match_rcnn_peer_test.py compares the operations with this project's.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import math
import pathlib
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# The peer's, not this project's, of the same name.
(
    optimization,
    performance,
    maskrcnn_configs,
    roi_aligner,
    roi_sampler,
    anchor,
    nms,
    preprocess_ops,
    maskrcnn_tasks,
) = (
    importlib.import_module(f'official.{module}')
    for module in (
        'modeling.optimization',
        'modeling.performance',
        'vision.configs.maskrcnn',
        'vision.modeling.layers.roi_aligner',
        'vision.modeling.layers.roi_sampler',
        'vision.ops.anchor',
        'vision.ops.nms',
        'vision.ops.preprocess_ops',
        'vision.tasks.maskrcnn',
    )
)

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-5, 0.9, 1e-5
MIN_LEVEL, MAX_LEVEL, CHANNELS = 2, 6, 256
NORMS = ('frozen', 'trained')
NMS = ('library', 'batched')
OPERATIONS = ('nms', 'roi_align', 'mask_align', 'anchors', 'rois')
BOX, MASK = 7, 14  # Height and width of the features of a RoI.


def task_of(given: dict, norms: str = 'frozen', nms_kind: str = 'library'):
    """The library's task with the sizes of the file.

    Args:
      given: what the file holds.
      norms: one of NORMS; 'frozen' are those of the backbone, see `freeze` for the others.
      nms_kind: 'batched' for the kernel of TensorFlow in place of the library's own loops.
    """
    config = maskrcnn_configs.maskrcnn_resnetfpn_coco().task
    config.init_checkpoint = None
    model = config.model
    model.num_classes = 1 + int(given['num_classes'])
    model.input_size = [int(given['height']), int(given['width']), 3]
    model.min_level, model.max_level = MIN_LEVEL, MAX_LEVEL
    model.backbone.resnet.model_id = 50
    model.backbone.resnet.bn_trainable = norms == 'trained'
    model.norm_activation.use_sync_bn = False  # There is one device.
    model.detection_head.num_convs, model.detection_head.num_fcs = 0, 2
    model.roi_generator.pre_nms_top_k = int(given['train_candidates'])
    model.roi_generator.num_proposals = int(given['train_proposals'])
    model.roi_generator.test_pre_nms_top_k = int(given['test_candidates'])
    model.roi_generator.test_num_proposals = int(given['test_proposals'])
    model.roi_generator.use_batched_nms = nms_kind == 'batched'
    model.roi_sampler.num_sampled_rois = int(given['rois'])
    model.roi_sampler.foreground_fraction = float(given['positives'] / given['rois'])
    model.mask_sampler.num_sampled_masks = int(given['positives'])
    model.detection_generator.max_num_detections = int(given['detections'])
    if nms_kind == 'batched':
        model.detection_generator.nms_version = 'batched'
    config.losses.l2_weight_decay = WEIGHT_DECAY
    return maskrcnn_tasks.MaskRCNNTask(config)


def freeze(model: tf.keras.Model) -> None:
    """Makes all batch norms, those of the pyramid and the heads, too, use their averages."""
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.trainable = False


def images_of(given: dict, batch: int) -> tf.Tensor:
    """Normalized images as the network takes them, float32 [batches, batch, height, width, 3]."""
    images = preprocess_ops.normalize_image(tf.constant(given['images']))
    return tf.reshape(images, [-1, batch, *images.shape[1:]])


def anchors_of(given: dict) -> dict[str, tf.Tensor]:
    """Anchors of an image by level, [h, w, 4 anchors]."""
    return anchor.build_anchor_generator(MIN_LEVEL, MAX_LEVEL, 1, [0.5, 1.0, 2.0], 8)(
        (int(given['height']), int(given['width']))
    )


def truth_of(given: dict) -> dict[str, tf.Tensor]:
    """Boxes (y1, x1, y2, x2), classes and masks of each image, -1 where there is padding."""
    there = given['classes'] > 0
    return {
        'gt_boxes': tf.constant(np.where(there[..., np.newaxis], _yxyx(given['boxes']), -1.0)),
        'gt_classes': tf.constant(np.where(there, given['classes'], -1)),
        'gt_masks': tf.constant(
            np.where(there[..., np.newaxis, np.newaxis], given['masks'], -1).astype(np.float32)
        ),
    }


def label(given: dict, anchors: dict, boxes: tf.Tensor, classes: tf.Tensor) -> dict:
    """What the library's input pipeline makes of the ground truth of an image, as it does."""
    labeler = anchor.RpnAnchorLabeler(0.7, 0.3, int(given['anchors']), 0.5)
    count = int(given['truths'])  # Before it pads them.
    scores, deltas = labeler.label_anchors(
        anchors, boxes[:count], tf.cast(classes[:count, tf.newaxis], tf.float32)
    )
    return {'rpn_score_targets': scores, 'rpn_box_targets': deltas}


def batches(given: dict, labelled: bool) -> tf.data.Dataset:
    """Batches for ever.

    Args:
      given: what the file holds.
      labelled: make the targets of the anchors for every batch anew, in the pipeline.
    """
    anchors, truth = anchors_of(given), truth_of(given)
    size = np.array([given['height'], given['width']], np.float32)
    info = tf.constant(np.stack([size, size, np.ones(2, np.float32), np.zeros(2, np.float32)]))

    def parse(image, truth):
        return image, {
            **truth,
            'image_info': info,
            'anchor_boxes': anchors,
            **label(given, anchors, truth['gt_boxes'], truth['gt_classes']),
        }

    data = tf.data.Dataset.from_tensor_slices((images_of(given, 1)[:, 0], truth))
    batch = int(given['batch'])
    if not labelled:
        data = data.map(parse).batch(batch, drop_remainder=True)
        return data.cache().repeat().prefetch(tf.data.AUTOTUNE)
    data = data.repeat().map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


# What is timed: functions of a number whose results have to be finite.


def step(given: dict, norms: str, nms_kind: str, labelled: bool):
    """A training step: the function, the graph, the network."""
    task = task_of(given, norms, nms_kind)
    model = task.build_model()
    if norms == 'frozen':
        freeze(model)
    optimizer = task.create_optimizer(
        optimization.OptimizationConfig(
            {
                'optimizer': {'type': 'sgd', 'sgd': {'momentum': MOMENTUM}},
                'learning_rate': {'type': 'constant', 'constant': {'learning_rate': LEARNING_RATE}},
            }
        )
    )
    iterator = iter(batches(given, labelled))

    @tf.function
    def update(iterator):
        return task.train_step(next(iterator), model, optimizer)['loss']

    graph = update.get_concrete_function(iterator).graph
    return (lambda number: float(update(iterator))), graph, model


def forward(given: dict, nms_kind: str):
    """Detections and masks of one image: the function, the graph, the network."""
    model = task_of(given, nms_kind=nms_kind).build_model()
    images = images_of(given, 1)
    size = tf.constant([[given['height'], given['width']]], tf.float32)
    anchors = {level: boxes[tf.newaxis] for level, boxes in anchors_of(given).items()}

    @tf.function
    def detect(image):
        found = model(image, image_shape=size, anchor_boxes=anchors, training=False)
        return [
            found[name]
            for name in (
                'detection_boxes',
                'detection_scores',
                'detection_classes',
                'detection_masks',
            )
        ]

    def run(number):
        return sum(float(value.numpy().sum()) for value in detect(images[number % len(images)]))

    return run, detect.get_concrete_function(images[0]).graph, model


def operation(name: str, given: dict, nms_kind: str = 'library') -> Callable[[], list[tf.Tensor]]:
    """One of OPERATIONS, on a batch of images."""
    batch = int(given['batch'])
    truth = {key: value[:batch] for key, value in truth_of(given).items()}
    candidates = tf.constant(_yxyx(given['candidates'][:batch]))
    scores = tf.constant(given['scores'][:batch])
    proposals = int(given['train_proposals'])
    if name == 'nms' and nms_kind == 'library':
        return tf.function(
            lambda: nms.sorted_non_max_suppression_padded(scores, candidates, proposals, 0.7)
        )
    if name == 'nms':
        return tf.function(
            lambda: tf.image.combined_non_max_suppression(
                candidates[:, :, tf.newaxis],
                scores[..., tf.newaxis],
                proposals,
                proposals,
                0.7,
                clip_boxes=False,
            )[1::-1]
        )
    if name == 'anchors':
        anchors = anchors_of(given)
        labelled = tf.function(
            lambda: [
                label(given, anchors, truth['gt_boxes'][i], truth['gt_classes'][i])
                for i in range(batch)
            ]
        )
        return lambda: tf.nest.flatten(labelled())
    if name == 'rois':
        sampler = roi_sampler.ROISampler(
            num_sampled_rois=int(given['rois']),
            foreground_fraction=float(given['positives'] / given['rois']),
        )
        return tf.function(
            lambda: sampler(candidates[:, :proposals], truth['gt_boxes'], truth['gt_classes'])
        )
    size, number = {'roi_align': (BOX, 'rois'), 'mask_align': (MASK, 'positives')}[name]
    aligner = roi_aligner.MultilevelROIAligner(size)
    boxes = candidates[:, : int(given[number])]

    @tf.function
    def aligned(levels):
        levels = {str(MIN_LEVEL + i): level for i, level in enumerate(levels)}
        with tf.GradientTape() as tape:
            tape.watch(levels)
            features = aligner(levels, boxes)
            # Not a sum, whose gradient is a constant.
            loss = tf.reduce_sum(features**2) / 2
        return [features, *tape.gradient(loss, levels).values()]

    levels = [tf.constant(level) for level in pyramid(given)]
    return lambda: aligned(levels)


def pyramid(given: dict) -> list[np.ndarray]:
    """Features of the levels of a batch of images, float32 [batch, h, w, channels]."""
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal(
            [
                int(given['batch']),
                int(given['height']) // stride,
                int(given['width']) // stride,
                CHANNELS,
            ],
            np.float32,
        )
        for stride in (2**level for level in range(MIN_LEVEL, MAX_LEVEL + 1))
    ]


def _yxyx(boxes: np.ndarray) -> np.ndarray:
    return boxes[..., [1, 0, 3, 2]]


# Measurement.


def timed(run: Callable, repetitions: int, blocks: int) -> dict:
    """'ms', the mean of each block after the first call, and 'first_s' of that."""
    forget_peak()
    begin = time.perf_counter()
    run(0)
    first_s = time.perf_counter() - begin
    milliseconds = []
    for _ in range(blocks):
        begin = time.perf_counter()
        for number in range(repetitions):
            value = run(number)
        milliseconds.append(1000 * (time.perf_counter() - begin) / repetitions)
    if not math.isfinite(value):
        raise SystemExit(f'The result is {value}: these times do not count.')
    return {'ms': milliseconds, 'first_s': first_s}


def gflop(graph: tf.Graph) -> float:
    """10^9 floating-point operations of the convolutions and matrix products in a graph."""
    total = 0
    for op in graph.get_operations():
        shapes = [tensor.shape for tensor in op.inputs]
        if op.type.startswith('Conv2D'):
            # Of the convolution itself or of the one whose gradient this is.
            made = op.outputs[0].shape
            kernel = made if op.type == 'Conv2DBackpropFilter' else shapes[1]
            image = made if op.type == 'Conv2D' else shapes[2]
            kernel = (
                kernel
                if kernel.rank == 4
                else tf.TensorShape(
                    tf.get_static_value(op.inputs[1 if op.type == 'Conv2DBackpropFilter' else 0])
                )
            )
            total += 2 * kernel.num_elements() * image[:3].num_elements()
        elif op.type == 'MatMul':
            inner = shapes[0][-2 if op.get_attr('transpose_a') else -1]
            total += 2 * inner * op.outputs[0].shape.num_elements()
    return total / 1e9


def forget_peak() -> None:
    """The peak of memory counts from here on, where Linux lets it: not from the first weights."""
    with contextlib.suppress(OSError):
        pathlib.Path('/proc/self/clear_refs').write_text('5')


def peak_mb() -> float | None:
    """The most this process ever held, MB of 10^6 bytes, where Linux says so."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path('/proc/self/status').read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('mode', choices=('step', 'forward', *OPERATIONS))
    parser.add_argument('file', help='of images, of benchmarks/match_rcnn.py')
    parser.add_argument('--norms', choices=NORMS, default=NORMS[0])
    parser.add_argument('--nms', choices=NMS, default=NMS[0])
    parser.add_argument('--label', action='store_true', help='make targets in the pipeline')
    parser.add_argument('--bfloat16', action='store_true', help='products of networks in bfloat16')
    parser.add_argument('--repetitions', type=int, default=1, help='in a block')
    parser.add_argument('--blocks', type=int, default=3, help='timed, after a first call')
    parser.add_argument('--answers', help='file to write what an operation gives to')
    arguments = parser.parse_args()
    tf.random.set_seed(0)
    if arguments.bfloat16:
        performance.set_mixed_precision_policy('bfloat16')
    with np.load(arguments.file) as file:
        given = dict(file)
    result = {}
    if arguments.mode in OPERATIONS:
        function = operation(arguments.mode, given, arguments.nms)
        if arguments.answers:
            np.savez(arguments.answers, *(value.numpy() for value in function()))

        def run(number):
            return float(tf.reduce_sum(function()[0][0]))
    else:
        if arguments.mode == 'step':
            run, graph, model = step(given, arguments.norms, arguments.nms, arguments.label)
        else:
            run, graph, model = forward(given, arguments.nms)
        result = {
            'gflop': gflop(graph),
            'parameters': sum(
                variable.shape.num_elements() for variable in model.trainable_variables
            ),
        }
    result |= timed(run, arguments.repetitions, arguments.blocks)
    print(
        json.dumps(
            result
            | {
                'memory': {'peak_mb': peak_mb()},
                'libraries': {
                    'tf-models': importlib.metadata.version('tf-models-official'),
                    'tensorflow': tf.__version__,
                },
            }
        )
    )


if __name__ == '__main__':
    main()
