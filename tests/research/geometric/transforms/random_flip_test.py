"""Tests of research.geometric.transforms.random_flip."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import random_flip

NONE = np.zeros((2, 0), int)
POS = np.random.default_rng(0).normal(size=(20, 3))
SOME = graph.Graph(NONE, pos=POS, name='a')


def test_seeds_and_generators():
    transform = random_flip.random_flip
    one = transform(SOME, 5).pos
    np.testing.assert_array_equal(transform(SOME, 5).pos, one)
    random = np.random.default_rng(5)
    np.testing.assert_array_equal(transform(SOME, random).pos, one)
    assert len({transform(SOME, random).pos.tobytes() for _ in range(20)}) >= 2
    np.testing.assert_array_equal(SOME.pos, POS.astype(np.float32))  # As it was.
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        transform(graph.Graph(NONE, num_nodes=5, name='b'), 0)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_one_coordinate_changes_its_sign(axis):
    sign = np.ones(3)
    sign[axis] = -1
    flipped = random_flip.random_flip(SOME, 0, axis, probability=1)
    np.testing.assert_array_equal(flipped.pos, SOME.pos * sign)
    np.testing.assert_array_equal(
        random_flip.random_flip(SOME, 0, axis, probability=0).pos, SOME.pos
    )


def test_probability():
    random = np.random.default_rng(0)
    flips = sum(
        random_flip.random_flip(SOME, random, 0, 0.25).pos[0, 0] != SOME.pos[0, 0]
        for _ in range(1000)
    )
    assert 200 < flips < 300


def test_bad_input():
    with pytest.raises(ValueError, match='^a: axis = 3, but pos has 3 dimensions.$'):
        random_flip.random_flip(SOME, 0, 3)
    with pytest.raises(ValueError, match=r'^probability = 1.5 is outside \[0, 1\].$'):
        random_flip.random_flip(SOME, 0, 0, 1.5)
