"""Matching against a plain loop in float64; that drawing is uniform, and the same on 2 shards."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random as stateless
from official.vision import anchors, assignment


def overlap(a, b):
    """IoU, and the part of `a` that `b` covers."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [max(x[2] - x[0], 0.0) * max(x[3] - x[1], 0.0) for x in (a, b)]
    if not common:
        return 0.0, 0.0
    return common / (sum(areas) - common), common / areas[0]


def plain_match(
    boxes,
    truths,
    valid,
    high,
    low,
    strict=False,
    force_best=False,
    crowd=None,
    crowd_coverage=0.5,
    usable=None,
):
    """One image, one box after another."""
    boxes, truths = np.asarray(boxes, np.float64), np.asarray(truths, np.float64)
    n, m = len(boxes), len(truths)
    crowd = np.zeros(m, bool) if crowd is None else crowd
    usable = np.ones(n, bool) if usable is None else usable
    iou = np.zeros((n, m))
    ignored = np.zeros(n, bool)
    for i in np.flatnonzero(usable):
        for j in range(m):
            value, covered = overlap(boxes[i], truths[j])
            if crowd[j]:
                ignored[i] |= covered >= crowd_coverage
            elif valid[j]:
                iou[i, j] = value
    matched, labels = np.zeros(n, int), np.zeros(n, int)
    for i in range(n):
        best = max(iou[i])
        matched[i] = list(iou[i]).index(best)
        positive = best > high if strict else best >= high
        negative = best <= low if strict else best < low
        if force_best:
            positive |= any(
                iou[i, j] > 0 and np.isclose(iou[i, j], max(iou[:, j]), rtol=1e-9) for j in range(m)
            )
        labels[i] = 1 if positive else 0 if negative and not ignored[i] else -1
        if not usable[i]:
            labels[i] = -1
    return matched, labels


def whole_boxes(random, *shape):
    low = random.integers(0, 16, (*shape, 2))
    return np.concatenate([low, low + random.integers(0, 9, (*shape, 2))], -1).astype(np.float32)


RULES = {
    'regions': dict(high=0.5, low=0.5, strict=True),
    'anchors': dict(high=0.7, low=0.3, force_best=True),
    'between': dict(high=0.5, low=0.25),
}


@pytest.mark.parametrize('jit_compile', [False, True])
@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('more', [False, True])
def test_a_plain_loop_agrees(rule, shared, more, jit_compile):
    # Whole coordinates: overlaps of 1/2 and 1/4 occur, and several boxes that are the best one.
    random = np.random.default_rng(3)
    boxes = whole_boxes(random, 60) if shared else whole_boxes(random, 4, 60)
    truths = whole_boxes(random, 4, 6)
    if not shared:
        boxes[:, :6] = truths
        boxes[:, 6:12] = truths
    valid = random.uniform(size=(4, 6)) < 0.6
    valid[3] = False
    truths[~valid & (random.uniform(size=(4, 6)) < 0.5)] = np.nan  # Padding may hold anything.
    arguments = {}
    if more:
        arguments = dict(
            crowd=valid & (random.uniform(size=(4, 6)) < 0.4),
            usable=random.uniform(size=(4, 60)) < 0.8,
        )
        assert arguments['crowd'].any()
    got = tf.function(
        lambda boxes, truths, valid, **arguments: assignment.match(
            boxes, truths, valid, **RULES[rule], crowd_coverage=0.5, **arguments
        ),
        jit_compile=jit_compile,
    )(boxes, truths, valid, **arguments)
    assert got.indices.dtype == got.labels.dtype == tf.int32
    kinds = set()
    for i in range(4):
        matched, labels = plain_match(
            boxes if shared else boxes[i],
            truths[i],
            valid[i],
            **RULES[rule],
            **{name: value[i] for name, value in arguments.items()},
        )
        np.testing.assert_array_equal(got.labels[i], labels)
        np.testing.assert_array_equal(got.indices[i], matched)
        kinds |= set(labels)
    assert {0, 1} <= kinds


def test_the_rules_by_hand():
    boxes = np.array(
        [
            [0, 0, 10, 10],  # IoU 1 with the first.
            [0, 0, 10, 20],  # 1/2 with the first.
            [0, 0, 10, 21],  # 10/21 with it.
            [100, 0, 104, 10],  # 4/20 with the second, and the best of it.
            [116, 0, 120, 10],  # As good.
            [100, 0, 103, 10],  # 3/20 with it.
            [300, 0, 310, 10],  # Nothing.
        ],
        np.float32,
    )
    truths = np.array([[0, 0, 10, 10], [100, 0, 120, 10], [500, 0, 510, 10]], np.float32)
    valid = np.array([True, True, True])
    indices, labels = assignment.match(boxes, truths, valid, high=0.5, low=0.5)
    assert labels.numpy().tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert indices.numpy().tolist() == [0, 0, 0, 1, 1, 1, 0]
    labels = assignment.match(boxes, truths, valid, high=0.5, low=0.5, strict=True).labels
    assert labels.numpy().tolist() == [1, 0, 0, 0, 0, 0, 0]
    indices, labels = assignment.match_anchors(boxes, truths, valid)
    # Nothing overlaps with the third ground truth, so no box is the best of it.
    assert labels.numpy().tolist() == [1, -1, -1, 1, 1, 0, 0]
    assert indices.numpy().tolist() == [0, 0, 0, 1, 1, 1, 0]
    # If those two are not usable, the next best is.
    usable = np.array([True, True, True, False, False, True, True])
    labels = assignment.match_anchors(boxes, truths, valid, usable=usable).labels
    assert labels.numpy().tolist() == [1, -1, -1, -1, -1, 1, 0]


@pytest.mark.parametrize('among_valid', [False, True])
def test_crowds(among_valid):
    boxes = np.array(
        [[0, 0, 10, 10], [20, 0, 30, 10], [25, 0, 35, 10], [26, 0, 36, 10]], np.float32
    )
    truths = np.array([[0, 0, 10, 10], [0, 0, 30, 10]], np.float32)
    crowd = np.array([False, True])
    valid = np.array([True, among_valid])
    indices, labels = assignment.match(
        boxes, truths, valid, high=0.5, low=0.5, strict=True, crowd=crowd
    )
    # Positive though in a crowd; all in it; half of it; less than half.
    assert labels.numpy().tolist() == [1, -1, -1, 0]
    assert indices.numpy().tolist() == [0, 0, 0, 0]
    labels = assignment.match(
        boxes, truths, valid, high=0.5, low=0.5, crowd=crowd, crowd_coverage=0.4
    ).labels
    assert labels.numpy().tolist() == [1, -1, -1, -1]


def test_all_anchors_of_a_pyramid_compiled_and_plain():
    random = np.random.default_rng(0)
    boxes = np.concatenate(anchors.pyramid_anchors((320, 448)))
    low = random.uniform(0, 250, (2, 20, 2))
    truths = np.concatenate([low, low + random.uniform(4, 200, (2, 20, 2))], -1)
    truths = truths.astype(np.float32)
    valid = np.arange(20) < np.array([[12], [5]])
    results = [
        tf.function(assignment.match_anchors, jit_compile=jit)(boxes, truths, valid)
        for jit in (False, True)
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    # Every ground truth has an anchor; which it is, in float64.
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    for i, number in enumerate((12, 5)):
        for truth in truths[i, :number].astype(np.float64):
            width = np.minimum(x2, truth[2]) - np.maximum(x1, truth[0])
            height = np.minimum(y2, truth[3]) - np.maximum(y1, truth[1])
            common = np.maximum(width, 0) * np.maximum(height, 0)
            areas = (x2 - x1) * (y2 - y1) + np.prod(truth[2:] - truth[:2])
            assert results[0].labels[i, np.argmax(common / (areas - common))] == 1
        counts = [np.sum(results[0].labels[i] == kind) for kind in (1, 0, -1)]
        assert counts[0] >= number and counts[1] > 10_000 and counts[2] > 0


def test_thresholds_that_cannot_be():
    with pytest.raises(ValueError, match='high = 0.3 and low = 0.7'):
        assignment.match(tf.zeros([1, 4]), tf.zeros([1, 4]), tf.ones([1], tf.bool), 0.3, 0.7)


@pytest.mark.parametrize('jit_compile', [False, True])
@pytest.mark.parametrize(
    'positives, negatives, number, fraction, expected',
    [
        (30, 50, 20, 0.25, (5, 15)),
        (30, 50, 20, 0.5, (10, 10)),
        (3, 50, 20, 0.25, (3, 17)),
        (0, 50, 20, 0.25, (0, 20)),
        (30, 7, 20, 0.25, (5, 7)),  # Positive ones do not fill up.
        (2, 3, 20, 0.25, (2, 3)),
        (0, 0, 20, 0.25, (0, 0)),
        (9, 80, 150, 0.5, (9, 80)),  # More than there are boxes.
        (30, 50, 10, 0.0, (0, 10)),
        (30, 50, 10, 1.0, (10, 0)),
        (30, 50, 7, 0.5, (3, 4)),
    ],
)
def test_how_many_are_drawn(positives, negatives, number, fraction, expected, jit_compile):
    random = np.random.default_rng(1)
    labels = np.full((3, 100), -1, np.int32)
    for row in labels:
        row[:positives], row[positives : positives + negatives] = 1, 0
        random.shuffle(row)
    draw = tf.function(
        lambda labels, key: assignment.sample(labels, key, number, fraction),
        jit_compile=jit_compile,
    )
    indices, kinds = (x.numpy() for x in draw(labels, stateless.make_key(7)))
    assert indices.shape == kinds.shape == (3, number)
    for row, drawn, kind in zip(labels, indices, kinds, strict=True):
        total = sum(expected)
        assert kind.tolist() == ([1] * expected[0] + [0] * expected[1] + [-1] * (number - total))
        assert len(set(drawn[:total])) == total
        assert (row[drawn[:total]] == kind[:total]).all()
        assert not drawn[total:].any()
    if sum(expected) and expected != (positives, negatives):
        assert len({tuple(sorted(row)) for row in indices}) == 3


def test_all_candidates_are_drawn_equally_often():
    rows = 8000
    labels = np.tile(np.array([1, 0, -1, 1, 0, 0, 1, 0, 1, 0, -1, 0], np.int32), (rows, 1))
    indices, kinds = assignment.sample(labels, stateless.make_key(3), 5, 0.4)
    assert (np.sum(kinds == 1, axis=1) == 2).all()
    for kind, drawn in ((1, 2), (0, 3)):
        candidates = np.flatnonzero(labels[0] == kind)
        share = drawn / len(candidates)
        counts = np.bincount(indices[kinds == kind], minlength=12)
        deviation = (rows * share * (1 - share)) ** 0.5
        assert np.abs(counts[candidates] - rows * share).max() < 4.5 * deviation
        assert counts.sum() == rows * drawn
        # Pairs, too: of 4 positives 6, of 6 negatives 15 in 3 of each draw.
        sets = [set(row[k == kind]) for row, k in zip(indices.numpy(), kinds.numpy(), strict=True)]
        for i, first in enumerate(candidates):
            for second in candidates[i + 1 :]:
                both = sum({first, second} <= s for s in sets)
                share2 = share * (drawn - 1) / (len(candidates) - 1)
                assert abs(both - rows * share2) < 4.5 * (rows * share2 * (1 - share2)) ** 0.5


def test_two_shards_draw_what_each_draws_alone_and_xla_the_same():
    random = np.random.default_rng(4)
    labels = random.integers(-1, 2, (6, 500)).astype(np.int32)
    keys = stateless.step_key(3, 7, shards=2)
    plain = assignment.sample(labels, keys, 64, 0.25)
    parts = [
        assignment.sample(labels[3 * i : 3 * i + 3], keys[i : i + 1], 64, 0.25) for i in range(2)
    ]
    compiled = tf.function(
        lambda labels, keys: assignment.sample(labels, keys, 64, 0.25), jit_compile=True
    )(labels, keys)
    for one, first, second, other in zip(plain, *parts, compiled, strict=True):
        np.testing.assert_array_equal(one, tf.concat([first, second], 0))
        np.testing.assert_array_equal(one, other)
    again = assignment.sample(labels, keys, 64, 0.25)
    np.testing.assert_array_equal(plain[0], again[0])
    next_step = assignment.sample(labels, stateless.step_key(3, 8, shards=2), 64, 0.25)
    assert not (plain[0] == next_step[0]).numpy().all(axis=1).any()


def test_a_batch_whose_size_is_not_known():
    labels = np.random.default_rng(0).integers(-1, 2, (5, 40)).astype(np.int32)
    key = stateless.make_key(0)

    @tf.function(input_signature=[tf.TensorSpec([None, 40], tf.int32)])
    def draw(labels):
        return assignment.sample(labels, key, 8, 0.5)

    for one, other in zip(draw(labels), assignment.sample(labels, key, 8, 0.5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_arguments_of_sample():
    labels, key = tf.zeros([1, 4], tf.int32), stateless.make_key(0)
    with pytest.raises(ValueError, match='number = 0'):
        assignment.sample(labels, key, 0, 0.5)
    with pytest.raises(ValueError, match='positive_fraction = 1.5'):
        assignment.sample(labels, key, 4, 1.5)
