import pytest
import tensorflow as tf

from official.modeling import optimizers, schedules


def test_constant_then_linear():
    schedule = schedules.ConstantThenLinear(0.002, decay_start=60_000, decay_end=90_000)
    # By hand: 60 000 steps at 0.002, half of it half way down, 0 at the end and after.
    for step, rate in (
        (0, 0.002),
        (59_999, 0.002),
        (60_000, 0.002),
        (75_000, 0.001),
        (89_970, 2e-6),
        (90_000, 0.0),
        (100_000, 0.0),
    ):
        assert float(schedule(step)) == pytest.approx(rate, rel=1e-4, abs=1e-12)
    copy = schedules.ConstantThenLinear(**schedule.get_config())
    assert float(copy(70_000)) == float(schedule(70_000))


def test_the_rate_falls_in_the_optimizer_as_it_steps():
    optimizer = optimizers.FusedAdam(schedules.ConstantThenLinear(0.1, 2, 4))
    variable = tf.Variable([1.0])
    moves = []
    for _ in range(5):
        before = variable.numpy()[0]
        optimizer.apply_gradients([(tf.constant([1.0]), variable)])
        moves.append(before - variable.numpy()[0])
    # A constant gradient makes Adam move by the learning rate exactly.
    assert moves == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.0], abs=1e-5)


@pytest.mark.parametrize('start, end', [(5, 5), (7, 3), (-1, 3)])
def test_a_decay_that_ends_before_it_starts(start, end):
    with pytest.raises(ValueError, match=f'decay_start = {start}'):
        schedules.ConstantThenLinear(0.1, start, end)


def test_step_decay():
    schedule = schedules.StepDecay(0.01, every_steps=50)
    # By hand: halved after 50, 100 and 10 * 50 steps.
    for step, rate in (
        (0, 0.01),
        (49, 0.01),
        (50, 0.005),
        (99, 0.005),
        (100, 0.0025),
        (500, 0.01 / 1024),
    ):
        assert float(schedule(tf.constant(step, tf.int64))) == pytest.approx(rate, rel=1e-6)
    # Steps beyond 2^24, which floats do not count one by one.
    late = schedules.StepDecay(1.0, every_steps=2**24 + 1)
    assert float(late(2**24)) == 1 and float(late(2**24 + 1)) == 0.5
    copy = schedules.StepDecay(**schedules.StepDecay(0.3, 7, factor=0.1).get_config())
    assert float(copy(14)) == pytest.approx(0.003)


@pytest.mark.parametrize(
    'settings, told',
    [({'every_steps': 0}, 'every_steps = 0'), ({'every_steps': 5, 'factor': 0.0}, 'factor = 0.0')],
)
def test_a_step_decay_that_cannot_be(settings, told):
    with pytest.raises(ValueError, match=told):
        schedules.StepDecay(0.1, **settings)


def test_warmup_then_steps():
    schedule = schedules.WarmupThenSteps(0.6, 10, (90, 110))
    # By hand: a tenth of the rate a step, then 0.6, 0.06 from step 90 and 0.006 from step 110 on.
    for step, rate in (
        (0, 0.0),
        (1, 0.06),
        (5, 0.3),
        (10, 0.6),
        (89, 0.6),
        (90, 0.06),
        (109, 0.06),
        (110, 0.006),
        (10**6, 0.006),
    ):
        assert float(schedule(tf.constant(step, tf.int64))) == pytest.approx(rate, rel=1e-6)
    copy = schedules.WarmupThenSteps(**schedules.WarmupThenSteps(8.0, 0, (7,), 0.5).get_config())
    assert [float(copy(step)) for step in (0, 6, 7)] == [8.0, 8.0, 4.0]
    assert float(schedules.WarmupThenSteps(3.0, 2, ())(9)) == 3.0


@pytest.mark.parametrize(
    'warmup, steps, factor, told',
    [
        (10, (9,), 0.1, r'decay_steps = \(9,\)'),
        (0, (5, 5), 0.1, r'decay_steps = \(5, 5\)'),
        (-1, (5,), 0.1, 'warmup_steps = -1'),
        (0, (5,), 0.0, 'factor = 0.0'),
    ],
)
def test_a_warmup_and_steps_that_cannot_be(warmup, steps, factor, told):
    with pytest.raises(ValueError, match=told):
        schedules.WarmupThenSteps(0.1, warmup, steps, factor)


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan'), float('inf'), None])
def test_a_rate_that_cannot_be(rate):
    for made in (
        lambda: schedules.ConstantThenLinear(rate, 1, 2),
        lambda: schedules.StepDecay(rate, 1),
        lambda: schedules.WarmupThenSteps(rate, 0, ()),
    ):
        with pytest.raises(ValueError, match=f'learning_rate = {rate} must be a finite number'):
            made()
