import itertools

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric import batching, graph_tensor
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from tests.research.geometric import tiny_graphs

DATASET = tiny_graphs.dataset(23, seed=1)
GRAPHS = DATASET.graphs


def with_everything():
    """Three graphs that carry all there is to carry, the second without edges."""
    random = np.random.default_rng(0)
    graphs = []
    for nodes, edges in ((3, 4), (1, 0), (2, 3)):
        graphs.append(
            Graph(
                random.integers(0, nodes, (2, edges)),
                random.normal(size=(nodes, 2)),
                random.normal(size=(edges, 5)),
                y=random.normal(size=2),
                pos=random.normal(size=(nodes, 3)),
                name=f'graph {nodes}',
            )
        )
    return graphs


def unordered(graph):
    """Edges with their features, as a list to compare where their order is free."""
    attr = np.zeros([graph.num_edges, 1]) if graph.edge_attr is None else graph.edge_attr
    return sorted(map(tuple, np.concatenate([graph.edge_index.T, attr], axis=1).tolist()))


def check_same_graph(one, other):
    assert one.num_nodes == other.num_nodes
    assert unordered(one) == unordered(other)
    dense = lambda x: x.toarray() if scipy.sparse.issparse(x) else x
    np.testing.assert_array_equal(one.x, dense(other.x))
    if other.pos is not None:
        np.testing.assert_array_equal(one.pos, other.pos)


def test_batch_holds_its_graphs_and_empty_ones():
    graphs = with_everything()
    concatenated = batching.Concatenated(GraphDataset(graphs))
    indices = [2, -1, 0, 1, 2]
    batch = concatenated.batch(tf.constant(indices, tf.int64))
    assert isinstance(batch, tfgnn.GraphTensor)
    assert batch.node_sets['nodes'].sizes.numpy().tolist() == [2, 0, 3, 1, 2]
    assert batch.edge_sets['edges'].sizes.numpy().tolist() == [3, 0, 4, 0, 3]
    assert graph_tensor.arrays(batch).batch.numpy().tolist() == [0, 0, 2, 2, 2, 3, 4, 4]
    # By hand: node 0 of the third graph is node 2 of the batch.
    edge_index = graph_tensor.arrays(batch).edge_index.numpy()
    first = edge_index[:, 3:7]
    assert first.min() >= 2 and first.max() < 5
    assert (np.diff(edge_index[1]) >= 0).all()  # Sorted by target.
    filled = concatenated.batch(tf.constant([2, 0, 1, 2], tf.int64))
    for one, index in zip(graph_tensor.from_graph_tensor(filled), [2, 0, 1, 2], strict=True):
        check_same_graph(one, graphs[index])


def test_sparse_features_are_made_dense():
    sparse = [graph.replace(x=scipy.sparse.csr_matrix(graph.x)) for graph in GRAPHS]
    indices = tf.constant([4, -1, 0, 22, 4], tf.int64)
    concatenated = batching.Concatenated(GraphDataset(sparse, DATASET.class_names))
    x = concatenated.batch(indices).node_sets['nodes'][tfgnn.HIDDEN_STATE]
    expected = np.concatenate([GRAPHS[i].x for i in (4, 0, 22, 4)])
    np.testing.assert_array_equal(x, expected)


def test_agrees_with_tensorflow_gnn():
    """Batched, merged and padded one by one by tensorflow_gnn: the same GraphTensor."""
    some = [3, 17, 8, 5]
    dataset = tf.data.Dataset.from_generator(
        lambda: (graph_tensor.to_graph_tensor(sorted_edges(GRAPHS[i])) for i in some),
        output_signature=graph_tensor.to_graph_tensor(GRAPHS[0]).spec.relax(
            num_nodes=True, num_edges=True
        ),
    )
    sizes = batching.constraints(4, nodes=50, edges=90)
    merged = next(iter(dataset.batch(4))).merge_batch_to_components()
    expected, mask = tfgnn.pad_to_total_sizes(merged, sizes)
    batches = batching.evaluation_batches(
        batching.Concatenated(DATASET), some, 4, padding=lambda *_: sizes
    )
    actual, y, weight = next(iter(batches))
    assert mask.numpy().tolist() == [True] * 4 + [False]
    np.testing.assert_array_equal(y, expected.context['y'][:4])
    np.testing.assert_array_equal(weight, [1.0] * 4)
    flat = lambda g: [
        g.context.sizes,
        g.node_sets['nodes'].sizes,
        g.edge_sets['edges'].sizes,
        *graph_tensor.arrays(g)[:2],
        graph_tensor.arrays(g).batch,
    ]
    for one, other in zip(flat(actual), flat(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    # Padding is one graph, and no edge joins it to a real one.
    arrays = graph_tensor.arrays(actual)
    assert arrays.num_graphs == 5
    assert arrays.batch.shape == [50] and arrays.edge_index.shape == [2, 90]
    of_edges = tf.gather(arrays.batch, arrays.edge_index).numpy()
    np.testing.assert_array_equal(of_edges[0], of_edges[1])
    assert np.all(arrays.x.numpy()[arrays.batch == 4] == 0)


def sorted_edges(graph):
    return graph.replace(edge_index=graph.edge_index[:, np.lexsort(graph.edge_index)])


def test_largest_sizes_fit_and_no_smaller_ones():
    """Every choice of the largest graphs among those of equal size, as a sort may give any."""
    concatenated = batching.Concatenated(DATASET)
    counts = concatenated.node_counts
    sizes = batching.largest(counts, concatenated.edge_counts, 6)
    most = int(np.sort(counts)[-6:].sum())
    assert sizes.total_num_components == 7 and sizes.total_num_nodes == {'nodes': most + 1}
    choices = [
        chosen
        for chosen in itertools.combinations(np.flatnonzero(counts >= 8), 6)
        if counts[list(chosen)].sum() == most
    ]
    assert len(choices) == 4

    def batch(chosen, nodes):
        padded = lambda *_: sizes._replace(total_num_nodes={'nodes': nodes})
        example = concatenated.example(padded, 6)  # Of which a pipeline is made for seconds.
        return graph_tensor.arrays(example(tf.constant(chosen, tf.int64))[0])

    full = 0
    for chosen in choices:
        arrays = batch(chosen, most + 1)
        assert arrays.batch.shape == [most + 1] and arrays.batch.numpy().tolist().count(6) == 1
        with pytest.raises(tf.errors.InvalidArgumentError, match='nodes'):
            batch(chosen, most - 1)
        # Without a place for padding it fits only where no edge needs a padding node.
        if concatenated.edge_counts[list(chosen)].sum() == sizes.total_num_edges['edges']:
            full += 1
            real = np.repeat(np.arange(6), counts[list(chosen)])
            np.testing.assert_array_equal(batch(chosen, most).batch, real)
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match='nodes'):
                batch(chosen, most)
    assert full == 2


def ids(batch):
    """The graphs of a batch, known by the labels that `numbered` gives them."""
    return np.where(batch[2].numpy() > 0, batch[1].numpy(), -1).tolist()


def numbered(count=23):
    names = tuple(map(str, range(count)))
    return batching.Concatenated(
        GraphDataset(
            [
                graph.replace(y=np.int32(i), class_names=names)
                for i, graph in enumerate(GRAPHS[:count])
            ],
            names,
        )
    )


def taken(count, *arguments, **others):
    """The graphs of the first batches to train on."""
    indices = batching.train_indices(*arguments, **others)
    return [batch.numpy().tolist() for batch in indices.take(count)]


@pytest.mark.parametrize('batch_size', [5, 6, 11, 30])
def test_every_epoch_is_a_permutation(batch_size):
    members = [2, 3, 5, 7, 11, 13, 17, 19, 20, 21, 22]
    steps = batching.steps_per_epoch(11, batch_size)
    assert steps == {5: 3, 6: 2, 11: 1, 30: 1}[batch_size]
    seen = taken(3 * steps, members, batch_size, seed=4)
    epochs = [[*itertools.chain(*seen[e * steps : (e + 1) * steps])] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == [-1] * (steps * batch_size - 11) + members
        assert epoch[11:] == [-1] * (steps * batch_size - 11)  # The last batch has the rest.
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0][:11] != members
    assert taken(1, members, batch_size, seed=5) != seen[:1]
    assert taken(1, members, batch_size, seed=4, stream=1) != seen[:1]


def test_starts_at_any_step():
    seen = taken(14, range(23), 6, seed=3)
    for start in (1, 3, 4, 9):
        assert taken(4, range(23), 6, seed=3, start_step=start) == seen[start : start + 4]


@pytest.mark.parametrize('pipelines', [1, 2])
def test_replicas_get_slices_of_the_global_batch(pipelines):
    whole = taken(7, range(23), 8, seed=2)
    count = 4 // pipelines
    for pipeline in range(pipelines):
        context = tf.distribute.InputContext(pipelines, pipeline, num_replicas_in_sync=4)
        parts = taken(7 * count, range(23), 8, seed=2, input_context=context)
        for number, part in enumerate(parts):
            step, replica = number // count, number % count + pipeline * count
            assert part == whole[step][2 * replica : 2 * replica + 2]


def test_batches_are_of_the_indices():
    context = tf.distribute.InputContext(2, 1, num_replicas_in_sync=4)
    for arguments in ({}, {'input_context': context}):
        batches = batching.train_batches(numbered(), range(23), 8, seed=2, **arguments).take(5)
        assert [ids(batch) for batch in batches] == taken(5, range(23), 8, seed=2, **arguments)
    # The sizes are those of two graphs, the same in all slices.
    graph = batches.element_spec[0]
    most = sum(sorted(graph.num_nodes for graph in GRAPHS)[-2:])
    assert graph.node_sets_spec['nodes'].total_size == most + 1 and graph.total_num_components == 3


def test_evaluation_is_in_order_and_padded_at_the_end():
    batches = list(batching.evaluation_batches(numbered(), [9, 1, 4, 22, 0], 2, padding=None))
    assert [ids(batch) for batch in batches] == [[9, 1], [4, 22], [0, -1]]
    assert batches[2][0].node_sets['nodes'].sizes.numpy().tolist() == [GRAPHS[0].num_nodes, 0]
    assert int(batching.evaluation_batches(numbered(), [9, 1, 4], 2).cardinality()) == 2


def test_one_function_serves_all_pipelines_of_one_padding():
    graphs, asked = numbered(), []
    original = graphs.batch
    graphs.batch = lambda indices: asked.append(1) or original(indices)
    for members in ([9, 1, 4], [4, 22, 0]):
        for padding in (None, batching.largest):
            batches = batching.evaluation_batches(graphs, members, 3, padding=padding)
            assert ids(next(iter(batches))) == members
            sizes = next(iter(batches))[0].node_sets['nodes'].sizes.numpy()
            assert len(sizes) == (3 if padding is None else 4)
    assert len(asked) == 2


def test_shapes_are_static_with_padding():
    padded = batching.train_batches(numbered(), range(23), 6)
    graph, y, weight = padded.element_spec
    assert all(
        spec.shape.is_fully_defined() for spec in tf.nest.flatten(graph, expand_composites=True)
    )
    assert y.shape == weight.shape == [6]
    graph = batching.train_batches(numbered(), range(23), 6, padding=None).element_spec[0]
    assert graph.node_sets_spec['nodes'].total_size is None
    assert graph.node_sets_spec['nodes'].sizes_spec.shape == [6]


def test_bad_input():
    first, names = GRAPHS[0], DATASET.class_names
    of_nodes = first.replace(y=np.zeros(first.num_nodes, np.int32))
    with pytest.raises(ValueError, match='nodes: y are labels of nodes'):
        batching.Concatenated(GraphDataset([of_nodes], names))
    without = batching.Concatenated(GraphDataset([first.replace(y=None)], names))
    with pytest.raises(ValueError, match='the graphs have no labels'):
        batching.evaluation_batches(without, [0], 1)
    concatenated = batching.Concatenated(GraphDataset(GRAPHS[:3], names))
    with pytest.raises(ValueError, match='graph 3 is to be in batches, but graphs are 0 to 2'):
        batching.train_batches(concatenated, [0, 3], 2)
    with pytest.raises(ValueError, match='there is no graph to train on'):
        batching.train_batches(concatenated, [], 2)
