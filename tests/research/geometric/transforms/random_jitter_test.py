"""Tests of research.geometric.transforms.random_jitter."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import random_jitter

NONE = np.zeros((2, 0), int)
POS = np.random.default_rng(0).normal(size=(20, 3))
SOME = graph.Graph(NONE, pos=POS, name='a')


def test_seeds_and_generators():
    transform = random_jitter.random_jitter
    one = transform(SOME, 5).pos
    np.testing.assert_array_equal(transform(SOME, 5).pos, one)
    random = np.random.default_rng(5)
    np.testing.assert_array_equal(transform(SOME, random).pos, one)
    assert len({transform(SOME, random).pos.tobytes() for _ in range(20)}) >= 20
    np.testing.assert_array_equal(SOME.pos, POS.astype(np.float32))  # As it was.
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        transform(graph.Graph(NONE, num_nodes=5, name='b'), 0)


def test_noise():
    cloud = graph.Graph(NONE, pos=np.zeros((20000, 3)))
    noise = random_jitter.random_jitter(cloud, 0, 0.1, clip=1).pos
    assert np.abs(noise.mean(axis=0)).max() < 0.005
    np.testing.assert_allclose(noise.std(axis=0), 0.1, rtol=0.03)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.05
    cut = random_jitter.random_jitter(cloud, 0, 0.1, clip=0.15).pos
    np.testing.assert_array_equal(cut, np.clip(noise, np.float32(-0.15), np.float32(0.15)))
    assert (np.abs(cut) == np.float32(0.15)).mean() == pytest.approx(
        0.1336, abs=0.01
    )  # P(|n| > 1.5).


def test_bad_input():
    with pytest.raises(ValueError, match='^deviation = -1 or clip = 0.05 is negative.$'):
        random_jitter.random_jitter(SOME, 0, -1)
