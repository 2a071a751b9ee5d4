"""The Q-networks: sizes that the paper prints, and values by hand."""

import numpy as np
import pytest
import tensorflow as tf

from research.dqn import network

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 84, 84, 4), dtype=np.uint8)


def conv(x, kernel, bias, stride):
    """A convolution without padding and a rectifier, in float64 from the definition."""
    size = kernel.shape[0]
    out = (x.shape[0] - size) // stride + 1
    result = np.empty((out, out, kernel.shape[-1]))
    for i in range(out):
        for j in range(out):
            patch = x[i * stride : i * stride + size, j * stride : j * stride + size]
            result[i, j] = np.tensordot(patch, kernel, 3)
    return np.maximum(result + bias, 0)


def by_hand(model, frames):
    """Fig. 1 and Methods, from the weights alone."""
    weights = [w.numpy().astype(np.float64) for w in model.trainable_variables]
    (k1, b1, k2, b2, k3, b3), (hidden, hidden_bias, out, out_bias) = weights[:6], weights[6:10]
    values = []
    for frame in frames:
        x = conv(conv(conv(frame / 255, k1, b1, 4), k2, b2, 2), k3, b3, 1)
        features = x.reshape(-1)
        result = np.maximum(features @ hidden + hidden_bias, 0) @ out + out_bias
        if model.dueling:
            value_hidden, value_hidden_bias, value, value_bias = weights[10:]
            v = np.maximum(features @ value_hidden + value_hidden_bias, 0) @ value + value_bias
            result = v + result - result.mean()
        values.append(result)
    return np.array(values)


@pytest.mark.parametrize('num_actions', [4, 18])
def test_parameters_and_shapes_of_the_paper(num_actions):
    model = network.NatureQNetwork(num_actions)
    assert model(FRAMES).shape == (2, num_actions)
    convolutions = (8 * 8 * 4 + 1) * 32 + (4 * 4 * 32 + 1) * 64 + (3 * 3 * 64 + 1) * 64
    # 84 -> 20 -> 9 -> 7 without padding.
    assert model.features(FRAMES).shape == (2, 7 * 7 * 64) == (2, 3136)
    assert model.hidden(FRAMES).shape == (2, 512)
    assert model.count_params() == convolutions + (3136 + 1) * 512 + 513 * num_actions
    if num_actions == 4:
        assert model.count_params() == 1_686_180


@pytest.mark.parametrize('dueling', [False, True])
def test_values_by_hand(dueling):
    model = network.NatureQNetwork(5, dueling=dueling, seed=3)
    np.testing.assert_allclose(model(FRAMES), by_hand(model, FRAMES), atol=1e-5)


@pytest.mark.parametrize(
    'make',
    [
        lambda: network.NatureQNetwork(3, ((4, 4, 2),), 5),
        lambda: network.NatureQNetwork(3, ((4, 4, 2),), 5, dueling=True),
        lambda: network.LinearQNetwork(3),
    ],
)
def test_fit_from_a_generator(make):
    """Keras knows no shape of what a generator gives; the weights are those of arrays."""
    frames = np.random.default_rng(1).integers(0, 256, (8, 12, 12, 2), dtype=np.uint8)
    targets = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)
    weights = []
    for data in ((frames, targets), (((frames[i : i + 4], targets[i : i + 4]) for i in (0, 4)),)):
        model = make()
        model.compile(tf.keras.optimizers.SGD(0.1), 'mse')
        model.fit(*data, batch_size=4 if len(data) == 2 else None, shuffle=False, verbose=0)
        weights.append([weight.numpy() for weight in model.trainable_variables])
        start = make()
        start(frames)
        assert all(
            np.any(a != b)
            for a, b in zip(
                weights[-1], [weight.numpy() for weight in start.trainable_variables], strict=True
            )
        )
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_output_is_linear_in_the_last_hidden_layer():
    model = network.NatureQNetwork(3)
    values = model(FRAMES).numpy()
    kernel, bias = model._output.kernel.numpy(), model._output.bias.numpy()
    np.testing.assert_allclose(model.hidden(FRAMES).numpy() @ kernel + bias, values, atol=1e-5)
    assert model.hidden(FRAMES).numpy().min() == 0


def test_a_dueling_advantage_has_mean_zero():
    model = network.NatureQNetwork(6, dueling=True)
    hidden = model.hidden(FRAMES)
    assert hidden.shape == (2, 1024)
    value = model._value(hidden[:, :512]).numpy()
    np.testing.assert_allclose(model(FRAMES).numpy().mean(axis=1), value[:, 0], atol=1e-5)


def test_initial_weights_are_uniform_by_fan_in():
    model = network.NatureQNetwork(4, seed=1)
    model(FRAMES)
    limits = [8 * 8 * 4, 4 * 4 * 32, 3 * 3 * 64, 3136, 512]
    for index, fan_in in enumerate(limits):
        kernel, bias = model.trainable_variables[2 * index : 2 * index + 2]
        limit = fan_in**-0.5
        assert 0.95 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert 0 < np.abs(bias).max() <= limit * (1 + 1e-6)
        assert np.std(kernel) == pytest.approx(limit / 3**0.5, rel=0.05)
    same, other = network.NatureQNetwork(4, seed=1), network.NatureQNetwork(4, seed=2)
    np.testing.assert_array_equal(same(FRAMES), model(FRAMES))
    assert np.any(other(FRAMES).numpy() != model(FRAMES).numpy())


def test_linear_network_of_extended_data_table_4():
    model = network.LinearQNetwork(4)
    values = model(FRAMES).numpy()
    kernel, bias = (w.numpy().astype(np.float64) for w in model.trainable_variables)
    assert model.count_params() == 84 * 84 * 4 * 4 + 4
    np.testing.assert_allclose(values, FRAMES.reshape(2, -1) / 255 @ kernel + bias, atol=1e-5)


def test_bfloat16_keeps_weights_and_output_in_float32():
    tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
    try:
        model = network.NatureQNetwork(4)
    finally:
        tf.keras.mixed_precision.set_global_policy('float32')
    exact = network.NatureQNetwork(4)
    values = model(FRAMES)
    assert model.features(FRAMES).dtype == tf.bfloat16 and values.dtype == tf.float32
    assert all(v.dtype == tf.float32 for v in model.trainable_variables)
    np.testing.assert_allclose(values, exact(FRAMES), atol=0.01)
    assert np.any(values.numpy() != exact(FRAMES).numpy())


def test_gradients_of_a_dense_layer():
    """Against the definition, in float64: dx = g K^T, dK = x^T g."""
    random = np.random.default_rng(0)
    x, kernel, g = (random.normal(size=shape) for shape in ((5, 7), (7, 3), (5, 3)))
    with tf.GradientTape() as tape:
        tensors = [tf.constant(x), tf.constant(kernel)]
        tape.watch(tensors)
        y = network._product(*tensors)
    dx, dk = tape.gradient(y, tensors, output_gradients=tf.constant(g))
    np.testing.assert_allclose(y, x @ kernel)
    np.testing.assert_allclose(dx, g @ kernel.T)
    np.testing.assert_allclose(dk, x.T @ g)


def test_from_config():
    model = network.NatureQNetwork(3, ((16, 4, 2),), 20, True, 5)
    again = network.NatureQNetwork.from_config(model.get_config())
    np.testing.assert_array_equal(model(FRAMES), again(FRAMES))


def test_the_names_of_the_layers():
    model = network.NatureQNetwork(3, ((16, 4, 2),), 20, True)
    model(FRAMES)
    assert [layer.name for layer in model.layers] == [
        'convolution_1',
        'hidden',
        'values',
        'state_hidden',
        'state_value',
    ]


def test_saved_by_keras(tmp_path):
    model = network.NatureQNetwork(2, ((8, 4, 4),), 16)
    model.compile('sgd', 'mse')
    model.fit(FRAMES, np.zeros((2, 2)), verbose=0)
    model.save(tmp_path / 'saved')
    again = tf.keras.models.load_model(tmp_path / 'saved')
    np.testing.assert_allclose(again(FRAMES), model(FRAMES), atol=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match='NatureQNetwork.hidden_units = 0 must be a whole number'):
        network.NatureQNetwork(2, hidden_units=0)
    with pytest.raises(
        ValueError, match='convolution_2: a kernel of 4 does not fit into an input of 3 x 3'
    ):
        network.NatureQNetwork(2)(np.zeros((1, 18, 18, 4), np.uint8))


def test_fit_in_a_notebook():
    model = network.NatureQNetwork(2, ((8, 4, 4),), 16)
    model.compile(tf.keras.optimizers.Adam(0.01), 'mse')
    frames = np.repeat(np.array([0, 255], np.uint8), 16)[:, None, None, None] * np.ones(
        (1, 20, 20, 4), np.uint8
    )
    targets = np.repeat([[0.0, 1.0], [1.0, 0.0]], 16, axis=0)
    model.fit(frames, targets, epochs=30, verbose=0)
    assert np.abs(model.predict(frames, verbose=0) - targets).max() < 0.3
