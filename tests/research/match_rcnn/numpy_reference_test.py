"""A training step and the inference of the whole model against float64 NumPy."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers
from official.modeling import random
from official.vision import assignment
from research.match_rcnn import losses
from research.match_rcnn import pair_sampling
from research.match_rcnn import roi_sampling
from tests.research.match_rcnn import numpy_reference
from tests.research.match_rcnn import tiny

COUNTS = (3, 2, 0)  # Landmarks of the three classes.
CELLS = 16  # Of a mask in its box.
WEIGHTS = losses.LossWeights(2.0, 3.0, 5.0, 7.0, 11.0, 13.0)
RATE, MOMENTUM, DECAY = 1.0, 0.9, 0.1


def _item(box, class_, landmarks=(), mask='left', pair_id=0, style=0, crowd=False):
    """Landmarks are (x, y, v), x and y as shares of the box; a mask is half of its box, or ''."""
    x1, y1, x2, y2 = box
    places = np.zeros((max(COUNTS), 3))
    for row, (x, y, mode) in zip(places, landmarks, strict=False):
        # Away from the borders of cells, where the rounding of float32 would decide.
        row[:] = x1 + (x + .013) * (x2 - x1), y1 + (y + .013) * (y2 - y1), mode
    cells = np.zeros((CELLS, CELLS), np.uint8)
    half = slice(None, CELLS // 2) if mask in ('left', 'top') else slice(CELLS // 2, None)
    if mask:
        cells[(slice(None), half) if mask in ('left', 'right') else half] = 1
    return {'boxes': box, 'classes': class_, 'landmarks': places, 'masks': cells,
            'pair_ids': pair_id, 'styles': style, 'crowd': crowd}


# Consumer, shop, consumer, shop. What a fault would confuse differs from item to item.
ITEMS = (
    (_item((2, 3, 24, 40), 1, [(.2, .3, 2), (.7, .8, 2), (.5, .1, 1)], 'left', 5, 1),
     _item((25, 5, 46, 50), 2, [(.6, .6, 2), (.1, .9, 2)], 'top', 5, 2),
     _item((3, 45, 23, 62), 1, crowd=True)),
    (_item((4, 30, 44, 58), 2, [(.3, .4, 2), (.8, .7, 1)], 'bottom', 5, 2),
     _item((6, 2, 40, 28), 1, [(.9, .2, 2), (.4, .5, 2), (.2, .9, 2)], '', 5, 1)),
    (_item((1, 1, 36, 30), 1, [(.5, .5, 2), (.3, .2, 2), (.7, .9, 2)], 'right', 6, 1),
     _item((5, 33, 38, 60), 3, (), 'top', 6, 1)),
    (_item((3, 2, 20, 48), 1, [(.6, .3, 2), (.2, .7, 2), (.8, .8, 2)], 'right', 6, 1),
     _item((22, 1, 43, 30), 2, [(.5, .4, 1), (.3, .8, 1)], 'bottom', 6, 1),
     _item((23, 31, 42, 49), 1, [(.3, .3, 2), (.6, .7, 2), (.9, .1, 2)], 'left', 0, 0)))
SIZES = np.array([[64, 48], [60, 48], [64, 40], [50, 44]], np.float32)


@functools.cache
def _batch():
    rows = [[*items, *[_item((0, 0, 0, 0), 0, mask='')] * (3 - len(items))] for items in ITEMS]
    batch = {name: np.array([[item[name] for item in row] for row in rows])
             for name in rows[0][0]}
    types = {'boxes': np.float32, 'landmarks': np.float32, 'classes': np.int32,
             'pair_ids': np.int32, 'styles': np.int32}
    batch = {name: values.astype(types.get(name, values.dtype)) for name, values in batch.items()}
    images = np.random.default_rng(0).integers(0, 256, (4, *tiny.SIZE, 3)).astype(np.uint8)
    for image, (height, width) in zip(images, SIZES.astype(int)):
        image[height:], image[:, width:] = 0, 0
    return {name: tf.constant(values) for name, values in
            {**batch, 'images': images, 'sizes': SIZES}.items()}


def _proposals():
    """Of each item boxes with IoU of about .85, .6 and .4, the last of which are negative."""
    boxes = np.zeros((4, 9, 4), np.float32)
    for image, items in enumerate(ITEMS):
        for number, item in enumerate(items):
            x1, y1, x2, y2 = item['boxes']
            for row, share in enumerate((.85, .6, .4)):
                boxes[image, 3 * number + row] = (
                    (x1, y1, x2, y1 + share * (y2 - y1)) if (image + number) % 2 else
                    (x1 + (1 - share) * (x2 - x1), y1, x2, y2))
    return boxes, boxes[..., 2] > 0


def _draw(model, seed=0):
    """All weights anew: at the initial ones many faults would not show."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype != tf.float32:
            continue
        rank = len(variable.shape)
        fan_in = np.prod(variable.shape) / variable.shape[-1] if rank > 1 else 1
        if 'deconv' in variable.name and rank == 4:  # [h, w, out, in], and every second tap.
            fan_in = variable.shape[3] * np.prod(variable.shape[:2]) / 4
        value = generator.normal(size=variable.shape) * (1.4 / fan_in) ** 0.5
        if rank == 1:
            ones = any(word in variable.name for word in ('gamma', 'variance'))
            value = generator.uniform(.6, 1.4, variable.shape) if ones else 0.2 * value
        variable.assign(value)


@functools.cache
def _model(features=('pose', 'class')):
    model = tiny.make_model(
        num_classes=3, landmark_counts=COUNTS, match_features=features, loss_weights=WEIGHTS,
        sampler=roi_sampling.RoiSampler(16, positive_fraction=.5),
        pair_sampler=pair_sampling.PairSampler(3, 2))
    _draw(model)
    return model


def _step(monkeypatch, model):
    """One training step with known proposals: its draws and its logs."""
    drawn = []

    def recorded(module, name):
        original = getattr(module, name)

        def function(*args, **kwargs):
            drawn.append((name, original(*args, **kwargs)))
            return drawn[-1][1]

        monkeypatch.setattr(module, name, function)

    boxes, valid = (tf.constant(x) for x in _proposals())
    monkeypatch.setattr(model.rpn, 'propose', lambda *_, training: (boxes, valid))
    recorded(assignment, 'sample')
    recorded(roi_sampling.RoiSampler, '__call__')
    recorded(random, 'uniform')
    model.compile(optimizers.MomentumSGD(RATE, MOMENTUM, weight_decay=DECAY), run_eagerly=True)
    logs = model.train_step(_batch())
    samples, (rois,), uniforms = (
        [value for kind, value in drawn if kind == name]
        for name in ('sample', '__call__', 'uniform'))
    numbers, kinds = samples[0]
    draws = numpy_reference.Draws(
        numbers.numpy(), kinds.numpy() != assignment.IGNORED, rois.boxes.numpy(),
        rois.weights.numpy() > 0, uniforms[-1].numpy())
    return draws, {name: float(value) for name, value in logs.items()}


PARTS = ('backbone', 'pyramid', 'rpn', 'box_stream', 'landmark_stream', 'mask_stream',
         'matching_network')
# Kinks of ReLUs and maxima lie closer together where more pixels follow.
LENGTH = 1e-6


def test_a_training_step(monkeypatch):
    """All seven terms, their sum, and the weights afterwards along a direction in every part."""
    model = _model.__wrapped__()
    reference = numpy_reference.Reference(model)
    draws, logs = _step(monkeypatch, model)
    expected = reference.terms(_batch(), draws)
    assert len(expected) == 8
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=2e-5, err_msg=name)

    generator = np.random.default_rng(1)
    after = numpy_reference.Reference(model).values
    for part in PARTS:
        variables = getattr(model, part).trainable_variables
        direction = {id(v): generator.normal(size=v.shape) for v in variables}
        forward, backward = (
            reference.moved(direction, sign * LENGTH).terms(_batch(), draws)['loss']
            for sign in (1, -1))
        slope = (forward - backward) / (2 * LENGTH)
        # Norms and biases do not decay.
        slope += DECAY * sum(np.sum(reference.values[id(v)] * direction[id(v)])
                             for v in variables if v.shape.rank > 1)
        moved = sum(np.sum((after[key] - reference.values[key]) * value)
                    for key, value in direction.items())
        np.testing.assert_allclose(moved, -RATE * slope, rtol=1e-3, err_msg=part)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
