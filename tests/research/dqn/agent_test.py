"""Loss, gradient, targets and target network, by hand."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.metrics import py_metrics
from tf_agents.policies import py_tf_eager_policy
from tf_agents.specs import tensor_spec

from official.modeling import optimizers
from research.dqn import agent, catch, environment, network, replay


class Constant(tf.keras.Model):
    """Values that do not depend on the frames: a weight for every action."""

    def __init__(self, num_actions):
        super().__init__()
        self.values = tf.Variable(tf.zeros([num_actions]))

    def call(self, frames, training=False):
        return tf.tile(self.values[tf.newaxis], [tf.shape(frames)[0], 1])


def make(q_network=Constant, optimizer=None, **arguments):
    env = environment.GameEnvironment(catch.Catch, frame_size=20, history=2)
    return agent.DqnAgent(
        tensor_spec.from_spec(env.time_step_spec()),
        tensor_spec.from_spec(env.action_spec()),
        q_network=q_network,
        optimizer=optimizer or tf.keras.optimizers.SGD(1.0),
        **arguments,
    )


def minibatch(action, reward, discount, weight=None):
    size = len(action)
    frames = np.zeros((size, 20, 20, 2), np.uint8)
    return replay.Transitions(
        frames,
        np.array(action, np.int32),
        np.array(reward, np.float32),
        np.array(discount, np.float32),
        frames,
        np.ones(size, np.float32) if weight is None else np.array(weight, np.float32),
        None,
    )


def update(dqn, batch):
    return dqn.update(*map(tf.convert_to_tensor, batch[:-1]))


def test_a_network_in_training_and_out_of_it():
    """A Q-network with dropout, in tf-agents' form."""
    model = tf.keras.Sequential([tf.keras.layers.Dropout(0.999)])
    wrapped = agent.QNetwork(tf.TensorSpec([400], tf.float32), model)
    ones = tf.ones([1, 400])
    np.testing.assert_array_equal(wrapped(ones)[0], ones)
    assert np.mean(wrapped(ones, training=True)[0] == 0) > 0.9


def test_loss_and_gradient_by_hand():
    """y = r + gamma (1 - terminal) max Q^; errors beyond 1 have the gradient of 1."""
    dqn = make(discount=0.5)
    dqn.model.values.assign([1.0, 2.0, 4.0])
    dqn.target_model.values.assign([10.0, 0.0, 6.0])
    batch = minibatch(action=[0, 1, 2, 2], reward=[1, 0, 0.5, -1], discount=[0, 1, 0, 1])
    # y = 1; 0 + 0.5 * 10 = 5; 0.5; -1 + 5 = 4.  Errors 0; 3; -3.5; 0.
    loss, error = update(dqn, batch)
    np.testing.assert_allclose(error, [0, 3, -3.5, 0], atol=1e-6)
    # Huber: 0, 3 - 0.5, 3.5 - 0.5, 0; their mean.
    assert float(loss) == pytest.approx((2.5 + 3.0) / 4)
    # A step of 1 against the gradient: the clipped errors over 4.
    np.testing.assert_allclose(dqn.model.values, [1.0, 2.0 + 0.25, 4.0 - 0.25], atol=1e-6)


def test_an_error_inside_the_clip_is_squared():
    dqn = make()
    batch = minibatch(action=[1], reward=[0.6], discount=[0])
    loss, _ = update(dqn, batch)
    assert float(loss) == pytest.approx(0.5 * 0.36)
    np.testing.assert_allclose(dqn.model.values, [0, 0.6, 0], atol=1e-6)


def test_without_error_clipping():
    dqn = make(error_clip=None)
    loss, _ = update(dqn, minibatch(action=[1], reward=[3], discount=[0]))
    assert float(loss) == pytest.approx(4.5)
    np.testing.assert_allclose(dqn.model.values, [0, 3, 0], atol=1e-6)


def test_double_q_learning_values_the_online_choice():
    """van Hasselt et al. 2016: y = r + gamma Q^(s', argmax Q(s', a))."""
    for double, value in ((True, 7.0), (False, 9.0)):
        dqn = make(double=double, discount=0.5)
        dqn.model.values.assign([0.0, 5.0, 1.0])
        dqn.target_model.values.assign([9.0, 7.0, 8.0])
        _, error = update(dqn, minibatch(action=[0], reward=[0], discount=[1]))
        assert float(error[0]) == pytest.approx(0.5 * value)


def test_importance_weights_scale_the_loss():
    dqn = make()
    loss, _ = update(dqn, minibatch([0, 1], [0.5, 0.5], [0, 0], weight=[1.0, 0.25]))
    assert float(loss) == pytest.approx((0.125 + 0.25 * 0.125) / 2)
    np.testing.assert_allclose(dqn.model.values, [0.25, 0.0625, 0], atol=1e-6)


def test_the_target_network_is_copied_every_c_updates():
    dqn = make(target_update_period_updates=3)
    batch = minibatch(action=[0], reward=[100], discount=[0])  # Each update adds 1.
    targets = []
    for _ in range(7):
        update(dqn, batch)
        targets.append(float(dqn.target_model.values[0]))
    assert targets == [0, 0, 3, 3, 3, 6, 6]
    assert int(dqn.train_step_counter) == 7


def test_without_a_separate_target_network_it_is_the_network():
    dqn = make(target_update_period_updates=1, discount=1.0)
    batch = minibatch(action=[0], reward=[0.5], discount=[1])
    for count in range(1, 4):
        _, error = update(dqn, batch)
        # y - Q = 0.5 + max Q - Q_0 = 0.5 with the weights that the update before left.
        assert float(error[0]) == pytest.approx(0.5)
        assert float(dqn.target_model.values[0]) == pytest.approx(0.5 * count)


def test_theta_minus_begins_as_theta():
    dqn = make(functools.partial(network.NatureQNetwork, convolutions=((4, 4, 2),), hidden_units=8))
    for online, target in zip(dqn.model.variables, dqn.target_model.variables, strict=True):
        np.testing.assert_array_equal(online, target)
        assert online is not target


def test_the_update_equals_the_papers_with_a_summed_gradient():
    """32 examples, clipped errors summed, 0.01 inside the root (the authors' update)."""
    rng = np.random.default_rng(0)
    dqn = make(optimizer=optimizers.CentredRMSProp(), discount=0.99)
    g, n, theta = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(20):
        batch = minibatch(rng.integers(0, 3, 32), rng.normal(0, 2, 32), rng.integers(0, 2, 32))
        y = batch.reward + 0.99 * batch.discount * 0.0
        error = np.clip(y - theta[batch.action], -1, 1)
        d = np.array([-error[batch.action == action].sum() for action in range(3)])
        g, n = 0.95 * g + 0.05 * d, 0.95 * n + 0.05 * d * d
        theta = theta - 0.00025 * d / np.sqrt(n - g * g + 0.01)
        update(dqn, batch)
        np.testing.assert_allclose(dqn.model.values, theta, rtol=2e-4, atol=1e-8)


def test_policies_in_tf_agents_own_driver():
    env = environment.GameEnvironment(catch.Catch, frame_size=20, history=2, num_games=2)
    dqn = make(functools.partial(network.NatureQNetwork, convolutions=((4, 4, 2),), hidden_units=8))
    metrics = [py_metrics.NumberOfEpisodes(), py_metrics.AverageReturnMetric(batch_size=2)]
    driver = py_driver.PyDriver(
        env,
        py_tf_eager_policy.PyTFEagerPolicy(
            dqn.collect_policy, use_tf_function=True, batch_time_steps=False
        ),
        metrics,
        max_episodes=4,
    )
    driver.run(env.reset(), dqn.collect_policy.get_initial_state(2))
    assert metrics[0].result() >= 4
    assert 0 <= metrics[1].result() <= 10


def test_bad_arguments():
    with pytest.raises(ValueError, match='target_update_period_updates = 0 must be a whole number'):
        make(target_update_period_updates=0)
    with pytest.raises(ValueError, match=r'DqnAgent.discount = 1.5 is outside \[0, 1\]'):
        make(discount=1.5)
    with pytest.raises(ValueError, match='DqnAgent.error_clip = -1 must be above 0, or None'):
        make(error_clip=-1)
