"""What the Match R-CNN benchmark times is the product, with as many products as are counted."""

from __future__ import annotations

import functools
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import match_rcnn_data, match_rcnn_flops, match_rcnn_tensorflow
from official.modeling import random

CONFIG = match_rcnn_data.Config(
    64,
    128,
    truths=2,
    items=3,
    anchors=16,
    train_candidates=60,
    train_proposals=40,
    test_candidates=50,
    test_proposals=30,
    rois=32,
    positives=8,
    detections=6,
)
GIVEN = match_rcnn_data.arrays(CONFIG)


@pytest.fixture(autouse=True)
def few_blocks(monkeypatch):
    """ResNet-50 with fewer blocks, which is sooner traced."""
    blocks = (2, 1, 2, 1)
    monkeypatch.setattr(match_rcnn_flops, 'BLOCKS', blocks)
    monkeypatch.setattr(
        match_rcnn_tensorflow.resnet,
        'ResNet',
        functools.partial(match_rcnn_tensorflow.resnet.ResNet, blocks=blocks),
    )


def counted(graph):
    """Floating-point operations of the networks' products that the outputs of a graph need."""
    needed, waiting, total = set(), [tensor.op for tensor in graph.outputs], 0
    while waiting:
        op = waiting.pop()
        if op in needed:
            continue
        needed.add(op)
        waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
        shapes = [tensor.shape for tensor in op.inputs]
        if op.type.startswith('Conv2D'):
            # Of the convolution itself or of the one whose gradient this is.
            made = op.outputs[0].shape
            kernel = made if op.type == 'Conv2DBackpropFilter' else shapes[1]
            image = made if op.type == 'Conv2D' else shapes[2]
            total += 2 * kernel.num_elements() * image[:3].num_elements()
        elif op.type in ('MatMul', 'BatchMatMulV2'):
            if match_rcnn_data.MASK_SIZE in (*shapes[0], *shapes[1]):
                continue  # Cuts targets out of the masks.
            transposed = op.get_attr('transpose_a' if op.type == 'MatMul' else 'adj_x')
            inner = shapes[0][-2 if transposed else -1]
            total += 2 * inner * op.outputs[0].shape.num_elements()
    return total


@pytest.mark.parametrize('streams', [False, True], ids=['boxes and masks', 'all streams'])
def test_products_are_as_many_as_counted(streams):
    model = match_rcnn_tensorflow.network(CONFIG, streams)
    batch = {
        name: tf.TensorSpec(value.shape[1:], value.dtype)
        for name, value in match_rcnn_tensorflow.batches(GIVEN).items()
    }

    # For XLA shapes are static, and no RoI is left out for being padding.
    @tf.function(jit_compile=True)
    def gradients(batch):
        with tf.GradientTape() as tape:
            loss = model.loss_terms(batch, random.make_key(0))['loss']
        return tape.gradient(loss, model.trainable_variables)

    step = counted(gradients.get_concrete_function(batch).graph)
    # The logits of pairs, 8 x 1 x 256 x 2, are left out.
    assert step == pytest.approx(match_rcnn_flops.flops('step', CONFIG, streams=streams), rel=1e-6)
    forward = counted(
        tf.function(model.detect, jit_compile=True)
        .get_concrete_function(tf.TensorSpec([1, 64, 128, 3], tf.uint8), tf.TensorSpec([1, 2]))
        .graph
    )
    assert forward == match_rcnn_flops.flops('forward', CONFIG, streams=streams)


def test_batches_are_what_the_pipeline_gives():
    found = match_rcnn_tensorflow.batches(GIVEN)
    assert sorted(found) == [
        'boxes',
        'classes',
        'crowd',
        'images',
        'landmarks',
        'masks',
        'pair_ids',
        'sizes',
        'styles',
    ]
    assert all(value.shape[:2] == (2, 2) for value in found.values())
    np.testing.assert_array_equal(found['sizes'], np.broadcast_to([64, 128], [2, 2, 2]))
    np.testing.assert_array_equal(found['images'][1, 0], GIVEN['images'][2])
    assert not found['crowd'].any()


def test_steps_and_detections_are_timed():
    result = match_rcnn_tensorflow.step_ms(GIVEN, repetitions=1, blocks=2, streams=True)
    assert len(result['ms']) == 2 and min(result['ms']) > 0 and result['first_s'] > 0
    # The annotated boxes are among the RoIs, for which there is room for 8.
    annotated = (GIVEN['classes'] > 0).sum(1).clip(max=8).mean()
    assert 0 < annotated <= result['positives'] <= 8
    result = match_rcnn_tensorflow.forward_ms(GIVEN, repetitions=2, blocks=1)
    assert len(result['ms']) == 1 and result['first_s'] > 0


def test_suppression_leaves_boxes_that_overlap_little():
    scores, boxes = (value.numpy() for value in match_rcnn_tensorflow.operation('nms', GIVEN)())
    for image in range(2):
        number = (scores[image] > 0).sum()
        assert number > 5 and not boxes[image, number:].any()
        kept = boxes[image, :number]
        common = np.minimum(kept[:, np.newaxis, 2:], kept[:, 2:]) - np.maximum(
            kept[:, np.newaxis, :2], kept[:, :2]
        )
        common = common.clip(0).prod(-1)
        areas = (kept[:, 2:] - kept[:, :2]).prod(-1)
        iou = common / (areas[:, np.newaxis] + areas - common)
        assert np.triu(iou, 1).max() <= 0.7


def test_features_of_regions_have_a_gradient_to_every_level_that_is_used():
    features, *gradients = match_rcnn_tensorflow.operation('mask_align', GIVEN)()
    assert features.shape == [2, 8, 14, 14, 256] and len(gradients) == 4
    # The sum of half the squares falls by the square of the gradient.
    assert np.abs(gradients[0]).max() > 0 and not np.any(gradients[3])
    more, *_ = match_rcnn_tensorflow.operation('roi_align', GIVEN, samples=1)()
    assert more.shape == [2, 32, 7, 7, 256]


def test_assignment_draws_as_many_as_asked_for():
    labels, indices, kinds, deltas = match_rcnn_tensorflow.operation('anchors', GIVEN)()
    assert labels.shape == [2, 682 * 3] and deltas.shape == [2, 16, 4]
    np.testing.assert_array_equal(tf.gather(labels, indices, batch_dims=1), kinds)
    assert (np.sum(kinds == 1, 1) >= 1).all()
    rois = match_rcnn_tensorflow.operation('rois', GIVEN)()
    assert rois[0].shape == [2, 32, 4] and (np.sum(rois[1] > 0, 1) == 8).all()


def test_it_prints_what_the_benchmark_reads(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / 'file.npz', **GIVEN)
    monkeypatch.setattr(tf.config.experimental, 'enable_op_determinism', lambda: None)
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'x',
            'rois',
            str(tmp_path / 'file.npz'),
            '--blocks=2',
            '--repetitions=2',
            f'--answers={tmp_path / "answers.npz"}',
        ],
    )
    match_rcnn_tensorflow.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(printed['ms']) == 2 and min(printed['ms']) > 0 and printed['first_s'] > 0
    assert list(printed['libraries']) == ['tensorflow'] and 'memory' in printed
    with np.load(tmp_path / 'answers.npz') as answers:
        assert answers['arr_0'].shape == (2, 32, 4)
    rates = {'float32': 2.0, 'bfloat16': 5.0}
    monkeypatch.setattr(
        match_rcnn_tensorflow.peak, 'gflop_per_s', lambda dtype: [1.0, rates[dtype] + 1]
    )
    monkeypatch.setattr(
        match_rcnn_tensorflow.peak, 'convolution_gflop_per_s', lambda sizes, dtype: rates[dtype]
    )
    for flags, rate in [((), 3), (('--bfloat16',), 6)]:
        monkeypatch.setattr(sys, 'argv', ['x', 'peak', *flags])
        match_rcnn_tensorflow.main()
        assert json.loads(capsys.readouterr().out.splitlines()[-1])['gflop_per_s'] == rate
        tf.keras.mixed_precision.set_global_policy('float32')


def test_a_network_in_bfloat16(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / 'file.npz', **GIVEN)
    monkeypatch.setattr(tf.config.experimental, 'enable_op_determinism', lambda: None)
    seen = []

    class Network(match_rcnn_tensorflow.model_lib.MatchRCNN):
        def detect(self, images, sizes):
            seen.append(self._levels(images, sizes, training=False)[0].dtype)
            return super().detect(images, sizes)

    monkeypatch.setattr(match_rcnn_tensorflow.model_lib, 'MatchRCNN', Network)
    try:
        for flags in ((), ('--bfloat16',)):
            monkeypatch.setattr(
                sys, 'argv', ['x', 'forward', str(tmp_path / 'file.npz'), '--blocks=1', *flags]
            )
            match_rcnn_tensorflow.main()
    finally:
        tf.keras.mixed_precision.set_global_policy('float32')
    assert seen == [tf.float32, tf.bfloat16]
    assert capsys.readouterr().out.count('"ms"') == 2
