import inspect
import re
import sys

import pytest
import tensorflow as tf

from research import geometric

# The names the field knows them by.
OPERATORS = (
    'GCNConv',
    'SGConv',
    'ChebConv',
    'ARMAConv',
    'SAGEConv',
    'GATConv',
    'AGNNConv',
    'GINConv',
    'APPNP',
    'RGCNConv',
    'PointNetConv',
    'XConv',
    'NNConv',
    'GMMConv',
    'SplineConv',
    'EdgeConv',
)


@pytest.mark.parametrize('name', OPERATORS)
def test_every_operator_is_a_layer_called_alike_and_says_where_it_is_from(name):
    operator = getattr(geometric, name)
    assert issubclass(operator, tf.keras.layers.Layer)
    arguments = list(inspect.signature(operator.call).parameters.values())
    assert [argument.name for argument in arguments[1:4]] == ['x', 'edge_index', 'edge_attr']
    # All after the graph is optional, but for the positions of points.
    assert all(argument.default is None or argument.name == 'pos' for argument in arguments[3:])
    source = sys.modules[operator.__module__].__doc__ + operator.__doc__
    assert re.search(r'\w+ et al\. 20\d\d|\w+ & \w+ 20\d\d', source)
    assert re.search(r'Eqs?\.|Sec\.|Algorithm|layer of', source)
    for heading in ('Args:', 'Call arguments:', 'Returns:'):
        assert heading in operator.__doc__


def test_nothing_else_is_public_by_accident():
    assert set(OPERATORS) < set(geometric.__all__)
    assert all(hasattr(geometric, name) for name in geometric.__all__)
