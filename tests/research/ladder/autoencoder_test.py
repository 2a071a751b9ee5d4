"""The autoencoder of Appendix B against a NumPy transcription, and trained on a toy."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers, random
from research.ladder import autoencoder, data
from tests.research.ladder import numpy_reference as reference

WIDTHS = (6, 5, 4, 4, 3)


def transcription(p, x_labelled, y, x_unlabelled, noise_labelled, noise_unlabelled, weight):
    """Classification cost, reconstruction cost and their weighted sum, from the paper's text.

    p: 'W', 'beta' of the layers 1..L and 'gamma' of the softmax; 'D', 'd', weights and biases of
    the decoder's layers from the attached layer down to the input.
    """

    def normalized(x):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-10)

    def encoder(x, noise):
        h = [x + noise[0]]
        for l, (w, beta) in enumerate(zip(p['W'], p['beta'], strict=True), 1):
            z = normalized(h[-1] @ w) + noise[l]
            h.append(np.maximum(z + beta, 0) if l < len(p['W']) else p['gamma'] * (z + beta))
        return h

    logits = encoder(x_labelled, noise_labelled)[-1]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    classification = -log_p[np.arange(len(y)), y].mean()
    h = encoder(x_unlabelled, noise_unlabelled)[len(p['D'])]
    for i, (w, bias) in enumerate(zip(p['D'], p['d'], strict=True), 1):
        if i < len(p['D']):
            h = np.maximum(normalized(h @ w) + bias, 0)
        else:
            h = 1 / (1 + np.exp(-(h @ w + bias)))
    reconstruction = np.mean((h - x_unlabelled) ** 2)
    return classification, reconstruction, classification + weight * reconstruction


def parameters(model, get):
    """The model's parameters, or what `get` makes of each, as the transcription has them."""
    decoder = model.decoder[::-1]
    return {
        'W': [get(rung.w) for rung in model.rungs],
        'beta': [get(rung.beta) for rung in model.rungs],
        'gamma': get(model.rungs[-1].gamma),
        'D': [get(rung.w) for rung in decoder],
        'd': [get(rung.beta) for rung in decoder],
    }


def noise_of(model, key, batch):
    return [
        random.normal(random.fold_in(key, l), (batch, width), 0.3 if l == 0 else 0.2).numpy()
        for l, width in enumerate(WIDTHS)
    ]


@pytest.mark.parametrize('attach_to', [1, 2, 3])
def test_costs_and_every_gradient(attach_to):
    model = autoencoder.Autoencoder(
        seed=1,
        units=WIDTHS[1:],
        input_shape=WIDTHS[:1],
        attach_to=attach_to,
        reconstruction_weight=7.0,
        noise_std=0.3,
        hidden_noise_std=0.2,
    )
    rng = np.random.default_rng(attach_to)
    for variable in model.trainable_variables:
        variable.assign_add(0.3 * rng.normal(size=variable.shape))
    values = parameters(model, lambda v: v.numpy().astype(np.float64))
    assert [w.shape for w in values['D']] == [
        (WIDTHS[l], WIDTHS[l - 1]) for l in range(attach_to, 0, -1)
    ]
    x_labelled, x_unlabelled = (rng.uniform(size=(n, WIDTHS[0])).astype(np.float32) for n in (5, 6))
    y = rng.integers(0, 3, 5).astype(np.int32)
    key = random.make_key(7)
    noise = [noise_of(model, random.fold_in(key, stream), n) for stream, n in ((0, 5), (1, 6))]
    run = lambda p: transcription(p, x_labelled, y, x_unlabelled, *noise, 7.0)

    with tf.GradientTape() as tape:
        costs, clean = model.costs(*map(tf.constant, (x_labelled, y, x_unlabelled)), key)
    gradients = tape.gradient(costs['loss'], model.trainable_variables)

    names = ('classification_cost', 'reconstruction_cost', 'loss')
    np.testing.assert_allclose([costs[name] for name in names], run(values), rtol=1e-5)
    np.testing.assert_allclose(
        clean.statistics[1][0], (x_unlabelled @ values['W'][0]).mean(0), atol=1e-5
    )
    by_variable = {
        v.ref(): g.numpy() for v, g in zip(model.trainable_variables, gradients, strict=True)
    }
    seen = []
    measured = parameters(model, lambda v: seen.append(v.ref()) or by_variable[v.ref()])
    assert set(seen) == set(by_variable)  # There is no other trainable variable.
    numerical = reference.numerical_gradients(lambda p: run(p)[-1], values)
    for m, n in zip(tf.nest.flatten(measured), tf.nest.flatten(numerical), strict=True):
        np.testing.assert_allclose(m, n, rtol=1e-3, atol=2e-4 * max(1.0, np.abs(n).max()))


@pytest.mark.parametrize(
    'attach_to, weights',
    [
        # Down from layer k: the products of neighbouring widths 784, 1000, 500, 250, ...
        (1, 784_000),
        (2, 784_000 + 500_000),
        (5, 784_000 + 500_000 + 125_000 + 62_500 + 62_500),
    ],
)
def test_number_of_parameters(attach_to, weights):
    model = autoencoder.Autoencoder(attach_to=attach_to)
    biases = sum((784, 1000, 500, 250, 250)[:attach_to])
    found = sum(v.shape.num_elements() for v in model.trainable_variables)
    assert found == 1_536_500 + 2_260 + 10 + weights + biases  # First the encoder's own.


@pytest.mark.parametrize('attach_to', [0, 4])
def test_attached_to_no_hidden_layer(attach_to):
    with pytest.raises(ValueError, match=f'attach_to = {attach_to} must be a hidden layer, 1 to 3'):
        autoencoder.Autoencoder(units=WIDTHS[1:], input_shape=(6,), attach_to=attach_to)


def test_trains_classifies_and_denoises():
    """Four prototypes in noise; a few labels. Images are flattened and reconstructed as images."""
    rng = np.random.default_rng(0)
    prototypes = rng.integers(0, 2, (4, 5, 4, 1))
    y = rng.integers(0, 4, 400)
    x = np.clip(prototypes[y] + 0.1 * rng.normal(size=(400, 5, 4, 1)), 0, 1).astype(np.float32)
    model = autoencoder.Autoencoder(
        units=(30, 20, 4), input_shape=(5, 4, 1), attach_to=2, reconstruction_weight=10.0
    )
    model.compile(optimizers.FusedAdam(0.01), jit_compile=True)
    before = model.denoise(x[:100])
    batches = data.two_stream(x[:40], y[:40], x, labelled_batch=20, unlabelled_batch=50)
    logs = model.fit(batches, steps_per_epoch=200, verbose=0).history
    assert set(logs) == {'loss', 'classification_cost', 'reconstruction_cost'}
    model.calibrate(tf.data.Dataset.from_tensor_slices(x).batch(100))
    tested = model.evaluate(
        tf.data.Dataset.from_tensors((x, y, np.ones(400, np.float32))), verbose=0, return_dict=True
    )
    # Seeds 0 to 2, with one thread and with two, give 0 % each; chance is 75 %.
    assert tested['error_percent'] <= 15
    assert np.sum(tested['confusion_matrix']) == 400
    predicted = model.predict(x, verbose=0)
    assert predicted.shape == (400, 4) and np.mean(predicted.argmax(1) == y) >= 0.85

    after = model.denoise(x[:100])
    error = lambda images, name: float(tf.reduce_mean((images[name] - images['clean']) ** 2))
    assert after['denoised'].shape == (100, 5, 4, 1)
    assert error(after, 'corrupted') == pytest.approx(0.3**2, rel=0.1)
    # 0.0043 to 0.0046 after, 0.23 to 0.25 before; the corrupted images have 0.09.
    assert error(after, 'denoised') < 0.03 < 0.1 < error(before, 'denoised')

    config = model.get_config()
    assert config['attach_to'] == 2 and config['units'] == (30, 20, 4)
    again = autoencoder.Autoencoder.from_config(config)
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]
