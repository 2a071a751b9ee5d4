import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tensorflow_gnn as tfgnn

from research.geometric import graph_tensor
from research.geometric.graph import Graph

FULL = Graph(
    np.array([[0, 1, 2, 2], [1, 0, 0, 2]]),
    np.arange(6.0).reshape(3, 2),
    np.array([1.0, 2.0, 3.0, 4.0]),
    y=np.array([0, 1, -1]),
    pos=np.ones([3, 2]),
    splits={'train': [0, 2], 'test': [1]},
    class_names=('a', 'b'),
    name='full',
)
LABELLED = Graph(
    np.array([[0], [1]]), np.ones([2, 2]), np.array([5.0]), y=np.int32(1), class_names=('a', 'b')
)
TARGETS = Graph(
    np.zeros([2, 0], np.int32), np.ones([1, 2]), np.zeros([0, 3]), y=np.array([0.5, 2.0])
)
TYPES = Graph(np.array([[0, 1], [1, 0]]), edge_attr=np.array([3, 0]), num_nodes=2)


def same(one, other, but=('name',)):
    for field in ('edge_index', 'x', 'edge_attr', 'y', 'pos', 'num_nodes', 'class_names', 'name'):
        if field not in but:
            value, expected = getattr(one, field), getattr(other, field)
            if isinstance(expected, np.ndarray):
                assert value.dtype == expected.dtype and value.shape == expected.shape, field
                np.testing.assert_array_equal(value, expected, err_msg=field)
            else:
                assert value == expected, field
    assert one.splits.keys() == other.splits.keys()
    for name in one.splits:
        np.testing.assert_array_equal(one.splits[name], other.splits[name])


@pytest.mark.parametrize('graph', [FULL, LABELLED, TARGETS])
def test_there_and_back(graph):
    tensor = graph_tensor.to_graph_tensor(graph)
    assert isinstance(tensor, tfgnn.GraphTensor) and tensor.rank == 0
    (back,) = graph_tensor.from_graph_tensor(tensor, graph.class_names, name='again')
    same(back, graph)
    assert back.name == 'again'


def test_types_of_edges_are_a_feature_of_the_edges():
    tensor = graph_tensor.to_graph_tensor(TYPES)
    # A node set without features does not know how many nodes it has but by its sizes.
    (back,) = graph_tensor.from_graph_tensor(tensor)
    same(back, TYPES)
    assert tensor.edge_sets['edges']['edge_attr'].dtype == tf.int32
    arrays = graph_tensor.arrays(tensor)
    assert arrays.x is None and arrays.batch.numpy().tolist() == [0, 0]


def test_sparse_features_become_dense():
    dense = np.array([[0, 2.0], [1, 0]], np.float32)
    tensor = graph_tensor.to_graph_tensor(
        Graph(np.zeros([2, 0], np.int32), scipy.sparse.csr_matrix(dense))
    )
    np.testing.assert_array_equal(tensor.node_sets['nodes'][tfgnn.HIDDEN_STATE], dense)


def batch_of(graphs):
    spec = tf.nest.map_structure(
        lambda *specs: specs[0], *(graph_tensor.to_graph_tensor(g).spec for g in graphs)
    )
    dataset = tf.data.Dataset.from_generator(
        lambda: map(graph_tensor.to_graph_tensor, graphs),
        output_signature=spec.relax(num_nodes=True, num_edges=True),
    )
    return next(iter(dataset.batch(len(graphs))))


def test_arrays_of_a_batch_by_hand():
    lonely = Graph(
        np.zeros([2, 0], np.int32),
        np.full([1, 2], 7.0),
        np.zeros([0]),
        y=np.int32(0),
        class_names=('a', 'b'),
    )
    three = Graph(FULL.edge_index, FULL.x, FULL.edge_attr, y=np.int32(1), class_names=('a', 'b'))
    batch = batch_of([LABELLED, lonely, three])
    merged = batch.merge_batch_to_components()
    arrays = graph_tensor.arrays(merged)
    np.testing.assert_array_equal(arrays.x, np.concatenate([LABELLED.x, lonely.x, three.x]))
    np.testing.assert_array_equal(arrays.edge_index, [[0, 3, 4, 5, 5], [1, 4, 3, 3, 5]])
    assert arrays.edge_index.dtype == tf.int32
    np.testing.assert_array_equal(arrays.edge_attr, [5.0, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(arrays.batch, [0, 0, 1, 2, 2, 2])
    assert arrays.batch.dtype == tf.int32 and arrays.num_graphs == 3
    for one, other in zip(
        graph_tensor.from_graph_tensor(merged, ('a', 'b'), 'g'),
        [LABELLED, lonely, three],
        strict=True,
    ):
        same(one, other)
    assert graph_tensor.from_graph_tensor(merged, ('a', 'b'), 'g')[1].name == 'g 1'
    with pytest.raises(ValueError, match=r'shape \(3,\); merge its batch first'):
        graph_tensor.arrays(batch)


@pytest.mark.parametrize('jit_compile', [False, True])
def test_assignment_skips_empty_graphs(jit_compile):
    sizes = [0, 2, 0, 0, 3, 0]
    function = tf.function(lambda sizes: graph_tensor.assignment(sizes, 5), jit_compile=jit_compile)
    np.testing.assert_array_equal(function(tf.constant(sizes)), np.repeat(range(6), sizes))
    assert function.get_concrete_function(tf.TensorSpec([6], tf.int32)).output_shapes == [5]


def test_shapes_that_are_known_stay_known():
    tensor = graph_tensor.to_graph_tensor(FULL)

    def shapes(spec):
        found = []

        @tf.function(input_signature=[spec])
        def function(tensor):
            arrays = graph_tensor.arrays(tensor)
            found.append(
                [
                    arrays.x.shape,
                    arrays.edge_index.shape,
                    arrays.edge_attr.shape,
                    arrays.batch.shape,
                    arrays.num_graphs,
                ]
            )
            return arrays.batch, arrays.num_graphs

        batch, num_graphs = function(tensor)
        np.testing.assert_array_equal(batch, [0, 0, 0])
        assert int(num_graphs) == 1
        return found[0]

    assert shapes(tensor.spec) == [[3, 2], [2, 4], [4], [3], 1]
    x, edge_index, edge_attr, batch, num_graphs = shapes(
        tensor.spec.relax(num_nodes=True, num_edges=True, num_components=True)
    )
    assert x.as_list() == [None, 2] and edge_index.as_list() == [2, None]
    assert edge_attr.as_list() == batch.as_list() == [None] and tf.is_tensor(num_graphs)


def test_other_sets_are_refused():
    tensor = graph_tensor.to_graph_tensor(FULL)
    other = tfgnn.GraphTensor.from_pieces(node_sets={'papers': tensor.node_sets['nodes']})
    with pytest.raises(ValueError, match="no node set 'nodes', but 'papers'"):
        graph_tensor.arrays(other)
    nodes = tfgnn.GraphTensor.from_pieces(node_sets={'nodes': tensor.node_sets['nodes']})
    with pytest.raises(ValueError, match="no edge set 'edges', but none"):
        graph_tensor.from_graph_tensor(nodes)
