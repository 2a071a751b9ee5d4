import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import pooled, voxel_grid
from tests.research.geometric import pooling_checks


def clouds(dimensions=3, seed=0):
    """Points of graphs 0, 2 and 3 of 5, in any order, two of no graph."""
    random = np.random.default_rng(seed)
    pos = random.normal(size=(40, dimensions)).astype(np.float32)
    batch = random.choice([0, 2, 3], 40).astype(np.int32)
    batch[[4, 20]] = -1
    return pos, batch


def reference(pos, batch, size, start=None):
    """Cluster of each point: the number of its graph's voxel among all that have points."""
    voxels = []
    for place, graph in zip(pos.astype(np.float64), batch, strict=True):
        corner = pos[batch == graph].min(0) if start is None else start
        voxels.append((graph, *np.floor((place - corner) / size).astype(int)))
    known = sorted({voxel for voxel in voxels if voxel[0] >= 0})
    return [known.index(voxel) if voxel[0] >= 0 else -1 for voxel in voxels]


@pytest.mark.parametrize(
    'dimensions, size, start',
    [
        (3, 0.7, None),
        (2, 0.7, 0.0),
        (2, np.array([0.3, 2.0]), None),
        (3, 1.0, np.array([0.1, -5.0, 9.0])),
        (3, 100.0, None),
        (3, 1e-3, None),
    ],
)
def test_formula(dimensions, size, start):
    pos, batch = clouds(dimensions)
    size = np.float32(size)
    expected = reference(pos, batch, size, start)
    for jit in (False, True):
        found = tf.function(
            lambda pos, batch: voxel_grid.voxel_grid(pos, batch, size, start), jit_compile=jit
        )
        np.testing.assert_array_equal(found(pos, batch), expected)


def test_by_hand():
    pos = np.array([[0.0, 0.0], [0.9, 0.9], [1.0, 0.0], [-0.1, 0.0], [5.0, 5.0]], np.float32)
    batch = np.array([0, 0, 0, 0, 7], np.int32)
    np.testing.assert_array_equal(voxel_grid.voxel_grid(pos, batch, 1.0, 0.0), [1, 1, 2, 0, 3])
    np.testing.assert_array_equal(voxel_grid.voxel_grid(pos, batch, 1.0), [0, 1, 1, 0, 2])


def test_a_graph_may_be_moved():
    pos, batch = clouds()
    moved = pos.copy()
    moved[batch == 2] += [4.0, -8.0, 16.0]
    np.testing.assert_array_equal(
        voxel_grid.voxel_grid(moved, batch, 0.7), voxel_grid.voxel_grid(pos, batch, 0.7)
    )


def test_pooling():
    """Centroids and maxima of two voxels, and the one edge that crosses."""
    pos = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 0.0]], np.float32)
    batch = np.zeros(3, np.int32)
    x = np.array([[1.0, 4.0], [3.0, 2.0], [7.0, 8.0]], np.float32)
    edges = np.array([[0, 1, 1, 2], [1, 0, 2, 1]], np.int32)
    cluster = voxel_grid.voxel_grid(pos, batch, 2.0)
    graph = pooling_checks.compact(pooled.pool_clusters(x, edges, batch, cluster, pos=pos))
    np.testing.assert_array_equal(graph.x, [[3, 4], [7, 8]])
    np.testing.assert_array_equal(graph.pos, [[0.5, 0.5], [5, 0]])
    np.testing.assert_array_equal(graph.edge_index, [[1, 0], [0, 1]])


@pytest.mark.parametrize('size', [0.0, [1.0, -1.0]])
def test_size(size):
    with pytest.raises(ValueError, match='size = .* must be positive'):
        voxel_grid.voxel_grid(np.zeros([3, 2], np.float32), np.zeros(3, np.int32), size)
