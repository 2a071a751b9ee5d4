"""One training step of both players against NumPy in float64 (`numpy_gan.py`).

The gradients that the product used are solved from its updates by the formula of Adam. Along each
variable's own gradient, and along random directions of all variables, they are the finite
differences of the losses that `numpy_gan` writes down from the paper.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers
from research import s3gan
from tests.research.s3gan import numpy_gan

BATCH, BLOCKS = 4, (3, 4)  # Blocks of the generator and of the discriminator.
ALPHA, BETA = 0.3, 0.7
RATES, BETA_2, EPSILON = {'generator': 50.0, 'discriminator': 1.0}, 0.999, 1.0


class Method(NamedTuple):
    """Labels of the two updates, lambda, and which of the four images of an update are rotated."""

    classes: int
    labels: tuple[int, ...]
    lambda_: float | None
    rotated: list[int]


METHODS = {
    's3gan-co': Method(3, (0, 2, -1, -1, 1, -1, 2, 0), 0.4, [0, 2]),
    'single label': Method(1, (0,) * 8, None, []),
}
IN_G = {'blocks': BLOCKS[0], 'attention_after': 1}
IN_D = {'blocks': BLOCKS[1], 'attention_after': 1}


def make(method):
    """A model with attention in both networks and no weight that is 0."""
    sizes = {
        'image_size': 32,
        'ch': 4,
        'channels': 1,
        'num_classes': method.classes,
        'attention_after': 1,
    }
    model = s3gan.S3GAN(
        seed=5,
        generator=functools.partial(s3gan.Generator, **sizes, z_dim=8, embedding_size=5),
        discriminator=functools.partial(
            s3gan.Discriminator, projection=method.classes > 1, **sizes
        ),
        rotation_losses=bool(method.rotated),
        rotated_share=0.5,
        alpha=ALPHA,
        beta=BETA,
        label_loss=method.lambda_,
    )
    # An epsilon so large that an update tells the gradient, not its sign alone.
    players = [
        optimizers.FusedAdam(rate, beta_1=0.0, beta_2=BETA_2, epsilon=EPSILON)
        for rate in RATES.values()
    ]
    model.compile(players[0], discriminator_optimizer=players[1])
    model.build_optimizers()
    rng = np.random.default_rng(1)
    for variable in model.generator.trainable_variables + model.discriminator.trainable_variables:
        variable.assign_add(rng.normal(scale=0.05, size=variable.shape))
    for net in (model.generator, model.discriminator):
        net.non_local_block.sigma.assign(0.6)
    return model


def values(model):
    return {
        v.name[:-2]: v.numpy().astype(np.float64)
        for v in model.generator.variables + model.discriminator.variables
    }


class Reference:
    """The state before an update, and what the paper makes of it."""

    def __init__(self, state):
        self.state = state
        self.singular = {
            name[:-2]: numpy_gan.power_iteration(state[f'{name[:-2]}/kernel'], u)
            for name, u in state.items()
            if name.endswith('/u')
        }

    def networks(self, changes=()):
        return numpy_gan.Networks({**self.state, **dict(changes)}, self.singular)

    def check_u(self, after, moved):
        """u is the one of one power iteration where it moves, else as it was."""
        for name, (_, u) in self.singular.items():
            expected = u if moved(name) else self.state[f'{name}/u']
            np.testing.assert_allclose(after[f'{name}/u'], expected, atol=2e-5, err_msg=name)

    def check_gradients(self, loss, gradients):
        """Compares central differences of loss(networks) with the gradients, by name."""

        def difference(directions, step=1e-6):
            high, low = (
                loss(
                    self.networks(
                        (name, self.state[name] + sign * step * direction)
                        for name, direction in directions.items()
                    )
                )
                for sign in (1, -1)
            )
            return (high - low) / (2 * step)

        total = np.sqrt(sum(np.square(g).sum() for g in gradients.values()))
        assert total > 0.01
        for name, gradient in gradients.items():
            length = np.linalg.norm(gradient)
            if length < 1e-4 * total:  # Nothing but rounding.
                rng = np.random.default_rng(len(name))
                direction = rng.normal(size=gradient.shape)
                assert abs(difference({name: direction / np.linalg.norm(direction)})) < (
                    2e-4 * total
                ), name
                continue
            assert difference({name: gradient / length}) == pytest.approx(
                length, rel=2e-3, abs=1e-5 * total
            ), name
        rng = np.random.default_rng(0)
        for _ in range(5):
            # Of every variable as long as its gradient, so that each can be seen.
            directions = {
                name: rng.normal(size=g.shape) * np.linalg.norm(g) / np.sqrt(g.size)
                for name, g in gradients.items()
            }
            expected = sum((gradients[name] * d).sum() for name, d in directions.items())
            scale = np.sqrt(
                sum(np.square(gradients[name] * d).sum() for name, d in directions.items())
            )
            assert difference(directions) == pytest.approx(expected, abs=5e-3 * scale)


class Adam:
    """Kingma & Ba 2015, Algorithm 1, with beta_1 = 0, solved for the gradient."""

    def __init__(self, rate):
        self.rate, self.steps, self.second = rate, 0, {}

    def gradients(self, before, after, names):
        self.steps += 1
        rate = self.rate * np.sqrt(1 - BETA_2**self.steps)
        found = {}
        for name in names:
            change, old = after[name] - before[name], self.second.get(name, 0.0)
            gradient = np.zeros_like(change)
            for _ in range(60):  # A contraction: the root is small beside epsilon.
                second = BETA_2 * old + (1 - BETA_2) * gradient**2
                gradient = -change * (np.sqrt(second) + EPSILON) / rate
            self.second[name] = BETA_2 * old + (1 - BETA_2) * gradient**2
            found[name] = gradient
        return found


@pytest.mark.parametrize('method', METHODS.values(), ids=list(METHODS))
def test_a_step_of_both_players(method):
    model, given_labels = make(method), np.array(method.labels, np.int32)
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2 * BATCH, 32, 32, 1), np.uint8)
    draws = [
        (
            rng.normal(size=(BATCH, 8)).astype(np.float32),
            rng.integers(0, method.classes, BATCH, np.int32),
        )
        for _ in range(3)
    ]
    given = iter([tuple(map(tf.constant, pair)) for pair in draws])
    model.draw = lambda key, number: next(given)
    states, losses = [values(model)], []
    for name in ('_discriminator_step', '_generator_step'):
        original = getattr(model, name)

        def recorded(*args, original=original):
            loss, logs = original(*args)
            losses.append(float(loss))
            states.append(values(model))
            return loss, logs

        setattr(model, name, recorded)
    logs = model.train_step((tf.constant(images), tf.constant(given_labels)))
    assert len(losses) == 3 and next(given, None) is None

    names = {
        'generator': [v.name[:-2] for v in model.generator.trainable_variables],
        'discriminator': [v.name[:-2] for v in model.discriminator.trainable_variables],
    }
    adam = {player: Adam(rate) for player, rate in RATES.items()}
    of_generator = lambda name: name.startswith('generator/')

    # Two updates of the discriminator, of every other image each.
    for step in range(2):
        before, after, (z, y) = states[step], states[step + 1], draws[step]
        reference = Reference(before)
        real, labels = images[step::2] / 255, given_labels[step::2]
        start = reference.networks()
        fake = start.generator(z, y, **IN_G)
        soft = np.eye(method.classes)[labels]
        if method.lambda_ is not None:
            predicted = numpy_gan.log_softmax(start.predicted(start.features(real, **IN_D)))
            soft[labels < 0] = np.exp(predicted[labels < 0])

        def loss(networks):
            return networks.discriminator_loss(
                real, labels, soft, fake, y, method.rotated, BETA, method.lambda_, **IN_D
            )

        assert losses[step] == pytest.approx(loss(start), rel=1e-4)
        for name, value in before.items():
            if of_generator(name):
                np.testing.assert_array_equal(after[name], value, err_msg=name)
        reference.check_u(after, lambda name: not of_generator(name))
        reference.check_gradients(
            loss, adam['discriminator'].gradients(before, after, names['discriminator'])
        )

    # One of the generator.
    before, after, (z, y) = states[2], states[3], draws[2]
    reference = Reference(before)
    start = reference.networks()

    def loss(networks):
        fake = networks.generator(z, y, **IN_G)
        return networks.generator_loss(fake, y, method.classes, method.rotated, ALPHA, **IN_D)

    assert losses[2] == pytest.approx(loss(start), rel=1e-4)
    for name, value in before.items():
        if not of_generator(name):
            np.testing.assert_array_equal(after[name], value, err_msg=name)
    reference.check_u(after, of_generator)
    for name, moments in start.statistics.items():
        for moment, value in zip(('mean', 'variance'), moments, strict=True):
            moving = f'{name}/moving_{moment}'
            np.testing.assert_allclose(
                after[moving], 0.9 * before[moving] + 0.1 * value, rtol=1e-3, atol=1e-5
            )
    reference.check_gradients(loss, adam['generator'].gradients(before, after, names['generator']))
    assert float(logs['discriminator_loss']) == pytest.approx(losses[1])
    assert float(logs['generator_loss']) == pytest.approx(losses[2])
    assert int(model.optimizer.iterations) == 1 == int(model.global_step)
    assert int(model.discriminator_optimizer.iterations) == 2
