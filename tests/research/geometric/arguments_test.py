"""Numbers that no network can have are refused where it is made, in one sentence."""

import re

import pytest
import tensorflow as tf

from research.geometric.convs import (
    appnp,
    arma_conv,
    cheb_conv,
    dynamic_edge_conv,
    gat_conv,
    gcn_conv,
    gmm_conv,
    nn_conv,
    rgcn_conv,
    sage_conv,
    sg_conv,
    spline_conv,
    x_conv,
)
from research.geometric.models import (
    conv_network,
    diff_pool_network,
    graph_classifier,
    node_classifier,
    node_networks,
    point_networks,
)

RATE, COUNT = 'is outside [0, 1).', 'must be a whole number of at least 1.'


def network(**arguments):
    return node_networks.GraphNetwork([gcn_conv.GCNConv(2)], **arguments)


def classifier(**arguments):
    return graph_classifier.GraphClassifier(
        conv_network.ConvNetwork(channels=4), **{'num_features': 3, 'num_classes': 2, **arguments}
    )


def propagating(*sizes, **arguments):
    return node_networks.PredictThenPropagate(*sizes, appnp.APPNP(), **arguments)


@pytest.mark.parametrize(
    'make, sentence',
    [
        (lambda: network(dropout=1.5), f'GraphNetwork.dropout = 1.5 {RATE}'),
        (lambda: network(dropout=-0.5), f'GraphNetwork.dropout = -0.5 {RATE}'),
        (lambda: network(input_dropout=1), f'GraphNetwork.input_dropout = 1 {RATE}'),
        (lambda: propagating(8, 3, dropout=2.0), f'PredictThenPropagate.dropout = 2.0 {RATE}'),
        (lambda: propagating(0, 3), f'PredictThenPropagate.channels = 0 {COUNT}'),
        (lambda: propagating(8, -3), f'PredictThenPropagate.classes = -3 {COUNT}'),
        (
            lambda: node_classifier.NodeClassifier(network(), weight_decay=-1.0),
            'NodeClassifier.weight_decay = -1.0 is outside [0, inf).',
        ),
        (lambda: classifier(dropout=1.0), f'GraphClassifier.dropout = 1.0 {RATE}'),
        (lambda: classifier(hidden=0), f'GraphClassifier.hidden = 0 {COUNT}'),
        (lambda: classifier(num_classes=0), f'GraphClassifier.num_classes = 0 {COUNT}'),
        (
            lambda: point_networks.PointNetPlusPlus(4, dropout=2.0),
            f'PointNetPlusPlus.dropout = 2.0 {RATE}',
        ),
        (lambda: point_networks.EdgeCNN(0), f'EdgeCNN.classes = 0 {COUNT}'),
        (lambda: gcn_conv.GCNConv(0), f'GCNConv.channels = 0 {COUNT}'),
        (lambda: gcn_conv.GCNConv(-3), f'GCNConv.channels = -3 {COUNT}'),
        (lambda: sg_conv.SGConv(2.5), f'SGConv.channels = 2.5 {COUNT}'),
        (lambda: cheb_conv.ChebConv(0, K=2), f'ChebConv.channels = 0 {COUNT}'),
        (lambda: arma_conv.ARMAConv(0), f'ARMAConv.channels = 0 {COUNT}'),
        (lambda: gat_conv.GATConv(0), f'GATConv.channels = 0 {COUNT}'),
        (lambda: gat_conv.GATConv(3, heads=0), f'GATConv.heads = 0 {COUNT}'),
        (lambda: sage_conv.SAGEConv(0), f'SAGEConv.channels = 0 {COUNT}'),
        (lambda: rgcn_conv.RGCNConv(0, 2), f'RGCNConv.channels = 0 {COUNT}'),
        (lambda: rgcn_conv.RGCNConv(3, 0), f'RGCNConv.num_relations = 0 {COUNT}'),
        (lambda: rgcn_conv.RGCNConv(3, 2, num_bases=0), f'RGCNConv.num_bases = 0 {COUNT}'),
        (lambda: rgcn_conv.RGCNConv(3, 2, num_nodes=0), f'RGCNConv.num_nodes = 0 {COUNT}'),
        (lambda: nn_conv.NNConv(0, tf.keras.layers.Dense(3)), f'NNConv.channels = 0 {COUNT}'),
        (lambda: spline_conv.SplineConv(0, dim=3), f'SplineConv.channels = 0 {COUNT}'),
        (lambda: spline_conv.SplineConv(3, dim=0), f'SplineConv.dim = 0 {COUNT}'),
        (lambda: gmm_conv.GMMConv(3, kernel_size=0, dim=2), f'GMMConv.kernel_size = 0 {COUNT}'),
        (lambda: gmm_conv.GMMConv(3, kernel_size=2, dim=0), f'GMMConv.dim = 0 {COUNT}'),
        (lambda: x_conv.XConv(0, 3), f'XConv.channels = 0 {COUNT}'),
        (
            lambda: dynamic_edge_conv.DynamicEdgeConv(tf.keras.layers.Dense(3), 0),
            f'DynamicEdgeConv.k = 0 {COUNT}',
        ),
        (lambda: diff_pool_network.DenseSAGEConv(0), f'DenseSAGEConv.channels = 0 {COUNT}'),
    ],
)
def test_is_refused(make, sentence):
    with pytest.raises(ValueError, match=f'^{re.escape(sentence)}$'):
        make()
