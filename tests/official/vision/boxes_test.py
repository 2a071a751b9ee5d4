"""Boxes against counted pixels, values by hand, and the coding there and back."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from official.vision import boxes as box_ops


def pixels(box, size=12):
    """The pixels that a box of whole coordinates covers."""
    canvas = np.zeros((size, size), bool)
    x1, y1, x2, y2 = (int(side) for side in box)
    canvas[y1 : max(y2, y1), x1 : max(x2, x1)] = True
    return canvas


def whole_boxes(random, *shape):
    """Some without area."""
    low, high = np.sort(random.integers(0, 12, (2, *shape, 2)), axis=0)
    return np.concatenate([low, high], -1).astype(np.float32)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_overlaps_are_those_of_counted_pixels(jit_compile):
    random = np.random.default_rng(0)
    a, b = whole_boxes(random, 2, 30), whole_boxes(random, 2, 20)
    assert any(pixels(box).sum() == 0 for box in a[0])

    @tf.function(jit_compile=jit_compile)
    def measure(a, b):
        return (
            box_ops.area(a),
            box_ops.intersection(a, b),
            box_ops.iou(a, b),
            box_ops.coverage(a, b),
        )

    area, intersection, iou, coverage = (result.numpy() for result in measure(a, b))
    assert iou.shape == (2, 30, 20)
    for k in range(2):
        for i in range(30):
            one = pixels(a[k, i])
            assert area[k, i] == one.sum()
            for j in range(20):
                other = pixels(b[k, j])
                common, union = (one & other).sum(), (one | other).sum()
                assert intersection[k, i, j] == common
                assert iou[k, i, j] == pytest.approx(common / union if union else 0, rel=1e-6)
                assert coverage[k, i, j] == pytest.approx(
                    common / one.sum() if one.any() else 0, rel=1e-6
                )


def test_leading_axes_are_broadcast():
    random = np.random.default_rng(1)
    a, b = whole_boxes(random, 5), whole_boxes(random, 3, 2, 4)
    together = box_ops.iou(a, b).numpy()
    for i in range(3):
        for j in range(2):
            np.testing.assert_array_equal(together[i, j], box_ops.iou(a, b[i, j]))


def test_boxes_turned_inside_out_have_no_area():
    inverted, normal = [[6.0, 6.0, 2.0, 2.0]], [[0.0, 0.0, 8.0, 8.0]]
    assert box_ops.area(inverted).numpy() == [0]
    assert box_ops.iou(inverted, normal).numpy() == [[0]]
    assert box_ops.coverage(inverted, normal).numpy() == [[0]]
    assert box_ops.coverage(normal, inverted).numpy() == [[0]]


def test_the_gradient_of_iou_is_finite_where_boxes_have_no_area():
    a = tf.constant([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 5.0, 4.0]])
    b = tf.constant([[0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 5.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(a)
        total = tf.reduce_sum(box_ops.iou(a, b))
    assert np.isfinite(tape.gradient(total, a)).all()


def test_clip():
    boxes = np.array(
        [
            [[-3, 2, 30, 9], [5, -1, 7, 50], [40, 40, 60, 60]],
            [[-3, 2, 30, 9], [-9, -9, -2, -1], [1, 2, 3, 4]],
        ],
        np.float32,
    )
    sizes = np.array([[20, 25], [8, 50]], np.int32)
    np.testing.assert_array_equal(
        box_ops.clip(boxes, sizes),
        [
            [[0, 2, 25, 9], [5, 0, 7, 20], [25, 20, 25, 20]],
            [[0, 2, 30, 8], [0, 0, 0, 0], [1, 2, 3, 4]],
        ],
    )


def test_flip():
    boxes = np.array([[1, 2, 4, 8], [0, 0, 10, 3]], np.float32)
    np.testing.assert_array_equal(box_ops.flip(boxes, 10), [[6, 2, 9, 8], [0, 0, 10, 3]])
    np.testing.assert_array_equal(
        box_ops.flip(boxes, np.array([10, 12])), [[6, 2, 9, 8], [2, 0, 12, 3]]
    )
    # A mirrored box covers the mirrored pixels.
    box = np.array([2, 3, 7, 11], np.float32)
    np.testing.assert_array_equal(pixels(box_ops.flip(box, 12).numpy()), pixels(box)[:, ::-1])


def test_coding_by_hand():
    # Centre (30, 40), 20 x 40, against centre (20, 50), 40 x 20.
    box, anchor = [20.0, 20.0, 40.0, 60.0], [0.0, 40.0, 40.0, 60.0]
    plain = [10 / 40, -10 / 20, math.log(1 / 2), math.log(2)]
    np.testing.assert_allclose(box_ops.encode(box, anchor, weights=(1, 1, 1, 1)), plain, rtol=1e-6)
    np.testing.assert_allclose(
        box_ops.encode(box, anchor), np.multiply(plain, [10, 10, 5, 5]), rtol=1e-6
    )
    np.testing.assert_allclose(
        box_ops.decode([2.5, -5, -5 * math.log(2), 5 * math.log(2)], anchor), box, rtol=1e-5
    )


def test_sizes_are_limited():
    anchor = [0.0, 0.0, 16.0, 32.0]
    limit = math.log(1000 / 16)
    decoded = box_ops.decode([0.0, 0.0, 100.0, limit + 0.1], anchor, weights=(1, 1, 1, 1))
    np.testing.assert_allclose(decoded, [8 - 500, 16 - 1000, 8 + 500, 16 + 1000], rtol=1e-5)
    # Limited is what the anchor's sides are multiplied by, after the weights.
    decoded = box_ops.decode([0.0, 0.0, 5 * math.log(2), 500.0], anchor)
    np.testing.assert_allclose(decoded, [-8, 16 - 1000, 24, 16 + 1000], rtol=1e-5)


COORDINATE = st.floats(0, 1300, width=32)
SIDE = st.floats(1, 500, width=32)
BOX = st.tuples(COORDINATE, COORDINATE, SIDE, SIDE).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@hypothesis.settings(deadline=None, max_examples=100)
@hypothesis.given(
    st.lists(st.tuples(BOX, BOX), min_size=1, max_size=5),
    st.sampled_from([(1, 1, 1, 1), (10, 10, 5, 5)]),
)
def test_decoding_undoes_encoding(pairs, weights):
    boxes, anchors = np.array(pairs, np.float32).transpose(1, 0, 2)
    ratio = (boxes[:, 2:] - boxes[:, :2]) / (anchors[:, 2:] - anchors[:, :2])
    hypothesis.assume(ratio.max() < 60)
    decoded = box_ops.decode(box_ops.encode(boxes, anchors, weights), anchors, weights)
    np.testing.assert_allclose(decoded, boxes, atol=2e-3)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_padding_has_finite_codes_and_gradients(jit_compile):
    boxes = tf.constant(
        [[0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 3.0, 9.0], [1.0, 1.0, 5.0, 5.0], [9.0, 9.0, 2.0, 2.0]]
    )

    @tf.function(jit_compile=jit_compile)
    def code(boxes, anchors):
        deltas = box_ops.encode(boxes, anchors)
        return deltas, tf.gradients(tf.reduce_sum(deltas * deltas), [boxes, anchors])

    deltas, gradients = code(boxes, boxes[::-1])
    assert np.isfinite(deltas).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    # What is no padding keeps its own gradient: d/dx1 of 2 delta ddelta, by differences.
    step = np.zeros((4, 4), np.float32)
    step[2, 0] = 1e-2
    higher, lower = (
        tf.reduce_sum(code(boxes + sign * step, boxes[::-1])[0] ** 2) for sign in (1, -1)
    )
    assert float(gradients[0][2, 0]) == pytest.approx(float(higher - lower) / 2e-2, rel=1e-2)


@pytest.mark.parametrize(
    'x, beta, expected',
    [
        (0.5, 1, 0.125),
        (-0.5, 1, 0.125),
        (1, 1, 0.5),
        (-3, 1, 2.5),
        (0.5, 0.25, 0.375),
        (0.1, 0.25, 0.02),
    ],
)
def test_smooth_l1(x, beta, expected):
    np.testing.assert_allclose(
        box_ops.smooth_l1(tf.constant(x, tf.float32), beta), expected, rtol=1e-6
    )
