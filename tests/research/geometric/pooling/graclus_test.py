import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.geometric.pooling import graclus, pooled
from tests.research.geometric import checks

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])


def path(weights):
    """A path whose edges have these weights, both directions."""
    nodes = np.arange(len(weights))
    edges = np.stack([np.append(nodes, nodes + 1), np.append(nodes + 1, nodes)])
    return edges, np.tile(np.array(weights, np.float32), 2)


def random_graph(nodes=30, edges=80, seed=0, weighted=True):
    """Directed, with self loops, duplicates and perhaps isolated nodes."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.1, 1, edges) if weighted else np.ones(edges)
    return rng.integers(0, nodes, (2, edges)).astype(np.int32), weight.astype(np.float32)


def reference(edges, nodes, weight, seed, volume=None):
    """Dhillon et al. 2007, coarsening phase, on the dense symmetric matrix."""
    matrix = checks.dense(edges, nodes, weight)
    matrix = (matrix + matrix.T) / 2
    volume = matrix.sum(1) if volume is None else volume
    clusters, matched = [], set()
    for x in np.random.default_rng(seed).permutation(nodes):
        if x in matched:
            continue
        best, highest = None, 0
        for y in range(nodes):
            if y != x and y not in matched and matrix[x, y] > 0:
                cut = matrix[x, y] / volume[x] + matrix[x, y] / volume[y]
                # Of sums that are equal but for rounding the first counts, as in the module.
                if cut > highest:
                    best, highest = y, cut
        pair = {int(x)} if best is None else {int(x), best}
        matched |= pair
        clusters.append(pair)
    clusters.sort(key=min)
    return [next(c for c, pair in enumerate(clusters) if n in pair) for n in range(nodes)]


def assert_matching(cluster, edges, nodes):
    """Pairs of neighbours, numbered by their lowest nodes, and no two neighbours are alone."""
    cluster = np.asarray(cluster)
    adjacent = checks.dense(edges, nodes)
    adjacent = (adjacent + adjacent.T) > 0
    sizes = np.bincount(cluster)
    assert set(sizes) <= {1, 2}
    firsts = [np.flatnonzero(cluster == c)[0] for c in range(len(sizes))]
    assert firsts == sorted(firsts)
    for c in np.flatnonzero(sizes == 2):
        assert adjacent[tuple(np.flatnonzero(cluster == c))]
    alone = np.flatnonzero(sizes[cluster] == 1)
    among = adjacent[np.ix_(alone, alone)]
    assert not among[~np.eye(len(alone), dtype=bool)].any()


@pytest.mark.parametrize('seed', range(3))
def test_formula(seed):
    for edges, nodes, weight in (
        (checks.EDGES, checks.NODES, WEIGHTS),
        (checks.EDGES, checks.NODES, None),
        (random_graph(seed=seed)[0], 30, random_graph(seed=seed)[1]),
    ):
        cluster = graclus.graclus(edges, nodes, weight, seed)
        assert cluster.dtype == np.int32
        np.testing.assert_array_equal(cluster, reference(edges, nodes, weight, seed))
        assert_matching(cluster, edges, nodes)


def test_the_normalized_cut_decides():
    # Volumes are 2, 5, 23 and 20. The heavier edge of node 1 is that to 2, but that to 0 has the
    # higher score: 2 / 5 + 2 / 2 = 1.4 against 3 / 5 + 3 / 23 = 0.73.
    edges, weight = path([2, 3, 20])
    seeds = [s for s in range(20) if np.random.default_rng(s).permutation(4)[0] == 1]
    assert seeds
    for seed in seeds:
        np.testing.assert_array_equal(graclus.graclus(edges, 4, weight, seed), [0, 0, 1, 1])


def test_seeds():
    edges, weight = random_graph(weighted=False)
    of = lambda seed: graclus.graclus(edges, 30, weight, seed).tolist()
    assert of(0) == of(0)
    assert len({tuple(of(seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    'match',
    [
        lambda edges, nodes: graclus.graclus(edges, nodes),
        lambda edges, nodes: graclus.parallel_graclus(edges, nodes, random.make_key(0)).numpy(),
    ],
)
def test_graphs_without_neighbours(match):
    none = np.zeros([2, 0], np.int32)
    np.testing.assert_array_equal(match(none, 3), [0, 1, 2])
    np.testing.assert_array_equal(match(np.array([[1], [1]], np.int32), 2), [0, 1])
    # An edge of one direction is one.
    np.testing.assert_array_equal(match(np.array([[2], [0]], np.int32), 3), [0, 1, 0])


@pytest.mark.parametrize('seed', range(4))
def test_hierarchy(seed):
    edges, weight = random_graph(nodes=40, edges=120, seed=seed)
    levels = graclus.hierarchy(edges, 40, 3, weight, seed=5)
    matrix = checks.dense(edges, 40, weight)
    matrix = (matrix + matrix.T) / 2
    volume, nodes, before = matrix.sum(1), 40, edges
    for number, level in enumerate(levels):
        both = np.stack(np.nonzero(matrix.T))
        np.testing.assert_array_equal(
            level.cluster, reference(both, nodes, matrix.T[tuple(both)], 5 + number, volume)
        )
        assert_matching(level.cluster, before, nodes)
        member = np.eye(level.num_nodes)[level.cluster]
        matrix, volume = member.T @ matrix @ member, member.T @ volume
        np.fill_diagonal(matrix, 0)
        np.testing.assert_allclose(
            checks.dense(level.edge_index, level.num_nodes, level.edge_weight), matrix, 1e-6
        )
        assert level.edge_index.shape[1] == np.count_nonzero(matrix)
        nodes, before = level.num_nodes, level.edge_index
    assert nodes < 15


def test_hierarchy_and_pooling_agree():
    """The coarse graph made once, and that made in each step."""
    edges, weight = random_graph()
    both = np.concatenate([edges, edges[::-1]], axis=1)
    (level,) = graclus.hierarchy(edges, 30, 1, weight)
    result = pooled.pool_clusters(
        checks.features(30),
        both,
        np.zeros(30, np.int32),
        level.cluster,
        np.tile(weight, 2) / 2,
        num_clusters=level.num_nodes,
    )
    nodes = level.num_nodes
    kept = result.edge_index.numpy()[0] < nodes
    np.testing.assert_allclose(
        checks.dense(result.edge_index.numpy()[:, kept], nodes, result.edge_attr.numpy()[kept]),
        checks.dense(level.edge_index, nodes, level.edge_weight),
        1e-5,
    )


def test_rounds():
    match = lambda edges, weight, key: graclus.parallel_graclus(edges, 30, key, weight)
    plain, compiled = tf.function(match), tf.function(match, jit_compile=True)
    for seed in range(3):
        edges, weight = random_graph(seed=seed)
        for some in (weight, np.ones_like(weight)):
            arguments = tf.constant(edges), tf.constant(some)
            clusters = [plain(*arguments, random.make_key(key)).numpy() for key in range(4)]
            for cluster in clusters:
                assert_matching(cluster, edges, 30)
            assert len({tuple(cluster) for cluster in clusters}) > 1
            np.testing.assert_array_equal(compiled(*arguments, random.make_key(0)), clusters[0])
    np.testing.assert_array_equal(
        graclus.parallel_graclus(edges, 30, random.make_key(0)), clusters[0]
    )


def test_rounds_choose_by_the_normalized_cut():
    # Of a star one leaf is matched. The heavy one is matched whenever its coin is not the center's,
    # or the coins of all are one: with probability 1/2 + 1/16 * (1/2 + ...) = 8/15 instead of 1/4.
    edges = np.array([[0, 0, 0, 0], [1, 2, 3, 4]], np.int32)
    weight = np.array([1, 1, 1, 50], np.float32)
    match = tf.function(lambda key, weight: graclus.parallel_graclus(edges, 5, key, weight))
    heavy = {'weighted': 0, 'equal': 0}
    for seed in range(60):
        for name, of in (('weighted', weight), ('equal', np.ones(4, np.float32))):
            cluster = match(random.make_key(seed), of).numpy()
            assert_matching(cluster, edges, 5)
            heavy[name] += cluster[4] == cluster[0]
    assert heavy['equal'] < 22 < heavy['weighted']


def test_a_clique_takes_few_rounds():
    nodes = 60
    edges = np.stack(np.nonzero(~np.eye(nodes, dtype=bool))).astype(np.int32)
    cluster = graclus.parallel_graclus(edges, nodes, random.make_key(0)).numpy()
    assert_matching(cluster, edges, nodes)
    assert cluster.max() == 29


def test_sizes_that_are_not_known():
    @tf.function(input_signature=[tf.TensorSpec([2, None], tf.int32), tf.TensorSpec([], tf.int32)])
    def match(edge_index, nodes):
        return graclus.parallel_graclus(edge_index, nodes, random.make_key(1))

    edges, _ = random_graph()
    np.testing.assert_array_equal(
        match(edges, 30), graclus.parallel_graclus(edges, 30, random.make_key(1))
    )


@pytest.mark.parametrize('bad', [0, -1, np.nan])
def test_weights_that_are_not_positive(bad):
    weight = WEIGHTS.copy()
    weight[4] = bad
    for call in (
        lambda: graclus.graclus(checks.EDGES, checks.NODES, weight),
        lambda: graclus.hierarchy(checks.EDGES, checks.NODES, 2, weight),
    ):
        with pytest.raises(ValueError, match='edge_weight, row 4 is .*, not positive'):
            call()
