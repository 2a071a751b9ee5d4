import numpy as np
import pytest
import tensorflow as tf

from research.geometric import jumping_knowledge
from tests.research.geometric import checks


def inputs(layers=3, channels=4):
    return [checks.features(5, channels, seed) for seed in range(layers)]


def lstm(weights, name, sequence):
    """The LSTM of Hochreiter & Schmidhuber with forget gates, of one node: a list of outputs."""
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    hidden = cell = np.zeros(weights[f'{name}/recurrent_kernel'].shape[0])
    outputs = []
    for x in sequence:
        gates = (
            x @ weights[f'{name}/kernel']
            + hidden @ weights[f'{name}/recurrent_kernel']
            + weights[f'{name}/bias']
        )
        let_in, forget, candidate, let_out = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(let_in) * np.tanh(candidate)
        hidden = sigmoid(let_out) * np.tanh(cell)
        outputs.append(hidden)
    return outputs


def attended(weights, xs):
    """Xu et al. 2018, Sec. 4, LSTM-attention, node by node."""
    rows = []
    for node in range(len(xs[0])):
        sequence = [x[node] for x in xs]
        ahead = lstm(weights, 'forward', sequence)
        back = lstm(weights, 'backward', sequence[::-1])[::-1]
        scores = np.array(
            [
                (np.concatenate(pair) @ weights['kernel']).item()
                for pair in zip(ahead, back, strict=True)
            ]
        )
        share = np.exp(scores) / np.exp(scores).sum()
        rows.append(sum(s * x for s, x in zip(share, sequence, strict=True)))
    return np.stack(rows)


REFERENCES = {
    'concatenation': lambda weights, xs: np.concatenate(xs, axis=1),
    'max': lambda weights, xs: np.max(xs, axis=0),
    'lstm': attended,
}


@pytest.mark.parametrize('mode', REFERENCES)
def test_formula(mode):
    reference, xs = REFERENCES[mode], inputs()
    layer = jumping_knowledge.JumpingKnowledge(mode)
    layer(xs)
    checks.randomize(layer)
    weights = checks.values(layer)
    wide = np.array(xs, np.float64)
    out = layer(xs)
    np.testing.assert_allclose(out, reference(weights, wide), 1e-5, 1e-6)

    def gradients(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            out = layer(list(xs))
            loss = tf.reduce_sum(out * checks.weighted(out).astype(np.float32))
        return tape.gradient(loss, [*xs, *layer.trainable_weights])

    tensors = [tf.constant(x) for x in xs]
    actual = gradients(*tensors)
    loss = lambda weights, xs: np.sum(reference(weights, xs) * checks.weighted(out))
    expected = [*checks.numerical_gradient(lambda xs: loss(weights, xs), wide)]
    for variable in layer.trainable_weights:
        name = checks.name_of(variable)
        expected.append(
            checks.numerical_gradient(
                lambda value: loss({**weights, name: value}, wide), weights[name]
            )
        )
    compiled = tf.function(gradients, jit_compile=True)(*tensors)
    for one, other, xla in zip(actual, expected, compiled, strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-5)
        np.testing.assert_allclose(xla, one, 1e-4, 1e-5)

    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(
        layer([x[order] for x in xs]), out.numpy()[order], 1e-5, 1e-6, err_msg='permuted'
    )


def test_units():
    layer = jumping_knowledge.JumpingKnowledge('lstm')
    layer(inputs(3, 5))
    assert layer.forward.units == layer.backward.units == 7
    layer = jumping_knowledge.JumpingKnowledge('lstm', units=2)
    layer(inputs(3, 5))
    # Two LSTMs of 4 gates from 5 inputs, 2 hidden and a bias, and the score of 4.
    assert layer.count_params() == 2 * 4 * 2 * (5 + 2 + 1) + 4


def test_widths():
    xs = [checks.features(5, 2), checks.features(5, 3)]
    assert jumping_knowledge.JumpingKnowledge()(xs).shape == [5, 5]
    for mode in ('max', 'lstm'):
        with pytest.raises(ValueError, match=rf"'{mode}' needs layers of one width; got \[2, 3\]"):
            jumping_knowledge.JumpingKnowledge(mode)(xs)
    with pytest.raises(ValueError, match="mode = 'mean' is none of"):
        jumping_knowledge.JumpingKnowledge('mean')
