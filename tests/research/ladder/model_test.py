"""The Ladder network against the NumPy transcription of the paper."""

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers, random, schedules
from research.ladder import architectures, denoisers, layers
from research.ladder import model as ladder
from tests.research.ladder import numpy_maps, numpy_training
from tests.research.ladder import numpy_reference as reference

# Each denoiser with its transcription and, in the paper's order, the names of its parameters.
DENOISERS = {
    'g': (
        denoisers.MiniatureMLP,
        reference.g,
        {'a': ['a_1', 'a_z', 'a_u', 'a_zu'], 'b': 'b', 'c': ['c_1', 'c_z', 'c_u', 'c_zu']},
    ),
    'g2': (
        denoisers.NoAugmentedTerm,
        reference.g2,
        {'a': ['a_1', 'a_z', 'a_u'], 'b': 'b', 'c': ['c_1', 'c_z', 'c_u']},
    ),
    'g3': (denoisers.Linear, reference.g3, {'a': ['a_1', 'a_z', 'a_u', 'a_zu']}),
    'g4': (denoisers.AdditiveMean, reference.g4, {'a': [f'a{i}' for i in range(1, 10)]}),
    'g5': (denoisers.Gaussian, reference.g5, {'a': [f'a{i}' for i in range(1, 11)]}),
}
WIDTHS = (5, 4, 4, 3)
COSTS = (10.0, 1.0, 0.5, 0.2)


def small_model(denoiser=denoisers.MiniatureMLP, costs=COSTS, **kwargs):
    kwargs = {'noise_std': 0.3, 'hidden_noise_std': 0.2, **kwargs}
    return ladder.LadderNetwork(
        seed=1,
        encoder=WIDTHS[1:],
        input_shape=WIDTHS[:1],
        denoising_costs=costs,
        denoiser=denoiser,
        **kwargs,
    )


def small_batch(labelled=6, unlabelled=7, shape=WIDTHS[:1], classes=WIDTHS[-1], seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(size=(labelled, *shape)).astype(np.float32),
        rng.integers(0, classes, labelled).astype(np.int32),
        rng.uniform(size=(unlabelled, *shape)).astype(np.float32),
    )


def parameters(model, names, get):
    """The model's parameters, or what `get` makes of each, as the transcription has them."""

    def of(layer, name):
        variable = getattr(layer, name, None)
        return None if variable is None else get(variable)

    def denoiser(layer):
        if layer is None:
            return None
        return {
            key: get(getattr(layer, names[key]))
            if isinstance(names[key], str)
            else np.stack([get(getattr(layer, name)) for name in names[key]])
            for key in names
        }

    return {
        'W': [None] + [of(rung, 'w') for rung in model.rungs],
        'V': [None] + [of(rung, 'v') for rung in model.rungs],
        'beta': [None] + [of(rung, 'beta') for rung in model.rungs],
        'gamma': of(model.rungs[-1], 'gamma'),
        'g': [denoiser(layer) for layer in model.denoisers],
    }


def set_parameters(model, names, values):
    """Gives every parameter a value that no equation treats specially."""
    new = {}

    def match(variable):
        start = variable.numpy()
        new[variable.ref()] = start + 0.3 * values.normal(size=start.shape)
        return start

    parameters(model, names, match)
    for ref, value in new.items():
        ref.deref().assign(value.astype(np.float32))


def noise_of(model, key, batch):
    """The noise arrays of one stream, as the model draws them."""
    return [
        random.normal(
            random.fold_in(key, l),
            (batch, *shape),
            model.noise_std if l == 0 else model.hidden_noise_std,
        ).numpy()
        for l, shape in enumerate(model.layer_shapes)
    ]


def transcribed(model, names, transcription, batch, key, numpy_layers=None):
    """A function of parameters: the transcription's result for this batch and noise."""
    x_labelled, y, x_unlabelled = batch
    noise = [
        noise_of(model, random.fold_in(key, stream), len(x))
        for stream, x in enumerate((x_labelled, x_unlabelled))
    ]
    return lambda p: reference.ladder(
        p,
        x_labelled,
        y,
        x_unlabelled,
        *noise,
        model.denoising_costs,
        transcription,
        layers=numpy_layers,
    )


@pytest.mark.parametrize('name', DENOISERS)
def test_forward_values_and_every_gradient(name):
    denoiser, transcription, names = DENOISERS[name]
    model = small_model(denoiser)
    set_parameters(model, names, np.random.default_rng(2))
    batch, key = small_batch(), random.make_key(7)
    run = transcribed(model, names, transcription, batch, key)
    values = parameters(model, names, lambda v: v.numpy().astype(np.float64))
    expected = run(values)

    x_labelled, y, x_unlabelled = map(tf.constant, batch)
    with tf.GradientTape() as tape:
        costs, clean = model.costs(x_labelled, y, x_unlabelled, key)
    gradients = tape.gradient(costs['loss'], model.trainable_variables)

    np.testing.assert_allclose(
        costs['classification_cost'], expected.classification_cost, rtol=1e-5
    )
    for l, cost in enumerate(expected.denoising_costs):
        np.testing.assert_allclose(costs[f'denoising_cost_{l}'], cost, rtol=1e-4)
    np.testing.assert_allclose(costs['loss'], expected.total, rtol=1e-4)
    for l in range(1, len(WIDTHS)):
        np.testing.assert_allclose(clean.z[l], expected.clean.z[l], atol=1e-5)
        np.testing.assert_allclose(clean.statistics[l][0], expected.clean.mean[l], atol=1e-5)
        np.testing.assert_allclose(clean.statistics[l][1], expected.clean.variance[l], rtol=1e-5)

    by_variable = {
        v.ref(): g.numpy() for v, g in zip(model.trainable_variables, gradients, strict=True)
    }
    assert len(by_variable) == len(model.trainable_variables)
    seen = []
    measured = parameters(model, names, lambda v: seen.append(v.ref()) or by_variable[v.ref()])
    assert set(seen) == set(by_variable)  # Every trainable variable is one of the paper's.
    numerical = reference.numerical_gradients(lambda p: run(p).total, values)
    for m, n in zip(tf.nest.flatten(measured), tf.nest.flatten(numerical), strict=True):
        assert (m is None) == (n is None)
        if m is not None:
            np.testing.assert_allclose(m, n, rtol=1e-3, atol=2e-4 * max(1.0, np.abs(n).max()))


def gamma_model():
    """A small convolutional Gamma model, and the transcription's description of its layers."""
    encoder = (
        layers.ConvRung(3, 3),
        layers.MaxPoolRung(),
        layers.ConvRung(3, 2),
        layers.MeanPoolRung(),
    )
    layer = numpy_maps.Layer
    numpy_layers = [
        None,
        layer('conv'),
        layer('maxpool', 'linear'),
        layer('conv'),
        layer('globalmean', 'softmax'),
    ]
    model = ladder.LadderNetwork(
        seed=1,
        encoder=encoder,
        input_shape=(6, 6, 1),
        denoising_costs=(0, 0, 0, 0, 4),
        noise_std=0.3,
        hidden_noise_std=0.2,
    )
    return model, numpy_layers


@pytest.mark.parametrize('kind', ['full', 'gamma', 'supervised'])
def test_training_steps_are_those_of_the_reference(kind):
    """Three steps of the whole: both halves, all costs, gradients, Adam, running averages."""
    _, transcription, names = DENOISERS['g']
    if kind == 'gamma':
        model, numpy_layers = gamma_model()
    else:
        model = small_model(costs=COSTS if kind == 'full' else (0.0,) * 4)
        numpy_layers = numpy_maps.fully_connected(len(WIDTHS) - 1)
    set_parameters(model, names, np.random.default_rng(2))
    start = parameters(model, names, lambda v: v.numpy().astype(np.float64))
    # Constant for the first steps, half way to zero in the third.
    rates = [0.02, 0.02, 0.01]
    batches = [small_batch(8, 7, model.example_shape, seed=seed) for seed in range(3)]
    noises = [
        [
            noise_of(model, random.fold_in(random.step_key(1, step), half), count)
            for half, count in enumerate((8, 7))
        ]
        for step in range(3)
    ]
    expected = numpy_training.training_steps(
        start, batches, noises, model.denoising_costs, rates, transcription, numpy_layers
    )

    model.compile(optimizers.FusedAdam(schedules.ConstantThenLinear(0.02, 1, 3)), run_eagerly=True)
    for (x_labelled, y, x_unlabelled), step in zip(batches, expected, strict=True):
        data = tf.constant(x_labelled), tf.constant(x_unlabelled)
        model.reset_metrics()
        logs = model.train_step((data, tf.constant(y)))
        result = step.result
        assert float(logs.pop('loss')) == pytest.approx(result.total, rel=1e-4)
        assert float(logs.pop('classification_cost')) == pytest.approx(
            result.classification_cost, rel=1e-4
        )
        for l, multiplier in enumerate(model.denoising_costs):
            if multiplier:
                assert float(logs.pop(f'denoising_cost_{l}')) == pytest.approx(
                    result.denoising_costs[l], rel=1e-4
                )
        assert not logs
        now = parameters(model, names, lambda v: v.numpy())
        for one, other in zip(tf.nest.flatten(now), tf.nest.flatten(step.params), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, atol=2e-4)
        for rung, mean, variance in zip(
            model.rungs, step.means[1:], step.variances[1:], strict=True
        ):
            np.testing.assert_allclose(rung.mean, mean, atol=1e-5)
            np.testing.assert_allclose(rung.variance, variance, rtol=1e-5)


@pytest.mark.parametrize(
    'costs, decoded',
    [
        ((0.0, 0.0, 0.0, 1.0), {3}),  # Gamma: nothing below the top.
        ((5.0, 0.0, 0.0, 0.0), {0, 1, 2, 3}),  # Bottom only: all the way down.
        ((0.0, 0.0, 0.0, 0.0), set()),  # The supervised baseline.
    ],
)
def test_only_what_a_cost_needs_is_built_and_costs_are_the_papers(costs, decoded):
    _, transcription, names = DENOISERS['g']
    model = small_model(costs=costs)
    set_parameters(model, names, np.random.default_rng(3))
    assert {l for l, layer in enumerate(model.denoisers) if layer is not None} == decoded
    assert {l for l, rung in enumerate(model.rungs, 1) if hasattr(rung, 'v')} == (
        {1, 2, 3} if 0 in decoded else set()
    )
    batch, key = small_batch(), random.make_key(5)
    run = transcribed(model, names, transcription, batch, key)
    expected = run(parameters(model, names, lambda v: v.numpy().astype(np.float64)))
    x_labelled, y, x_unlabelled = map(tf.constant, batch)
    actual, _ = model.costs(x_labelled, y, x_unlabelled, key)
    np.testing.assert_allclose(actual['loss'], expected.total, rtol=1e-4)
    assert set(actual) == {'loss', 'classification_cost'} | {
        f'denoising_cost_{l}' for l, cost in enumerate(costs) if cost
    }


def test_noise_has_the_standard_deviations_asked_for_and_comes_after_normalization():
    model = ladder.LadderNetwork(
        encoder=(50, 10),
        input_shape=(40,),
        denoising_costs=(1.0, 1.0, 1.0),
        noise_std=0.3,
        hidden_noise_std=0.5,
    )
    x = tf.random.stateless_uniform([4000, 40], [0, 1])
    corrupted, clean = model.encode([x, x], [random.make_key(1), None])
    noise = (corrupted.z[0] - x).numpy()
    assert noise.std() == pytest.approx(0.3, rel=0.01) and abs(noise.mean()) < 0.005
    # z~^(1) is unit variance plus noise of 0.5; its clean part is N_B of the noisy projection.
    z = corrupted.z[1].numpy()
    np.testing.assert_allclose(z.std(0), np.sqrt(1 + 0.5**2), rtol=0.06)
    noise = z - (
        tf.matmul(corrupted.z[0], model.rungs[0].w) - corrupted.statistics[1][0]
    ) / tf.sqrt(corrupted.statistics[1][1])
    assert np.std(noise) == pytest.approx(0.5, rel=0.01)
    np.testing.assert_allclose(clean.z[1].numpy().std(0), 1.0, rtol=1e-3)
    (again,) = model.encode([x], [random.make_key(1)])
    np.testing.assert_array_equal(again.z[1], corrupted.z[1])
    (other,) = model.encode([x], [random.make_key(2)])
    assert not np.any(other.z[0] == corrupted.z[0])


def test_labelled_and_unlabelled_are_normalized_apart():
    model = small_model()
    x_labelled, y, x_unlabelled = small_batch(40, 30)
    key = random.make_key(0)
    costs = [
        model.costs(x_labelled, y, factor * x_unlabelled, key)[0]['classification_cost']
        for factor in (1.0, 3.0)
    ]
    assert float(costs[0]) == float(costs[1])
    labelled, unlabelled = model.encode([x_labelled, 3 * x_unlabelled], [None, None])
    for path in (labelled, unlabelled):
        for z in path.z[1:]:
            np.testing.assert_allclose(np.mean(z, 0), 0, atol=1e-5)
            np.testing.assert_allclose(np.std(z, 0), 1, rtol=1e-3)


def test_scale_and_bias_only_where_the_paper_has_them():
    rungs = ladder.LadderNetwork().rungs
    assert [rung.gamma is not None for rung in rungs] == [False] * 5 + [True]
    assert all(rung.beta is not None for rung in rungs)
    unscaled = small_model(top_scale=False).rungs[-1]
    assert unscaled.gamma is None and unscaled.beta is not None


def test_the_fully_connected_network_has_the_papers_sizes():
    model = ladder.LadderNetwork()
    assert [shape for (shape,) in model.layer_shapes] == [784, 1000, 500, 250, 250, 250, 10]
    weights = 784 * 1000 + 1000 * 500 + 500 * 250 + 2 * 250 * 250 + 250 * 10
    units = 784 + 1000 + 500 + 3 * 250 + 10
    # Sec. 3.3: 9 parameters a unit in g; V has the sizes of W.
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == (
        2 * weights + (units - 784) + 10 + 9 * units
    )


def test_prediction_uses_the_statistics_of_calibration():
    _, _, names = DENOISERS['g']
    model = small_model()
    set_parameters(model, names, np.random.default_rng(4))
    _, _, x = small_batch(unlabelled=60)
    batches = [x[:20], x[20:40], x[40:]]
    model.calibrate(tf.data.Dataset.from_tensor_slices(np.stack(batches)))
    parameters_ = parameters(model, names, lambda v: v.numpy().astype(np.float64))
    layers_ = numpy_maps.fully_connected(len(WIDTHS) - 1)
    passes = [reference.encode(layers_, parameters_, batch) for batch in batches]
    means = [None] + [np.mean([p.mean[l] for p in passes], 0) for l in range(1, len(WIDTHS))]
    variances = [None] + [
        np.mean([p.variance[l] for p in passes], 0) for l in range(1, len(WIDTHS))
    ]
    expected = reference.predict(parameters_, x, means, variances)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-4)
    # One example alone gives the same answer: nothing looks across the batch at test time.
    np.testing.assert_allclose(model(x[:1]), expected[:1], atol=1e-4)


def test_from_config_makes_the_same_network():
    model = small_model(denoisers.Gaussian, top_scale=False)
    copy = ladder.LadderNetwork.from_config(model.get_config())
    assert len(copy.trainable_variables) == len(model.trainable_variables)
    for one, other in zip(model.trainable_variables, copy.trainable_variables, strict=True):
        assert one is not other
        np.testing.assert_array_equal(one, other)
    other_seed = ladder.LadderNetwork.from_config({**model.get_config(), 'seed': 2})
    assert not np.array_equal(other_seed.rungs[0].w, model.rungs[0].w)


def test_fit_from_a_python_generator():
    """Keras hands on a generator's batches without their shapes, and looks for one too many."""
    x, y, unlabelled = small_batch(labelled=6, unlabelled=8)
    batch = ((x, unlabelled), y)
    fitted, stepped = (small_model(costs=(0.0, 0.0, 0.0, 2.0), noise_shards=2) for _ in range(2))
    fitted.compile(tf.keras.optimizers.SGD(0.01))
    fitted.fit((batch for _ in range(2)), verbose=0)
    stepped.compile(tf.keras.optimizers.SGD(0.01), run_eagerly=True)
    for _ in range(2):
        stepped.train_step(tf.nest.map_structure(tf.constant, batch))
    assert fitted.global_step == 2
    for one, other in zip(fitted.variables, stepped.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def saved_and_loaded(model, folder):
    path = str(folder / 'model.keras')
    model.save(path)
    return tf.keras.models.load_model(path)


def test_a_trained_network_saved_by_keras_answers_and_goes_on_as_it_did(tmp_path):
    encoder = (
        layers.ConvRung(3, 3, activation=architectures.leaky_relu),
        layers.MaxPoolRung(),
        layers.MeanPoolRung(scaled=False),
        layers.DenseRung(4),
    )
    model = ladder.LadderNetwork(
        seed=1,
        encoder=encoder,
        input_shape=(6, 6, 1),
        denoising_costs=(0, 0, 1, 0, 2),
        denoiser=denoisers.Gaussian,
    )
    x, y, unlabelled = map(tf.constant, small_batch(shape=(6, 6, 1), classes=4))
    train = lambda model: [model.train_step(((x, unlabelled), y)) for _ in range(2)]
    model.compile(tf.keras.optimizers.SGD(0.1), run_eagerly=True)
    train(model)
    expected = model(x)
    others = [
        saved_and_loaded(model, tmp_path),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ]
    train(model)
    for other in others:
        np.testing.assert_array_equal(other(x), expected)
        without_name = lambda rung: {**rung.get_config(), 'name': None}
        assert list(map(without_name, other.rungs)) == list(map(without_name, model.rungs))
        assert [rung.activation for rung in other.rungs] == [
            architectures.leaky_relu,
            tf.identity,
            tf.identity,
            tf.nn.relu,
        ]
        assert other.denoiser is denoisers.Gaussian
        # Steps 2 and 3 draw the noise of steps 2 and 3.
        other.compile(tf.keras.optimizers.SGD(0.1), run_eagerly=True)
        train(other)
        for one, two in zip(model.variables, other.variables, strict=True):
            np.testing.assert_array_equal(one, two)


def test_json_and_a_clone_have_the_starting_weights():
    model = small_model(denoisers.Linear)
    clones = [
        tf.keras.models.clone_model(model),
        tf.keras.models.model_from_json(model.to_json(), {'LadderNetwork': ladder.LadderNetwork}),
    ]
    for clone in clones:
        for one, other in zip(model.variables, clone.variables, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_class_that_cannot_be_imported_is_named():
    config = {**small_model().get_config(), 'denoiser': 'some.where.Denoiser'}
    with pytest.raises(ValueError, match='needs some.where.Denoiser, which cannot be imported'):
        ladder.LadderNetwork.from_config(config)


def test_bad_arguments():
    with pytest.raises(ValueError, match='denoising_costs has 3 numbers; an encoder of 3 layers'):
        small_model(costs=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match='does not denoise its input'):
        small_model(costs=(0.0, 0.0, 0.0, 1.0)).denoise(np.zeros((2, 5), np.float32))
