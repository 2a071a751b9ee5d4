"""Checks that the model of every paper must pass; each paper gives a tiny experiment.

`make` below is a function make(run_dir, strategy=None, model_overrides=None, **overrides) that
returns a `KerasExperiment` whose training takes seconds; `overrides` replace arguments of the
experiment, `model_overrides` arguments of the model. Importing this module gives the process two
virtual CPUs, which has to come before TensorFlow's first op.
"""

import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints, distribution

DEVICES = distribution.virtual_cpu_devices(2)


def two_devices():
    """The strategy over two virtual CPUs."""
    return distribution.mirrored(tuple(DEVICES))


def weights(experiment):
    """All variables of an experiment's checkpoint, by name in the checkpoint."""
    steps = experiment._checkpoints.steps()
    reader = tf.train.load_checkpoint(
        os.path.join(experiment._checkpoints.path(steps[-1]), 'weights')
    )
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


class _Killed(Exception):
    pass


def _train_until(experiment, step):
    """Trains, and stops without a word after the execution that reaches `step`."""
    original = experiment.model.make_train_function

    def make_train_function(force=False):
        function = original(force)

        def run(iterator):
            logs = function(iterator)
            if int(experiment.model.global_step.numpy()) >= step:
                raise _Killed
            return logs

        return run

    experiment.model.make_train_function = make_train_function
    with pytest.raises(_Killed):
        experiment.train()


def check_resume(make, tmp_path, stop_at):
    """Stopped at `stop_at` and begun again, the weights end with the same bits."""
    whole = make(str(tmp_path / 'whole'))
    whole.train()
    _train_until(make(str(tmp_path / 'stopped')), stop_at)
    resumed = make(str(tmp_path / 'stopped'))
    resumed.train()
    assert int(resumed.model.global_step) == resumed.train_steps
    assert_same_bits(weights(resumed), weights(whole))


def check_xla(make, tmp_path, rtol=1e-3, atol=1e-4):
    """With and without XLA the update is the same."""
    plain = make(str(tmp_path / 'plain'))
    compiled = make(str(tmp_path / 'xla'), jit_compile=True)
    assert compiled.model.jit_compile
    plain.train()
    compiled.train()
    assert_close(weights(compiled), weights(plain), rtol, atol)


def check_two_devices(make, tmp_path, rtol=1e-3, atol=1e-4):
    """Two devices make the update of one that draws noise in two shards."""
    one = make(str(tmp_path / 'one'), model_overrides={'noise_shards': 2})
    two = make(str(tmp_path / 'two'), strategy=two_devices())
    one.train()
    two.train()
    assert two.strategy.num_replicas_in_sync == 2
    assert_close(weights(two), weights(one), rtol, atol)
    for row, other in zip(read_history(one.run_dir), read_history(two.run_dir), strict=True):
        assert row.keys() == other.keys()
        assert all(
            row[key] == pytest.approx(other[key], rel=1e-3) for key in row if key != 'train_seconds'
        )
    result, other = one.evaluate(), two.evaluate()
    assert np.sum(result.get('confusion_matrix', 0)) == np.sum(other.get('confusion_matrix', 0))


def check_bad_checkpoint(make, tmp_path):
    """A checkpoint that was cut short is named, not restored and not overwritten."""
    run_dir = str(tmp_path / 'run')
    experiment = make(run_dir)
    experiment.train()
    path = experiment._checkpoints.path(experiment._checkpoints.steps()[-1])
    file = os.path.join(path, 'weights.data-00000-of-00001')
    size = os.path.getsize(file)
    with open(file, 'r+b') as f:
        f.truncate(size // 2)
    with pytest.raises(checkpoints.CheckpointError) as error:
        make(run_dir).train()
    assert f'{file} has {size // 2} bytes, not {size}' in str(error.value)
    assert os.path.getsize(file) == size // 2
    with open(file, 'r+b') as f:
        f.truncate(size)
    with pytest.raises(checkpoints.CheckpointError, match='SHA-256'):
        make(run_dir).evaluate()
    os.remove(file)
    with pytest.raises(checkpoints.CheckpointError, match='is missing'):
        make(run_dir).export()


_CLIENT = """
import json, sys
import numpy as np, tensorflow as tf
path, inputs, outputs = sys.argv[1:]
model = tf.saved_model.load(path)
answers = {}
for name, arrays in np.load(inputs, allow_pickle=True).item().items():
    found = model.signatures[name](**{key: tf.constant(value) for key, value in arrays.items()})
    answers[name] = {key: value.numpy() for key, value in found.items()}
np.save(outputs, answers, allow_pickle=True)
extra = [m for m in sys.modules if m.split('.')[0] in
         ('official', 'research', 'tensorflow_gnn', 'tf_agents', 'tensorflow_addons')]
assert not extra, extra
"""


def check_export(path, inputs, tmp_path):
    """Calls signatures of a SavedModel in a fresh process that imports TensorFlow alone.

    Args:
      path: the SavedModel.
      inputs: signature to argument to array.
      tmp_path: a folder.

    Returns:
      Signature to output to array.
    """
    np.save(tmp_path / 'inputs.npy', inputs, allow_pickle=True)
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    environment.pop('PYTHONPATH', None)
    subprocess.run(
        [
            sys.executable,
            '-c',
            _CLIENT,
            path,
            str(tmp_path / 'inputs.npy'),
            str(tmp_path / 'outputs.npy'),
        ],
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    return np.load(tmp_path / 'outputs.npy', allow_pickle=True).item()


def saved_model_cli(path, signature, name, array, tmp_path):
    """Returns the answer of `saved_model_cli run`: output to array."""
    np.save(tmp_path / 'input.npy', array)
    subprocess.run(
        [
            sys.executable,
            '-m',
            'tensorflow.python.tools.saved_model_cli',
            'run',
            '--dir',
            path,
            '--tag_set',
            'serve',
            '--signature_def',
            signature,
            '--inputs',
            f'{name}={tmp_path}/input.npy',
            '--outdir',
            str(tmp_path / 'cli'),
        ],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'},
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
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    details = interpreter.get_signature_runner(signature).get_input_details()
    for name, value in inputs.items():
        interpreter.resize_tensor_input(details[name]['index'], value.shape)
    return interpreter.get_signature_runner(signature)(**inputs)
