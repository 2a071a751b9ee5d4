"""Tests of official.data.labelling."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import labelling

# Three classes of 200, 40 and 120 images, mixed.
LABELS = np.random.RandomState(0).permutation(np.repeat([0, 1, 2], [200, 40, 120])).astype(np.int32)


@pytest.mark.parametrize(
    'percent, counts',
    [
        (2.5, [5, 1, 3]),
        (5, [10, 2, 6]),
        (10, [20, 4, 12]),
        (20, [40, 8, 24]),
        (100, [200, 40, 120]),
        (1.3, [3, 1, 2]),
    ],
)  # 2.6, 0.52 and 1.56 images are 3, 1 and 2.
def test_percent_of_each_class(percent, counts):
    partial = labelling.partial_labels(LABELS, 3, 7, percent)
    assert partial.num_labels == 3 and partial.labels.dtype == np.int32
    np.testing.assert_array_equal(partial.indices, np.arange(360))
    known = partial.labels >= 0
    np.testing.assert_array_equal(partial.labels[known], LABELS[known])
    assert (partial.labels[~known] == -1).all()
    assert np.bincount(partial.labels[known], minlength=3).tolist() == counts
    np.testing.assert_allclose(partial.distribution(), np.array(counts) / sum(counts))


def test_without_the_unlabelled_there_are_the_same_labels():
    partial = labelling.partial_labels(LABELS, 3, 7, 20)
    dropped = labelling.partial_labels(LABELS, 3, 7, 20, drop_unlabelled=True)
    np.testing.assert_array_equal(dropped.indices, np.flatnonzero(partial.labels >= 0))
    np.testing.assert_array_equal(dropped.labels, LABELS[dropped.indices])
    assert dropped.labels.dtype == np.int32 and dropped.indices.dtype == np.int64
    np.testing.assert_array_equal(dropped.indices, labelling.draw_percent(LABELS, 3, 20, 7))


def test_the_draw_follows_from_the_seed():
    draws = [labelling.draw_percent(LABELS, 3, 10, seed) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert len(draws[0]) == len(draws[2]) and (draws[0] != draws[2]).any()
    # Drawn, not the first ones: two draws of 36 in 360 share 3.6 on average.
    assert len(np.intersect1d(draws[0], draws[2])) < 14
    # Frozen: another draw with another NumPy would be another experiment.
    assert labelling.draw_percent(np.arange(20) % 2, 2, 20, 0).tolist() == [2, 9, 12, 15]


def test_more_percent_keeps_what_fewer_have():
    few, more = (labelling.draw_percent(LABELS, 3, percent, 7) for percent in (5, 20))
    assert set(few) < set(more)


def test_a_class_without_labels_is_refused():
    with pytest.raises(ValueError) as error:
        labelling.partial_labels(np.repeat([0, 1], [100, 19]), 2, 0, 2.5)
    assert str(error.value) == (
        'percent = 2.5 of the 19 images of class 1 is none: every class needs at least one label.'
    )
    with pytest.raises(ValueError, match='percent = 100 of the 0 images of class 2 is none'):
        labelling.partial_labels(np.repeat([0, 1], 5), 3, 0, 100)
    for percent in -1, 101:
        with pytest.raises(ValueError, match=f'percent = {percent} is outside'):
            labelling.partial_labels(LABELS, 3, 0, percent)


def test_true_and_single_labels():
    true = labelling.true_labels(LABELS.astype(np.int64), 3, 0)
    np.testing.assert_array_equal(true.labels, LABELS)
    assert true.labels.dtype == np.int32 and true.num_labels == 3
    single = labelling.single_label(LABELS, 3, 0)
    assert single.num_labels == 1 and single.labels.tolist() == [0] * 360
    assert single.distribution().tolist() == [1]
    for made in true, single:
        np.testing.assert_array_equal(made.indices, np.arange(360))


def test_random_labels_are_uniform_and_say_nothing_of_the_class():
    labels = np.repeat(np.arange(10), 1000)
    drawn = labelling.random_labels(labels, 10, 3)
    assert drawn.drawn_anew and not labelling.true_labels(labels, 10, 3).drawn_anew
    assert drawn.num_labels == 10 and drawn.labels.dtype == np.int32
    table = np.zeros([10, 10])
    np.add.at(table, (labels, drawn.labels), 1)
    chi_square = ((table - 100) ** 2 / 100).sum()
    assert 40 < chi_square < 155  # 90 degrees of freedom: 0.0001 % to 99.997 %.
    again, other = (labelling.random_labels(labels, 10, seed).labels for seed in (3, 4))
    np.testing.assert_array_equal(drawn.labels, again)
    assert (drawn.labels == other).mean() == pytest.approx(0.1, abs=0.012)
    few = labelling.random_labels(labels, 10, 3, num_labels=4)
    assert few.num_labels == 4 and set(few.labels) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match='random_labels.num_labels = 0'):
        labelling.random_labels(labels, 10, 3, num_labels=0)


def test_labels_that_there_are_not_are_refused():
    for labels, bad in (np.arange(1, 4), 3), (np.array([0, -2]), -2):
        with pytest.raises(ValueError, match=f'^label {bad} is outside -1, for none, to 2.$'):
            labelling.true_labels(labels, 3, 0)


def test_labels_of_places_are_uniform_and_independent():
    first = np.arange(40_000)
    draw = lambda places, number=10, seed=3: labelling.uniform_labels(
        tf.constant(places, tf.int64), number, seed
    ).numpy()
    drawn = draw(first)
    assert drawn.dtype == np.int32 and drawn.min() == 0 and drawn.max() == 9
    # Pairs of neighbours, of places a power of two apart, of another seed, of another range.
    for other in (
        draw(first + 1),
        draw(first + 2**12),
        draw(first + 2**40),
        draw(first, seed=4),
        draw(first, seed=2**32 - 1),
    ):
        table = np.zeros([10, 10])
        np.add.at(table, (drawn, other), 1)
        chi_square = ((table - 400) ** 2 / 400).sum()
        assert 50 < chi_square < 155  # 99 degrees of freedom: 0.0003 % to 99.97 %.
    assert draw(first, 1).tolist() == [0] * 40_000
    np.testing.assert_array_equal(draw(first[7:9]), drawn[7:9])


def test_random_labels_are_not_drawn_like_the_labelled_images():
    # The same numbers for both would tie the one to the other.
    labels = np.zeros(1000, np.int64)
    drawn = labelling.draw_percent(labels, 1, 50, 3)
    half = labelling.random_labels(labels, 2, 3).labels
    assert half[drawn].mean() == pytest.approx(half.mean(), abs=0.07)


def test_distribution():
    soft = labelling.Labelling(
        np.arange(2), np.array([[0.5, 0.5, 0], [0.1, 0.2, 0.7]], np.float32), 3
    )
    np.testing.assert_allclose(soft.distribution(), [0.3, 0.35, 0.35], rtol=1e-6)
    hard = labelling.Labelling(np.arange(5), np.array([3, -1, 0, 3, -1], np.int32), 5)
    np.testing.assert_allclose(hard.distribution(), [1 / 3, 0, 0, 2 / 3, 0])
    none = labelling.Labelling(np.arange(2), np.full(2, -1, np.int32), 5)
    with pytest.raises(ValueError, match='No image has a label.'):
        none.distribution()
