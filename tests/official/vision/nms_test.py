"""Suppression against one box after another, in float64, plain and compiled."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from official.vision import nms


def one_after_another(boxes, scores, threshold, max_outputs, classes=None):
    """The greedy rule of one image: the list of indices."""
    boxes = np.asarray(boxes, np.float64)
    classes = np.zeros(len(boxes)) if classes is None else classes
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if not scores[i] > -np.inf or len(kept) == max_outputs:
            continue
        for j in kept:
            width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            common = max(width, 0) * max(height, 0)
            areas = sum(np.prod(np.maximum(boxes[k, 2:] - boxes[k, :2], 0)) for k in (i, j))
            if classes[i] == classes[j] and common and common / (areas - common) > threshold:
                break
        else:
            kept.append(i)
    return kept


def chosen(indices, valid):
    """As a list; after the last valid one there is padding of zeros."""
    indices, valid = np.asarray(indices), np.asarray(valid)
    number = valid.sum()
    assert valid[:number].all()
    assert not indices[number:].any()
    return indices[:number].tolist()


def crowded(random, n, clusters):
    which = random.integers(0, clusters, n)
    centre = random.uniform(0, 1300, (clusters, 2))[which] + random.normal(0, 8, (n, 2))
    half = random.uniform(20, 150, (clusters, 2))[which] * np.exp(random.normal(0, 0.1, (n, 2)))
    return np.concatenate([centre - half, centre + half], -1).astype(np.float32)


WHOLE = st.integers(0, 6)
BOX = st.tuples(WHOLE, WHOLE, WHOLE, WHOLE, st.integers(0, 3), st.integers(0, 2))


@hypothesis.settings(deadline=None, max_examples=80)
@hypothesis.given(st.lists(BOX, min_size=1, max_size=12), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_small_boxes_of_equal_scores_and_overlaps_at_the_threshold(rows, threshold):
    # Whole coordinates: the IoU may be just the threshold, which does not suppress. Some boxes
    # have no area, or are turned inside out.
    rows = np.array(rows)
    boxes, scores, classes = rows[:, :4].astype(np.float32), rows[:, 4] / 2.0, rows[:, 5]
    got = nms.nms(boxes, tf.constant(scores, tf.float32), threshold, 5)
    assert chosen(*got) == one_after_another(boxes, scores, threshold, 5)
    got = nms.class_nms(boxes[np.newaxis], scores[np.newaxis], classes[np.newaxis], threshold, 5)
    assert chosen(got[0][0], got[1][0]) == one_after_another(boxes, scores, threshold, 5, classes)


@pytest.mark.parametrize('jit_compile', [False, True])
@pytest.mark.parametrize(
    'n, clusters, threshold, max_outputs',
    [(1, 1, 0.5, 3), (31, 3, 0.5, 40), (64, 2, 0.7, 10), (700, 40, 0.7, 300)],
)
def test_a_batch(n, clusters, threshold, max_outputs, jit_compile):
    random = np.random.default_rng(n)
    boxes = np.stack([crowded(random, n, clusters) for _ in range(3)])
    scores = random.uniform(0, 1, (3, n)).round(2).astype(np.float32)  # Many are equal.
    scores[1, n // 2 :] = -np.inf
    scores[2] = -np.inf

    @tf.function(jit_compile=jit_compile)
    def suppress(boxes, scores):
        return nms.batched_nms(boxes, scores, threshold, max_outputs)

    indices, valid = suppress(boxes, scores)
    assert indices.shape == valid.shape == (3, max_outputs)
    assert indices.dtype == tf.int32
    for i in range(3):
        expected = one_after_another(boxes[i], scores[i], threshold, max_outputs)
        assert chosen(indices[i], valid[i]) == expected
    assert not np.any(valid[2])


@pytest.mark.parametrize('jit_compile', [False, True])
def test_classes_and_levels_do_not_suppress_each_other(jit_compile):
    random = np.random.default_rng(5)
    boxes = np.stack([crowded(random, 600, 10) for _ in range(2)])
    scores = random.normal(0, 1, (2, 600)).astype(np.float32)
    classes = random.integers(1, 14, (2, 600)).astype(np.int32)
    suppress = tf.function(nms.class_nms, jit_compile=jit_compile)
    indices, valid = suppress(boxes, scores, classes, 0.5, 100)
    for i in range(2):
        expected = one_after_another(boxes[i], scores[i], 0.5, 100, classes[i])
        assert chosen(indices[i], valid[i]) == expected
        assert expected != one_after_another(boxes[i], scores[i], 0.5, 100)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_a_long_chain_of_boxes_that_each_decide_on_the_next(jit_compile):
    # 10 wide and 3 apart: IoU 7/13 with the next, 4/16 with the one after it. So every other one
    # is kept, and whether the last is depends on all the others.
    x = 3.0 * np.arange(201, dtype=np.float32)
    boxes = np.stack([x, 0 * x, x + 10, 0 * x + 5], -1)
    suppress = tf.function(nms.nms, jit_compile=jit_compile)
    got = suppress(boxes, tf.constant(-x), 0.5, 150)
    assert chosen(*got) == list(range(0, 201, 2))


@pytest.mark.parametrize('jit_compile', [False, True])
def test_odd_scores(jit_compile):
    boxes = np.array([[10 * i, 0, 10 * i + 5, 5] for i in range(7)], np.float32)
    scores = np.array([0.0, np.nan, -3.0, np.inf, -0.0, -np.inf, 0.0], np.float32)
    got = tf.function(nms.nms, jit_compile=jit_compile)(boxes, scores, 0.5, 7)
    assert chosen(*got) == [3, 0, 4, 6, 2]


def test_a_batch_whose_size_is_not_known_and_no_gradient():
    random = np.random.default_rng(2)

    @tf.function(input_signature=[tf.TensorSpec([None, 50, 4]), tf.TensorSpec([None, 50])])
    def suppress(boxes, scores):
        indices, valid = nms.batched_nms(boxes, scores, 0.5, 20)
        # A loss that gathers what was kept has the gradient of the gathering.
        total = tf.reduce_sum(tf.where(valid, tf.gather(scores, indices, batch_dims=1), 0.0))
        return indices, valid, tf.gradients(total, [scores, boxes])

    for b in (1, 4):
        boxes = np.stack([crowded(random, 50, 6) for _ in range(b)])
        scores = random.uniform(0, 1, (b, 50)).astype(np.float32)
        indices, valid, (of_scores, of_boxes) = suppress(boxes, scores)
        assert of_boxes is None
        for i in range(b):
            kept = one_after_another(boxes[i], scores[i], 0.5, 20)
            assert chosen(indices[i], valid[i]) == kept
            np.testing.assert_array_equal(np.flatnonzero(of_scores[i]), sorted(kept))


def test_bad_arguments():
    boxes, scores = tf.zeros([2, 4]), tf.zeros([2])
    with pytest.raises(ValueError, match='max_outputs = 0'):
        nms.nms(boxes, scores, 0.5, 0)
    with pytest.raises(ValueError, match='iou_threshold = 1.5'):
        nms.nms(boxes, scores, 1.5, 3)
    with pytest.raises(ValueError, match=r'takes boxes \[b, n, 4\] and scores \[b, n\], not \(2'):
        nms.class_nms(boxes, scores, tf.zeros([2], tf.int32), 0.5, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None])])
    def suppress(boxes, scores):
        return nms.nms(boxes, scores, 0.5, 20)

    with pytest.raises(ValueError, match='known beforehand'):
        suppress(boxes, scores)
