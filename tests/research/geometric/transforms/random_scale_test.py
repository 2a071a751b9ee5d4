"""Tests of research.geometric.transforms.random_scale."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import random_scale

NONE = np.zeros((2, 0), int)
POS = np.random.default_rng(0).normal(size=(20, 3))
SOME = graph.Graph(NONE, pos=POS, name='a')


def test_seeds_and_generators():
    transform = random_scale.random_scale
    one = transform(SOME, 5).pos
    np.testing.assert_array_equal(transform(SOME, 5).pos, one)
    random = np.random.default_rng(5)
    np.testing.assert_array_equal(transform(SOME, random).pos, one)
    assert len({transform(SOME, random).pos.tobytes() for _ in range(20)}) >= 20
    np.testing.assert_array_equal(SOME.pos, POS.astype(np.float32))  # As it was.
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        transform(graph.Graph(NONE, num_nodes=5, name='b'), 0)


def test_one_factor_within_bounds():
    random = np.random.default_rng(0)
    factors = []
    for _ in range(200):
        ratio = random_scale.random_scale(SOME, random, 0.5, 2).pos / SOME.pos
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
        factors.append(ratio[0, 0])
    assert 0.5 <= min(factors) < 0.55 and 1.9 < max(factors) <= 2
    assert np.mean(factors) == pytest.approx(1.25, abs=0.1)


@pytest.mark.parametrize('low, high', [(0, 1), (-1, 1), (2, 1)])
def test_bad_bounds(low, high):
    with pytest.raises(ValueError, match=f'^low = {low} and high = {high} are not 0 < low <= high'):
        random_scale.random_scale(SOME, 0, low, high)
