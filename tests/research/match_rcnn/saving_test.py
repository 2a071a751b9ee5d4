"""Keras saves, copies and loads a Match R-CNN, whose parts are made by functions."""

import copy
import functools
import os
import pickle

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.core import config, gin_source
from official.modeling import optimizers
from research.match_rcnn import MatchRCNN, roi_sampling, streams
from tests.research.match_rcnn import tiny


def _altered(**overrides):
    """A model no weight of which, moving statistics included, is what its seed makes."""
    model = tiny.make_model(seed=5, name='clothes', **overrides)
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.dtype == tf.float32:
            variable.assign(variable + generator.uniform(0.05, 0.1, variable.shape))
    return model


def _assert_same(one, other):
    images = np.random.default_rng(1).integers(0, 256, (1, *tiny.SIZE, 3)).astype(np.uint8)
    for name, values in one(images).items():
        np.testing.assert_array_equal(values, other(images)[name], err_msg=name)


def test_saved_and_loaded_predictions_are_the_same(tmp_path):
    model = _altered(mask_stream=None, box_beta=0.5, sampler=roi_sampling.RoiSampler(24))
    model.compile(optimizers.MomentumSGD(0.01, weight_decay=0.1))
    model.save(tmp_path / 'model.keras')
    again = tf.keras.models.load_model(tmp_path / 'model.keras')
    assert type(again) is MatchRCNN and again.name == 'clothes' and again.mask_stream is None
    assert again.box_beta == 0.5 and again.sampler.number == 24
    _assert_same(model, again)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        _assert_same(model, other)
    # A configuration has no weights: those are of the seed.
    fresh = tf.keras.models.model_from_json(model.to_json(), {'MatchRCNN': MatchRCNN})
    assert fresh.get_config() == model.get_config()
    for one, other in zip(
        fresh.variables, tiny.make_model(seed=5, mask_stream=None).variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_property_losses_is_keras():
    """Which reads it while it saves a model, or exports it, as a SavedModel."""
    model = tiny.make_model()
    layers = [part for part in model.submodules if isinstance(part, tf.keras.layers.Layer)]
    assert model.rpn in layers and all(layer.losses == [] for layer in (model, *layers))


class HalfStream(streams.BoxStream):
    """A part that says nothing of what it was made with."""

    def get_config(self):
        raise NotImplementedError


def test_parts_of_ones_own_and_of_gin(tmp_path):
    model = tiny.make_model(box_stream=functools.partial(HalfStream, units=4))
    with pytest.raises(NotImplementedError, match='MatchRCNN.box_stream is a HalfStream without'):
        model.save(tmp_path / 'model.keras')
    config.load(
        config.read(
            os.path.join(gin_source.ROOT, 'gin_configs/match_rcnn/garments.gin'),
            (
                'ResNet.width=4',
                'FPN.filters=8',
                'BoxStream.units=8',
                'MaskStream.width=8',
                'LandmarkStream.width=8',
                'MatchingNetwork.widths=(8, 8)',
                'RPN.number=77',
            ),
        )
    )
    try:
        made = gin.get_configurable(MatchRCNN)(seed=3)
    finally:
        config.clear()
    again = MatchRCNN.from_config(made.get_config())
    assert again.get_config() == made.get_config() and again.rpn.number == 77
    assert again.pair_sampler.user_rois == 2 and again.canonical_size == 96
    for one, other in zip(made.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)
