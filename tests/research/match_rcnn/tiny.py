"""Experiments that take seconds: a few drawn garments, networks of a few channels."""

import functools
import os
import tempfile

from official.modeling import optimizers
from official.vision import fpn, resnet, rpn
from research.match_rcnn import (
    data,
    detection,
    experiment,
    export,
    matching,
    measurement,
    model,
    pair_sampling,
    report,
    roi_sampling,
    sources,
    streams,
)

SIZE = (64, 48)
TRAIN_PROPOSALS, PROPOSALS = 20, 16


@functools.cache
def folder():
    """A folder of drawn garments, made once in a process and removed with it."""
    made = tempfile.TemporaryDirectory(prefix='garments_')
    folder.keeper = made  # Lives as long as the process.
    return os.path.join(made.name, 'garments')


def source(data_dir=None):
    """Some garments of 96 x 72 pixels."""
    return sources.GarmentSource(
        data_dir or folder(),
        seed=1,
        num_identities={'train': 4, 'validation': 3},
        size=(96, 72),
        users=2,
        shops=2,
    )


def make_data(seed=0, data_dir=None, **overrides):
    """`MatchData` of them at 64 x 48 pixels, 4 images a batch."""
    return data.MatchData(
        **{
            'seed': seed,
            'data_dir': data_dir,
            'source': source,
            'batch_size': 4,
            'pairs': True,
            'canvas': SIZE,
            'min_size': SIZE[1],
            'max_size': SIZE[0],
            'max_items': 3,
            'evaluation_batch': 4,
            **overrides,
        }
    )


def make_model(seed=0, **overrides):
    """A Match R-CNN of few channels with everything on."""
    return model.MatchRCNN(
        **{
            'seed': seed,
            'backbone': functools.partial(
                resnet.ResNet, blocks=(1, 1, 1, 1), width=4, bottleneck=False, frozen=False
            ),
            'pyramid': functools.partial(fpn.FPN, filters=8),
            'proposals': functools.partial(
                rpn.RPN,
                anchor_sizes=(8, 16, 24, 32, 48),
                number=16,
                train_candidates=30,
                train_proposals=TRAIN_PROPOSALS,
                candidates=24,
                proposals=PROPOSALS,
            ),
            'sampler': roi_sampling.RoiSampler(16),
            'box_stream': functools.partial(streams.BoxStream, units=8),
            'landmark_stream': functools.partial(streams.LandmarkStream, width=8, convs=2, size=7),
            'mask_stream': functools.partial(streams.MaskStream, width=8, convs=2, size=7),
            'matching_network': functools.partial(
                matching.MatchingNetwork, widths=(8, 8), units=8, epsilon=0.1
            ),
            'pair_sampler': pair_sampling.PairSampler(2, 2),
            'selection': detection.Selection(max_detections=5, score_threshold=0.0),
            'canonical_size': 32,
            **overrides,
        }
    )


def make(run_dir, strategy=None, model_overrides=None, **overrides):
    """Four steps, a checkpoint at 2."""
    arguments = dict(
        seed=3,
        train_steps=4,
        save_every_steps=2,
        split='validation',
        monitor_split='validation',
        evaluator=measurement.MatchEvaluation(checkpoint_images=4),
        signatures=export.signatures,
        reporter=report.MatchReport(images=2, queries=2, failures=1, looked_at=8),
        model=functools.partial(make_model, **(model_overrides or {})),
        optimizer=lambda: optimizers.MomentumSGD(0.01, weight_decay=1e-5),
        data=make_data,
    )
    return experiment.MatchExperiment(run_dir, strategy=strategy, **{**arguments, **overrides})
