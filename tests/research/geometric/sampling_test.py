import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric import graph_tensor, sampling
from research.geometric.convs import sage_conv
from research.geometric.graph import Graph

KEY = tf.constant([3, 4], tf.int64)


def random_graph(nodes=60, sparse=False):
    """A directed graph of many degrees, without duplicate edges; node 0 has no neighbour."""
    draw = np.random.default_rng(0)
    pairs = {
        (int(i), int(j)) for i, j in draw.integers(1, nodes, (500, 2)) if draw.random() < i / nodes
    }
    x = draw.normal(size=(nodes, 4)).astype(np.float32)
    edges = np.array(sorted(pairs)).T
    return Graph(
        edges,
        scipy.sparse.csr_matrix(x * (x > 0)) if sparse else x,
        draw.uniform(size=edges.shape[1]),
        y=draw.integers(0, 3, nodes),
        pos=draw.normal(size=(nodes, 2)),
        class_names=('a', 'b', 'c'),
        name='random',
    )


GRAPH = random_graph()
SEEDS = tf.constant([7, 0, 55, 7, 31], tf.int64)


def ids(graph):
    return graph.node_sets['nodes']['#id'].numpy()


def edges_of(graph):
    """Edges in the numbers of the whole graph."""
    adjacency = graph.edge_sets['edges'].adjacency
    return np.stack([ids(graph)[adjacency.source], ids(graph)[adjacency.target]])


def dense(x):
    return x.toarray() if scipy.sparse.issparse(x) else x


@pytest.mark.parametrize('sparse', [False, True])
def test_a_subgraph_holds_what_the_graph_has(sparse):
    whole = random_graph(sparse=sparse)
    graph = sampling.NeighbourSampler(whole, (4, 3)).sample(SEEDS, KEY)
    assert isinstance(graph, tfgnn.GraphTensor) and graph.rank == 0
    numbers = ids(graph)
    assert len(set(numbers.tolist())) == len(numbers) and numbers[:4].tolist() == [7, 0, 55, 31]
    np.testing.assert_array_equal(
        graph.node_sets['nodes'][tfgnn.HIDDEN_STATE], dense(whole.x)[numbers]
    )
    np.testing.assert_array_equal(graph.node_sets['nodes']['pos'], whole.pos[numbers])
    attr = {
        tuple(edge): value for edge, value in zip(whole.edge_index.T, whole.edge_attr, strict=True)
    }
    sampled = list(map(tuple, edges_of(graph).T))
    assert len(sampled) == len(set(sampled)) > 10
    for edge, value in zip(sampled, graph.edge_sets['edges']['edge_attr'].numpy(), strict=True):
        assert attr[edge] == value  # A real edge, in its direction.
    arrays = graph_tensor.arrays(graph)
    assert arrays.num_graphs == 1 and arrays.edge_index.dtype == tf.int32
    rows = tfgnn.structured_readout(graph, 'seed', feature_name='#id')
    np.testing.assert_array_equal(rows, SEEDS)


@pytest.mark.parametrize('dtype', [tf.int32, tf.uint8])
def test_seeds_of_other_integers(dtype):
    sampler = sampling.NeighbourSampler(GRAPH, (4, 3))
    one, other = sampler.sample(SEEDS, KEY), sampler.sample(tf.cast(SEEDS, dtype), KEY)
    np.testing.assert_array_equal(ids(one), ids(other))
    np.testing.assert_array_equal(edges_of(one), edges_of(other))


def test_labels_outside_int32_are_refused():
    labels = np.where(np.arange(60) == 4, 2**32, 0)
    with pytest.raises(ValueError, match='^labels, row 4 is 4294967296, outside int32'):
        sampling.neighbour_batches(sampling.NeighbourSampler(GRAPH, (2,)), [1, 2], labels, 2)


def test_no_more_neighbours_than_asked():
    degrees = np.bincount(GRAPH.edge_index[1], minlength=60)
    assert degrees.max() > 8
    one = sampling.NeighbourSampler(GRAPH, (4,)).sample(SEEDS, KEY)
    got = np.bincount(edges_of(one)[1], minlength=60)
    np.testing.assert_array_equal(
        got, np.where(np.isin(np.arange(60), SEEDS), np.minimum(degrees, 4), 0)
    )
    two = sampling.NeighbourSampler(GRAPH, (4, 2)).sample(SEEDS, KEY)
    got = np.bincount(edges_of(two)[1], minlength=60)
    neighbours = np.unique(edges_of(one)[0])
    seeds = np.isin(np.arange(60), SEEDS)
    # A node that is drawn as a neighbour and is a seed, too, is drawn from twice.
    most = np.minimum(degrees, np.where(seeds, 6, 2))
    assert np.all(got <= most)
    only = np.setdiff1d(neighbours, SEEDS)
    np.testing.assert_array_equal(got[only], np.minimum(degrees, 2)[only])


def test_every_neighbour_is_as_likely():
    degree = 20
    star = Graph(
        np.stack([np.arange(1, degree + 1), np.zeros(degree, int)]), np.zeros([degree + 1, 1])
    )
    sampler = sampling.NeighbourSampler(star, (5,))
    draw = tf.function(
        lambda key: sampler.sample(tf.constant([0], tf.int64), key).node_sets['nodes']['#id'],
        autograph=False,
    )
    counts = np.zeros(degree + 1)
    for seed in range(400):
        numbers = draw(tf.constant([seed, 1], tf.int64)).numpy()
        assert len(numbers) == 6
        counts[numbers] += 1
    # Each is in 100 of 400 draws, with a deviation of sqrt(400 * 1/4 * 3/4) = 8.7.
    assert counts[0] == 400 and np.all(np.abs(counts[1:] - 100) < 4.5 * 8.7)
    assert 3 < counts[1:].std() < 20


def test_with_all_neighbours_two_layers_give_what_the_whole_graph_gives():
    first, second = sage_conv.SAGEConv(8), sage_conv.SAGEConv(3)
    network = lambda x, edges: second(tf.nn.relu(first(x, edges)), edges)
    expected = network(GRAPH.x, GRAPH.edge_index).numpy()[SEEDS]
    arrays = []
    for fan_outs in ((1000, 1000), (1000, 1)):
        graph = sampling.NeighbourSampler(GRAPH, fan_outs).sample(SEEDS, KEY)
        some = graph_tensor.arrays(graph)
        nodes = graph.replace_features(
            node_sets={'nodes': {tfgnn.HIDDEN_STATE: network(some.x, some.edge_index)}}
        )
        arrays.append(
            tfgnn.structured_readout(nodes, 'seed', feature_name=tfgnn.HIDDEN_STATE).numpy()
        )
        assert len(ids(graph)) < 60
    np.testing.assert_allclose(arrays[0], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(arrays[1] - expected).max() > 0.01


def batches(start_step=0, padded=False, batch_size=4, **arguments):
    sampler = sampling.NeighbourSampler(GRAPH, (3, 2))
    return sampling.neighbour_batches(
        sampler,
        [3, 5, 8, 13, 21, 34],
        GRAPH.y,
        batch_size,
        seed=1,
        start_step=start_step,
        padded=padded,
        **arguments,
    )


def seeds_of(graph):
    return tfgnn.structured_readout(graph, 'seed', feature_name='#id').numpy().tolist()


@pytest.fixture(scope='module')
def seen():
    """The batches of three epochs; to begin a pipeline takes seconds."""
    return list(batches().take(6))


def test_batches(seen):
    assert not np.array_equal(edges_of(seen[0][0]), edges_of(seen[2][0]))
    for epoch in range(3):
        both = seen[2 * epoch : 2 * epoch + 2]
        real = [
            seed
            for graph, _, weights in both
            for seed, weight in zip(seeds_of(graph), weights, strict=True)
            if weight
        ]
        assert sorted(real) == [3, 5, 8, 13, 21, 34]
        for graph, y, _ in both:
            np.testing.assert_array_equal(y, GRAPH.y[seeds_of(graph)])
        assert both[1][2].numpy().tolist() == [1, 1, 0, 0]


def test_padded_batches_begun_later_are_the_same_ones(seen):
    sizes = sampling.NeighbourSampler(GRAPH, (3, 2)).sizes(4)
    assert sizes.total_num_nodes == {'nodes': 4 + 12 + 24 + 1, '_readout': 4}
    assert sizes.total_num_edges == {'edges': 36, '_readout/seed': 4}
    later = batches(start_step=3, padded=True)
    assert all(
        spec.shape.is_fully_defined()
        for spec in tf.nest.flatten(later.element_spec[0], expand_composites=True)
    )
    for (plain, *rest), (padded, *others) in zip(seen[3:], later.take(3), strict=True):
        count, edges = len(ids(plain)), plain.edge_sets['edges'].total_size
        np.testing.assert_array_equal(ids(padded)[:count], ids(plain))
        np.testing.assert_array_equal(
            graph_tensor.arrays(padded).edge_index[:, :edges], graph_tensor.arrays(plain).edge_index
        )
        assert graph_tensor.arrays(padded).edge_index[:, edges:].numpy().min() >= count
        assert seeds_of(padded) == seeds_of(plain)
        for one, other in zip(rest, others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_replicas_draw_apart(seen):
    parts = list(batches(input_context=tf.distribute.InputContext(1, 0, 2)).take(2))
    assert seeds_of(parts[0][0]) + seeds_of(parts[1][0]) == seeds_of(seen[0][0])


def test_bad_input():
    with pytest.raises(ValueError, match=r'fan_outs = \(3, 0\) must be positive numbers'):
        sampling.NeighbourSampler(GRAPH, (3, 0))
    with pytest.raises(ValueError, match='random: has no features to sample'):
        sampling.NeighbourSampler(GRAPH.replace(x=None), (3,))
