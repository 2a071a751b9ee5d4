"""The Ladder network against what every model of the house must do."""

import functools
import json
import os
import random as python_random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from official.core import keras_experiment
from official.data import digits
from official.modeling import optimizers, random, schedules
from research.ladder import data, export, model
from tests import conformance

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def make(run_dir, strategy=None, model_overrides=None, **overrides):
    """Seven steps of a small Ladder network on the digits, two steps a call, a checkpoint at 4."""
    arguments = dict(
        seed=3,
        train_steps=7,
        save_every_steps=4,
        steps_per_execution=2,
        calibrate=True,
        monitor_split='test',
        signatures=export.signatures,
        model=functools.partial(
            model.LadderNetwork,
            **{
                'encoder': (20, 10),
                'input_shape': (64,),
                'denoising_costs': (100.0, 1.0, 0.1),
                **(model_overrides or {}),
            },
        ),
        # A step of Adam is the rate times the gradient's sign at first; an epsilon that is not
        # tiny keeps gradients of nearly zero from being blown up.
        optimizer=lambda: optimizers.FusedAdam(
            schedules.ConstantThenLinear(0.002, 5, 7), epsilon=1e-3
        ),
        data=functools.partial(
            data.SemiSupervisedData,
            source=digits.load,
            num_labels=50,
            labelled_batch=20,
            unlabelled_batch=40,
        ),
    )
    return keras_experiment.KerasExperiment(
        run_dir, strategy=strategy, **{**arguments, **overrides}
    )


@pytest.fixture(name='trained', scope='module')
def trained_fixture(tmp_path_factory):
    return conformance.Trained(make, tmp_path_factory.mktemp('trained'), stop_at=6)


def test_resume(trained, tmp_path):
    conformance.check_resume(trained, tmp_path)


def test_xla(trained, tmp_path):
    conformance.check_xla(trained, tmp_path)


def test_two_devices(trained, tmp_path):
    conformance.check_two_devices(trained, tmp_path)


def test_calibration_on_two_devices(trained, tmp_path):
    one = trained.make(str(tmp_path / 'one'))
    two = make(str(tmp_path / 'two'), strategy=conformance.two_devices())
    for experiment in (one, two):
        experiment.model.calibrate(experiment._distributed(experiment.data.calibration))
    for rung, other in zip(one.model.rungs, two.model.rungs, strict=True):
        np.testing.assert_allclose(rung.mean, other.mean.values[0], atol=1e-4)
        np.testing.assert_allclose(rung.variance, other.variance.values[0], rtol=1e-3)
        assert np.any(rung.mean.numpy() != 0)


def test_export_answers_as_the_model_does(tmp_path):
    run_dir = str(tmp_path / 'run')
    experiment = make(
        run_dir,
        model_overrides={'encoder': (20, 15, 10), 'denoising_costs': (100.0, 1.0, 0.1, 0.1)},
        train_steps=100,
        save_every_steps=100,
        steps_per_execution=50,
        optimizer=lambda: optimizers.FusedAdam(0.01),
    )
    experiment.train()
    path = experiment.export()
    with experiment.reported_model() as trained:
        x, labels = experiment.data.inputs('test')
        expected = trained.predict(x, verbose=0)
    # Not a model that answers at random (0.1): seeds 0 to 2 give 0.77, 0.66 and 0.71, with one
    # thread and with two.
    assert (expected.argmax(1) == labels).mean() > 0.4
    pixels = experiment.data.arrays.test_images
    # A PNG has values up to 255, the digits up to 16; 16 * 15 = 240 is the closest whole factor.
    pngs = np.array(
        [
            tf.io.encode_png(tf.cast(tf.round(image / 16 * 255), tf.uint8)).numpy()
            for image in pixels[:20].astype(np.float32)
        ]
    )
    answers = conformance.check_export(
        path,
        {
            'serving_default': {'x': x},
            'predict': {'x': x[:3]},
            'pixels': {'images': pixels},
            'image_bytes': {'files': pngs},
        },
        tmp_path,
    )
    np.testing.assert_allclose(answers['serving_default']['probabilities'], expected, atol=1e-5)
    np.testing.assert_array_equal(answers['serving_default']['labels'], expected.argmax(1))
    assert [name.decode() for name in answers['serving_default']['names']] == [
        experiment.data.class_names[label] for label in expected.argmax(1)
    ]
    np.testing.assert_allclose(answers['predict']['probabilities'], expected[:3], atol=1e-5)
    np.testing.assert_allclose(answers['pixels']['probabilities'], expected, atol=1e-5)
    np.testing.assert_allclose(answers['image_bytes']['probabilities'], expected[:20], atol=1e-4)
    cli = conformance.saved_model_cli(path, 'serving_default', 'x', x, tmp_path)
    np.testing.assert_array_equal(cli['labels'], expected.argmax(1))
    check_other_shapes_are_refused(path)
    for signature, inputs in (('predict', {'x': x[:5]}), ('pixels', {'images': pixels[:5]})):
        answers = conformance.tflite(path, signature, inputs)
        np.testing.assert_allclose(answers['probabilities'], expected[:5], atol=2e-6)
        np.testing.assert_array_equal(answers['labels'], expected[:5].argmax(1))


def check_other_shapes_are_refused(path):
    """Images of four times or three times the pixels are no four, and no three, examples."""
    signatures = tf.saved_model.load(path).signatures
    for signature, name, shape in (
        ('pixels', 'images', (1, 16, 16, 1)),
        ('pixels', 'images', (3, 8, 8, 3)),
        ('predict', 'x', (2, 128)),
    ):
        value = tf.zeros(shape, tf.uint8 if signature == 'pixels' else tf.float32)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r'hape of tensor .*is not compat'):
            signatures[signature](**{name: value})


def test_bfloat16_changes_the_products_and_little_else(tmp_path):
    costs = []
    for bfloat16 in (False, True):
        experiment = make(str(tmp_path), bfloat16=bfloat16)
        (x, unlabelled), y = next(iter(experiment.data.train()))
        with tf.GradientTape() as tape:
            terms, _ = experiment.model.costs(x, y, unlabelled, random.make_key(0))
        gradients = tape.gradient(terms['loss'], experiment.model.trainable_variables)
        assert all(
            g.dtype == v.dtype == tf.float32
            for g, v in zip(gradients, experiment.model.trainable_variables, strict=True)
        )
        costs.append(float(terms['loss']))
    assert costs[0] != costs[1]
    assert costs[0] == pytest.approx(costs[1], rel=0.02)
    experiment.train()
    x, labels = experiment.data.inputs('test')
    with experiment.reported_model() as trained:
        wrong = np.mean(trained.predict(x, verbose=0).argmax(1) != labels)
    assert experiment.evaluate()['test_error_percent'] == pytest.approx(100 * wrong)
    assert os.path.isdir(experiment.export())


TINY = [
    'KerasExperiment.train_steps=200',
    'KerasExperiment.save_every_steps=10',
    'KerasExperiment.steps_per_execution=5',
    'KerasExperiment.monitor_split=None',
    'baseline/KerasExperiment.train_steps=1',
    'KerasExperiment.baseline=None',
    'LadderNetwork.encoder=(40, 10)',
    'LadderNetwork.denoising_costs=(100.0, 1.0, 0.1)',
]


def launch(run_dir):
    return subprocess.Popen(
        [
            sys.executable,
            '-m',
            'official.launch',
            '--mode=train',
            f'--model_dir={run_dir}',
            '--gin_file=gin_configs/ladder/digits_100.gin',
            *(f'--gin_param={p}' for p in TINY),
        ],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': ROOT},
        stderr=subprocess.PIPE,
        text=True,
    )


def checkpoints_in(run_dir):
    folder = os.path.join(run_dir, 'checkpoints')
    return [name for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []


def wait_for_a_checkpoint_and_more(process, run_dir, moments):
    """Until some time after the next checkpoint of a run."""
    before = set(checkpoints_in(run_dir))
    while process.poll() is None and set(checkpoints_in(run_dir)) == before:
        time.sleep(0.02)
    time.sleep(moments.uniform(0, 0.3))


def test_killed_at_random_moments_the_run_ends_with_the_same_bits(tmp_path):
    """What is on disk while a process stands still is what it leaves when it is killed."""
    whole, killed = str(tmp_path / 'whole'), str(tmp_path / 'killed')
    moments = python_random.Random(0)
    process = launch(whole)
    wait_for_a_checkpoint_and_more(process, whole, moments)
    process.send_signal(signal.SIGSTOP)
    shutil.copytree(whole, killed)
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0, process.stderr.read()
    process = launch(killed)
    assert checkpoints_in(killed) and '00000200' not in checkpoints_in(killed)
    wait_for_a_checkpoint_and_more(process, killed, moments)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = launch(killed)
    assert process.wait() == 0, process.stderr.read()
    one, other = (
        tf.train.load_checkpoint(os.path.join(run_dir, 'checkpoints', '00000200', 'weights'))
        for run_dir in (whole, killed)
    )
    names = one.get_variable_to_shape_map()
    assert len(names) > 20
    for name in names:
        if 'OBJECT_GRAPH' not in name:
            assert np.array_equal(one.get_tensor(name), other.get_tensor(name)), name


_WORKER = """
import sys
from official.core import distribution
strategy = distribution.make_strategy('multi_worker')
from tests.research.ladder import conformance_test
experiment = conformance_test.make(sys.argv[1], strategy=strategy)
experiment.train()
experiment.evaluate()
"""


def test_two_workers_make_the_update_of_one_device(trained, tmp_path):
    import portpicker

    addresses = [f'localhost:{portpicker.pick_unused_port()}' for _ in range(2)]
    run_dir = str(tmp_path / 'two')
    workers = [
        subprocess.Popen(
            [sys.executable, '-c', _WORKER, run_dir],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                'PYTHONPATH': ROOT,
                'TF_CPP_MIN_LOG_LEVEL': '3',
                'TF_CONFIG': json.dumps(
                    {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}}
                ),
            },
        )
        for index in range(2)
    ]
    errors = [worker.communicate(timeout=240)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    one, two = trained.experiment, make(run_dir)
    conformance.assert_close(conformance.weights(two), conformance.weights(one), 1e-3, 1e-4)
    with open(os.path.join(run_dir, 'result.json')) as f:
        result = json.load(f)
    assert np.sum(result['confusion_matrix']) == 500
    expected = trained.result['test_error_percent']
    assert result['test_error_percent'] == pytest.approx(expected, abs=1.0)
