"""Graph learning: the operators, pools and experiments of Fey & Lenssen 2019.

Here are the operators; what else there is lies in `pooling`, `transforms`, `datasets` and `models`.
"""

from research.geometric.convs.agnn_conv import AGNNConv
from research.geometric.convs.appnp import APPNP
from research.geometric.convs.arma_conv import ARMAConv
from research.geometric.convs.cheb_conv import ChebConv
from research.geometric.convs.dynamic_edge_conv import DynamicEdgeConv
from research.geometric.convs.edge_conv import EdgeConv
from research.geometric.convs.gat_conv import GATConv
from research.geometric.convs.gcn_conv import GCNConv
from research.geometric.convs.gin_conv import GINConv
from research.geometric.convs.gmm_conv import GMMConv
from research.geometric.convs.nn_conv import NNConv
from research.geometric.convs.point_net_conv import PointNetConv
from research.geometric.convs.rgcn_conv import RGCNConv
from research.geometric.convs.sage_conv import SAGEConv
from research.geometric.convs.sg_conv import SGConv
from research.geometric.convs.spline_conv import SplineConv
from research.geometric.convs.x_conv import XConv
from research.geometric.graph import Graph
from research.geometric.message_passing import MessagePassing

__all__ = [
    'AGNNConv', 'APPNP', 'ARMAConv', 'ChebConv', 'DynamicEdgeConv', 'EdgeConv', 'GATConv',
    'GCNConv', 'GINConv', 'GMMConv', 'Graph', 'MessagePassing', 'NNConv', 'PointNetConv',
    'RGCNConv', 'SAGEConv', 'SGConv', 'SplineConv', 'XConv',
]
