"""Checks that the model of every paper must pass; each paper gives a tiny experiment.

`make` below is a function make(run_dir, strategy=None, model_overrides=None, **overrides) that
returns a `KerasExperiment` whose training takes seconds; `overrides` replace arguments of the
experiment, `model_overrides` arguments of the model. A module trains it once, in a fixture:

    @pytest.fixture(scope='module')
    def trained(tmp_path_factory):
        return conformance.Trained(make, tmp_path_factory.mktemp('trained'), stop_at=6)
"""

import atexit
import concurrent.futures
import functools
import inspect
import json
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checkpoints, distribution


def two_devices():
    """The strategy over the two virtual CPUs that tests/conftest.py gives every process."""
    return distribution.mirrored(tuple(distribution.virtual_cpu_devices(2)))


def weights(experiment):
    """All variables of an experiment's checkpoint, by name in the checkpoint."""
    return _weights_in(experiment._checkpoints.directory)


def _weights_in(directory):
    found = checkpoints.Checkpoints(directory, {})
    reader = tf.train.load_checkpoint(os.path.join(found.path(found.steps()[-1]), 'weights'))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name not in ('_CHECKPOINTABLE_OBJECT_GRAPH', 'save_counter/.ATTRIBUTES/VARIABLE_VALUE')
    }


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


def assert_close(one, other, rtol, atol):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=atol, err_msg=name)


def _after_execution(experiment, action):
    """Has `action(step)` called after each execution of the training step."""
    original = experiment.model.make_train_function

    def make_train_function(force=False):
        function = original(force)

        def run(iterator):
            logs = function(iterator)
            action(int(experiment.model.global_step.numpy()))
            return logs

        return run

    experiment.model.make_train_function = make_train_function


class _Killed(Exception):
    pass


def train_until(experiment, step):
    """Trains, and stops without a word after the execution that reaches `step`."""

    def kill(at):
        if at >= step:
            raise _Killed

    _after_execution(experiment, kill)
    with pytest.raises(_Killed):
        experiment.train()


class Trained:
    """A training that the checks of a module share, with what a kill at `stop_at` would leave.

    The noise is drawn in two shards, as two devices draw it.

    Attributes:
      make: function that makes the experiment in a folder.
      experiment: the one that was trained.
      stopped: the run's folder as it was after the execution that reached `stop_at`.
    """

    def __init__(self, make, folder: pathlib.Path, stop_at: int, shards: bool = True):
        self.make = functools.partial(make, model_overrides={'noise_shards': 2}) if shards else make
        self.experiment = self.make(str(folder / 'run'))
        self.stopped = folder / 'stopped'

        def leave(step):
            if step >= stop_at and not self.stopped.exists():
                shutil.copytree(self.experiment.run_dir, self.stopped)

        _after_execution(self.experiment, leave)
        self.experiment.train()

    @functools.cached_property
    def result(self) -> dict:
        """What the evaluation of the run gives."""
        return self.experiment.evaluate()

    def copy(self, folder) -> str:
        """Returns a copy in `folder` of the run's folder, for tests that write into it."""
        return shutil.copytree(self.experiment.run_dir, os.path.join(folder, 'copy'))


def check_resume(trained, tmp_path):
    """Killed and begun again, the weights end with the same bits."""
    run_dir = shutil.copytree(trained.stopped, tmp_path / 'resumed')
    resumed = trained.make(str(run_dir))
    # There is something to resume, and steps of it that are taken again.
    assert resumed._checkpoints.steps() and os.listdir(run_dir / 'checkpoints') != os.listdir(
        os.path.join(trained.experiment.run_dir, 'checkpoints')
    )
    resumed.train()
    assert int(resumed.model.global_step) == resumed.train_steps
    assert_same_bits(weights(resumed), weights(trained.experiment))


def check_xla(trained, tmp_path, rtol=1e-3, atol=1e-4, **overrides):
    """With and without XLA the update is the same.

    Another process compiles, with whose end the memory goes: half a gigabyte for a training step.
    """
    spawned = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as process:
        compiled = process.submit(_train_compiled, trained.make, str(tmp_path), overrides).result()
    assert_close(_weights_in(compiled), weights(trained.experiment), rtol, atol)


def _train_compiled(make, run_dir, overrides):
    """Returns the folder of the checkpoints."""
    experiment = make(run_dir, jit_compile=True, **overrides)
    assert experiment.model.jit_compile
    experiment.train()
    return experiment._checkpoints.directory


def check_two_devices(trained, tmp_path, rtol=1e-3, atol=1e-4, counted=True):
    """Two devices make the update of one that draws noise in two shards, and the same scores.

    Args:
      trained: the training on one device.
      tmp_path: a folder.
      rtol: relative tolerance of the weights.
      atol: absolute tolerance of the weights.
      counted: the result has a confusion matrix, in which every example is counted once.
    """
    one, two = trained.experiment, trained.make(str(tmp_path), strategy=two_devices())
    two.train()
    assert two.strategy.num_replicas_in_sync == 2
    assert_close(weights(two), weights(one), rtol, atol)
    for row, other in zip(read_history(one.run_dir), read_history(two.run_dir), strict=True):
        assert row.keys() == other.keys()
        assert all(
            row[key] == pytest.approx(other[key], rel=1e-3) for key in row if key != 'train_seconds'
        )
    if counted:
        totals = [np.sum(of['confusion_matrix']) for of in (trained.result, two.evaluate())]
        assert totals[0] == totals[1] > 0


# Reads a line of a function's name and arguments, answers with an empty one, or with the error, and
# ends with its input.
_CLIENT = """
import contextlib, gc, io, json, sys, traceback
import numpy as np, tensorflow as tf
def answer(path, inputs, outputs):
    model = tf.saved_model.load(path)
    answers = {}
    for name, arrays in np.load(inputs, allow_pickle=True).item().items():
        found = model.signatures[name](**{key: tf.constant(array) for key, array in arrays.items()})
        answers[name] = {key: value.numpy() for key, value in found.items()}
    np.save(outputs, answers, allow_pickle=True)
    extra = [m for m in sys.modules if m.split('.')[0] in
             ('official', 'research', 'tensorflow_gnn', 'tf_agents', 'tensorflow_addons')]
    assert not extra, extra
def command_line(*arguments):
    from tensorflow.python.tools import saved_model_cli
    sys.argv = ['saved_model_cli', *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            saved_model_cli.main()
    except SystemExit as end:
        assert not end.code, end.code
for line in sys.stdin:
    try:
        name, *arguments = json.loads(line)
        {'answer': answer, 'command_line': command_line}[name](*arguments)
        print(json.dumps(''), flush=True)
    except BaseException:
        print(json.dumps(traceback.format_exc()), flush=True)
    gc.collect()
"""


@functools.cache
def _client():
    """The one process of this one that serves exported models and imports TensorFlow only."""
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    environment.pop('PYTHONPATH', None)
    client = subprocess.Popen(
        [sys.executable, '-P', '-c', _CLIENT],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd='/',
    )
    atexit.register(client.kill)
    return client


def _ask(*request):
    """Has the client call a function of its own."""
    client = _client()
    print(json.dumps(request), file=client.stdin, flush=True)
    error = json.loads(client.stdout.readline())
    assert not error, error


def check_export(path, inputs, tmp_path):
    """Calls signatures of a SavedModel in another process, which imports TensorFlow only.

    Args:
      path: the SavedModel.
      inputs: signature to argument to array.
      tmp_path: a folder.

    Returns:
      Signature to output to array.
    """
    files = [str(tmp_path / 'inputs.npy'), str(tmp_path / 'outputs.npy')]
    np.save(files[0], inputs, allow_pickle=True)
    _ask('answer', os.path.abspath(path), *files)
    return np.load(files[1], allow_pickle=True).item()


def saved_model_cli(path, signature, name, array, tmp_path):
    """Returns the answer of `saved_model_cli run` in that process: output to array."""
    np.save(tmp_path / 'input.npy', array)
    _ask(
        'command_line',
        'run',
        f'--dir={os.path.abspath(path)}',
        '--tag_set=serve',
        f'--signature_def={signature}',
        f'--inputs={name}={tmp_path}/input.npy',
        f'--outdir={tmp_path}/cli',
    )
    return {
        file.stem: np.load(file, allow_pickle=True) for file in (tmp_path / 'cli').glob('*.npy')
    }


def read_history(run_dir):
    with open(os.path.join(run_dir, 'history.jsonl')) as f:
        return [json.loads(line) for line in f]


def assert_defaults(owner, stated):
    """Asserts that the constructor's defaults of a class are `stated`, name to value."""
    parameters = inspect.signature(owner.__init__).parameters
    assert {name: parameters[name].default for name in stated} == stated


def tflite(path, signature, inputs, select=False):
    """Answers of one signature of a SavedModel, converted for TFLite: output to array.

    Ends the test, as skipped, if it was converted and TensorFlow's own interpreter cannot run it.

    Args:
      path: the SavedModel.
      signature: name of the signature.
      inputs: argument to array.
      select: TensorFlow's own operations may be used, too (SELECT_TF_OPS).
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[signature])
    if select:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS,
            tf.lite.OpsSet.SELECT_TF_OPS,
        ]
    content = converter.convert()
    if select and not tensorflow_private.has_flex_delegate():
        pytest.skip('converted; this TensorFlow cannot run SELECT_TF_OPS in TFLite')
    interpreter = tf.lite.Interpreter(model_content=content)
    details = interpreter.get_signature_runner(signature).get_input_details()
    for name, value in inputs.items():
        interpreter.resize_tensor_input(details[name]['index'], value.shape)
    return interpreter.get_signature_runner(signature)(**inputs)
