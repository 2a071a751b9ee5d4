"""Tests of official.data.sampling."""

import numpy as np
import pytest

from official.data import sampling

LABELS = np.array([0] * 30 + [1] * 20 + [2] * 10)


def test_every_class_gives_the_same_number():
    drawn = sampling.balanced_indices(LABELS, 15, 3, seed=1)
    assert drawn.dtype == np.int64
    assert np.bincount(LABELS[drawn]).tolist() == [5, 5, 5]
    assert len(set(drawn.tolist())) == 15
    assert (np.diff(drawn) > 0).all()


def test_the_seed_decides():
    first = sampling.balanced_indices(LABELS, 15, 3, seed=1)
    np.testing.assert_array_equal(first, sampling.balanced_indices(LABELS, 15, 3, seed=1))
    assert first.tolist() != sampling.balanced_indices(LABELS, 15, 3, seed=2).tolist()
    assert first.tolist() != sampling.balanced_indices(LABELS, 15, 3, seed=(1, 1)).tolist()


def test_every_example_is_drawn_equally_often():
    # 5 of 10 examples of class 2, drawn 400 times: 200 each, standard deviation 10.
    drawn = [sampling.balanced_indices(LABELS, 15, 3, seed) for seed in range(400)]
    counts = np.bincount(np.concatenate(drawn), minlength=60)[50:]
    assert counts.sum() == 2000
    assert np.abs(counts - 200).max() < 45


def test_a_whole_class_can_be_drawn():
    drawn = sampling.balanced_indices(LABELS, 30, 3, seed=0)
    assert drawn[-10:].tolist() == list(range(50, 60))


def test_too_few_examples_in_a_class():
    with pytest.raises(
        ValueError, match='^num_labels 33 asks for 11 examples of class 2, which has 10.$'
    ):
        sampling.balanced_indices(LABELS, 33, 3, seed=0, what='num_labels')


@pytest.mark.parametrize('count', [0, -3, 10])
def test_a_count_that_cannot_be_balanced(count):
    with pytest.raises(ValueError, match=f'count {count} is not a positive multiple of the 3 '):
        sampling.balanced_indices(LABELS, count, 3, seed=0)


def test_evenly_spread():
    assert sampling.evenly_spread(10, 3).tolist() == [0, 3, 6]
    assert sampling.evenly_spread(3, 2).tolist() == [0, 1]
    # Three classes of 100, in order: each gives as many.
    assert np.bincount(sampling.evenly_spread(300, 30) // 100).tolist() == [10, 10, 10]
    for count in (None, 4, 5):
        assert sampling.evenly_spread(4, count).tolist() == [0, 1, 2, 3]
