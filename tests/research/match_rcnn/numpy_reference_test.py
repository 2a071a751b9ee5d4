"""A training step and the inference of the whole model against float64 NumPy."""

import functools

import numpy as np
import tensorflow as tf

from official.modeling import optimizers, random
from official.vision import assignment, resnet
from research.match_rcnn import losses, pair_sampling, roi_sampling
from tests.research.match_rcnn import numpy_reference, tiny

COUNTS = (3, 2, 0)  # Landmarks of the three classes.
CELLS = 16  # Of a mask in its box.
WEIGHTS = losses.LossWeights(2.0, 3.0, 5.0, 7.0, 11.0, 13.0)
RATE, MOMENTUM, DECAY = 1.0, 0.9, 0.1


def _item(box, class_, landmarks=(), mask='left', pair_id=0, style=0, crowd=False):
    """Landmarks are (x, y, v), x and y as shares of the box; a mask is half of its box, or ''."""
    x1, y1, x2, y2 = box
    places = np.zeros((max(COUNTS), 3))
    # Landmarks that are not given stay unlabelled.
    for row, (x, y, mode) in zip(places, landmarks, strict=False):
        # Away from the borders of cells, where the rounding of float32 would decide.
        row[:] = x1 + (x + 0.013) * (x2 - x1), y1 + (y + 0.013) * (y2 - y1), mode
    cells = np.zeros((CELLS, CELLS), np.uint8)
    half = slice(None, CELLS // 2) if mask in ('left', 'top') else slice(CELLS // 2, None)
    if mask:
        cells[(slice(None), half) if mask in ('left', 'right') else half] = 1
    return {
        'boxes': box,
        'classes': class_,
        'landmarks': places,
        'masks': cells,
        'pair_ids': pair_id,
        'styles': style,
        'crowd': crowd,
    }


# Consumer, shop, consumer, shop. What a fault would confuse differs from item to item.
ITEMS = (
    (
        _item((2, 3, 24, 40), 1, [(0.2, 0.3, 2), (0.7, 0.8, 2), (0.5, 0.1, 1)], 'left', 5, 1),
        _item((25, 5, 46, 50), 2, [(0.6, 0.6, 2), (0.1, 0.9, 2)], 'top', 5, 2),
        _item((3, 45, 23, 62), 1, crowd=True),
    ),
    (
        _item((4, 30, 44, 58), 2, [(0.3, 0.4, 2), (0.8, 0.7, 1)], 'bottom', 5, 2),
        _item((6, 2, 40, 28), 1, [(0.9, 0.2, 2), (0.4, 0.5, 2), (0.2, 0.9, 2)], '', 5, 1),
    ),
    (
        _item((1, 1, 36, 30), 1, [(0.5, 0.5, 2), (0.3, 0.2, 2), (0.7, 0.9, 2)], 'right', 6, 1),
        _item((5, 33, 38, 60), 3, (), 'top', 6, 1),
    ),
    (
        _item((3, 2, 20, 48), 1, [(0.6, 0.3, 2), (0.2, 0.7, 2), (0.8, 0.8, 2)], 'right', 6, 1),
        _item((22, 1, 43, 30), 2, [(0.5, 0.4, 1), (0.3, 0.8, 1)], 'bottom', 6, 1),
        _item((23, 31, 42, 49), 1, [(0.3, 0.3, 2), (0.6, 0.7, 2), (0.9, 0.1, 2)], 'left', 0, 0),
    ),
)
SIZES = np.array([[64, 48], [60, 48], [64, 40], [50, 44]], np.float32)


@functools.cache
def _batch():
    rows = [[*items, *[_item((0, 0, 0, 0), 0, mask='')] * (3 - len(items))] for items in ITEMS]
    batch = {name: np.array([[item[name] for item in row] for row in rows]) for name in rows[0][0]}
    types = {
        'boxes': np.float32,
        'landmarks': np.float32,
        'classes': np.int32,
        'pair_ids': np.int32,
        'styles': np.int32,
    }
    batch = {name: values.astype(types.get(name, values.dtype)) for name, values in batch.items()}
    images = np.random.default_rng(0).integers(0, 256, (4, *tiny.SIZE, 3)).astype(np.uint8)
    for image, (height, width) in zip(images, SIZES.astype(int), strict=True):
        image[height:], image[:, width:] = 0, 0
    return {
        name: tf.constant(values)
        for name, values in {**batch, 'images': images, 'sizes': SIZES}.items()
    }


def _proposals():
    """Of each item boxes with IoU of about .85, .6 and .4, the last of which are negative."""
    boxes = np.zeros((4, 9, 4), np.float32)
    for image, items in enumerate(ITEMS):
        for number, item in enumerate(items):
            x1, y1, x2, y2 = item['boxes']
            for row, share in enumerate((0.85, 0.6, 0.4)):
                boxes[image, 3 * number + row] = (
                    (x1, y1, x2, y1 + share * (y2 - y1))
                    if (image + number) % 2
                    else (x1 + (1 - share) * (x2 - x1), y1, x2, y2)
                )
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
            value = generator.uniform(0.6, 1.4, variable.shape) if ones else 0.2 * value
        variable.assign(value)


def _model(decay=0.9):
    model = tiny.make_model(
        backbone=functools.partial(
            resnet.ResNet, blocks=(1, 1, 1, 1), width=8, bottleneck=False, frozen=False, decay=decay
        ),
        num_classes=3,
        landmark_counts=COUNTS,
        match_features=('class', 'mask', 'pose'),
        loss_weights=WEIGHTS,
        sampler=roi_sampling.RoiSampler(16, positive_fraction=0.5),
        pair_sampler=pair_sampling.PairSampler(3, 2),
    )
    _draw(model)
    return model


def _step(monkeypatch, model, training=True):
    """One step with known proposals: its draws and its logs."""
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
    logs = (model.train_step if training else model.test_step)(_batch())
    samples, (rois,), uniforms = (
        [value for kind, value in drawn if kind == name]
        for name in ('sample', '__call__', 'uniform')
    )
    numbers, kinds = samples[0]
    draws = numpy_reference.Draws(
        numbers.numpy(),
        kinds.numpy() != assignment.IGNORED,
        rois.boxes.numpy(),
        rois.weights.numpy() > 0,
        uniforms[-1].numpy(),
    )
    return draws, {name: float(value) for name, value in logs.items()}


def _check_terms(logs, expected):
    assert len(expected) == 8
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=2e-5, err_msg=name)


PARTS = (
    'backbone',
    'pyramid',
    'rpn',
    'box_stream',
    'landmark_stream',
    'mask_stream',
    'matching_network',
)
# Kinks of ReLUs and maxima lie closer together where more pixels follow.
LENGTH = 1e-6


def test_a_training_step(monkeypatch):
    """All seven terms, their sum, and the weights afterwards along a direction in every part."""
    model = _model()
    reference = numpy_reference.Reference(model)
    draws, logs = _step(monkeypatch, model)
    _check_terms(logs, reference.terms(_batch(), draws))

    generator = np.random.default_rng(1)
    after = numpy_reference.Reference(model).values
    for part in PARTS:
        variables = getattr(model, part).trainable_variables
        direction = {id(v): generator.normal(size=v.shape) for v in variables}
        forward, backward = (
            reference.moved(direction, sign * LENGTH).terms(_batch(), draws)['loss']
            for sign in (1, -1)
        )
        slope = (forward - backward) / (2 * LENGTH)
        # Norms and biases do not decay.
        slope += DECAY * sum(
            np.sum(reference.values[id(v)] * direction[id(v)])
            for v in variables
            if v.shape.rank > 1
        )
        moved = sum(
            np.sum((after[key] - reference.values[key]) * value) for key, value in direction.items()
        )
        np.testing.assert_allclose(moved, -RATE * slope, rtol=1e-3, err_msg=part)


def test_the_losses_of_an_evaluation(monkeypatch):
    """By the moving statistics; no weight moves."""
    model = _model()
    reference = numpy_reference.Reference(model)
    draws, logs = _step(monkeypatch, model, training=False)
    _check_terms(logs, reference.terms(_batch(), draws, training=False))
    after = numpy_reference.Reference(model).values
    assert all(np.array_equal(after[key], value) for key, value in reference.values.items())


def test_inference(monkeypatch):
    """Detections from known proposals; what belongs to them and to the ground truth."""
    model, batch = _model(decay=0.1), _batch()
    # With moving statistics that are nearly the batch's scores are not all 0 or 1.
    for _ in range(2):
        model.loss_terms(batch, random.make_key(0))
    reference = numpy_reference.Reference(model)
    boxes, valid = _proposals()
    monkeypatch.setattr(
        model.rpn, 'propose', lambda *_, training: (tf.constant(boxes), tf.constant(valid))
    )
    images, sizes = batch['images'].numpy(), batch['sizes'].numpy()
    found = model.examine(batch['images'], batch['sizes'], batch['boxes'], batch['classes'])
    found = {name: value.numpy() for name, value in found.items()}

    every = np.repeat(np.arange(4), boxes.shape[1])
    logits, deltas = reference.scored(images, sizes, every, boxes.reshape(-1, 4))
    for image in range(4):
        rows = every == image
        expected = numpy_reference.selection(
            boxes[image],
            valid[image],
            logits[rows],
            deltas[rows],
            sizes[image],
            most=model.selection.max_detections,
            least=0.0,
            threshold=0.5,
        )
        scores, classes, places = zip(*expected, strict=True)
        np.testing.assert_allclose(found['scores'][image], scores, rtol=1e-4)
        np.testing.assert_array_equal(found['classes'][image], classes)
        np.testing.assert_allclose(found['boxes'][image], places, rtol=1e-4, atol=1e-3)
    assert len(np.unique(found['classes'])) == 3

    image, classes = np.repeat(np.arange(4), 5), found['classes'].ravel()
    masks, heat, vectors = reference.describe(
        images, sizes, image, found['boxes'].reshape(-1, 4), classes
    )
    np.testing.assert_allclose(found['masks'].reshape(masks.shape), masks, atol=1e-4)
    np.testing.assert_allclose(
        found['embeddings'].reshape(vectors.shape), vectors, rtol=1e-3, atol=1e-4
    )
    for maps, box, places in zip(
        heat, found['boxes'].reshape(-1, 4), found['landmarks'].reshape(20, -1, 3), strict=True
    ):
        size, count = maps.shape[0], maps.shape[-1]
        assert not places[count:].any()
        for number in range(count):
            log = numpy_reference.log_softmax(maps[..., number].ravel())
            np.testing.assert_allclose(places[number, 2], np.exp(log.max()), rtol=1e-3)
            # In the cell of the largest logit, or half a cell from its centre.
            cell = np.array([log.argmax() % size, log.argmax() // size])
            place = (places[number, :2] - box[:2]) / (box[2:] - box[:2]) * size - cell - 0.5
            assert np.all(np.abs(place) <= 0.5 + 1e-3)

    image, row = np.nonzero(batch['classes'])
    truth = reference.describe(
        images,
        sizes,
        image,
        batch['boxes'].numpy()[image, row],
        batch['classes'].numpy()[image, row],
    )[2]
    np.testing.assert_allclose(found['truth_embeddings'][image, row], truth, rtol=1e-3, atol=1e-4)
    # Of the softmax's two outputs the second means a match.
    match = np.exp(
        numpy_reference.log_softmax(
            reference.match_logits(vectors[:, np.newaxis], truth[np.newaxis])
        )
    )[..., 1]
    np.testing.assert_allclose(
        model.similarity(
            found['embeddings'].reshape(20, 1, -1),
            found['truth_embeddings'][image, row][np.newaxis],
        ),
        match,
        rtol=1e-3,
        atol=1e-5,
    )
    assert np.abs(match - 0.5).max() > 0.1
