"""The whole loop of a tiny training against Algorithm 1 in NumPy and float64."""

import functools
import json

import numpy as np

from official.modeling import optimizers, random
from research.dqn import agent, environment, game, network, policy, replay
from tests.research.dqn import numpy_algorithm_1, tiny

SIZE, HISTORY, BATCH = 8, 3, 4
START, EVERY, COPY = 24, 4, 4
SEED = 3
# No luminance of these is near a half, where rounding would be a matter of the last bit.
COLORS = np.array(
    [
        (0, 0, 0),
        (250, 10, 30),
        (20, 200, 90),
        (90, 80, 255),
        (255, 250, 40),
        (140, 10, 160),
        (60, 160, 220),
        (255, 255, 255),
    ],
    np.uint8,
)


class Sparks(game.Game):
    """Colours that follow from all that was done; lives are lost and won, rewards are of any size.

    A frame differs from the one before it, and an episode ends on any frame of an action.
    """

    name = 'sparks'
    action_names = ('NOOP', 'A', 'B')
    screen_shape = (16, 16, 3)

    def __init__(self, seed=0):
        del seed
        self._episode = 0
        self.reset()

    def reset(self):
        self._episode += 1
        self._frame, self._number, self._lives = 0, self._episode, 3

    def act(self, action):
        self._frame += 1
        self._number = (31 * self._number + 7 * action + self._frame) % 1009
        self._lives += {0: -1, 1: 1}.get(self._number % 13, 0)
        return {0: 40.0, 1: -25.0, 2: 1.0}.get(self._number % 9, 0.0)

    def is_over(self):
        return self._lives <= 0 or self._number % 37 == 5

    def lives(self):
        return self._lives

    def screen(self, out):
        tiles = np.random.default_rng(self._number).integers(len(COLORS), size=(8, 8))
        out[:] = np.kron(COLORS[tiles], np.ones((2, 2, 1), np.uint8))
        out[self._frame % 16] = COLORS[self._frame % len(COLORS)]

    def state(self):
        return json.dumps([self._episode, self._frame, self._number, self._lives]).encode()

    def restore(self, state):
        self._episode, self._frame, self._number, self._lives = json.loads(state)


def draws(number):
    """The random numbers of an action; see `policy.EpsilonGreedyPolicy`."""
    key = random.fold_in(random.make_key(SEED), number)
    explore, which, order = (random.fold_in(key, index) for index in range(3))
    return (
        float(random.uniform(explore, [1])[0]),
        float(random.uniform(which, [1])[0]),
        random.uniform(order, [1, 3]).numpy()[0],
    )


def test_the_loop_is_algorithm_1(tmp_path):
    """Frames, stacks, choices, clipped rewards, targets, errors, steps and copies of 160 steps."""
    epsilon = policy.LinearEpsilon(0.6, 0.1, 120)
    run = tiny.make(
        tmp_path,
        seed=SEED,
        train_agent_steps=160,
        num_games=1,
        environment=functools.partial(
            environment.GameEnvironment, Sparks, frame_size=SIZE, history=HISTORY, max_noop_frames=0
        ),
        q_network=functools.partial(
            network.NatureQNetwork, convolutions=((5, 3, 2), (4, 2, 1)), hidden_units=9
        ),
        agent=functools.partial(agent.DqnAgent, target_update_period_updates=COPY),
        optimizer=lambda: optimizers.CentredRMSProp(0.005, epsilon=0.01 / BATCH**2),
        replay=functools.partial(replay.FrameReplay, capacity_frames=400),
        epsilon=epsilon,
        replay_start_agent_steps=START,
        update_period_agent_steps=EVERY,
        minibatch_size=BATCH,
        save_every_agent_steps=200,
        evaluate_every_agent_steps=None,
    )
    # Larger values, so that errors are beyond 1 and the greedy actions differ.
    for variable in run.model.trainable_variables:
        variable.assign(2.5 * variable)
    run.agent.initialize()
    first = [variable.numpy() for variable in run.model.trainable_variables]
    learn, sampled, errors, losses = run._training._learner, [], [], []

    def record(batch):
        loss, error = learn(batch)
        sampled.append(batch.index)
        errors.append(error)
        losses.append(loss)
        return loss, error

    run._training._learner = record
    run.train()

    by_hand = numpy_algorithm_1.Algorithm1(
        Sparks(),
        numpy_algorithm_1.QNetwork(first, (2, 1)),
        numpy_algorithm_1.RMSProp(0.005),
        draws,
        sampled,
        lambda step: 0.6 - 0.5 * min(step / 120, 1),
        size=SIZE,
        history=HISTORY,
        replay_start=START,
        update_every=EVERY,
        copy_every=COPY,
    )
    by_hand.run(160)

    # What is remembered: every choice, and what it led to.
    ring = run._training._replay._ring
    steps = ring.steps[: ring.count, 0]
    action, reward, discount, begins = zip(*by_hand.steps, strict=True)
    np.testing.assert_array_equal(steps['first'], begins)
    np.testing.assert_array_equal(
        steps['action'][~steps['first']], np.array(action)[~steps['first']]
    )
    np.testing.assert_array_equal(steps['reward'], reward)
    np.testing.assert_array_equal(steps['discount'], discount)
    np.testing.assert_array_equal(ring.frames[: ring.count, 0], by_hand.frames)
    # What is learnt from it.
    assert len(errors) == len(by_hand.errors) == (160 - START) // EVERY
    np.testing.assert_allclose(np.abs(errors), np.abs(by_hand.errors), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(losses, np.array(by_hand.losses) / BATCH, rtol=1e-3, atol=1e-5)
    for variable, weight in zip(
        run.model.trainable_variables, by_hand.network.weights, strict=True
    ):
        np.testing.assert_allclose(variable, weight, rtol=1e-3, atol=2e-4, err_msg=variable.name)
    for variable, weight in zip(
        run.agent.target_model.trainable_variables, by_hand.target.weights, strict=True
    ):
        np.testing.assert_allclose(variable, weight, rtol=1e-3, atol=2e-4, err_msg=variable.name)
    # The run has all that it could be wrong about.
    assert np.max(np.abs(by_hand.errors)) > 1.1 and np.min(np.abs(by_hand.errors)) < 0.9
    assert set(reward) == {-1, 0, 1} and sum(begins) > 3
    terminal = np.array(discount) == 0
    ended = np.append(np.array(begins)[1:], True)
    assert (terminal & ~ended).any() and (terminal & ended).any()
    assert len(by_hand.errors) % COPY  # The two networks differ at the end.
    greedy = [draws(number)[0] >= epsilon(number) for number in range(START, 160)]
    assert 40 < sum(greedy) < 120
    # Weights have moved much farther than the bounds above.
    assert (
        max(np.abs(a - b).max() for a, b in zip(first, by_hand.network.weights, strict=True)) > 0.05
    )
