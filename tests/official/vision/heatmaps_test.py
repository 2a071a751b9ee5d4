import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from official.vision import heatmaps


def test_targets_by_hand():
    # A region 8 wide and 4 high, of 4 x 4 cells: a cell is 2 x 1 pixels.
    roi = tf.constant([10, 20, 18, 24], tf.float32)
    cases = [  # x, y, v, row, column, weight, weight with occluded ones
        (10, 20, 2, 0, 0, 1, 1),
        (11.99, 20.99, 2, 0, 0, 1, 1),
        (12, 21, 2, 1, 1, 1, 1),
        (17, 23.5, 2, 3, 3, 1, 1),
        (18, 24, 2, 3, 3, 1, 1),
        (18, 22.5, 2, 2, 3, 1, 1),
        (14.5, 24, 2, 3, 2, 1, 1),
        (18.01, 22, 2, 2, 3, 0, 0),
        (9.99, 22, 2, 2, 0, 0, 0),
        (14, 24.01, 2, 3, 2, 0, 0),
        (14, 19.9, 2, 0, 2, 0, 0),
        (14, 22, 1, 2, 2, 0, 1),
        (14, 22, 0, 2, 2, 0, 0),
        (0, 0, 0, 0, 0, 0, 0),
    ]
    landmarks = tf.constant([case[:3] for case in cases], tf.float32)
    for jit_compile in (False, True):
        targets = tf.function(heatmaps.heatmap_targets, jit_compile=jit_compile)
        index, weight = targets(landmarks, roi, 4)
        np.testing.assert_array_equal(index, [4 * case[3] + case[4] for case in cases])
        np.testing.assert_array_equal(weight, [case[5] for case in cases])
        np.testing.assert_array_equal(
            targets(landmarks, roi, 4, occluded=True)[1], [case[6] for case in cases]
        )
        assert index.dtype == tf.int32 and weight.dtype == tf.float32


def test_targets_of_many_regions_against_plain_loops():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (3, 5, 2))
    rois = np.concatenate([corners, corners + rng.integers(1, 120, (3, 5, 2))], -1)
    rois[2, 4] = 0  # Padding.
    landmarks = np.concatenate(
        [rng.integers(0, 160, (3, 5, 40, 2)), rng.integers(1, 3, (3, 5, 40, 1))], -1
    )
    index, weight = heatmaps.heatmap_targets(
        tf.constant(landmarks, tf.float32), tf.constant(rois, tf.float32), 56
    )
    total = 0
    for b, n, k in np.ndindex(3, 5, 40):
        x1, y1, x2, y2 = (int(value) for value in rois[b, n])
        x, y, v = (int(value) for value in landmarks[b, n, k])
        counts = v == 2 and x1 <= x <= x2 and y1 <= y <= y2 and (b, n) != (2, 4)
        assert float(weight[b, n, k]) == counts
        if counts:  # In whole numbers.
            column = min((x - x1) * 56 // (x2 - x1), 55)
            row = min((y - y1) * 56 // (y2 - y1), 55)
            assert int(index[b, n, k]) == 56 * row + column
        assert 0 <= int(index[b, n, k]) < 56 * 56
        total += counts
    assert total > 20


def test_decoding_by_hand():
    rois = tf.constant([[[10, 20, 18, 24]]], tf.float32)  # Cells of 2 x 1 pixels.
    logits = np.full([1, 1, 4, 4, 3], -2, np.float32)
    # The parabola through -1, 3, 1 has its vertex at (1 + 1) / 2 / (6 - 1 + 1) = 1 / 6; the one
    # through -2, 3, 3 at (3 + 2) / 2 / (6 + 2 - 3) = 1 / 2. The second 3 comes later.
    logits[0, 0, 1, 0:4, 0] = -2, -1, 3, 1
    logits[0, 0, 2, 2, 0] = 3
    # In a corner: at the centre of its cell, whatever the cells before and after it in memory say.
    logits[0, 0, 3, 0, 1] = 5
    logits[0, 0, 2, 3, 1] = 4
    logits[0, 0, 3, 3, 1] = 4
    logits[..., 2] = 7  # All alike: the first.
    for jit_compile in (False, True):
        found = tf.function(heatmaps.decode, jit_compile=jit_compile)(tf.constant(logits), rois)
        assert found.shape == (1, 1, 3, 3)
        e = np.exp
        np.testing.assert_allclose(
            found[0, 0],
            [
                [
                    10 + 2 * (2.5 + 1 / 6),
                    20 + 1 * (1.5 + 1 / 2),
                    e(3) / (2 * e(3) + e(-1) + e(1) + 12 * e(-2)),
                ],
                [11, 23.5, e(5) / (e(5) + 2 * e(4) + 13 * e(-2))],
                [11, 20.5, 1 / 16],
            ],
            rtol=1e-6,
        )


def test_decoding_finds_what_the_targets_say():
    rng = np.random.default_rng(1)
    rois = np.float32([[[3, 4, 71, 160], [100, 50, 120, 60]], [[0, 0, 56, 56], [7, 7, 300, 301]]])
    index = rng.integers(0, 56 * 56, (2, 2, 6))
    logits = 9 * np.eye(56 * 56)[index].reshape(2, 2, 6, 56, 56).transpose(0, 1, 3, 4, 2)
    found = heatmaps.decode(tf.constant(logits, tf.bfloat16), rois).numpy()
    assert found.dtype == np.float32
    rows, columns = np.divmod(index, 56)
    extents = rois[..., 2:] - rois[..., :2]
    np.testing.assert_allclose(
        found[..., 0], rois[..., :1] + (columns + 0.5) / 56 * extents[..., :1], rtol=1e-5
    )
    np.testing.assert_allclose(
        found[..., 1], rois[..., 1:2] + (rows + 0.5) / 56 * extents[..., 1:], rtol=1e-5
    )
    visible = np.concatenate([found[..., :2], np.full([2, 2, 6, 1], 2)], -1)
    again, weight = heatmaps.heatmap_targets(tf.constant(visible, tf.float32), rois, 56)
    np.testing.assert_array_equal(again, index)
    np.testing.assert_array_equal(weight, np.ones([2, 2, 6]))


@pytest.mark.parametrize('spread, error', [(0.1, 0.06), (0.3, 0.05), (1, 0.03), (3, 0.03)])
def test_peaks_between_cells(spread, error):
    """A landmark that is known up to `spread` cells: the probability of each cell is its integral.

    The centre of the largest cell misses the mean by 0.29 cells (that of uniform numbers).
    """
    rng = np.random.default_rng(0)
    mean = rng.uniform(10, 18, (200, 2))
    edges = np.arange(29)
    of_x, of_y = (
        np.diff(stats.norm.cdf((edges - mean[:, axis, np.newaxis]) / spread), axis=-1)
        for axis in (0, 1)
    )
    logits = np.log(of_y[:, :, np.newaxis] * of_x[:, np.newaxis] + 1e-8)[..., np.newaxis]
    rois = np.tile(np.float32([[0, 0, 28, 28]]), [200, 1])
    found = heatmaps.decode(tf.constant(logits, tf.float32), rois)[:, 0, :2]
    assert np.sqrt(np.mean((found - mean) ** 2)) < error
    assert np.sqrt(np.mean((np.floor(mean) + 0.5 - mean) ** 2)) > 0.25
