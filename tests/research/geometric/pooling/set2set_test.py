import numpy as np
import pytest

from research.geometric.pooling import set2set
from tests.research.geometric import pooling_checks


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(steps):
    """Vinyals et al. 2016, Eqs. (3) to (7), of one graph, with the LSTM of Hochreiter written out.

    The columns of Keras' matrices are the input gate, the forget gate, the candidate and the output
    gate.
    """

    def read(weights, x):
        width = x.shape[1]
        query, cell, both = np.zeros(width), np.zeros(width), np.zeros(2 * width)
        for _ in range(steps):
            gates = (
                both @ weights['lstm/kernel']
                + query @ weights['lstm/recurrent_kernel']
                + weights['lstm/bias']
            )
            let_in, forget, candidate, let_out = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(let_in) * np.tanh(candidate)
            query = sigmoid(let_out) * np.tanh(cell)
            energy = np.array([row @ query for row in x])
            attention = np.exp(energy) / np.sum(np.exp(energy))
            both = np.concatenate([query, attention @ x])
        return both

    return read


@pytest.mark.parametrize('steps', [1, 3])
def test_formula(steps):
    pooling_checks.check_readout(lambda: set2set.Set2Set(steps), reference(steps))


def test_no_reading():
    with pytest.raises(ValueError, match='steps = 0'):
        set2set.Set2Set(0)
