import numpy as np
import pytest

from research.dqn import selection


@pytest.mark.parametrize('units', (3, 200))
def test_what_lies_apart_stays_apart(units):
    random = np.random.default_rng(0)
    group = np.arange(80) % 2
    hidden = random.normal(size=(80, units)) + 30 * group[:, None]
    points = selection.flat(hidden, seed=0)
    assert points.shape == (80, 2)
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    alike = group[:, None] == group
    assert distance[alike].max() < distance[~alike].max()
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(1)] == group).all()
    np.testing.assert_array_equal(points, selection.flat(hidden, seed=0))


def test_spread_takes_the_farthest_and_weighs_dimensions_alike():
    line = np.arange(11.0)[:, None]
    assert selection.spread(line, [0], 4).tolist() == [0, 10, 5, 2]
    assert selection.spread(line, [3, 3], 2).tolist() == [3, 10]
    assert selection.spread(line, [1, 2, 3], 2).tolist() == [1, 2]
    # The second dimension is a thousandth of the first in size, and counts as much.
    plane = np.array([[0, 0], [500, 0], [600, 0], [0, 0.9], [1000, 1]])
    assert selection.spread(plane, [0], 3).tolist() == [0, 4, 3]


def test_spread_among_some():
    line = np.arange(11.0)[:, None]
    assert selection.spread(line, [0], 3, np.arange(11) % 2 == 1).tolist() == [0, 9, 5]


def test_spread_stops_where_all_is_shown():
    assert selection.spread(np.array([[0.0, 1], [1, 1], [0, 1]]), [0], 8).tolist() == [0, 1]
    assert selection.spread(np.zeros((4, 2)), [2], 8).tolist() == [2]


def planted(ends, rises, steps=1000):
    """Values that rise linearly within 8 steps to each end, in eighths, which add up exactly."""
    values = np.zeros(steps)
    for end, rise in zip(ends, rises, strict=True):
        values += rise * np.clip((np.arange(steps) - end + 8) / 8, 0, 1)
    return values


def test_moments_are_at_the_tops_of_the_largest_rises():
    values = planted((100, 300, 500, 700, 900), (1, 5, 0.5, 2, 4))
    assert selection.largest_rises(values, 4, 15).tolist() == [100, 300, 700, 900]
    assert selection.largest_rises(values, 1, 15).tolist() == [300]


def test_moments_are_apart():
    # The two largest rises are of one event; 250 apart is far enough, 20 is not.
    values = planted((300, 320, 570), (5, 4, 1))
    assert selection.largest_rises(values, 2, 15).tolist() == [300, 570]


def test_short_and_flat_episodes_have_moments_too():
    assert selection.largest_rises(np.zeros(1), 4, 15).tolist() == [0]
    assert selection.largest_rises(np.zeros(50), 4, 15).tolist() == [0, 30]
    assert selection.largest_rises(np.array([0.0, 0, 1, 0]), 4, 15).tolist() == [2]
