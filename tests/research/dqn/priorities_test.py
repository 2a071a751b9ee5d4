"""The sum tree against plain sums."""

import numpy as np
import pytest

from research.dqn import priorities


@pytest.mark.parametrize('size', [1, 2, 3, 8, 13, 1000])
def test_finds_what_a_running_sum_finds(size):
    random = np.random.default_rng(size)
    tree = priorities.SumTree(size)
    values = np.zeros(size)
    for _ in range(20):
        index = random.integers(0, size, 5)
        index = np.unique(index)
        changed = random.random(len(index)) * (random.random(len(index)) < 0.7)
        tree.set(index, changed)
        values[index] = changed
        np.testing.assert_array_equal(tree.values, values)
        assert tree.total == pytest.approx(values.sum(), rel=1e-12)
        if values.sum() > 0:
            mass = random.random(50) * tree.total
            expected = np.searchsorted(np.cumsum(values), mass, side='right')
            np.testing.assert_array_equal(tree.find(mass), expected)


def test_all_at_once_equals_one_by_one():
    values = np.random.default_rng(0).random(37)
    one, other = priorities.SumTree(37), priorities.SumTree(37)
    one.set_all(values)
    for index, value in enumerate(values):
        other.set(np.array([index]), np.array([value]))
    np.testing.assert_array_equal(one._nodes, other._nodes)


def test_a_number_of_zero_is_never_found():
    tree = priorities.SumTree(6)
    tree.set(np.array([1, 4]), np.array([0.1, 0.3]))
    total = tree.total
    found = tree.find(np.array([0.0, 0.05, 0.1, total * (1 - 1e-16), total]))
    assert set(found) == {1, 4}


def test_priorities_of_errors():
    """p = (|delta| + epsilon)^alpha (Schaul et al. 2016, Sec. 3.3)."""
    preference = priorities.Prioritization(exponent=0.5, epsilon=0.01)
    np.testing.assert_allclose(preference.priority(np.array([-3.99, 0.0])), [2.0, 0.1])
    with pytest.raises(ValueError, match=r'Prioritization.exponent = 1.5 is outside \[0, 1\]'):
        priorities.Prioritization(exponent=1.5)
