"""Signatures of an exported classifier of graphs: plain arrays of any graphs in, logits out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from research.geometric import graph_tensor


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """'predict' takes one graph, 'predict_batch' several, one after another.

    x: float32 [nodes, features], as the model was trained on: where the data have no features,
      those that `degree_features` makes.
    edge_index: int32 [2, edges], from sources in row 0 to targets in row 1, an undirected edge
      twice.
    edge_attr: float32 [edges] or [edges, D], where the model was trained with it.
    batch: int32 [nodes], graph of each node, ascending; 'predict_batch' alone. There are as many
      graphs as its last number and one more.

    The answers are 'logits' and 'probabilities', float32 [graphs, classes], 'labels', int32
    [graphs], and 'names', strings [graphs].

    Args:
      model: `GraphClassifier`.
      data: `GraphData`.
    """
    names = tf.constant([str(name) for name in data.class_names])

    def predict(x, edge_index, edge_attr=None, batch=None):
        num_nodes = tf.shape(x)[0]
        checks = [
            tf.debugging.assert_less(
                edge_index, num_nodes, message='edge_index names a node that x does not have.'
            ),
            tf.debugging.assert_non_negative(edge_index, message='edge_index has a negative node.'),
            tf.debugging.assert_all_finite(x, 'x has a feature that is not finite.'),
        ]
        num_graphs = 1
        several_graphs = batch is not None
        if not several_graphs:
            batch = tf.zeros([num_nodes], tf.int32)
        else:
            checks += [
                tf.debugging.assert_equal(
                    tf.shape(batch)[0], num_nodes, message='batch must have one number a node.'
                ),
                tf.debugging.assert_non_negative(
                    batch[1:] - batch[:-1], message='batch must ascend.'
                ),
            ]
        with tf.control_dependencies(checks):
            edge_index, batch = tf.identity(edge_index), tf.identity(batch)
        if several_graphs:
            num_graphs = batch[-1] + 1
        logits = model.logits(graph_tensor.Arrays(x, edge_index, edge_attr, batch, num_graphs))
        labels = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {
            'logits': logits,
            'probabilities': tf.nn.softmax(logits),
            'labels': labels,
            'names': tf.gather(names, labels),
        }

    specs = [
        tf.TensorSpec([None, model.num_features], tf.float32, 'x'),
        tf.TensorSpec([2, None], tf.int32, 'edge_index'),
    ]
    width = model.num_edge_features
    if width is not None:
        specs.append(tf.TensorSpec([None, width] if width else [None], tf.float32, 'edge_attr'))

    def several(x, edge_index, *others):
        return predict(x, edge_index, *others[:-1], batch=others[-1])

    return {
        'predict': (predict, specs),
        'predict_batch': (several, [*specs, tf.TensorSpec([None], tf.int32, 'batch')]),
    }
