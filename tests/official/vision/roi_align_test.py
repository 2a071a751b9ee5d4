import math

import numpy as np
import pytest
import tensorflow as tf

from official.vision import roi_align

STRIDES = (4, 8, 16, 32)
# An image of 192 x 128 pixels.
HEIGHT, WIDTH = 192, 128
BOXES = np.float32(
    [
        [
            [10.3, 20.7, 61.9, 100.2],  # inside, on level 2
            [0, 0, 128, 192],  # the whole image, up to the border
            [0, 0, 128, 128],  # level 3
            [-300, -200, 700, 900],  # far larger than the image, on level 5
            [100, 150, 128, 192],  # in the bottom right corner
            [50, 60, 50.4, 60.3],  # tiny
            [2, 90, 126, 97],  # wide and low: many pixels a bin
            [64, 3, 66, 188],  # narrow and high
            [200, 250, 260, 300],  # outside
            [0, 0, 0, 0],
        ],
        [  # padding
            [17, 33, 90, 170.5],
            [0, 5, 7, 9],
            [31, 31, 33, 33],
            [0, 0, 1, 1],
            [-5, -6, 40, 50],
            [120, 180, 131, 197],
            [60, 60, 68, 68],
            [3.25, 8.5, 99, 140],
            [0, 64, 128, 128],
            [4, 4, 8, 8],
        ],
    ]
)


def level_by_formula(box):
    """Lin et al. 2017, Eq. 1."""
    area = (float(box[2]) - float(box[0])) * (float(box[3]) - float(box[1]))
    if area <= 0:
        return 2
    return min(max(math.floor(4 + math.log2(math.sqrt(area) / 224)), 2), 5)


def sample_weights(y, x, height, width):
    """The pixels that make a bilinear sample, at most four: [(row, column, weight)]."""
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    down, right = y - top, x - left
    return [
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    ]


def bin_weights(box, stride, shape, size, samples):
    """Yields (bin row, bin column, pixel row, pixel column, weight) in plain loops of float64."""
    x1, y1, x2, y2 = (float(value) / stride for value in box)
    rows, columns = size
    for i in range(rows):
        for j in range(columns):
            for k in range(samples):
                for m in range(samples):
                    y = y1 + (i + (k + 0.5) / samples) * (y2 - y1) / rows - 0.5
                    x = x1 + (j + (m + 0.5) / samples) * (x2 - x1) / columns - 0.5
                    for row, column, weight in sample_weights(y, x, *shape):
                        yield i, j, row, column, weight / samples**2


def reference(pyramid, boxes, size, samples, levels, direction):
    """RoIAlign, and the gradient of its product with `direction`, by plain loops."""
    bins = np.zeros([*boxes.shape[:2], *size, pyramid[0].shape[-1]])
    gradients = [np.zeros(features.shape) for features in pyramid]
    for b, n in np.ndindex(*boxes.shape[:2]):
        level = levels[b, n] - 2
        features = pyramid[level][b]
        for i, j, row, column, weight in bin_weights(
            boxes[b, n], STRIDES[level], features.shape[:2], size, samples
        ):
            bins[b, n, i, j] += weight * features[row, column]
            gradients[level][b, row, column] += weight * direction[b, n, i, j]
    return bins, gradients


def features(channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, HEIGHT // stride, WIDTH // stride, channels)) for stride in STRIDES]


@pytest.mark.parametrize('where', ['plain', 'XLA', 'beside a GPU'])
@pytest.mark.parametrize('size, samples', [((3, 3), 2), ((2, 5), 1), ((2, 1), 3)])
def test_bins_and_gradients_against_plain_loops(size, samples, where, monkeypatch):
    if where == 'beside a GPU':
        monkeypatch.setattr(tf.config, 'list_logical_devices', lambda kind: [kind])
    pyramid = features()
    # On level 3 is 112 x 112 to 224 x 224; a small canonical size brings all levels in.
    canonical = 80
    levels = np.array([[level_by_formula(box * 224 / canonical) for box in row] for row in BOXES])
    assert set(levels.flat) == {2, 3, 4, 5}
    direction = np.random.default_rng(1).normal(size=(2, 10, *size, 3))
    bins, gradients = reference(pyramid, BOXES, size, samples, levels, direction)

    @tf.function(jit_compile=where == 'XLA')
    def run(boxes, *pyramid):
        with tf.GradientTape() as tape:
            tape.watch([boxes, *pyramid])
            y = roi_align.roi_align(
                pyramid, boxes, STRIDES, size, samples, canonical_size=canonical
            )
            loss = tf.reduce_sum(y * direction.astype(np.float32))
        of_boxes, *of_pyramid = tape.gradient(loss, [boxes, *pyramid])
        assert of_boxes is None
        assert y.shape == (2, 10, *size, 3)
        return y, of_pyramid

    inputs = tf.constant(BOXES), *(tf.constant(f, tf.float32) for f in pyramid)
    kinds = {op.type for op in run.get_concrete_function(*inputs).graph.get_operations()}
    assert ('SparseTensorDenseMatMul' in kinds) == (where == 'plain')
    y, of_pyramid = run(*inputs)
    np.testing.assert_allclose(y, bins, atol=1e-5)
    for actual, expected in zip(of_pyramid, gradients, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_large_image_with_and_without_xla():
    rng = np.random.default_rng(0)
    pyramid = [
        tf.constant(rng.normal(size=(1, 1344 // s, 1344 // s, 4)), tf.float32) for s in STRIDES
    ]
    # Sides of 2 to 1800 pixels, one at most four times the other.
    sides = np.exp(rng.uniform(1.4, 6.8, (1, 400, 1)) + rng.uniform(-0.7, 0.7, (1, 400, 2)))
    centres = rng.uniform(0, 1344, (1, 400, 2))
    boxes = tf.constant(
        np.clip(np.concatenate([centres - sides / 2, centres + sides / 2], -1), 0, 1344), tf.float32
    )
    direction = tf.constant(rng.normal(size=(1, 400, 7, 7, 4)), tf.float32)

    def run(boxes, direction, *pyramid):
        with tf.GradientTape() as tape:
            tape.watch(pyramid)
            y = roi_align.roi_align(pyramid, boxes, STRIDES, 7)
        return [y, *tape.gradient(y, pyramid, output_gradients=direction)]

    plain = tf.function(run)(boxes, direction, *pyramid)
    compiled = tf.function(run, jit_compile=True)(boxes, direction, *pyramid)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # In float64 from the same corners: float32 costs no more than this even 1344 pixels away.
    levels = np.array([[level_by_formula(box) for box in boxes.numpy()[0]]])
    pyramid = [features.numpy() for features in pyramid]
    for n in range(0, 400, 20):
        level = levels[0, n] - 2
        expected = np.zeros([7, 7, 4])
        for i, j, row, column, weight in bin_weights(
            boxes.numpy()[0, n], STRIDES[level], pyramid[level].shape[1:3], (7, 7), 2
        ):
            expected[i, j] += weight * pyramid[level][0, row, column]
        np.testing.assert_allclose(plain[0][0, n], expected, atol=1e-5)


def test_by_hand():
    # Two levels of one channel: the column's index on the first, 100 on the second.
    pyramid = [
        tf.tile(tf.range(8.0)[tf.newaxis, tf.newaxis, :, tf.newaxis], [1, 8, 1, 1]),
        tf.fill([1, 4, 4, 1], 100.0),
    ]
    # x from 8 to 24 in the image is 2 to 6 among the pixels of stride 4. The halves' means are at
    # 3 and 5 from the left border, which lies half a pixel before the centre of pixel 0.
    boxes = tf.constant([[[8, 8, 24, 24], [0, 0, 8, 8], [8, 8, 24, 24]]], tf.float32)
    bins = roi_align.roi_align(pyramid, boxes, (4, 8), 2, levels=tf.constant([[2, 2, 3]]))
    np.testing.assert_allclose(bins[0, 0, :, :, 0], [[2.5, 4.5]] * 2, atol=1e-6)
    # Samples at -0.25 (which takes the border's 0), 0.25, 0.75, 1.25.
    np.testing.assert_allclose(bins[0, 1, :, :, 0], [[0.125, 1]] * 2, atol=1e-6)
    np.testing.assert_allclose(bins[0, 2], np.full([2, 2, 1], 100), atol=1e-6)


def test_levels_against_the_formula_and_at_its_limits():
    rng = np.random.default_rng(0)
    boxes = np.float32(np.sort(rng.uniform(0, 1333, (500, 2, 2)), 1)).reshape(-1, 4)
    boxes[:100, 2:] = boxes[:100, :2] + np.float32(np.exp(rng.uniform(0, 5, (100, 2))))
    expected = [level_by_formula(box) for box in boxes]
    np.testing.assert_array_equal(roi_align.level_of(boxes), expected)
    assert set(expected) == {2, 3, 4, 5}

    sides = [
        (0, 0),
        (1, 1),
        (111.9, 112),
        (112, 112),
        (56, 224),
        (223, 224),
        (224, 224),
        (448, 448),
        (447.9, 448),
        (5000, 5000),
    ]
    boxes = tf.constant([[7, 9, 7 + w, 9 + h] for w, h in sides], tf.float32)
    expected = [2, 2, 2, 3, 3, 3, 4, 5, 4, 5]
    np.testing.assert_array_equal(roi_align.level_of(boxes), expected)
    compiled = tf.function(roi_align.level_of, jit_compile=True)(boxes)
    np.testing.assert_array_equal(compiled, expected)
    # RetinaNet's pyramid has levels 3 to 7; a canonical size of 112 is one level up.
    np.testing.assert_array_equal(roi_align.level_of(boxes, 3, 7), [3, 3, 3, 3, 3, 3, 4, 5, 4, 7])
    np.testing.assert_array_equal(
        roi_align.level_of(boxes, canonical_size=112), [2, 2, 3, 4, 4, 4, 5, 5, 5, 5]
    )


def test_half_precision_has_its_type_and_is_summed_in_single():
    pyramid = [tf.cast(f, tf.bfloat16) for f in features()]
    exact = roi_align.roi_align([tf.cast(f, tf.float32) for f in pyramid], BOXES, STRIDES, 7)
    for jit_compile in (False, True):
        bins = tf.function(
            lambda *p: roi_align.roi_align(p, BOXES, STRIDES, 7), jit_compile=jit_compile
        )(*pyramid)
        assert bins.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(bins, tf.float32), exact, rtol=0.004, atol=1e-5)


def test_shapes_that_are_known_at_run_time_only():
    pyramid = [tf.constant(f, tf.float32) for f in features()]
    run = tf.function(
        lambda boxes, *p: roi_align.roi_align(p, boxes, STRIDES, 3),
        input_signature=[tf.TensorSpec([None, None, 4])]
        + 4 * [tf.TensorSpec([None, None, None, 3])],
    )
    np.testing.assert_allclose(
        run(BOXES, *pyramid), roi_align.roi_align(pyramid, BOXES, STRIDES, 3), atol=1e-6
    )
    assert run(BOXES[:, :0], *pyramid).shape == (2, 0, 3, 3, 3)


def test_boxes_that_are_not_numbers_do_no_harm_to_others():
    pyramid = [tf.constant(f, tf.float32) for f in features()]
    boxes = BOXES.copy()
    boxes[0, 1] = np.nan
    boxes[1, 3, 2] = np.inf
    kept = np.ones([2, 10], bool)
    kept[0, 1] = kept[1, 3] = False
    for jit_compile in (False, True):
        run = tf.function(
            lambda boxes: roi_align.roi_align(pyramid, boxes, STRIDES, 3), jit_compile=jit_compile
        )
        np.testing.assert_allclose(run(boxes)[kept], run(BOXES)[kept], atol=1e-6)


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'strides': (4, 8)}, r'strides = \(4, 8\) must be 4 powers of two'),
        ({'strides': (4, 8, 16, 48)}, 'must be 4 powers of two'),
        ({'strides': ()}, 'must be 4 powers of two'),
        ({'size': 0}, 'roi_align.height = 0 must be'),
        ({'size': (2, 0)}, 'roi_align.width = 0 must'),
        ({'samples': 0}, 'roi_align.samples = 0 must be'),
        (
            {'images': np.zeros(2, np.int32)},
            r'roi_align.boxes has the shape \(2, 10, 4\); it must be',
        ),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = {'strides': STRIDES, 'size': 7, **arguments}
    with pytest.raises(ValueError, match=message):
        roi_align.roi_align(features(), BOXES, **arguments)
