"""Graph learning: the operators, pools and experiments of Fey & Lenssen 2019.

Here are the operators, each imported when it is first asked for; what else there is lies in
`pooling`, `transforms`, `datasets` and `models`.
"""

import importlib

_MODULES = {
    'AGNNConv': 'convs.agnn_conv',
    'APPNP': 'convs.appnp',
    'ARMAConv': 'convs.arma_conv',
    'ChebConv': 'convs.cheb_conv',
    'DynamicEdgeConv': 'convs.dynamic_edge_conv',
    'EdgeConv': 'convs.edge_conv',
    'GATConv': 'convs.gat_conv',
    'GCNConv': 'convs.gcn_conv',
    'GINConv': 'convs.gin_conv',
    'GMMConv': 'convs.gmm_conv',
    'Graph': 'graph',
    'MessagePassing': 'message_passing',
    'NNConv': 'convs.nn_conv',
    'PointNetConv': 'convs.point_net_conv',
    'RGCNConv': 'convs.rgcn_conv',
    'SAGEConv': 'convs.sage_conv',
    'SGConv': 'convs.sg_conv',
    'SplineConv': 'convs.spline_conv',
    'XConv': 'convs.x_conv',
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    # Late, as the operators themselves import what lies in this package.
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
