import numpy as np
import pytest
import tensorflow as tf

from research.geometric.pooling import readout
from tests.research.geometric import pooling_checks


@pytest.mark.parametrize('word, function', [('sum', np.sum), ('mean', np.mean), ('max', np.max)])
def test_formula(word, function):
    pooling_checks.check_readout(
        lambda: readout.Readout(word), lambda weights, x: function(x, axis=0)
    )


def test_by_hand():
    x = np.array([[1.0, -2.0], [3.0, -4.0], [5.0, 6.0]], np.float32)
    batch = np.array([2, 2, 0])
    of = lambda word: readout.Readout(word)(x, batch, 4).numpy()
    np.testing.assert_array_equal(of('sum'), [[5, 6], [0, 0], [4, -6], [0, 0]])
    np.testing.assert_array_equal(of('mean'), [[5, 6], [0, 0], [2, -3], [0, 0]])
    np.testing.assert_array_equal(of('max'), [[5, 6], [0, 0], [3, -2], [0, 0]])


def test_softmax_of_each_graph():
    logits = np.array(
        [[1.0, 300.0], [2.0, -300.0], [5.0, 5.0], [900.0, 7.0], [0.0, 0.0]], np.float32
    )
    batch = np.array([2, 2, 0, -1, 2], np.int32)
    weights = readout.softmax(tf.constant(logits), tf.constant(batch), 3).numpy()
    exponentials = np.exp(logits[[0, 1, 4]].astype(np.float64) - [2, 300])
    np.testing.assert_allclose(weights[[0, 1, 4]], exponentials / exponentials.sum(0), 1e-6, 1e-9)
    np.testing.assert_array_equal(weights[[2, 3]], [[1, 1], [0, 0]])


def test_words():
    with pytest.raises(ValueError, match="aggregation = 'add' is none of sum, mean, max"):
        readout.Readout('add')
