"""The networks of all rows of Table 2, small."""

import functools

import tensorflow as tf

from research.geometric import graph_tensor
from research.geometric.convs import gcn_conv
from research.geometric.models import (
    conv_network,
    diff_pool_network,
    graclus_pooling,
    parts,
    sort_readout,
)
from research.geometric.pooling import set2set, top_k

_flat = functools.partial(conv_network.ConvNetwork, channels=8)
_gin = functools.partial(_flat, batch_norm=True)
_global = functools.partial(_flat, jumping_knowledge=False)

NETWORKS = {
    'gcn': functools.partial(_flat, gcn_conv.GCNConv),
    'sage': _flat,
    'gin0': functools.partial(_gin, parts.isomorphism_layer),
    'gin_eps': functools.partial(_gin, functools.partial(parts.isomorphism_layer, train_eps=True)),
    'graclus': functools.partial(_flat, pool=graclus_pooling.GraclusPooling),
    'top_k': functools.partial(_flat, pool=top_k.TopKPooling),
    'diff_pool': functools.partial(
        diff_pool_network.DiffPoolNetwork, max_nodes=10, channels=8, num_levels=3
    ),
    'sage_without_jk': _global,
    'global_attention': functools.partial(_global, readout=parts.soft_attention),
    'set2set': functools.partial(_global, readout=functools.partial(set2set.Set2Set, 4)),
    'sort_pool': functools.partial(
        _global, readout=functools.partial(sort_readout.SortReadout, k=6, kernel_size=3)
    ),
}


def built(name, features=3, seed=1, **arguments):
    """A network of Table 2 with its weights, biases too, drawn with a seed."""
    tf.keras.utils.set_random_seed(seed)
    network = NETWORKS[name](**arguments)
    network(tf.zeros([1, features]), tf.zeros([2, 1], tf.int32), None, tf.zeros([1], tf.int32), 1)
    for variable in network.trainable_weights:
        variable.assign_add(0.1 * tf.random.normal(variable.shape))
    return network


def of(network, graph, **arguments):
    """What a network says of a GraphTensor, float32 [components, D]."""
    return network(*graph_tensor.arrays(graph), **arguments).numpy()
