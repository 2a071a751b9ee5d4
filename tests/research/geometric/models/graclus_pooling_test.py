import numpy as np
import tensorflow as tf

from official.modeling import random
from research.geometric.models import graclus_pooling

# A pair, a path of three of which the heavy edge is matched, and one node alone.
EDGES = np.array([[0, 1, 2, 3, 3, 4], [1, 0, 3, 2, 4, 3]], np.int32)
WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, 9.0, 9.0], np.float32)
BATCH = np.array([0, 0, 1, 1, 1, 1])
X = np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 7.0], [4.0, 6.0], [5.0, 5.0], [6.0, 4.0]], np.float32)


def test_pools_pairs():
    pooled = graclus_pooling.GraclusPooling()(X, EDGES, BATCH, 2, WEIGHTS, random.make_key(0))
    cluster = pooled.assignment.numpy()
    assert cluster[0] == cluster[1] and len(set(cluster.tolist())) == 4
    for number in set(cluster.tolist()):
        np.testing.assert_array_equal(pooled.x[number], X[cluster == number].max(0))
        assert pooled.batch[number] == BATCH[cluster == number][0]


def test_keys_match_differently_and_shards_do_not_matter():
    ring = np.stack([np.arange(30), (np.arange(30) + 1) % 30]).astype(np.int32)
    ring = np.concatenate([ring, ring[::-1]], axis=1)
    layer = graclus_pooling.GraclusPooling()

    def clusters(key):
        return (
            layer(np.ones([30, 1], np.float32), ring, np.zeros(30, np.int32), 1, key=key)
            .assignment.numpy()
            .tolist()
        )

    key = random.make_key(1)
    assert clusters(key) == clusters(tf.concat([key, key + 1], axis=0))
    assert clusters(key) != clusters(key + 1)


def test_sizes_follow_the_data_where_they_are_not_known():
    layer = graclus_pooling.GraclusPooling()
    pair = tf.function(
        lambda x, edges: layer(x, edges, tf.zeros_like(x[:, 0], tf.int32), 1).x,
        input_signature=[tf.TensorSpec([None, 1]), tf.TensorSpec([2, None], tf.int32)],
    )
    out = pair(tf.constant([[3.0], [5.0]]), tf.constant([[0, 1], [1, 0]]))
    np.testing.assert_array_equal(out, [[5.0], [0.0]])  # One node, and the sink.
