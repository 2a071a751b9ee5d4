"""PyTorch's networks of the S3GAN benchmark are ours.

PyTorch is not of the locked stack. What needs it runs in a process of the Python that
ARBORETUM_TORCH_PYTHON names (or of this one, should it have torch).
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import contest, s3gan, s3gan_tensorflow
from official.modeling import optimizers

SCRIPT = pathlib.Path(s3gan.__file__).parent / 's3gan_torch.py'
SMALL = s3gan.CONFIGS['small']._replace(batch=32)  # Two images are rotated.
LARGE = s3gan.CONFIGS['full']._replace(ch=8, classes=10)
# Epsilon of Adam in the comparison: so large that the noise of a gradient is no step.
EPSILON_HAT = 1e-3

# Run by the other Python: folder of s3gan_torch.py, configuration, epsilon, file of arrays to read,
# file to write.
PROGRAM = """
import json
import sys
import numpy as np
import torch
sys.path.insert(0, sys.argv[1])
import s3gan_torch as s

torch.manual_seed(0)
config = s.Config(*(tuple(v) if isinstance(v, list) else v for v in json.loads(sys.argv[2])))
given = {name: torch.tensor(value) for name, value in np.load(sys.argv[4]).items()}
images = given.pop('images').permute(0, 3, 1, 2)
labels = given.pop('labels').long()
draws = [(given.pop(f'z {i}'), given.pop(f'y {i}').long()) for i in range(3)]


def training(**options):
    made = s.Training(config, **options)
    for name in ('generator', 'discriminator'):
        net = getattr(made, name)
        net.load_state_dict({key.split()[1]: value.reshape(net.state_dict()[key.split()[1]].shape)
                             for key, value in given.items() if key.split()[0] == name})
    for weights, average in zip(made.generator.parameters(), made.averages, strict=True):
        average.copy_(weights.detach())
    # Theirs is added after the correction of the bias, ours before.
    for optimizer in made.optimizers:
        steps = []

        def correct(optimizer, args, kwargs, steps=steps):
            steps.append(0)
            for group in optimizer.param_groups:
                group['eps'] = float(sys.argv[3]) / (1 - 0.999 ** len(steps)) ** 0.5
        optimizer.register_step_pre_hook(correct)
    return made


results = {'configs': json.dumps(s.CONFIGS)}
for layout in s.LAYOUTS:
    made = training(layout=layout)
    for name, training_mode in (('moving', False), ('batch', True)):
        s.set_mode(made.generator, training_mode, moving=False)
        with torch.no_grad():
            results[f'{layout} images {name}'] = made.make(*draws[0]).permute(0, 2, 3, 1).numpy()
    results[f'{layout} losses'] = made.step(images, labels, draws)
    for net in ('generator', 'discriminator'):
        for key, value in getattr(made, net).state_dict().items():
            results[f'{layout} {net} {key}'] = value.numpy()
    for (key, _), average in zip(made.generator.named_parameters(), made.averages, strict=True):
        results[f'{layout} average {key}'] = average.numpy()
results['half losses'] = training(dtype='bfloat16').step(images, labels, draws)
# Another vector and no iteration that is not kept: no more than about the same.
library = s.Training(config, kind='library')
assert all(np.isfinite(library.step(images, labels, draws)))
np.savez(sys.argv[5], **results)
"""


@functools.cache
def torch_python():
    """A Python that has torch; the test is skipped without."""
    python = os.environ.get(contest.TORCH_VARIABLE)
    if python:
        found = not subprocess.run(
            [python, '-I', '-c', 'import torch'], capture_output=True
        ).returncode
    else:
        python, found = sys.executable, importlib.util.find_spec('torch')
    return python if found else None


def require_torch():
    if not torch_python():
        pytest.skip(f'no torch here, and {contest.TORCH_VARIABLE} names no Python with it')
    return torch_python()


def torch_names(model):
    """'generator' or 'discriminator' and the name that torch has, to the variable of `model`."""

    def name(variable):
        *scopes, kind = variable.name.removesuffix(':0').split('/')
        net = 'generator' if scopes[0] == 'generator' else 'discriminator'
        normalized = '/'.join([*scopes, 'u']) in with_u
        if kind == 'kernel':
            kind = 'parametrizations.weight.original' if normalized else 'weight'
        elif kind == 'u':
            kind = 'parametrizations.weight.0.u'
        return f'{net} ' + '.'.join([*(scopes[1:] if scopes[0] == net else scopes), kind])

    variables = model.generator.variables + model.discriminator.variables
    with_u = {variable.name.removesuffix(':0') for variable in variables}
    return {name(variable): variable for variable in variables}


def in_torch_layout(name, value):
    """An array as torch has it: outputs first, but for embeddings."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    embedding = 'embed_y' in name or 'discriminator_projection' in name
    if name.endswith(('original', 'weight')) and not embedding:
        return value.T
    return value[0] if name.endswith('.u') else value


@pytest.mark.parametrize('config', [SMALL, LARGE], ids=['small', 'large'])
def test_images_losses_and_a_step_are_torch_s(config, tmp_path):
    python = require_torch()
    rng = np.random.default_rng(0)
    model = s3gan_tensorflow.training(config)
    model.compile(
        *(
            optimizers.FusedAdam(rate, beta_1=0.0, beta_2=0.999, epsilon=EPSILON_HAT)
            for rate in s3gan_tensorflow.LEARNING_RATES[:1]
        ),
        discriminator_optimizer=optimizers.FusedAdam(
            s3gan_tensorflow.LEARNING_RATES[1], beta_1=0.0, beta_2=0.999, epsilon=EPSILON_HAT
        ),
    )
    model.build_optimizers()
    variables = torch_names(model)
    for name, variable in variables.items():
        value = variable.numpy()
        if 'variance' in name:
            variable.assign(rng.uniform(0.5, 2.0, value.shape))
        elif not name.endswith('.u'):  # Nothing is to be 0, the attention least of all.
            variable.assign(value + rng.normal(scale=0.1, size=value.shape))
    for average, variable in zip(model.average.averages, model.averaged_variables, strict=True):
        average.assign(variable)
    start = {name: in_torch_layout(name, variable.numpy()) for name, variable in variables.items()}
    number, size = config.batch, config.image_size
    images = rng.integers(256, size=(2 * number, size, size, config.channels), dtype=np.uint8)
    labels = rng.integers(config.classes, size=2 * number, dtype=np.int32)
    draws = [
        (
            rng.normal(size=(number, model.generator.z_dim)).astype(np.float32),
            rng.integers(config.classes, size=number, dtype=np.int32),
        )
        for _ in range(3)
    ]
    np.savez(
        tmp_path / 'given.npz',
        images=images,
        labels=labels,
        **start,
        **{
            f'{part} {i}': value
            for i, pair in enumerate(draws)
            for part, value in zip('zy', pair, strict=True)
        },
    )
    done = subprocess.run(
        [
            python,
            '-I',
            '-c',
            PROGRAM,
            str(SCRIPT.parent),
            json.dumps(config),
            str(EPSILON_HAT),
            str(tmp_path / 'given.npz'),
            str(tmp_path / 'results.npz'),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = dict(np.load(tmp_path / 'results.npz'))
    assert json.loads(str(results['configs'])) == json.loads(json.dumps(s3gan.CONFIGS))

    draws = [tuple(map(tf.constant, pair)) for pair in draws]
    made = {
        'moving': model.generator(*draws[0]).numpy(),
        'batch': model.generator(*draws[0], training=True, frozen=True).numpy(),
    }
    losses, remaining = [], iter(draws)
    for part in ('discriminator_loss', 'generator_loss'):
        original = getattr(model, part)

        def recorded(*args, original=original):
            loss, logs = original(*args)
            losses.append(float(loss))
            return loss, logs

        setattr(model, part, recorded)
    model.draw = lambda key, number: next(remaining)
    model.train_step((tf.constant(images), tf.constant(labels)))
    assert len(losses) == 3
    after = {name: in_torch_layout(name, variable.numpy()) for name, variable in variables.items()}
    trained = {
        id(variable): average.numpy()
        for variable, average in zip(model.averaged_variables, model.average.averages, strict=True)
    }
    for layout in ('channels_last', 'contiguous'):
        for name, expected in made.items():
            np.testing.assert_allclose(
                results[f'{layout} images {name}'], expected, rtol=0, atol=1e-4
            )
        np.testing.assert_allclose(results[f'{layout} losses'], losses, rtol=1e-4)
        for name, expected in after.items():
            found = results[f'{layout} {name}']
            if 'variance' in name:  # Theirs divides by one pixel less.
                np.testing.assert_allclose(found, expected, rtol=5e-3, err_msg=name)
            elif 'moving' in name or name.endswith('.u'):
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3, err_msg=name)
            else:
                step, expected = found - start[name], expected - start[name]
                rate = s3gan_tensorflow.LEARNING_RATES['generator' not in name]
                wrong = np.linalg.norm(step - expected)
                assert wrong <= 1e-2 * np.linalg.norm(expected) + 1e-3 * rate * (
                    expected.size**0.5
                ), (name, wrong, np.linalg.norm(expected))
            if id(variables[name]) in trained:
                average = in_torch_layout(name, trained[id(variables[name])])
                np.testing.assert_allclose(
                    results[f'{layout} average {name.split()[1]}'], average, rtol=1e-5, atol=1e-7
                )
    np.testing.assert_allclose(results['half losses'], losses, rtol=0.1, atol=0.1)


@pytest.mark.parametrize('mode', ['forward', 'step'])
def test_torch_prints_what_the_benchmark_reads(mode):
    result = contest.run_worker(
        [
            require_torch(),
            '-I',
            str(SCRIPT),
            mode,
            'small',
            '--batch=2',
            '--repetitions=1',
            '--blocks=2',
            '--threads=1',
        ]
    )
    assert len(result['ms']) == 2 and min(result['ms']) > 0
    assert list(result['libraries']) == ['torch']
    model = s3gan_tensorflow.training(SMALL)
    net = model if mode == 'step' else model.generator
    assert result['parameters'] == sum(
        variable.shape.num_elements() for variable in net.trainable_variables
    )
