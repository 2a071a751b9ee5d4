import numpy as np
import pytest
import tensorflow as tf

from research.geometric import message_passing, sparse
from tests.research.geometric import checks


class Operator(message_passing.MessagePassing):
    """message and update that use all they are given, and no weights."""

    def message(self, x_source, x_target, edge_attr):
        return (x_source * 2 - x_target) * edge_attr[:, tf.newaxis]

    def update(self, x, aggregated):
        return aggregated + 3 * x


def reference(reduce):
    def formula(weights, x, edge_index, edge_attr):
        out = 3 * x
        for i in range(len(x)):
            messages = [
                (2 * x[j] - x[i]) * edge_attr[edge]
                for edge, (j, target) in enumerate(edge_index.T)
                if target == i
            ]
            if messages:
                out[i] += reduce(np.array(messages), axis=0)
        return out

    return formula


@pytest.mark.parametrize(
    'aggregation,reduce', [('sum', np.sum), ('mean', np.mean), ('max', np.max)]
)
def test_equation_1(aggregation, reduce):
    checks.check_operator(lambda: Operator(aggregation), reference(reduce), checks.normal_attr())


def test_aggregation_by_a_function():
    def smallest(values, segment_ids, num_segments):
        return -tf.math.unsorted_segment_max(-values, segment_ids, num_segments)

    out = message_passing.MessagePassing(smallest)(
        np.array([[3.0], [1.0], [2.0]], np.float32), np.array([[0, 1, 2], [0, 0, 0]])
    )
    assert float(out[0, 0]) == 1


def test_unknown_aggregation():
    with pytest.raises(ValueError, match="aggregation = 'summ' is none of sum, mean, max"):
        message_passing.MessagePassing('summ')


def test_defaults_sum_the_sources_by_weight():
    weights = checks.uniform_attr()(checks.EDGES.shape[1])
    x = checks.features()
    layer = message_passing.MessagePassing()
    np.testing.assert_allclose(
        layer(x, checks.EDGES, weights),
        checks.dense(checks.EDGES, checks.NODES, weights) @ x,
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        layer(x, checks.EDGES), checks.dense(checks.EDGES, checks.NODES) @ x, rtol=1e-5, atol=1e-6
    )


def test_a_sparse_matrix_is_gathered_where_there_is_no_faster_route():
    weights = checks.uniform_attr()(checks.EDGES.shape[1])
    matrix = sparse.adjacency(checks.EDGES, checks.NODES, weights)
    x = checks.features()
    np.testing.assert_allclose(
        Operator('max')(x, matrix), Operator('max')(x, checks.EDGES, weights), rtol=1e-5
    )
    with pytest.raises(ValueError, match='edge_attr comes with a sparse adjacency matrix'):
        Operator('max')(x, matrix, weights)


def test_a_faster_route_is_taken_and_updated():
    class Fast(message_passing.MessagePassing):
        def multiply(self, x, adjacency):
            return 10 * sparse.matmul(adjacency, x)  # Ten times, to be told from the other.

        def update(self, x, aggregated):
            return aggregated + x

    x = checks.features()
    out = Fast()(x, sparse.adjacency(checks.EDGES, checks.NODES))
    expected = 10 * checks.dense(checks.EDGES, checks.NODES) @ x + x
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_bipartite():
    sources, targets = checks.features(4), checks.features(2, seed=1)
    edges = np.array([[3, 0, 3], [0, 0, 1]])
    out = Operator('sum')((sources, targets), edges, np.ones(3, np.float32))
    expected = 3 * targets + [
        2 * sources[3] + 2 * sources[0] - 2 * targets[0],
        2 * sources[3] - targets[1],
    ]
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_arguments_of_its_own_need_a_config_of_its_own():
    class Scaled(message_passing.MessagePassing):
        def __init__(self, factor):
            super().__init__('sum')

    with pytest.raises(NotImplementedError, match='Scaled has arguments of its own'):
        Scaled(2.0).get_config()
    assert message_passing.MessagePassing('max', name='a').get_config() == {
        'aggregation': 'max',
        'name': 'a',
    }


def test_graphs_of_any_size():
    layer = Operator('mean')

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 3]),
            tf.TensorSpec([2, None], tf.int32),
            tf.TensorSpec([None]),
        ]
    )
    def run(*arrays):
        return layer(*arrays)

    for nodes, edges in ((6, checks.EDGES), (9, checks.EDGES[:, :3]), (1, checks.EDGES[:, :0])):
        x, attr = checks.features(nodes), np.ones(edges.shape[1], np.float32)
        np.testing.assert_allclose(
            run(x, edges, attr),
            reference(np.mean)({}, x.astype(np.float64), edges, attr),
            rtol=1e-4,
            atol=1e-5,
        )
