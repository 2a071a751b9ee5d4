"""The peer of the Match R-CNN benchmark does what this project does, as often as is counted.

tf-models-official is not of the locked stack, and its package has the name of this project's: what
needs it runs in a process of the Python that ARBORETUM_PEER_PYTHON names.
"""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess

import numpy as np
import pytest

from benchmarks import contest, match_rcnn, match_rcnn_data, match_rcnn_flops, match_rcnn_tensorflow

SCRIPT = pathlib.Path(match_rcnn.__file__).parent / 'match_rcnn_peer.py'
# All anchors and all proposals are drawn, so that chance does not matter.
CONFIG = match_rcnn_data.Config(
    128,
    192,
    truths=3,
    items=4,
    anchors=2 * 3 * (32 * 48 + 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3),
    train_candidates=300,
    train_proposals=200,
    test_candidates=50,
    test_proposals=30,
    rois=204,
    positives=8,
    detections=6,
)
GIVEN = match_rcnn_data.arrays(CONFIG)


@functools.cache
def peer_python():
    """A Python that has tf-models, or None."""
    python = os.environ.get(match_rcnn.PEER.variable)
    if not python:
        return None
    done = subprocess.run(
        [python, '-I', '-c', f'import {match_rcnn.PEER.module}'], capture_output=True
    )
    return None if done.returncode else python


def run(tmp_path, mode, *arguments, given=GIVEN):
    """What the peer printed."""
    if not peer_python():
        pytest.skip(f'{match_rcnn.PEER.variable} names no Python with tf-models')
    np.savez(tmp_path / 'file.npz', **given)
    printed = contest.run_worker(
        [
            peer_python(),
            '-I',
            str(SCRIPT),
            mode,
            str(tmp_path / 'file.npz'),
            '--blocks=1',
            *arguments,
        ]
    )
    assert len(printed['ms']) == 1 and printed['ms'][0] > 0 and printed['first_s'] > 0
    assert printed['libraries'] == {'tf-models': '2.15.0', 'tensorflow': '2.15.1'}
    return printed


def answers(tmp_path, mode, *arguments, given=GIVEN):
    """What an operation of the peer gave."""
    run(tmp_path, mode, f'--answers={tmp_path / "answers.npz"}', *arguments, given=given)
    with np.load(tmp_path / 'answers.npz') as file:
        return list(file.values())


def xyxy(boxes):
    return boxes[..., [1, 0, 3, 2]]


@pytest.mark.parametrize('kind', ['library', 'batched'])
def test_the_same_boxes_survive(tmp_path, kind):
    scores, boxes = answers(tmp_path, 'nms', f'--nms={kind}')
    ours = match_rcnn_tensorflow.operation('nms', GIVEN)()
    assert (scores > 0).sum(1).min() > 10 and (scores > 0).sum(1).max() < 200
    np.testing.assert_allclose(scores, ours[0], atol=1e-6)
    np.testing.assert_allclose(xyxy(boxes), ours[1], atol=1e-4)


@pytest.mark.parametrize('mode', ['roi_align', 'mask_align'])
def test_features_of_regions_and_their_gradient_are_the_same_with_one_sample(tmp_path, mode):
    features, *gradients = answers(tmp_path, mode)
    # Theirs takes a pixel for the value at its corner, ours for that at its centre.
    boxes = GIVEN['candidates'].astype(float)
    sides = boxes[..., 2:] - boxes[..., :2]
    levels = np.clip(np.floor(4 + np.log2(np.sqrt(sides.prod(-1)) / 224)), 2, 5)
    assert len(np.unique(levels)) > 1
    shifted = boxes + 2 ** levels[..., np.newaxis] / 2
    ours, *our_gradients = match_rcnn_tensorflow.operation(
        mode, {**GIVEN, 'candidates': shifted.astype(np.float32)}, samples=1
    )()
    assert features.std() > 0.3
    np.testing.assert_allclose(features, ours, atol=2e-4)
    assert len(our_gradients) == 4 and not gradients[4].any()
    for found, expected in zip(gradients, our_gradients, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_anchors_have_the_same_labels(tmp_path):
    found = answers(tmp_path, 'anchors')
    # Five levels of deltas and of scores of an image, then those of the next. Their ratios are of
    # width to height, ours the reverse.
    scores = np.stack(
        [
            np.concatenate(
                [level.reshape(-1, 3)[:, ::-1].ravel() for level in found[start : start + 5]]
            )
            for start in (5, 15)
        ]
    )
    labels = match_rcnn_tensorflow.operation('anchors', GIVEN)()[0].numpy()
    assert (scores == 1).sum() >= 6 and (scores == 0).sum() > 1000 and (scores < 0).sum() > 10
    # Of anchors that are equally good for a ground truth, and best, theirs takes the first.
    different = scores != labels
    assert (labels[different] == 1).all() and (scores[different] == -1).all()
    assert different.sum() < 20


def test_regions_have_the_same_classes(tmp_path):
    given = {**GIVEN, 'positives': CONFIG.rois}
    rois, _, classes, _ = answers(tmp_path, 'rois', given=given)
    ours = match_rcnn_tensorflow.operation('rois', given)()
    for image in range(2):
        theirs, own = (
            np.concatenate([boxes, kinds[:, np.newaxis]], 1)[kinds > 0]
            for boxes, kinds in (
                (xyxy(rois[image]), classes[image]),
                (ours[0][image].numpy(), ours[1][image].numpy()),
            )
        )
        assert len(theirs) > 20
        np.testing.assert_allclose(theirs[np.lexsort(theirs.T)], own[np.lexsort(own.T)], atol=1e-3)


def test_a_step_and_detections_have_as_many_operations_as_counted(tmp_path):
    step = run(tmp_path, 'step')
    # The graph, but not its execution, has the gradient of the images.
    stem = match_rcnn_flops.backbone(CONFIG.height, CONFIG.width, peer=True)[1]
    expected = match_rcnn_flops.flops('step', CONFIG, peer=True) + 2 * CONFIG.batch * stem
    assert step['gflop'] == pytest.approx(expected / 1e9, rel=1e-3)
    forward = run(tmp_path, 'forward', '--nms=batched')
    assert forward['gflop'] == pytest.approx(
        match_rcnn_flops.flops('forward', CONFIG, peer=True) / 1e9, rel=1e-6
    )
    assert forward['memory']['peak_mb'] > 100


@pytest.mark.parametrize(
    'arguments',
    [('--norms=trained',), ('--nms=batched', '--label'), ('--bfloat16',)],
    ids=['as it comes', 'targets made', 'bfloat16'],
)
def test_the_other_forms_run(tmp_path, arguments):
    assert run(tmp_path, 'step', *arguments)['parameters'] > 40e6
