"""The supervised networks with dropout: shapes, parameters, and costs against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.ladder import architectures, conv_pool_cnn_c, layers
from tests.research.ladder import numpy_maps, parameter_counts


def overlapping_max_pool(x):
    """3x3 windows, stride 2, first window from pixel 0 of an even side; x [n, h, w, c]."""
    n, height, width, channels = x.shape
    out = np.zeros((n, height // 2, width // 2, channels))
    for i in range(height // 2):
        for j in range(width // 2):
            out[:, i, j] = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2))
    return out


def tiny(**kwargs):
    encoder = (
        layers.ConvRung(3, 3, padding=1),
        conv_pool_cnn_c.OverlappingMaxPoolRung(),
        layers.ConvRung(3, 1),
        layers.MeanPoolRung(scaled=False),
    )
    model = conv_pool_cnn_c.ConvPoolCNN(
        seed=1, encoder=encoder, input_shape=(4, 6, 2), **{'weight_decay': 0.1, **kwargs}
    )
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.3 * rng.normal(size=variable.shape))
    return model


def transcription(model, x, y, key):
    """Classification cost of `tiny`, with the dropout masks the model draws from `key`."""

    def dropped(z, layer, rate):
        if key is None:
            return z
        keep = random.dropout(random.fold_in(key, layer), tf.ones(z.shape), rate).numpy() != 0
        return z * keep / (1 - rate)

    def normalized(z):
        axes = tuple(range(z.ndim - 1))
        return (z - z.mean(axes)) / np.sqrt(z.var(axes) + 1e-10) if model.batch_norm else z

    first, _, second, top = model.rungs
    h = dropped(np.asarray(x, np.float64), 0, 0.2)
    h = np.maximum(normalized(numpy_maps.conv2d(h, first.w.numpy(), 'same')) + first.beta, 0)
    h = dropped(normalized(overlapping_max_pool(h)), 2, 0.5)
    h = np.maximum(normalized(h @ second.w.numpy()[0, 0]) + second.beta, 0)
    logits = normalized(h.mean((1, 2))) + top.beta
    if model.batch_norm:
        logits = logits * top.gamma
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean(), p


@pytest.mark.parametrize('batch_norm', [False, True])
def test_costs_and_prediction(batch_norm):
    model = tiny(batch_norm=batch_norm)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(5, 4, 6, 2)).astype(np.float32), np.array([0, 1, 2, 1, 0], np.int32)
    key = random.make_key(5)
    costs, _ = model.costs(tf.constant(x), tf.constant(y), None, key)
    expected, _ = transcription(model, x, y, key)
    np.testing.assert_allclose(costs['classification_cost'], expected, rtol=1e-5)
    assert abs(expected - transcription(model, x, y, None)[0]) > 0.01  # Dropout does something.
    decay = 0.05 * sum(np.sum(rung.w.numpy() ** 2) for rung in (model.rungs[0], model.rungs[2]))
    np.testing.assert_allclose(costs['loss'], expected + decay, rtol=1e-5)

    model.calibrate(tf.data.Dataset.from_tensors(x))
    np.testing.assert_allclose(model(x), transcription(model, x, y, None)[1], atol=1e-5)
    has_gamma = [rung.gamma is not None for rung in model.rungs]
    assert has_gamma == [False] * 3 + [batch_norm]
    if not batch_norm:
        assert all(np.all(rung.mean == 0) and np.all(rung.variance == 1) for rung in model.rungs)


def test_conv_pool_cnn_c():
    model = conv_pool_cnn_c.ConvPoolCNN()
    assert model.layer_shapes == [
        (32, 32, 3),
        *[(32, 32, 96)] * 3,
        (16, 16, 96),
        *[(16, 16, 192)] * 3,
        (8, 8, 192),
        (6, 6, 192),
        (6, 6, 192),
        (6, 6, 10),
        (10,),
    ]
    parameters = sum(v.shape.num_elements() for v in model.trainable_variables)
    # The weights and biases of Conv-Large; "about 1.4 million" (Springenberg et al., Table 4).
    assert parameters == 1_368_480 + 3 * 96 + 5 * 192 + 10 + 10 == 1_369_748
    # Before the mean a conv layer begins with the variance 2 / fan-in.
    assert np.var(model.rungs[1].w) == pytest.approx(2 / (9 * 96), rel=0.02)
    assert np.var(conv_pool_cnn_c.ConvPoolCNN(batch_norm=True).rungs[1].w) == pytest.approx(
        1 / (9 * 96), rel=0.02
    )
    again = conv_pool_cnn_c.ConvPoolCNN.from_config(model.get_config())
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]


@pytest.mark.parametrize(
    'encoder, shape, top_scale, counted',
    [
        (architectures.conv_small(), (28, 28, 1), True, parameter_counts.CONV_SMALL),
        (architectures.conv_large(), (32, 32, 3), False, parameter_counts.CONV_LARGE),
    ],
)
def test_references_with_all_labels(encoder, shape, top_scale, counted):
    model = conv_pool_cnn_c.ConvPoolCNN(
        encoder=encoder, input_shape=shape, batch_norm=True, top_scale=top_scale
    )
    expected = parameter_counts.parameter_counts(counted, None, 'none', top_scale)
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == expected['total']
    # Dropout of the input and after both pooling layers, nowhere else.
    z = [tf.ones([64, *layer]) for layer in model.layer_shapes]
    key = random.make_key(0)
    dropped = [
        float(tf.reduce_mean(tf.cast(model.corrupt(z[l], key, l) == 0, tf.float32)))
        for l in range(len(z))
    ]
    pools = [l for l, rung in enumerate(model.rungs, 1) if isinstance(rung, layers.MaxPoolRung)]
    assert len(pools) == 2
    for l, share in enumerate(dropped):
        assert share == pytest.approx(0.2 if l == 0 else 0.5 if l in pools else 0, abs=0.01)


def test_odd_side():
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    rung = conv_pool_cnn_c.OverlappingMaxPoolRung()
    assert rung.create_mappings((5, 5, 3), None, decode=False) == (3, 3, 3)
    pooled = rung.project(x)
    assert pooled.shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(pooled[:, 1, 1], x[:, 1:4, 1:4].max((1, 2)))


def test_trains_on_one_stream_and_on_two():
    """Batches of (x, y), and of two streams; the classes of nine images can be learned."""
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(size=(9, 4, 6, 2)).astype(np.float32))
    y = tf.constant([0, 1, 2] * 3)
    weights = []
    for batch in ((x, y), ((x, x[:4]), y)):
        model = tiny(pool_dropout=0.0, weight_decay=0.0)
        model.compile(tf.keras.optimizers.Adam(0.02), run_eagerly=True)
        losses = [float(model.train_step(batch)['loss']) for _ in range(40)]
        # Three seeds, with one thread and with two, give 0 or 1 of 9 wrong (chance 6) and 0.38 to
        # 0.57 of the loss.
        assert model.test_step((x, y, tf.ones(9)))['error_percent'] <= 100 / 3 + 0.01
        assert losses[-1] < 0.8 * losses[0]
        weights.append(model.rungs[0].w.numpy())
    np.testing.assert_array_equal(*weights)
