import numpy as np
import pytest
import scipy.sparse

from research.geometric import graph as graph_lib

EDGES = np.array([[0, 1], [1, 2]])


def make(**fields):
    return graph_lib.Graph(
        **{'edge_index': EDGES, 'x': np.ones((3, 2)), 'name': 'file.txt, graph 4', **fields}
    )


def nan_at(shape, place, value=np.nan):
    values = np.ones(shape)
    values[place] = value
    return values


def test_types_and_counts():
    graph = make(
        y=[0, 1, -1],
        edge_attr=np.ones((2, 4)),
        pos=np.zeros((3, 3)),
        splits={'train': [0, 2]},
        class_names=('a', 'b'),
    )
    assert (graph.num_nodes, graph.num_edges, graph.num_features) == (3, 2, 2)
    assert graph.edge_index.dtype == np.int32 and graph.x.dtype == np.float32
    assert graph.y.dtype == np.int32 and graph.edge_attr.dtype == np.float32
    assert graph.splits['train'].dtype == np.int64


def test_a_split_may_be_a_mask():
    graph = make(splits={'train': [True, False, True]})
    np.testing.assert_array_equal(graph.splits['train'], [0, 2])


def test_graphs_that_differ_have_other_digests():
    graph = make(y=[0, 1, 1], splits={'train': [0]})
    assert graph.digest() == make(y=[0, 1, 1], splits={'train': [0]}).digest()
    sparse = graph.replace(x=scipy.sparse.csr_matrix(np.eye(3)))
    others = [
        graph.replace(edge_index=EDGES[::-1]),
        graph.replace(x=np.zeros((3, 2))),
        graph.replace(y=[0, 1, 0]),
        graph.replace(splits={'train': [1]}),
        sparse,
        sparse.replace(x=2 * sparse.x),
        graph.replace(edge_attr=np.ones(2)),
        graph.replace(pos=np.ones((3, 2))),
    ]
    assert len({graph.digest(), *(other.digest() for other in others)}) == 9


def test_sparse_features_stay_sparse():
    graph = make(x=scipy.sparse.coo_matrix(np.eye(3)))
    assert scipy.sparse.isspmatrix_csr(graph.x) and graph.x.dtype == np.float32


def test_a_graph_without_edges_and_without_features():
    graph = graph_lib.Graph(np.zeros((2, 0)), num_nodes=2)
    assert graph.num_edges == 0 and graph.x is None


@pytest.mark.parametrize(
    'fields,message',
    [
        (
            {'edge_index': [[0, 5], [1, 2]]},
            'edge 1, from node 5 to node 2, leaves the graph, whose nodes are 0 to 2.',
        ),
        ({'edge_index': [[0], [-1]]}, 'edge 0, from node 0 to node -1, leaves the graph'),
        ({'edge_index': [[0.0, 1.0], [1.0, 2.0]]}, 'edge_index is of float64, not of integers.'),
        ({'edge_index': [0, 1]}, r'edge_index has shape \(2,\), not \[2, edges\].'),
        ({'x': nan_at((3, 2), (1, 0))}, 'x, row 1, column 0 is nan, not a finite number.'),
        (
            {'x': scipy.sparse.csr_matrix(nan_at((3, 2), (2, 1), np.inf))},
            'x, row 2, column 1 is inf, not a finite number.',
        ),
        ({'x': np.ones(3)}, r'x has shape \(3,\), not \[nodes, features\].'),
        ({'num_nodes': 4}, 'x has 3 rows, but the graph has 4 nodes.'),
        ({'y': [0, 1]}, 'y has 2 rows, but the graph has 3 nodes.'),
        (
            {'y': [0, 1, 2], 'class_names': ('a', 'b')},
            'label 2 of row 2 is unknown; labels are 0 to 1.',
        ),
        ({'y': [0, -2, 1]}, 'label -2 of row 1 is unknown; labels are not negative.'),
        ({'edge_attr': np.ones((3, 1))}, 'edge_attr has 3 rows, but the graph has 2 edges.'),
        ({'edge_attr': nan_at((2, 1), (1, 0))}, 'edge_attr, row 1, column 0 is nan'),
        ({'edge_attr': np.array([0, -1])}, 'edge_attr of integers are the types of the edges'),
        ({'pos': nan_at((3, 3), (0, 2))}, 'pos, row 0, column 2 is nan'),
        ({'splits': {'test': [0, 3]}}, "split 'test' has node 3, but nodes are 0 to 2."),
        (
            {'splits': {'test': [True, False]}},
            r"split 'test' is a mask of shape \(2,\), but the graph has 3 nodes.",
        ),
        ({'splits': {'test': [1.9]}}, "split 'test' is of float64"),
        ({'y': np.eye(3, dtype=int)}, r'y of integers are labels, .* got shape \(3, 3\).'),
        ({'x': np.ones((0, 2)), 'edge_index': np.zeros((2, 0), int)}, 'the graph is empty'),
        ({'x': None, 'num_nodes': -1}, 'the graph is empty, it has -1 nodes.'),
        (
            {'edge_attr': np.array([0, 3_000_000_000])},
            'edge_attr, row 1 is 3000000000, outside int32, -2147483648 to 2147483647.',
        ),
        ({'edge_attr': np.array([2**32, 1])}, 'edge_attr, row 0 is 4294967296, outside int32'),
        ({'edge_attr': np.array([2**63, 1], np.uint64)}, 'edge_attr, row 0 is 9223372036854775808'),
        ({'y': np.array([1, 2**32, 0])}, 'y, row 1 is 4294967296, outside int32'),
        ({'y': np.array(2**32 + 1), 'class_names': ('a', 'b')}, 'y, row 0 is 4294967297'),
        ({'edge_index': np.array([[0, 2**32], [1, 2]])}, 'edge 1, from node 4294967296 to node 2'),
        ({'splits': {'train': np.array([2**32])}}, "split 'train' has node 4294967296"),
    ],
)
def test_bad_input_in_one_sentence(fields, message):
    with pytest.raises(ValueError, match='^file.txt, graph 4: .*' + message):
        make(**fields)


def test_the_ends_of_int32_are_kept():
    graph = make(edge_attr=np.array([0, 2**31 - 1]))
    assert graph.edge_attr.dtype == np.int32 and graph.edge_attr[1] == 2**31 - 1


def test_a_graph_without_nodes():
    graph = graph_lib.Graph(np.zeros((2, 0), int), np.zeros((0, 4)), y=1, num_nodes=0)
    assert (graph.num_nodes, graph.num_edges, graph.num_features, int(graph.y)) == (0, 0, 4, 1)
    assert graph.replace(y=0).num_nodes == 0


def test_no_number_of_nodes():
    with pytest.raises(ValueError, match='num_nodes must be given'):
        graph_lib.Graph(EDGES)


def test_changes_are_checked():
    with pytest.raises(ValueError, match='x has 2 rows'):
        make().replace(x=np.ones((2, 2)))
