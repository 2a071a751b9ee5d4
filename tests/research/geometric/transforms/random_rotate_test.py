"""Tests of research.geometric.transforms.random_rotate."""

import numpy as np
import pytest

from research.geometric import graph
from research.geometric.transforms import random_rotate

NONE = np.zeros((2, 0), int)
POS = np.random.default_rng(0).normal(size=(20, 3))
SOME = graph.Graph(NONE, pos=POS, name='a')


def test_seeds_and_generators():
    transform = random_rotate.random_rotate
    one = transform(SOME, 5).pos
    np.testing.assert_array_equal(transform(SOME, 5).pos, one)
    random = np.random.default_rng(5)
    np.testing.assert_array_equal(transform(SOME, random).pos, one)
    assert len({transform(SOME, random).pos.tobytes() for _ in range(20)}) >= 20
    np.testing.assert_array_equal(SOME.pos, POS.astype(np.float32))  # As it was.
    with pytest.raises(ValueError, match=r'^b: the graph has no positions \(pos\).$'):
        transform(graph.Graph(NONE, num_nodes=5, name='b'), 0)


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_distances_and_the_axis_stay(axis):
    turned = random_rotate.random_rotate(SOME, 1, axis=axis).pos
    distances = lambda pos: np.linalg.norm(pos[:, None] - pos[None], axis=-1)
    np.testing.assert_allclose(distances(turned), distances(SOME.pos), atol=1e-5)
    np.testing.assert_array_equal(turned[:, axis], SOME.pos[:, axis])
    others = [other for other in range(3) if other != axis]
    assert np.abs(turned[:, others] - SOME.pos[:, others]).max() > 0.1
    # A turn, not a reflection.
    change = np.linalg.lstsq(POS, turned, rcond=None)[0]
    assert np.linalg.det(change) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    'pos, axis, plane',
    [
        ([[1, 0, 0]], 2, (0, 1)),
        ([[0, 1, 0]], 0, (1, 2)),
        ([[0, 0, 1]], 1, (2, 0)),
        ([[1, 0]], 2, (0, 1)),
    ],
)
def test_angles_are_uniform(pos, axis, plane):
    random = np.random.default_rng(0)
    some = graph.Graph(NONE, pos=np.array(pos))
    turned = np.concatenate(
        [random_rotate.random_rotate(some, random, degrees=60, axis=axis).pos for _ in range(500)]
    )
    angles = np.rad2deg(np.arctan2(turned[:, plane[1]], turned[:, plane[0]]))
    assert -60 <= angles.min() < -57 and 57 < angles.max() <= 60
    assert abs(angles.mean()) < 5 and abs(np.abs(angles).mean() - 30) < 3


def test_bad_axis():
    with pytest.raises(ValueError, match='^axis = 3 is not 0, 1 or 2.$'):
        random_rotate.random_rotate(SOME, 0, axis=3)
