import numpy as np
import pytest
import tensorflow as tf

from research.geometric.convs import rgcn_conv
from tests.research.geometric import checks
from tests.research.geometric.convs import routes

TYPES = checks.types_attr(3)(checks.EDGES.shape[1])


def reference(weights, x, edge_index, edge_attr):
    """Schlichtkrull et al. 2018, Eqs. (2) and (3), node by node."""
    relation_weights = weights['kernel']
    if 'coefficients' in weights:
        relation_weights = [
            sum(a * basis for a, basis in zip(row, weights['kernel'], strict=True))
            for row in weights['coefficients']
        ]
    out = x @ weights['root_kernel'] + weights['bias']
    for i in range(len(x)):
        for r, matrix in enumerate(relation_weights):
            near = [
                source
                for (source, target), relation in zip(edge_index.T, edge_attr, strict=True)
                if target == i and relation == r
            ]
            for j in near:
                out[i] += x[j] @ matrix / len(near)
    return out


@pytest.mark.parametrize('bases', [None, 2])
def test_formula(bases):
    checks.check_operator(lambda: rgcn_conv.RGCNConv(4, 3, bases), reference, checks.types_attr(3))


def test_three_nodes_by_hand():
    # Into 0: from 1 and 2 by relation 0, from 2 by relation 1. W_0 = 100, W of relations 2 and 3.
    x = np.array([[1.0], [10.0], [20.0]], np.float32)
    edges, relations = np.array([[1, 2, 2], [0, 0, 0]], np.int32), np.array([0, 0, 1], np.int32)
    layer = rgcn_conv.RGCNConv(1, 2)
    layer(x, edges, relations)
    layer.kernel.assign([[[2.0]], [[3.0]]])
    layer.root_kernel.assign([[100.0]])
    layer.bias.assign([0.5])
    np.testing.assert_allclose(layer(x, edges, relations)[:, 0], [100 + 30 + 60.5, 1000.5, 2000.5])
    # One basis of 5: W are 5 a.
    layer = rgcn_conv.RGCNConv(1, 2, num_bases=1, use_bias=False)
    layer(x, edges, relations)
    layer.kernel.assign([[[5.0]]])
    layer.coefficients.assign([[0.2], [2.0]])
    layer.root_kernel.assign([[0.0]])
    np.testing.assert_allclose(layer(x, edges, relations)[:, 0], [15 + 200, 0, 0], rtol=1e-6)


def sparse_route(num_relations=3):
    return rgcn_conv.relational_adjacency(checks.EDGES, TYPES, checks.NODES, num_relations)


@pytest.mark.parametrize('bases', [None, 2])
def test_all_routes_agree(bases):
    layer = routes.built(rgcn_conv.RGCNConv(4, 3, bases), TYPES)
    routes.check_graph(layer, TYPES)
    x = checks.features() * (np.arange(18) % 3 > 0).reshape(6, 3)
    expected = checks.tape_gradients(layer, x, checks.EDGES, TYPES)
    routes.alike(checks.tape_gradients(layer, x, sparse_route(), None), expected)
    out = layer(x, checks.EDGES, TYPES)
    routes.alike(layer(x, sparse_route()), out)
    routes.alike(layer(tf.sparse.from_dense(x), sparse_route()), out)
    routes.alike(layer(tf.sparse.from_dense(x), checks.EDGES, TYPES), out)


@pytest.mark.parametrize('bases', [None, 2])
def test_without_features_as_with_one_hot_ones(bases):
    layer = rgcn_conv.RGCNConv(4, 3, bases, num_nodes=checks.NODES)
    layer(None, checks.EDGES, TYPES)
    checks.randomize(layer)
    weights = checks.values(layer)

    def gradients(edge_index, edge_attr):
        with tf.GradientTape() as tape:
            out = layer(None, edge_index, edge_attr)
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return [out, *map(tf.convert_to_tensor, tape.gradient(loss, layer.trainable_weights))]

    out, *actual = gradients(checks.EDGES, TYPES)
    one_hot = np.eye(checks.NODES)
    routes.alike(out, reference(weights, one_hot, checks.EDGES, TYPES))
    expected = checks.tape_gradients(layer, one_hot.astype(np.float32), checks.EDGES, TYPES)[1:]
    routes.alike(actual, [tf.convert_to_tensor(gradient) for gradient in expected])
    routes.alike(gradients(sparse_route(), None), [out, *actual])
    compiled = tf.function(gradients, jit_compile=True)
    routes.alike(compiled(tf.constant(checks.EDGES), tf.constant(TYPES)), [out, *actual])
    assert (
        layer.count_params()
        == sum(value.size for value in weights.values())
        == ((3 * 24 if bases is None else 2 * 24 + 3 * 2) + 24 + 4)
    )


def test_adjacency_has_rows_divided_by_relation():
    dense = np.zeros([checks.NODES, 4 * checks.NODES])
    adjacency = sparse_route(4)
    for (row, column), value in zip(
        adjacency.indices.numpy(), adjacency.values.numpy(), strict=True
    ):
        dense[row, column] += value
    blocks = dense.reshape(checks.NODES, 4, checks.NODES)
    for r in range(4):
        counts = checks.dense(checks.EDGES[:, r == TYPES], checks.NODES)
        np.testing.assert_allclose(
            blocks[:, r], counts / np.maximum(counts.sum(1, keepdims=True), 1), rtol=1e-6
        )


def test_bases_are_drawn_apart_and_as_if_alone():
    layer = rgcn_conv.RGCNConv(40, 3, 4, kernel_initializer=tf.keras.initializers.GlorotUniform(1))
    layer(checks.features(channels=60), checks.EDGES, TYPES)
    matrices = np.concatenate([layer.kernel, layer.root_kernel[None]])
    np.testing.assert_allclose(np.abs(matrices).max((1, 2)), np.sqrt(6 / 100), rtol=0.01)
    assert np.abs(np.corrcoef(matrices.reshape(5, -1)) - np.eye(5)).max() < 0.1


def test_bad_input():
    x, layer = checks.features(), rgcn_conv.RGCNConv(4, 3)
    with pytest.raises(ValueError, match='must be the relations of the edges; got None'):
        layer(x, checks.EDGES)
    with pytest.raises(ValueError, match='integers; got float32'):
        layer(x, checks.EDGES, TYPES.astype(np.float32))
    with pytest.raises(ValueError, match='24 columns, not the 18'):
        layer(x, sparse_route(4))
    with pytest.raises(ValueError, match='edge_attr comes with a sparse'):
        layer(x, sparse_route(), TYPES)
    with pytest.raises(ValueError, match='needs num_nodes'):
        rgcn_conv.RGCNConv(4, 3)(None, checks.EDGES, TYPES)
    with pytest.raises(ValueError, match='relation 3 of edge 2 is none of 0 to 2'):
        rgcn_conv.relational_adjacency(checks.EDGES[:, :3], [0, 2, 3], checks.NODES, 3)
