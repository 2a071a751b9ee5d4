import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import sage_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

WEIGHTS = checks.uniform_attr()(checks.EDGES.shape[1])
REDUCTIONS = {'sum': np.sum, 'mean': np.mean, 'max': np.max}


def reference(aggregation='mean', root=True, l2=False):
    """Hamilton et al. 2017: Algorithm 1 with one matrix on the concatenation, or Eq. (2)."""

    def formula(weights, x, edge_index, edge_attr):
        rows = []
        for i in range(len(x)):
            near = [
                x[source] * (1 if edge_attr is None else edge_attr[e])
                for e, (source, target) in enumerate(edge_index.T)
                if target == i
            ]
            if not root and not any(s == t == i for s, t in edge_index.T):
                near.append(x[i])
            near = REDUCTIONS[aggregation](near, axis=0) if near else np.zeros(x.shape[1])
            rows.append(np.concatenate([x[i], near]) if root else near)
        matrix = weights['kernel']
        if root:
            matrix = np.concatenate([weights['root_kernel'], matrix])
        out = np.array(rows) @ matrix + weights['bias']
        return out / np.linalg.norm(out, axis=1, keepdims=True) if l2 else out

    return formula


# With 2 channels of 3 features the product comes first, with 4 the aggregation.
@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize(
    'aggregation, root',
    [('mean', True), ('mean', False), ('sum', True), ('sum', False), ('max', True), ('max', False)],
)
@pytest.mark.parametrize('attr', [None, checks.uniform_attr()])
def test_formula(channels, aggregation, root, attr):
    checks.check_operator(
        lambda: sage_conv.SAGEConv(channels, aggregation, root), reference(aggregation, root), attr
    )


@pytest.mark.parametrize('root', [True, False])
def test_length_one(root):
    layer = checks.check_operator(
        lambda: sage_conv.SAGEConv(4, root_weight=root, l2_normalize=True),
        reference(root=root, l2=True),
    )
    # A row of zeros stays one, and has no gradient that is not finite.
    layer.bias.assign(tf.zeros(4))
    x = np.zeros([checks.NODES, 3], np.float32)
    assert (layer(x, checks.EDGES).numpy() == 0).all()
    assert np.isfinite(checks.tape_gradients(layer, x, checks.EDGES, None)[0]).all()


def test_three_nodes_by_hand():
    # From 1 and 2 to 0; the node itself weighs 10, neighbours 1.
    x, edges = np.array([[1.0], [2.0], [6.0]], np.float32), np.array([[1, 2], [0, 0]], np.int32)
    for aggregation, with_root, without in (
        ('mean', [14, 20, 60], [3, 2, 6]),
        ('sum', [18, 20, 60], [9, 2, 6]),
        ('max', [16, 20, 60], [6, 2, 6]),
    ):
        layer = sage_conv.SAGEConv(1, aggregation, kernel_initializer='ones')
        layer(x, edges)
        layer.root_kernel.assign([[10.0]])
        np.testing.assert_allclose(layer(x, edges)[:, 0], with_root)
        layer = sage_conv.SAGEConv(1, aggregation, root_weight=False, kernel_initializer='ones')
        np.testing.assert_allclose(layer(x, edges)[:, 0], without)


def test_the_greatest_of_negative_features():
    """Isolated nodes aggregate to 0 with a weight of their own and to themselves without."""
    x, none = np.array([[-3.0], [-5.0]], np.float32), np.zeros([2, 0], np.int32)
    layer = sage_conv.SAGEConv(1, 'max', root_weight=False, kernel_initializer='ones')
    np.testing.assert_allclose(layer(x, none)[:, 0], [-3, -5])
    np.testing.assert_allclose(layer(x, np.array([[1], [0]], np.int32))[:, 0], [-3, -5])


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('root', [True, False])
@pytest.mark.parametrize('aggregation', ['mean', 'sum', 'max'])
@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_all_routes_agree(channels, root, aggregation, weights):
    layer = routes.built(sage_conv.SAGEConv(channels, aggregation, root), weights)
    routes.check_adjacency(layer, weights)
    routes.check_graph(layer, weights)
    routes.check_edge_attr_refused(layer)
    if aggregation != 'max':
        routes.check_sparse_x(layer, weights)


def test_pair_of_a_bipartite_graph():
    sources, targets = checks.features(4, 5), checks.features(3, 2)
    edges = np.array([[0, 3, 2], [1, 1, 0]], np.int32)
    for channels in (2, 8):
        layer = sage_conv.SAGEConv(channels)
        layer((sources, targets), edges)
        checks.randomize(layer)
        near = np.stack([sources[2], (sources[0] + sources[3]) / 2, np.zeros(5)])
        expected = targets @ layer.root_kernel + near @ layer.kernel + layer.bias
        routes.alike(layer((sources, targets), edges), expected)


def test_own_aggregation():
    """A function, as of `MessagePassing`: here the sum of squares."""

    def squares(values, target, number):
        return tf.math.unsorted_segment_sum(values**2, target, number)

    x = checks.features()
    layer = routes.built(sage_conv.SAGEConv(4, squares))
    near = np.zeros_like(x)
    for source, target in checks.EDGES.T:
        near[target] += x[source] ** 2
    routes.alike(layer(x, checks.EDGES), x @ layer.root_kernel + near @ layer.kernel + layer.bias)


def test_kernels_are_drawn_apart():
    for initializer in ('glorot_uniform', tf.keras.initializers.GlorotUniform(seed=1)):
        layer = sage_conv.SAGEConv(4, kernel_initializer=initializer)
        layer(checks.features(), checks.EDGES)
        assert (layer.kernel.numpy() != layer.root_kernel.numpy()).all()


def test_bad_arguments():
    x = checks.features()
    with pytest.raises(ValueError, match="'median' is none of"):
        sage_conv.SAGEConv(4, 'median')
    with pytest.raises(ValueError, match='needs root_weight=True'):
        sage_conv.SAGEConv(4, tf.math.unsorted_segment_prod, root_weight=False)
    with pytest.raises(ValueError, match='pair .* needs root_weight=True'):
        sage_conv.SAGEConv(4, root_weight=False)((x, x), checks.EDGES)
    with pytest.raises(ValueError, match="'max' needs a dense x"):
        sage_conv.SAGEConv(4, 'max')(tf.sparse.from_dense(x), checks.EDGES)
