import numpy as np
import pytest

from research.geometric import folds

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 31, 19]))


def test_parts_of_all_graphs_with_equal_shares_of_the_classes():
    found = folds.stratified_folds(LABELS)
    assert len(found) == 10
    np.testing.assert_array_equal(
        np.sort(np.concatenate([fold.test for fold in found])), np.arange(100)
    )
    for number, fold in enumerate(found):
        every = np.concatenate(fold)
        np.testing.assert_array_equal(np.sort(every), np.arange(100))
        assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in fold)
        np.testing.assert_array_equal(fold.validation, found[number - 1].test)
        for count, whole in zip(np.bincount(LABELS[fold.test]), (50, 31, 19), strict=True):
            assert whole // 10 <= count <= -(-whole // 10)


def test_drawn_with_the_seed_of_the_published_runs():
    """The parts are scikit-learn's, shuffled with seed 12345."""
    from sklearn.model_selection import StratifiedKFold

    expected = [
        test
        for _, test in StratifiedKFold(10, shuffle=True, random_state=12345).split(LABELS, LABELS)
    ]
    for fold, test in zip(folds.stratified_folds(LABELS), expected, strict=True):
        np.testing.assert_array_equal(fold.test, test)
    other = folds.stratified_folds(LABELS, seed=1)
    assert not np.array_equal(other[0].test, expected[0])


def test_bad_input():
    with pytest.raises(ValueError, match='num_folds = 2: to test, validate and train takes 3'):
        folds.stratified_folds(LABELS, 2)
    with pytest.raises(ValueError, match='MUTAG: class 1 has 4 graphs, too few for 5 folds'):
        folds.stratified_folds([0] * 9 + [1] * 4, 5, name='MUTAG')
    # One of each class for each fold is enough.
    tests = [fold.test for fold in folds.stratified_folds([0] * 5 + [1] * 5, 5)]
    assert all(np.bincount(test // 5).tolist() == [1, 1] for test in tests)
