import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers, schedules
from tests import conformance


def numpy_adam(weights, gradients, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, Algorithm 1, in the order of the end of Sec. 2 ("epsilon hat")."""
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, gradient in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        step = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        weights = weights - step * m / (np.sqrt(v) + epsilon)
    return weights


@pytest.mark.parametrize('jit', [False, True])
def test_fused_adam_against_numpy(jit):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, 3))
    gradients = rng.normal(size=(10, 7, 3)) * 10.0 ** rng.uniform(-6, 1, size=(10, 7, 3))
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = optimizers.FusedAdam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-4)
    optimizer.build([variable])
    apply = tf.function(lambda g: optimizer.apply_gradients([(g, variable)]), jit_compile=jit)
    for gradient in gradients:
        apply(tf.constant(gradient, tf.float32))
    expected = numpy_adam(start, gradients, 0.01, 0.8, 0.99, 1e-4)
    np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_fused_adam_on_sparse_gradients_touches_the_same_rows():
    variable = tf.Variable(tf.ones([4, 2]))
    optimizer = optimizers.FusedAdam(0.1)
    optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), tf.constant([2])), variable)])
    expected = np.ones((4, 2))
    expected[2] -= 0.1
    np.testing.assert_allclose(variable, expected, atol=1e-6)


def numpy_centred_rmsprop(weights, gradients, rate, rho, epsilon):
    """Graves 2013, Eqs. 38-41 without momentum, as Mnih et al. 2015 has it."""
    g, n = np.zeros_like(weights), np.zeros_like(weights)
    for gradient in gradients:
        g = rho * g + (1 - rho) * gradient
        n = rho * n + (1 - rho) * gradient**2
        weights = weights - rate * gradient / np.sqrt(n - g**2 + epsilon)
    return weights


@pytest.mark.parametrize('jit', [False, True])
def test_centred_rmsprop_against_numpy_and_keras(jit):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, 3))
    gradients = rng.normal(size=(10, 7, 3)) * 10.0 ** rng.uniform(-6, 1, size=(10, 7, 3))
    expected = numpy_centred_rmsprop(start, gradients, 0.01, 0.9, 1e-3)
    for optimizer in (
        optimizers.CentredRMSProp(0.01, rho=0.9, epsilon=1e-3),
        tf.keras.optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-3, centered=True),
    ):
        variable = tf.Variable(start, dtype=tf.float32)
        optimizer.build([variable])
        apply = tf.function(lambda g: optimizer.apply_gradients([(g, variable)]), jit_compile=jit)
        for gradient in gradients:
            apply(tf.constant(gradient, tf.float32))
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_centred_rmsprop_defaults_are_the_papers():
    optimizer = optimizers.CentredRMSProp()
    assert float(optimizer.learning_rate) == pytest.approx(0.00025)
    assert optimizer.rho == 0.95
    # 0.01 for a sum over 32 gradients is this for their mean.
    assert optimizer.epsilon * 32**2 == pytest.approx(0.01)
    copy = optimizers.CentredRMSProp.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()


def test_from_config():
    optimizer = optimizers.FusedAdam(0.01, beta_1=0.5, global_clipnorm=3.0)
    copy = optimizers.FusedAdam.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert copy.beta_1 == 0.5 and copy.global_clipnorm == 3.0


def numpy_momentum(weights, gradients, rates, momentum, decay, clip=None):
    """v <- momentum v + (g + decay w); w <- w - rate v, of a list of arrays."""
    v = [np.zeros_like(w) for w in weights]
    for step, rate in zip(gradients, rates, strict=True):
        norm = np.sqrt(sum((g**2).sum() for g in step))
        factor = clip / max(norm, clip) if clip else 1
        for i, g in enumerate(step):
            wanted = factor * g + decay[i] * weights[i]
            v[i] = momentum * v[i] + wanted
            weights[i] = weights[i] - rate * v[i]
    return weights


class Falling(tf.keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return tf.gather([0.1, 0.1, 0.4, 0.4, 0.02, 0.02, 0.5, 0.5], step)


def momentum_case():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(7, 3)), rng.normal(size=3), rng.normal(size=(2, 2))]
    gradients = [[rng.normal(size=w.shape) for w in weights] for _ in range(8)]
    return weights, gradients, [0.1, 0.1, 0.4, 0.4, 0.02, 0.02, 0.5, 0.5]


@pytest.mark.parametrize('clip', [None, 2.0])
@pytest.mark.parametrize('jit', [False, True])
def test_momentum_sgd_against_numpy_as_the_rate_changes(jit, clip):
    weights, gradients, rates = momentum_case()
    variables = [tf.Variable(w, dtype=tf.float32) for w in weights]
    optimizer = optimizers.MomentumSGD(Falling(), 0.8, weight_decay=0.3, global_clipnorm=clip)
    optimizer.build(variables)
    apply = tf.function(
        lambda g: optimizer.apply_gradients(zip(g, variables, strict=True)), jit_compile=jit
    )
    for step in gradients:
        apply([tf.constant(g, tf.float32) for g in step])
    expected = numpy_momentum(weights, gradients, rates, 0.8, [0.3, 0, 0.3], clip)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5)


def test_momentum_sgd_with_a_rule_of_its_own_for_what_decays():
    weights, gradients, rates = momentum_case()
    variables = [
        tf.Variable(w, dtype=tf.float32, name=name)
        for w, name in zip(weights, ('kernel', 'bias', 'embedding'), strict=True)
    ]
    optimizer = optimizers.MomentumSGD(
        Falling(), 0.8, weight_decay=0.3, exclude=lambda variable: 'embedding' in variable.name
    )
    for step in gradients:
        optimizer.apply_gradients(
            zip([tf.constant(g, tf.float32) for g in step], variables, strict=True)
        )
    expected = numpy_momentum(weights, gradients, rates, 0.8, [0.3, 0.3, 0])
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5)


def test_momentum_sgd_on_two_devices():
    weights, gradients, rates = momentum_case()
    strategy = conformance.two_devices()
    with strategy.scope():
        variables = [tf.Variable(w, dtype=tf.float32) for w in weights]
        optimizer = optimizers.MomentumSGD(Falling(), 0.8, weight_decay=0.3)
        optimizer.build(variables)

    @tf.function
    def update(step):
        def of_replica():
            # 1 / 4 and 3 / 4 of each gradient: Keras adds them up.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            part = (1 + 2 * tf.cast(replica, tf.float32)) / 4
            optimizer.apply_gradients([(part * g, v) for g, v in zip(step, variables, strict=True)])

        strategy.run(of_replica)

    for step in gradients:
        update([tf.constant(g, tf.float32) for g in step])
    expected = numpy_momentum(weights, gradients, rates, 0.8, [0.3, 0, 0.3])
    for variable, value in zip(variables, expected, strict=True):
        for component in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(component, value, rtol=1e-4, atol=1e-5)


def test_momentum_sgd_on_sparse_gradients_is_that_on_dense_ones():
    sparse, dense = tf.Variable(tf.ones([4, 2])), tf.Variable(tf.ones([4, 2]))
    one, other = (optimizers.MomentumSGD(0.1, weight_decay=0.5) for _ in range(2))
    for row in (2, 0):
        slices = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([row]), tf.constant([4, 2]))
        one.apply_gradients([(slices, sparse)])
        other.apply_gradients([(tf.convert_to_tensor(slices), dense)])
    np.testing.assert_array_equal(sparse, dense)
    # By hand, a row without a gradient: v = .5, w = .95; v = .45 + .475, w = .95 - .0925.
    np.testing.assert_allclose(sparse[1], [0.8575, 0.8575], rtol=1e-6)


def test_momentum_sgd_from_config_and_out_of_range():
    optimizer = optimizers.MomentumSGD(
        0.02, 0.5, weight_decay=1e-5, exclude=lambda variable: False, global_clipnorm=3.0
    )
    copy = optimizers.MomentumSGD.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert copy.momentum == 0.5 and copy.global_clipnorm == 3.0
    assert copy.get_config()['weight_decay'] == 1e-5


@pytest.mark.parametrize(
    'kind, argument, value',
    [
        *(
            (kind, 'learning_rate', rate)
            for kind in ('FusedAdam', 'CentredRMSProp', 'MomentumSGD')
            for rate in (0, -0.1, float('nan'), float('inf'), None, '0.1', True)
        ),
        ('FusedAdam', 'beta_1', 1.0),
        ('FusedAdam', 'beta_2', -0.1),
        ('FusedAdam', 'epsilon', 0.0),
        ('FusedAdam', 'clipnorm', -1.0),
        ('FusedAdam', 'global_clipnorm', 0.0),
        ('CentredRMSProp', 'rho', 1),
        ('CentredRMSProp', 'epsilon', float('nan')),
        ('MomentumSGD', 'momentum', 1.5),
        ('MomentumSGD', 'weight_decay', -1),
        ('MomentumSGD', 'weight_decay', float('inf')),
        ('MomentumSGD', 'global_clipnorm', -2.0),
    ],
)
def test_numbers_that_no_run_can_mean(kind, argument, value):
    with pytest.raises(ValueError, match=f'^{kind}.{argument} = {value!r} '):
        getattr(optimizers, kind)(**{argument: value})


def test_a_schedule_is_a_learning_rate():
    for kind in (optimizers.FusedAdam, optimizers.CentredRMSProp, optimizers.MomentumSGD):
        assert float(kind(schedules.StepDecay(0.5, 3)).learning_rate) == 0.5
