import numpy as np
import pytest

from research.geometric.pooling import sort_pool
from tests.research.geometric import pooling_checks


def reference(k):
    """Zhang et al. 2018, The SortPooling layer: by the last channel, then the one before."""

    def read(weights, x):
        del weights
        rows = sorted(x, key=lambda row: tuple(-row[::-1]))[:k]
        return np.concatenate([rows, np.zeros([k - len(rows), x.shape[1]])])

    return read


@pytest.mark.parametrize('k', [1, 3, 8])
def test_formula(k):
    pooling_checks.check_readout(lambda: sort_pool.SortPool(k), reference(k), equal=False)


def test_ties_by_hand():
    x = np.array([[1.0, 5.0, 0.0], [3.0, 4.0, -0.0], [2.0, 5.0, 0.0], [9.0, 9.0, -1.0]], np.float32)
    batch = np.zeros(4, np.int32)
    out = sort_pool.SortPool(5)(x, batch, 1)[0]
    np.testing.assert_array_equal(out, [[2, 5, 0], [1, 5, 0], [3, 4, 0], [9, 9, -1], [0, 0, 0]])
    first = lambda ties: sort_pool.SortPool(3, ties)(x, batch, 1)[0, :, 0].numpy().tolist()
    assert first(0) == [1, 3, 2]
    assert first(1) == [1, 2, 3]
    assert first(2) == first(7) == [2, 1, 3]


@pytest.mark.parametrize('k, ties, words', [(0, None, 'k = 0'), (3, -1, 'tie_channels = -1')])
def test_bad_arguments(k, ties, words):
    with pytest.raises(ValueError, match=words):
        sort_pool.SortPool(k, ties)
