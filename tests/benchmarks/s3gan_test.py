"""The S3GAN benchmark: its arithmetic, its complaints, and that PyTorch's networks are ours.

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


# Arithmetic.


def test_products_of_small_networks_counted_by_hand():
    # 8 pixels: one block of the generator from 16 to 8 channels, two of the discriminator, 8 wide,
    # a non-local block in both.
    config = s3gan.Config(8, 3, 8, 10, 2, (2, 1), (1, 1), (1, 1))
    attention = 64 * 8 * (1 + 1 + 4) + 64 * 4 * 8  # theta, phi, g; out
    assert s3gan.generator_products(config) == (
        20 * 256  # noise to 4 x 4 x 16
        + 148 * 2 * (16 + 8)  # gains and shifts
        + 64 * 16 * 8 * (9 + 1)
        + 64 * 8 * 8 * 9  # up_conv1, shortcut, same_conv2
        + attention
        + 64 * 8 * 3 * 9,
        20 * 256,
        64 * 16 * (1 + 4),
    )
    # A second block, from 8 to 16 pixels, has 4 x 4 weights; the first but its 1 x 1 convolution.
    two = config._replace(image_size=16, generator=(2, 1, 1))
    assert s3gan.generator_products(two, fused=True).weights == (
        s3gan.generator_products(two).weights
        - 64 * 16 * 8
        + 16 * 16 * 8
        - 256 * 8 * 8 * (9 + 1)
        + 64 * 8 * 8 * (16 + 1)
    )
    lowest = 64 * 3 * 8 * (9 + 1)  # same_conv1, shortcut
    in_first_attention = 16 * 8 * (1 + 1 + 4) + 16 * 4 * 8
    rest = 64 * 8 * 8 * 9 + in_first_attention + 2 * 16 * 8 * 8 * 9
    assert s3gan.discriminator_products(config) == (lowest + rest, lowest, 16 * 4 * (1 + 4))


def counted(function, *specs):
    """Floating-point operations of the products that the outputs of a function need."""
    graph = tf.function(function).get_concrete_function(*specs).graph
    needed, waiting, total = set(), [tensor.op for tensor in graph.outputs], 0
    while waiting:
        op = waiting.pop()
        if op in needed:
            continue
        needed.add(op)
        waiting += [tensor.op for tensor in op.inputs]
        shapes = [tensor.shape for tensor in op.inputs]
        if op.type.startswith('Conv2D'):
            # Of the convolution itself or of the one whose gradient this is.
            made = op.outputs[0].shape
            kernel = made if op.type == 'Conv2DBackpropFilter' else shapes[1]
            image = made if op.type == 'Conv2D' else shapes[2]
            total += 2 * kernel.num_elements() * image[:3].num_elements()
        elif op.type in ('MatMul', 'BatchMatMulV2'):
            if [16, 9] in (*shapes, op.outputs[0].shape):
                continue  # Makes 4 x 4 weights, which is no product with images.
            transposed = op.get_attr('transpose_a' if op.type == 'MatMul' else 'adj_x')
            inner = shapes[0][-2 if transposed else -1]
            total += 2 * inner * op.outputs[0].shape.num_elements()
    return total


@pytest.mark.parametrize('config', [SMALL, LARGE], ids=['small', 'large'])
@pytest.mark.parametrize('fused', [False, True])
def test_products_of_a_step_are_as_many_as_counted(config, fused):
    model = s3gan_tensorflow.training(config, fused)
    for layer in model.submodules:  # The power iterations are not counted.
        if hasattr(layer, 'u'):
            layer.u = None
    made, seen = model.generator, model.discriminator
    number = config.batch
    images = tf.TensorSpec([number, config.image_size, config.image_size, config.channels])
    labels = tf.TensorSpec([number], tf.int32)
    noise = tf.TensorSpec([number, made.z_dim])

    def forward(z, y):
        return made(z, y, training=True, frozen=True)

    def discriminator(real, labels, fake, y):
        with tf.GradientTape() as tape:
            loss, _ = model.discriminator_loss(real, labels, fake, y)
        return tape.gradient(loss, seen.trainable_variables)

    def generator(z, y):
        with tf.GradientTape() as tape:
            loss, _ = model.generator_loss(made(z, y, training=True), y)
        return tape.gradient(loss, made.trainable_variables)

    # Labels and heads are left out.
    once = counted(forward, noise, labels)
    assert s3gan.flops('forward', config, fused) == pytest.approx(once, rel=2e-3)
    step = 2 * (once + counted(discriminator, images, labels, images, labels)) + counted(
        generator, noise, labels
    )
    assert s3gan.flops('step', config, fused) == pytest.approx(step, rel=2e-3)


def run(ms, parameters=7, peak_mb=100.0):
    return {
        'ms': [ms, ms - 1, ms + 1],
        'first_s': 2.0,
        'parameters': parameters,
        'memory': {'peak_mb': peak_mb},
        'libraries': {},
    }


RUNS = {
    'arboretum': [run(20), run(50)],
    'xla': [run(10), run(30)],
    'unfused': [run(40), run(50)],
    'torch': [run(40), run(90)],
    'torch_contiguous': [run(50), run(95)],
    'bfloat16': [run(5), run(5)],
}
PEAKS = {'float32': 100.0, 'bfloat16': 200.0}


def test_summary():
    config = s3gan.CONFIGS['small']
    row = s3gan.summary('small_forward', config, RUNS, PEAKS)
    assert row['gflop'] > row['fused_gflop']
    forms = row['forms']
    assert forms['xla']['round_ms'] == [10, 30] and forms['xla']['median_ms'] == 20
    assert forms['xla']['images_per_s'] == pytest.approx(64 / 0.020)
    assert forms['xla']['floor_ms'] == pytest.approx(row['gflop'] * 10)
    assert forms['xla']['floor_fraction'] == pytest.approx(row['gflop'] / 2)
    assert forms['bfloat16']['floor_ms'] == pytest.approx(row['gflop'] * 5)
    # The best of each, and no ratio where PyTorch has no form.
    assert list(row['ratios']) == ['torch over xla', 'unfused over arboretum']
    assert row['ratios']['torch over xla']['median'] == pytest.approx(3.5)  # of 4 and 3
    with pytest.raises(SystemExit, match='different numbers of parameters'):
        s3gan.summary('small_forward', config, RUNS | {'torch': [run(9, 8)] * 2}, PEAKS)


def test_table_says_what_was_measured():
    config = s3gan.CONFIGS['small']
    runs = RUNS | {'xla': [run(10, peak_mb=None), run(30)]}
    text = s3gan.table(
        {
            'peaks': PEAKS,
            'workloads': {
                name: s3gan.summary(name, config, runs, PEAKS)
                for name in ('small_forward', 'small_step')
            },
        }
    )
    lines = text.splitlines()
    assert lines[0] == '32 pixels, ch 8, generator, batch 64, 7 parameters'
    assert lines[1].split() == [
        'ms',
        'median',
        'lowest',
        'highest',
        'peak',
        'MB',
        'floor',
        'images/s',
    ]
    assert lines[2].split()[:5] == ['Arboretum', '35.0', '20.0', '50.0', '100']
    assert lines[2].split()[-1] == '1828.6'
    assert lines[3].split()[2:6] == ['20.0', '10.0', '30.0', '?']
    assert 'torch over xla: 3.50 (3.00 to 4.00; of the medians 3.25)' in lines
    assert 'peak of convolutions, 100 GFLOP/s in float32, 200 GFLOP/s in bfloat16' in lines[-1]


@pytest.mark.parametrize(
    'argument', ['--rounds=0', '--only=small', '--forms=torch,jax', '--full_batch=x']
)
def test_bad_argument(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, 'argv', ['s3gan.py', argument])
    with pytest.raises(SystemExit):
        s3gan.main()
    assert argument.partition('=')[0] in capsys.readouterr().err


# This project's side.


@pytest.mark.parametrize('timed', [s3gan_tensorflow.forward_ms, s3gan_tensorflow.step_ms])
def test_one_block_to_warm_up_and_the_others_timed(timed):
    config = SMALL._replace(ch=1, batch=2)
    result = timed(config, repetitions=2, blocks=2)
    assert len(result['ms']) == 2 and min(result['ms']) > 0 and result['first_s'] > 0


def test_peak_is_printed_as_the_benchmark_reads_it(monkeypatch, capsys):
    monkeypatch.setattr(s3gan_tensorflow, 'gflop_per_s', {'float32': 1.0, 'bfloat16': 2.0}.get)
    monkeypatch.setattr(sys, 'argv', ['s3gan_tensorflow.py', 'peak'])
    monkeypatch.setattr(tf.config.experimental, 'enable_op_determinism', lambda: None)
    s3gan_tensorflow.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed['gflop_per_s'] == {'float32': 1.0, 'bfloat16': 2.0}
    assert list(printed['libraries']) == ['tensorflow']


# PyTorch's.

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
