"""Signatures of an exported node classifier: plain arrays of any graph in, logits out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from research.geometric import normalization


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """'predict' takes x and edge_index; 'predict_weighted' takes edge_attr, too.

    x: float32 [nodes, features], as in the raw data; features are normalized as in training.
    edge_index: int32 [2, edges], from sources in row 0 to targets in row 1, an undirected edge
      twice; coefficients and self loops are added as in training.
    edge_attr: float32 [edges], weights of the edges, for operators that have a use for them.

    The answers are 'logits' and 'probabilities', float32 [nodes, classes], 'labels', int32
    [nodes], and 'names', strings [nodes].

    Args:
      model: `NodeClassifier`.
      data: `NodeData`.
    """
    names = tf.constant([str(name) for name in data.class_names])
    features = data.graph.num_features

    def predict(x, edge_index, edge_attr=None):
        num_nodes = tf.shape(x)[0]
        inside = tf.debugging.assert_less(
            edge_index, num_nodes, message='edge_index names a node that x does not have.'
        )
        positive = tf.debugging.assert_non_negative(
            edge_index, message='edge_index has a negative node.'
        )
        finite = tf.debugging.assert_all_finite(x, 'x has a feature that is not finite.')
        with tf.control_dependencies([inside, positive, finite]):
            edge_index = tf.identity(edge_index)
        if data.normalize_features:
            x = normalization.rows_to_one(x)
        edge_index, edge_attr = normalization.with_coefficients(
            data.coefficients, edge_index, edge_attr, num_nodes
        )
        logits = model({'x': x, 'edge_index': edge_index, 'edge_attr': edge_attr})
        labels = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {
            'logits': logits,
            'probabilities': tf.nn.softmax(logits),
            'labels': labels,
            'names': tf.gather(names, labels),
        }

    x = tf.TensorSpec([None, features], tf.float32, 'x')
    edge_index = tf.TensorSpec([2, None], tf.int32, 'edge_index')
    endpoints = {'predict': (predict, [x, edge_index])}
    if data.coefficients in normalization.WEIGHTED:
        endpoints['predict_weighted'] = (
            predict,
            [x, edge_index, tf.TensorSpec([None], tf.float32, 'edge_attr')],
        )
    return endpoints
