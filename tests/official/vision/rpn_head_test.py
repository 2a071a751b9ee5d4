import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from official.vision import rpn_head


def first_key():
    # Not when this is imported: TensorFlow would run before others have set it up.
    return random.make_key(9)


def drawn(**arguments):
    head = rpn_head.RPNHead(3, 2, first_key(), **arguments)
    rng = np.random.default_rng(0)
    for v in head.variables:
        v.assign(rng.normal(size=v.shape))
    return head


def np_head(x, head):
    """Pixel after pixel and anchor after anchor."""
    kernel, bias, scores, score_bias, boxes, box_bias = (
        v.numpy().astype(np.float64)
        for conv in (head.conv, head.objectness, head.deltas)
        for v in (conv.kernel, conv.bias)
    )
    batch, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    logits, deltas = [[] for _ in range(batch)], [[] for _ in range(batch)]
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                part = padded[image, row : row + 3, column : column + 3]
                hidden = np.maximum(np.einsum('ijc,ijcd->d', part, kernel) + bias, 0)
                for anchor in range(2):
                    logits[image].append(hidden @ scores[0, 0, :, anchor] + score_bias[anchor])
                    four = slice(4 * anchor, 4 * anchor + 4)
                    deltas[image].append(hidden @ boxes[0, 0, :, four] + box_bias[four])
    return np.array(logits), np.array(deltas)


@pytest.mark.parametrize('filters', [None, 5])
def test_scores_and_boxes_against_numpy_in_the_order_of_the_anchors(filters):
    head = drawn(filters=filters)
    levels = [np.random.default_rng(1).normal(size=(2, *size, 3)) for size in ((4, 3), (2, 5))]
    inputs = [tf.constant(x, tf.float32) for x in levels]
    graph = tf.function(head, input_signature=[[tf.TensorSpec([None, None, None, 3])] * 2])
    for logits, deltas in (head(inputs), graph(inputs)):
        assert len(logits) == len(deltas) == 2
        for x, one, other in zip(levels, logits, deltas, strict=True):
            scores, boxes = np_head(x, head)
            assert one.shape == (2, x.shape[1] * x.shape[2] * 2)
            np.testing.assert_allclose(one, scores, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(other, boxes, rtol=1e-4, atol=1e-4)


def test_the_gradient_reaches_all_weights_as_if_the_two_were_apart():
    head = drawn()
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 4, 3, 3)), tf.float32)
    with tf.GradientTape() as tape:
        logits, deltas = head([x])
        loss = tf.reduce_sum(logits[0] ** 2) + tf.reduce_sum(deltas[0] ** 3)
    found = tape.gradient(loss, head.trainable_variables)
    with tf.GradientTape() as tape:
        hidden = tf.nn.relu(tf.nn.conv2d(x, head.conv.kernel, 1, 'SAME') + head.conv.bias)
        scores = tf.nn.conv2d(hidden, head.objectness.kernel, 1, 'SAME') + head.objectness.bias
        boxes = tf.nn.conv2d(hidden, head.deltas.kernel, 1, 'SAME') + head.deltas.bias
        loss = tf.reduce_sum(scores**2) + tf.reduce_sum(boxes**3)
    expected = tape.gradient(loss, head.trainable_variables)
    assert len(found) == 6
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize('compiled', [False, True])
def test_some_anchors_are_those_of_all_and_their_gradient_too(compiled):
    """Every anchor once, in any order, and some twice: corners, borders, levels of one row."""
    head = drawn()
    rng = np.random.default_rng(1)
    levels = [
        tf.constant(rng.normal(size=(2, *size, 3)), tf.float32) for size in ((4, 3), (2, 5), (1, 1))
    ]
    number = 2 * (12 + 10 + 1)
    indices = tf.constant(
        np.stack([np.concatenate([rng.permutation(number), [3, 3, 45]]) for _ in range(2)]),
        tf.int32,
    )
    weights = tf.constant(rng.normal(size=(2, number + 3, 5)), tf.float32)

    def loss(logits, deltas):
        return tf.reduce_sum(weights * tf.concat([logits[..., tf.newaxis], deltas], -1) ** 2)

    @tf.function(jit_compile=compiled)
    def of_some():
        with tf.GradientTape() as tape:
            tape.watch(levels)
            found = head.at(levels, indices)
            value = loss(*found)
        return found, tape.gradient(value, [*levels, *head.trainable_variables])

    with tf.GradientTape() as tape:
        tape.watch(levels)
        expected = [tf.gather(tf.concat(part, 1), indices, batch_dims=1) for part in head(levels)]
        value = loss(*expected)
    found, gradients = of_some()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(
        gradients, tape.gradient(value, [*levels, *head.trainable_variables]), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-2)


def test_initial_weights():
    head = rpn_head.RPNHead(64, 3, first_key())
    kernels = [v.numpy() for v in head.variables if 'kernel' in v.name]
    assert [k.shape for k in kernels] == [(3, 3, 64, 64), (1, 1, 64, 3), (1, 1, 64, 12)]
    for kernel in kernels:  # Ren et al. 2015: a deviation of 0.01.
        assert kernel.std() == pytest.approx(0.01, rel=4 / np.sqrt(2 * kernel.size))
    assert len({kernel.flat[0] for kernel in kernels}) == 3
    assert not any(v.numpy().any() for v in head.variables if 'bias' in v.name)


def test_in_bfloat16_scores_and_boxes_are_float32():
    head = drawn()
    x = tf.constant(np.random.default_rng(1).normal(size=(1, 4, 3, 3)), tf.float32)
    for one, other in zip(head([tf.cast(x, tf.bfloat16)]), head([x]), strict=True):
        assert one[0].dtype == tf.float32
        np.testing.assert_allclose(one[0], other[0], rtol=0.1, atol=0.5)
        assert not np.array_equal(one[0], other[0])


def test_a_head_that_cannot_be():
    with pytest.raises(ValueError, match=r'RPNHead\.num_anchors = 0'):
        rpn_head.RPNHead(3, 0, first_key())
    with pytest.raises(ValueError, match=r'RPNHead\.filters = 0'):
        rpn_head.RPNHead(3, 1, first_key(), filters=0)
