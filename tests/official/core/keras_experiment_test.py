import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from official.core import callbacks, checkpoints
from tests import conformance
from tests.official.core import toy, toy_model


@pytest.fixture(autouse=True)
def _signals_heard():
    with toy.signals_heard():
        yield


def w(experiment):
    return float(experiment.model.w)


def test_train_evaluate_and_history(tmp_path):
    experiment = toy_model.make(str(tmp_path))
    experiment.train()
    # Each step halves the error 1 - w: d/dw (w - 1)^2 = 2 (w - 1), times 0.25.
    assert w(experiment) == 1 - 0.5**10
    assert int(experiment.model.global_step) == 10
    rows = conformance.read_history(tmp_path)
    assert [row['step'] for row in rows] == [4, 8, 10]
    assert [row['test_error'] for row in rows] == [0.5**4, 0.5**8, 0.5**10]
    # The logged loss is the mean over the interval, before each update.
    assert rows[0]['loss'] == pytest.approx(np.mean([0.25**n for n in range(4)]))
    assert rows[0]['learning_rate'] == 0.25
    assert os.listdir(tmp_path / 'checkpoints') == ['00000010']
    result = toy_model.make(str(tmp_path)).evaluate()
    assert result['step'] == 10 and result['test_error'] == 0.5**10
    with open(tmp_path / 'result.json') as f:
        assert json.load(f) == result
    events = [name for name in os.listdir(tmp_path / 'summaries') if 'tfevents' in name]
    assert events


def test_an_evaluator_takes_the_place_of_keras(tmp_path):
    calls = []

    def evaluator(model, data, strategy, split, final):
        assert strategy.num_replicas_in_sync == 1
        calls.append((split, final))
        scores = {'score': 2 * float(model.w), 'of_sets': np.array([1.0, 2.0])}
        return {**scores, 'measured_on': f'{data.class_names[0]} sample'} if final else scores

    experiment = toy_model.make(str(tmp_path), evaluator=evaluator)
    experiment.train()
    result = experiment.evaluate()
    assert calls == [('test', False)] * 3 + [('test', True)]
    rows = conformance.read_history(tmp_path)
    assert [row['test_score'] for row in rows] == [2 * (1 - 0.5**n) for n in (4, 8, 10)]
    assert result['test_score'] == 2 * (1 - 0.5**10) and result['of_sets'] == [1.0, 2.0]
    assert result['measured_on'] == 'one sample'
    assert 'of_sets' not in rows[0] and 'test_of_sets' not in rows[0]


def test_a_check_ends_the_training_and_keeps_the_last_good_checkpoint(tmp_path):
    def check(rows):
        if rows[-1]['step'] == 8:
            raise FloatingPointError(f'collapsed from {rows[0]["test_error"]}')

    experiment = toy_model.make(str(tmp_path), check=check)
    with pytest.raises(FloatingPointError, match='collapsed from 0.0625'):
        experiment.train()
    assert experiment._checkpoints.steps() == [4]
    assert [row['step'] for row in conformance.read_history(tmp_path)] == [4, 8]


def test_a_model_sees_the_data_before_the_first_step(tmp_path):
    class Particular(toy_model.Line):
        def use_data(self, data):
            raise ValueError(f'{data.class_names} do not fit')

    with pytest.raises(ValueError, match='do not fit'):
        toy_model.make(str(tmp_path), model=lambda seed: Particular(seed))


@pytest.mark.parametrize('stop_at, steps_per_execution', [(4, 1), (5, 1), (8, 3)])
def test_resume_takes_the_same_steps(tmp_path, stop_at, steps_per_execution):
    make = lambda run_dir: toy_model.make(run_dir, steps_per_execution=steps_per_execution)
    conformance.train_until(make(str(tmp_path)), stop_at)
    resumed = make(str(tmp_path))
    resumed.train()
    assert w(resumed) == 1 - 0.5**10
    assert [row['step'] for row in conformance.read_history(tmp_path)] == [4, 8, 10]


def test_a_finished_run_goes_on_to_more_steps(tmp_path):
    """The steps after the end are those of a run that was to have more from the beginning."""
    toy_model.make(str(tmp_path / 'a'), train_steps=6).train()
    longer = toy_model.make(str(tmp_path / 'a'), train_steps=10)
    longer.train()
    whole = toy_model.make(str(tmp_path / 'b'), train_steps=10)
    whole.train()
    assert w(longer) == w(whole) == 1 - 0.5**10
    assert [row['step'] for row in conformance.read_history(tmp_path / 'a')] == [4, 6, 8, 10]
    with pytest.raises(ValueError, match='is at step 10 already, beyond .*train_steps = 6'):
        toy_model.make(str(tmp_path / 'a'), train_steps=6).train()
    assert set(type(whole).changeable) == {
        'train_steps', 'evaluator', 'split', 'monitor_split',
        'signatures', 'reporter', 'reference', 'title',
    }  # fmt: skip


@pytest.mark.parametrize('stop_at', [None, 4, 5])
def test_every_step_reads_its_own_data(tmp_path, stop_at):
    """A later interval, and a run that goes on, read where the step before them ended."""

    class Squares(toy_model.Ones):
        def train(self, start_step=0, input_context=None):
            steps = tf.data.Dataset.counter(start_step, dtype=tf.float32)
            return steps.map(lambda step: (tf.ones([2]), step**2 * tf.ones([2])))

    # A step of 1/2 against the gradient 2 (w - y) sets w to y.
    make = lambda: toy_model.make(
        str(tmp_path), data=Squares, optimizer=lambda: tf.keras.optimizers.SGD(0.5)
    )
    if stop_at is not None:
        conformance.train_until(make(), stop_at)
    experiment = make()
    experiment.train()
    assert w(experiment) == 9**2
    # Before the step n is w = (n - 1)^2, so that the cost is (2 n - 1)^2, and 0 at first.
    costs = [0, *((2 * n - 1) ** 2 for n in range(1, 10))]
    losses = [row['loss'] for row in conformance.read_history(tmp_path)]
    assert losses == pytest.approx([np.mean(costs[:4]), np.mean(costs[4:8]), np.mean(costs[8:])])


@pytest.mark.parametrize('signal_step, stopped_at', [(5, 6), (7, 8), (9, 10)])
def test_a_signal_saves_a_checkpoint_wherever_it_comes(tmp_path, capsys, signal_step, stopped_at):
    """In the middle of an interval, at its last step and at the last step of all."""
    experiment = toy_model.make(str(tmp_path))
    update = experiment.model.train_step

    def train_step(data):
        tf.py_function(
            lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == signal_step else None,
            [experiment.model.global_step],
            [],
        )
        return update(data)

    experiment.model.train_step = train_step
    previous = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        experiment.train()
    assert stopped.value.code == 128 + signal.SIGTERM
    assert f'Stopped by SIGTERM at step {stopped_at};' in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is previous
    resumed = toy_model.make(str(tmp_path))
    resumed.train()
    assert w(resumed) == 1 - 0.5**10
    # A first short fit runs to the boundary.
    assert [row['step'] for row in conformance.read_history(tmp_path)] == [4, 8, 10]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_and_checkpoint(tmp_path):
    experiment = toy_model.make(str(tmp_path), model_overrides={'nan_at': 6})
    with pytest.raises(FloatingPointError) as error:
        experiment.train()
    assert 'loss of step 6 is not finite' in str(error.value)
    assert os.path.join('checkpoints', '00000004') in str(error.value)
    assert os.listdir(tmp_path / 'checkpoints') == ['00000004']
    with pytest.raises(FloatingPointError, match='had not come to its first one'):
        toy_model.make(str(tmp_path / 'other'), model_overrides={'nan_at': 1}).train()


def test_best_checkpoint_is_kept_and_reported(tmp_path):
    # The rate 1 makes w go to 2, to 0, to 2, ...: the error is 1 for ever. Rate 1.25 diverges, so
    # that the first evaluation is the best.
    arguments = dict(
        optimizer=lambda: tf.keras.optimizers.SGD(1.25), monitor='test_error', report_best=True
    )
    experiment = toy_model.make(str(tmp_path), **arguments)
    experiment.train()
    assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['00000004', '00000010']
    result = toy_model.make(str(tmp_path), **arguments).evaluate()
    assert result['step'] == 4
    assert result['test_error'] == pytest.approx(1.5**4)


def test_patience_stops_early_and_stays_stopped(tmp_path):
    arguments = dict(
        optimizer=lambda: tf.keras.optimizers.SGD(1.25),
        monitor='test_error',
        patience_steps=8,
        train_steps=40,
    )
    experiment = toy_model.make(str(tmp_path), **arguments)
    experiment.train()
    assert int(experiment.model.global_step) == 12
    again = toy_model.make(str(tmp_path), **arguments)
    again.train()
    assert int(again.model.global_step) == 12


def test_averaged_weights_are_evaluated_saved_and_resumed(tmp_path):
    experiment = toy_model.make(str(tmp_path), average_decay=0.5)
    conformance.train_until(experiment, 6)
    resumed = toy_model.make(str(tmp_path), average_decay=0.5)
    resumed.train()
    # The average's error is e_n = (e_{n-1} + 2^-n) / 2 with e_0 = 1, so e_n = (1 + n / 2) 2^-n.
    expected_error = 6 * 0.5**10
    assert conformance.read_history(tmp_path)[-1]['test_error'] == pytest.approx(expected_error)
    assert w(resumed) == 1 - 0.5**10  # Training goes on from the weights, not their average.
    evaluated = toy_model.make(str(tmp_path), average_decay=0.5)
    assert evaluated.evaluate()['test_error'] == pytest.approx(expected_error)


def test_baseline_and_reference_are_in_the_result(tmp_path):
    def baseline(run_dir, seed, data_dir, strategy):
        return toy_model.make(run_dir, seed=seed, train_steps=2)

    experiment = toy_model.make(
        str(tmp_path), baseline=baseline, reference={'cell': 'Table 0', 'test_error': 0.5}
    )
    experiment.train()
    result = experiment.evaluate()
    assert result['baseline']['test_error'] == 0.25
    assert result['reference'] == {'cell': 'Table 0', 'test_error': 0.5}
    assert os.path.exists(tmp_path / 'baseline' / 'checkpoints' / '00000002')


def test_bfloat16_computes_and_keeps_float32_weights(tmp_path):
    policies = []

    def model(seed):
        policies.append(tf.keras.mixed_precision.global_policy().name)
        return toy_model.Line(seed=seed)

    experiment = toy_model.make(str(tmp_path), model=model, bfloat16=True)
    assert policies == ['mixed_bfloat16']
    assert experiment.model.w.dtype == tf.float32
    assert tf.keras.mixed_precision.global_policy().name == 'float32'


def test_what_is_wrong_with_a_model_is_told_before_data_are_read(tmp_path):
    def model(seed):
        raise FileNotFoundError('weights.h5')

    with pytest.raises(FileNotFoundError, match='weights.h5'):
        toy_model.make(str(tmp_path), model=model, data=lambda **_: pytest.fail('Data are read.'))


def test_data_are_not_made_in_the_policy_of_the_model(tmp_path):
    policies = []

    def data(seed, data_dir):
        policies.append(tf.keras.mixed_precision.global_policy().name)
        return toy_model.Ones(seed=seed, data_dir=data_dir)

    toy_model.make(str(tmp_path), data=data, bfloat16=True)
    assert policies == ['float32']


def test_a_checkpoint_that_was_cut_short_is_named_and_neither_restored_nor_overwritten(tmp_path):
    experiment = toy_model.make(str(tmp_path))
    experiment.train()
    path = experiment._checkpoints.path(experiment._checkpoints.steps()[-1])
    file = os.path.join(path, 'weights.data-00000-of-00001')
    size = os.path.getsize(file)
    with open(file, 'r+b') as f:
        f.truncate(size // 2)
    with pytest.raises(checkpoints.CheckpointError) as error:
        toy_model.make(str(tmp_path)).train()
    assert f'{file} has {size // 2} bytes, not {size}' in str(error.value)
    assert os.path.getsize(file) == size // 2
    with open(file, 'r+b') as f:
        f.truncate(size)
    with pytest.raises(checkpoints.CheckpointError, match='SHA-256'):
        toy_model.make(str(tmp_path)).evaluate()
    os.remove(file)
    with pytest.raises(checkpoints.CheckpointError, match='is missing'):
        toy_model.make(str(tmp_path)).export()


def test_a_checkpoint_of_another_model(tmp_path):
    toy_model.make(str(tmp_path)).train()

    class Parabola(toy_model.Line):
        def __init__(self, seed):
            super().__init__(seed)
            self.v = self.add_weight('v', ())

    with pytest.raises(ValueError, match='00000010 is of another model'):
        toy_model.make(str(tmp_path), model=Parabola).train()


@pytest.mark.parametrize(
    'argument, value', [('train_steps', 0), ('save_every_steps', -1), ('steps_per_execution', 0)]
)
def test_step_counts(tmp_path, argument, value):
    with pytest.raises(ValueError, match=f'{argument} = {value}'):
        toy_model.make(str(tmp_path), **{argument: value})


def test_a_monitor_that_is_no_metric(tmp_path):
    experiment = toy_model.make(str(tmp_path), monitor='validation_error')
    with pytest.raises(ValueError, match="monitor = 'validation_error' is none of the metrics"):
        experiment.train()
    with pytest.raises(ValueError, match='need a monitor'):
        toy_model.make(str(tmp_path), report_best=True)


def test_reporting_the_best_before_any_interval_was_evaluated(tmp_path):
    arguments = dict(monitor='test_error', report_best=True)
    experiment = toy_model.make(str(tmp_path), **arguments)
    experiment._save()
    with pytest.raises(ValueError, match='has no best checkpoint yet'):
        toy_model.make(str(tmp_path), **arguments).evaluate()


def test_evaluate_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match='has no checkpoint: train first'):
        toy_model.make(str(tmp_path)).evaluate()


@pytest.mark.parametrize(
    'argument, value, expected',
    [
        ('train_steps', True, 'KerasExperiment.train_steps = True must be a whole number'),
        ('train_steps', 2.5, 'KerasExperiment.train_steps = 2.5 must be a whole number'),
        ('bfloat16', 'False', "KerasExperiment.bfloat16 = 'False' must be True or False"),
        ('jit_compile', 0, 'KerasExperiment.jit_compile = 0 must be True or False'),
        ('calibrate', None, 'KerasExperiment.calibrate = None must be True or False'),
        ('report_best', 'no', "KerasExperiment.report_best = 'no' must be True or False"),
        ('average_decay', 1.0, r'KerasExperiment.average_decay = 1.0 is outside \[0, 1\)'),
        ('average_decay', float('nan'), 'KerasExperiment.average_decay = nan is outside'),
        ('average_start_step', -1, 'KerasExperiment.average_start_step = -1 must be'),
        ('patience_steps', 0, 'KerasExperiment.patience_steps = 0 must be'),
        ('reference', 'Table 1', "KerasExperiment.reference = 'Table 1' must be a dict"),
        ('signatures', 'x', "KerasExperiment.signatures = 'x' must be a class or a function"),
        ('reporter', 5, 'KerasExperiment.reporter = 5 must be a class or a function'),
        ('evaluator', (), r'KerasExperiment.evaluator = \(\) must be a class or a function'),
        ('data', None, 'KerasExperiment.data = None must be a class or a function'),
        (
            'model',
            toy_model.Line(),
            r'KerasExperiment.model is a Line already, .*@module.Line without '
            r'\(\)',
        ),
    ],
)
def test_arguments_of_another_kind(tmp_path, argument, value, expected):
    with pytest.raises(ValueError, match='^' + expected):
        toy_model.make(str(tmp_path), **{argument: value})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('rate', [0.0, -0.1, float('nan'), float('inf')])
def test_learning_rates_of_keras_optimizers(tmp_path, rate):
    with pytest.raises(ValueError, match=f'^SGD.learning_rate = {rate:g} must be a finite number'):
        toy_model.make(str(tmp_path), optimizer=lambda: tf.keras.optimizers.SGD(rate))


@pytest.mark.parametrize('outputs', [9, 11])
def test_a_classifier_has_one_output_per_class(tmp_path, outputs):
    """More outputs would be drawn as no class after the training, fewer be labels beyond all."""

    class Classifier(toy_model.Line):
        num_classes = outputs

    class Digits(toy_model.Ones):
        class_names = tuple('0123456789')

    def make():
        return toy_model.make(str(tmp_path), model=lambda seed: Classifier(seed), data=Digits)

    with pytest.raises(
        ValueError,
        match=(f'^Classifier has {outputs} outputs, one per class, and the data have 10 classes.$'),
    ):
        make()
    Classifier.num_classes = 10
    make()


def test_the_examples_of_model_and_data_have_one_shape(tmp_path):
    class Wide(toy_model.Ones):
        input_shape = (65,)

    with pytest.raises(
        ValueError, match=(r'^Line takes examples of shape \(\), and the data have \(65,\).$')
    ):
        toy_model.make(str(tmp_path), data=Wide)


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_every_signal_to_end_saves(tmp_path, capsys, number):
    experiment = toy_model.make(str(tmp_path))
    update = experiment.model.train_step

    def train_step(data):
        tf.py_function(
            lambda step: os.kill(os.getpid(), number) if step == 5 else None,
            [experiment.model.global_step],
            [],
        )
        return update(data)

    experiment.model.train_step = train_step
    with pytest.raises(SystemExit) as stopped:
        experiment.train()
    assert stopped.value.code == 128 + number
    assert f'Stopped by {number.name} at step 6;' in capsys.readouterr().err
    assert experiment._checkpoints.steps() == [6]


def test_a_signal_that_is_ignored_stays_ignored():
    """As SIGHUP is under `nohup`."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in callbacks.signals_to_end()
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert signal.SIGHUP in callbacks.signals_to_end()


def test_pictures_that_fail_end_no_run_and_are_named_in_the_report(tmp_path):
    def reporter(model, data, key):
        raise OSError('play.gif: 60.0 frames per second')

    experiment = toy_model.make(str(tmp_path), reporter=reporter)
    experiment.train()
    experiment.evaluate()
    with open(experiment.report()) as f:
        text = f.read()
    assert 'The pictures of the reporter could not be drawn: OSError: play.gif: 60.0 frames' in text
    assert 'Curves' in text
